"""Static HTML that takes the notebook's own colours, light or dark; all names are escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

MOST_ROWS: Final = 60
_CELL = "text-align:left;padding:.15em .8em .15em 0;vertical-align:top"
_NOTE = "border-left:3px solid #b7791f;margin:.3em 0;padding-left:.6em"


def html_table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> str:
    """A table under a title, notes below it; of very many rows the first.

    Example:
        >>> "<td" in html_table("costs", ["what"], [["nothing"]])
        True
    """
    cells = "".join(f'<th scope="col" style="{_CELL}">{escape(name)}</th>' for name in head)
    lines = [
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows[:MOST_ROWS]
    ]
    more = [f"and {len(rows) - MOST_ROWS} more rows"] if len(rows) > MOST_ROWS else []
    below = "".join(f'<div style="{_NOTE}">{escape(note)}</div>' for note in [*more, *notes])
    return (
        f"<div><b>{escape(title)}</b><table><thead><tr>{cells}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>{below}</div>"
    )


def html_text(title: str, text: str) -> str:
    """Text as it is laid out, under a title.

    Example:
        >>> html_text("a & b", "x").startswith("<div><b>a &amp; b</b>")
        True
    """
    style = "white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0;font-size:.9em"
    return f'<div><b>{escape(title)}</b><pre style="{style}">{escape(text)}</pre></div>'
