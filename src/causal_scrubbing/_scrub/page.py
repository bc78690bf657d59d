"""What a result's page shows, gathered from the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from causal_scrubbing._report import Page, plot_laws, scores_table
from causal_scrubbing._scrub.result import Result

HIDDEN = ("versions", "metric_in_graph", "reads_logits")
"""Settings told elsewhere on the page, or in its words."""


def page(result: Result) -> Page:
    """Everything a run has to say, in the order a reader asks."""
    name = result.metrics[0]
    trio = result.triples(name)
    figures = {"The three expectations with their 95% intervals.": result.plot()}
    functions = None
    worst: list[Any] = []
    if trio.scrubbed.ndim == 1:
        caption = (
            f"{name} under D and under D_scrubbed: as distributions, and sample by sample (points "
            "off the line are inputs whose behaviour moved, even where the mean did not)."
        )
        figures[caption] = plot_laws(trio.model, trio.scrubbed, metric=name)
        if result.moved:
            functions = result.compare_functions(logits=bool(result.settings["reads_logits"]))
        if functions is not None and result.data is not None:
            worst = [result.data.show(bad.row) for bad in functions.worst]
    _, notes = scores_table(result.scores)
    settings = {k: v for k, v in result.settings.items() if k not in HIDDEN}
    if "pool" in settings:
        settings["pool"] = f"{settings['pool']['pools']} of {settings['pool']['size']} rows"
    settings |= result.settings["versions"]
    settings |= {f"{what} hash": value for what, value in result.fingerprints.items()}
    return Page(
        name=result.name,
        summary=result.summary,
        scores=result.scores,
        stuck=result.stuck,
        claims=result.readable,
        agreement=_agreement(result),
        notes=[*notes, *result.notes],
        figures=figures,
        functions=functions,
        worst=worst,
        texts=_plan(result),
        settings=settings,
    )


def _agreement(result: Result) -> list[Mapping[str, Any]]:
    """The agreement figures on the data, with those in the pools beside them."""
    pools = result.settings.get("pool", {}).get("agreement", {})
    return [
        {**row, "pool": pools[row["draw"]]} if row["draw"] in pools else row
        for row in result.agreement["table"]
    ]


def _plan(result: Result) -> dict[str, str]:
    """The plan the run followed, where the result still knows it."""
    if result.plan is None and (result.asked is None or result.data is None):
        return {}
    return {"What was gathered, computed and shared": str(result.explain())}
