"""Pages as HTML text: nothing is fetched, everything a user gave is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from causal_scrubbing._format import alike, plural, share
from causal_scrubbing._page.data import ComparisonData, PageData
from causal_scrubbing._page.packing import pack
from causal_scrubbing._page.scale import forest, scale
from causal_scrubbing._report import KINDS, cell, kinds, opened

if TYPE_CHECKING:
    from jinja2 import Environment

_SCRIPTS: Final = (
    "vendor/dagre.min.js",
    "dom.js",
    "charts.js",
    "graph.js",
    "claim.js",
    "sample.js",
    "inputs.js",
    "behaviour.js",
    "main.js",
)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, select_autoescape

    return Environment(
        loader=PackageLoader("causal_scrubbing._page", "templates"),
        autoescape=select_autoescape(default_for_string=True, default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> str:
    return (files("causal_scrubbing._page") / "assets" / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    licence = _asset("vendor/dagre.LICENSE.txt")
    return f"/* dagre, laid out below, is under this licence:\n\n{licence}*/\n" + "\n".join(
        _asset(name) for name in _SCRIPTS
    )


def _hash(text: str) -> str:
    """What a content security policy calls an inline script or style that may be used."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render_page(page: PageData) -> str:
    """The page of a run.

    It holds its data as one JSON text, and a script that draws it; without scripts it still has the
    answer, the claims, the figures and the plan.

    Args:
        page: what it shows.

    Returns:
        HTML, which opens from disk and fetches nothing.

    Example::

        Path("run.html").write_text(render_page(page), encoding="utf-8")
    """
    style, script = "\n" + _asset("page.css"), "\n" + _script()
    children: dict[int | None, list[int]] = {}
    for i, claim in enumerate(page.claims):
        children.setdefault(claim.parent, []).append(i)
    return (
        _environment()
        .get_template("run.html.jinja")
        .render(
            page=page,
            children=children,
            rows=opened({metric.name: metric.scores for metric in page.metrics}),
            scale=scale(page.metrics, page.zero),
            labels=dict(zip(KINDS, kinds(page.zero), strict=True)),
            kinds=KINDS,
            cell=cell,
            share=share,
            plural=plural,
            alike=alike,
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            data=Markup(pack(page)),
        )
    )


def render_comparison(comparison: ComparisonData) -> str:
    """The page of several runs: a forest plot, paired differences, and what claims differ.

    Args:
        comparison: what it shows.

    Returns:
        HTML, which opens from disk, fetches nothing and needs no script.

    Example::

        Path("compare.html").write_text(render_comparison(comparison), encoding="utf-8")
    """
    style = "\n" + _asset("page.css")
    first, *others = comparison.runs
    changed = [_changed(first.claims, run.claims) for run in others]
    return (
        _environment()
        .get_template("compare.html.jinja")
        .render(
            page=comparison,
            forest=forest(comparison.runs),
            others=list(zip(others, changed, strict=True)),
            first=first,
            style=Markup(style),
            style_hash=_hash(style),
        )
    )


def _changed(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """(claim, kind of change, here, there) for each claim of two hypotheses, changed ones first."""
    found = []
    for path in dict.fromkeys([*ours, *theirs]):
        here, there = ours.get(path, ""), theirs.get(path, "")
        kind = "same" if here == there else "changed"
        if not here or not there:
            kind = "only here" if here else "only there"
        found.append((path, kind, here, there))
    return sorted(found, key=lambda row: row[1] == "same")
