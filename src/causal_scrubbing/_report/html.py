"""The run as one self-contained page: nothing is fetched, everything a user gave is escaped."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from causal_scrubbing._format import alike, plural, share
from causal_scrubbing._hypothesis import draw_label
from causal_scrubbing._report.tables import KINDS, cell, kinds, opened
from causal_scrubbing._statistics import FunctionComparison, Scores

_ENVIRONMENT = Environment(
    loader=PackageLoader("causal_scrubbing._report", "templates"),
    autoescape=select_autoescape(default_for_string=True, default=True),
    trim_blocks=True,
    lstrip_blocks=True,
)
_ID = re.compile(r"""(\bid="|href="#|url\(#)""")
"""Where a picture gives an element a name or calls one by it."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a report shows.

    Attributes:
        name: of the hypothesis.
        summary: one line on samples, seed and policy.
        scores: metric -> its five estimates.
        stuck: a label and a share, of samples in which nothing claimed could be swapped, if
            known.
        claims: the claim tree as plain data (`Hypothesis.to_dict`).
        agreement: one entry a block of draws.
        notes: what a reader should know.
        figures: caption -> picture.
        functions: the comparison with the model's own output, or None.
        zero: what the mean that is 0% is called.
        worst: of each of its worst inputs, how a person sees it: text or image.
        texts: heading -> preformatted text, such as the plan.
        settings: seed, versions, hashes.
    """

    name: str
    summary: str
    scores: Mapping[str, Scores]
    stuck: tuple[str, float] | None
    claims: Mapping[str, Any]
    agreement: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    figures: Mapping[str, Figure]
    functions: FunctionComparison | None
    worst: Sequence[Any]
    texts: Mapping[str, str]
    settings: Mapping[str, str]
    zero: str = "randomized"


def scores_html(
    title: str,
    summary: str,
    scores: Mapping[str, Scores],
    notes: Sequence[str],
    *,
    zero: str = "randomized",
) -> str:
    """A result as a notebook shows it: one row a metric, and the notes."""
    template = _ENVIRONMENT.get_template("scores.html.jinja")
    return template.render(
        title=title,
        summary=summary,
        rows=opened(scores),
        notes=notes,
        kinds=KINDS,
        labels=_labels(zero),
        cell=cell,
    )


def _labels(zero: str) -> dict[str, str]:
    return dict(zip(KINDS, kinds(zero), strict=True))


def render(page: Page) -> str:
    """The page as HTML text."""
    template = _ENVIRONMENT.get_template("run.html.jinja")
    # Tied claims are one draw, whose figures are shown at each; old runs have but its key.
    by_draw = {path: row for row in page.agreement for path in (row.get("claims") or [row["draw"]])}
    return template.render(
        page=page,
        by_draw=by_draw,
        rows=opened(page.scores),
        cell=cell,
        alike=alike,
        draw_label=draw_label,
        figures={
            caption: _svg(figure, caption, f"figure{number}-")
            for number, (caption, figure) in enumerate(page.figures.items(), 1)
        },
        worst=[_shown(one) for one in page.worst],
        kinds=KINDS,
        labels=_labels(page.zero),
        share=share,
        plural=plural,
    )


def _svg(figure: Figure, caption: str, prefix: str) -> Markup:
    """A picture as an element that screen readers name, its ids apart from other pictures'."""
    import matplotlib

    out = io.StringIO()
    # Clip paths are named by chance without a salt, and a page should be the same each time.
    with matplotlib.rc_context({"svg.hashsalt": prefix}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = _ID.sub(rf"\g<1>{prefix}", text[text.index("<svg") :])
    named = Markup('<svg role="img" aria-label="{}"').format(caption)
    return named + Markup(text.removeprefix("<svg"))


def _shown(one: Any) -> Markup:
    """What `show=` made of a row: text, an image (H, W or H, W, 3), a PIL image, or a figure."""
    if isinstance(one, str):
        return Markup("<pre>") + escape(one) + Markup("</pre>")
    png = _png(one)
    if png is None:
        return Markup("<pre>") + escape(str(one)) + Markup("</pre>")
    return Markup('<img alt="the input" src="data:image/png;base64,{}">').format(
        base64.b64encode(png).decode()
    )


def _png(one: Any) -> bytes | None:
    out = io.BytesIO()
    if isinstance(one, Figure):
        one.savefig(out, format="png", dpi=110)
    elif hasattr(one, "save") and hasattr(one, "convert"):  # a PIL image
        one.save(out, format="PNG")
    elif getattr(one, "ndim", 0) in (2, 3):
        from matplotlib.image import imsave

        array = np.asarray(one.detach().cpu() if hasattr(one, "detach") else one)
        imsave(out, array, format="png", cmap="gray" if array.ndim == 2 else None)
    else:
        return None
    return out.getvalue()
