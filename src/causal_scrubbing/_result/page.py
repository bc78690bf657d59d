"""What a result's page shows, gathered from the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from causal_scrubbing._report import Page, footnotes, plot_laws
from causal_scrubbing._result.labels import EVERY, baseline_name
from causal_scrubbing._result.views import RunViews

HIDDEN = ("versions", "metric_in_graph", "reads_logits", "actual", "self_check")
"""Settings told elsewhere on the page, or in its words."""

MOST_NUMBERS: Final = 20_000_000
"""Kept outputs of more numbers than this are not compared on a page: it takes their size twice."""


def page(result: RunViews) -> Page:
    """Everything a run has to say, in the order a reader asks."""
    name = result.metrics[0]
    trio = result.triples(name)
    figures = {"The three expectations with their 95% intervals.": result.plot()}
    functions = None
    worst: list[Any] = []
    if trio.scrubbed.ndim == 1:
        caption = (
            f"{name} under D and under D_scrubbed: as distributions, and sample by sample (points "
            "off the line are samples whose behaviour moved, even where the mean did not)."
        )
        figures[caption] = plot_laws(trio.model, trio.scrubbed, metric=name)
        if result.moved:
            functions = result.compare_functions(logits=result.record.reads_logits)
        if functions is not None and result.data is not None:
            worst = [result.data.show(bad.row) for bad in functions.worst]
    return Page(
        name=result.name,
        summary=result.summary,
        scores=result.scores,
        stuck=None if result.stuck is None else (EVERY, result.stuck),
        claims=result.readable,
        agreement=result.agreement["table"],
        notes=[
            *(line for line in result.untested if not line.startswith(EVERY)),
            *footnotes(result.scores, zero=result.zero_label),
            *result.notes,
        ],
        figures=figures,
        functions=functions,
        worst=worst,
        texts={"As distributions": _laws(result), **_plan(result)},
        settings=_settings(result),
        zero=result.zero_label,
    )


def _settings(result: RunViews) -> dict[str, str]:
    """Settings as a person reads them: no empty ones, and seconds to three digits."""
    shown: dict[str, str] = {}
    for key, value in result.record.to_dict().items():
        if key in HIDDEN or value is None:
            continue
        label = key.replace("_", " ")
        if key == "baseline":
            shown[label] = baseline_name(value)
        elif key == "randomize":
            shown["randomized at"] = str(value)
        elif isinstance(value, float):
            shown[label] = f"{value:.3g}"
        else:
            shown[label] = str(value)
    actual: Mapping[str, Any] = result.record.actual
    for key, label in (("table_seconds", "on clean rows"), ("sample_seconds", "on samples")):
        if isinstance(actual.get(key), float):
            shown[f"seconds {label}"] = f"{actual[key]:.3g}"
    if result.record.self_check is not None:
        shown["self-check"] = str(result.record.self_check)
    shown |= {key: str(value) for key, value in result.record.versions.items()}
    return shown | {f"{what} hash": str(value) for what, value in result.fingerprints.items()}


def _laws(result: RunViews) -> str:
    """The behaviour and, unless they are very many numbers, the outputs as distributions."""
    kept = result.outputs
    if kept is None or kept[0].numel() <= MOST_NUMBERS:
        return str(result.compare_distributions())
    laws = replace(result, outputs=None).compare_distributions()
    told = f"not compared on this page, as they are {kept[0].numel():,} numbers"
    return str(replace(laws, why_not=f"{told}: print(result.compare_distributions()) does it"))


def _plan(result: RunViews) -> dict[str, str]:
    """The plan the run followed, where the result still knows it."""
    if result.plan is None and result.run_plan is None:
        return {}
    return {"What was gathered, computed and shared": str(result.explain())}
