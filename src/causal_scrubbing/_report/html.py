"""What a notebook shows: static HTML that takes the notebook's own colours, all names escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from causal_scrubbing._report.tables import KINDS, cell, kinds, opened
from causal_scrubbing._statistics import Scores

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, select_autoescape

    return Environment(
        loader=PackageLoader("causal_scrubbing._report", "templates"),
        autoescape=select_autoescape(default_for_string=True, default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def scores_html(
    title: str,
    summary: str,
    scores: Mapping[str, Scores],
    notes: Sequence[str],
    *,
    zero: str = "randomized",
) -> str:
    """A result as a notebook shows it: one row a metric, and the notes."""
    template = _environment().get_template("scores.html.jinja")
    return template.render(
        title=title,
        summary=summary,
        rows=opened(scores),
        notes=notes,
        kinds=KINDS,
        labels=dict(zip(KINDS, kinds(zero), strict=True)),
        cell=cell,
    )
