"""One page on all experiments: the picture, the verdicts, the table and what each one claims."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

_STYLE = Markup(
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a202c;background:#fff}img{width:100%;background:#fff}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}"
    "td,th{padding:.25rem .6rem;border-bottom:1px solid #cbd5e0;text-align:right}"
    "td:nth-child(-n+2){white-space:nowrap}td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}"
    "@media(prefers-color-scheme:dark){body{color:#e2e8f0;background:#171923}a{color:#90cdf4}"
    "td,th{border-color:#4a5568}}"
)
_PAGE = Markup(
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>The paren checker</title>'
    "<style>{style}</style><h1>The paren checker: which claims hold</h1>"
    '<img alt="Percent of the loss recovered by each experiment" '
    'src="data:image/png;base64,{image}"><ul>{verdicts}</ul><p>{rule}</p>'
    '<h2>Every experiment</h2><div class="wide"><table>{table}</table></div><p>{note}</p>'
)


def page(
    figure: Figure,
    verdicts: Sequence[tuple[str, str]],
    rule: str,
    rows: Sequence[Sequence[str]],
    statements: Mapping[str, str],
    note: Markup,
) -> str:
    """The page as HTML that needs nothing else.

    Args:
        figure: the picture.
        verdicts: a word and a sentence for each published claim.
        rule: what the words mean.
        rows: the table, its head first; each row begins with an experiment's name.
        statements: experiment -> what it claims.
        note: what stands below the table.
    """
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    head, *body = rows
    lines = [_row("th", ["", *head[1:], "what is claimed"])]
    lines += [_row("td", [*row, statements[row[0]]]) for row in body]
    item = Markup("<li><b>{}</b>: {}</li>")
    return str(
        _PAGE.format(
            style=_STYLE,
            image=base64.b64encode(image.getvalue()).decode(),
            verdicts=Markup("").join(item.format(*verdict) for verdict in verdicts),
            rule=rule,
            table=Markup("").join(lines),
            note=note,
        )
    )


def _row(tag: str, cells: Sequence[str]) -> Markup:
    cell = Markup(f"<{tag}>{{}}</{tag}>")
    return Markup("<tr>{}</tr>").format(Markup("").join(cell.format(text) for text in cells))
