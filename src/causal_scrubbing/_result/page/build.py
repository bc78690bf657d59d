"""What a result's page shows, gathered from the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from causal_scrubbing._format import share
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._page import MetricData, PageData, Shown, shown
from causal_scrubbing._report import footnotes
from causal_scrubbing._result.labels import EVERY, baseline_name
from causal_scrubbing._result.page.controlled import (
    ManyControls,
    check_controls,
    control_rows,
    with_controls,
)
from causal_scrubbing._result.page.movement import with_movement
from causal_scrubbing._result.page.rows import fields, searched, stepped
from causal_scrubbing._result.page.tree import nodes, trees
from causal_scrubbing._result.views import RunViews
from causal_scrubbing._simulate import RunRecord
from causal_scrubbing._statistics import FunctionComparison

HIDDEN = ("parts", "versions", "metric_in_graph", "reads_logits", "actual", "self_check")
"""Settings told elsewhere on the page, or in its words."""

MOST_NUMBERS: Final = 20_000_000
"""Kept outputs of more numbers than this are not compared on a page: it takes their size twice."""

MOST_VALUES: Final = 800_000
"""Values of samples that a page holds; metrics beyond them have their estimates only."""


def page_data(result: RunViews, controls: ManyControls | None = None) -> PageData:
    """Everything a run has to say, in the order a reader asks.

    Args:
        result: the run.
        controls: those of its hypothesis, or None.
    """
    if controls is not None:
        check_controls(result, controls)
    trio = result.triples()
    scalar = trio.scrubbed.ndim == 1
    functions = None
    if scalar and result.moved:
        functions = result.compare_functions(logits=result.record.reads_logits)
    tree = trees(result)
    blocks, cost_note = with_movement(result, tree.claims, tree.blocks)
    if controls is not None:
        blocks, cost_note = with_controls(blocks, tree.claims, controls)
    metrics = _metrics(result)
    step = stepped(result, blocks, _worst_first(metrics[0]))
    if step is not None:
        blocks = tuple(
            replace(block, examples=examples)
            for block, examples in zip(blocks, step[1], strict=True)
        )
    rows, place = np.unique(result.drawn[REFERENCE], return_inverse=True)
    return PageData(
        name=result.name,
        summary=result.summary,
        zero=result.zero_label,
        metrics=metrics,
        notes=[
            *(line for line in result.untested if not line.startswith(EVERY)),
            *footnotes(result.scores, zero=result.zero_label),
            *result.notes,
        ],
        facts=_facts(result),
        claims=tree.claims,
        blocks=blocks,
        nodes=nodes(result.hypothesis, tree.claims),
        cost_note=cost_note,
        controls=[] if controls is None else control_rows(controls),
        place=place.reshape(-1).astype(np.int32),
        rows=rows.astype(np.int32),
        texts=searched(result.data, rows),
        fields=fields(result.data, rows),
        stepped=None if step is None else step[0],
        functions=functions,
        worst=_worst(result, functions),
        reports={"As distributions": _laws(result), **_plan(result)},
        settings=_settings(result),
        recipe=_recipe(result),
    )


def _metrics(result: RunViews) -> list[MetricData]:
    found: list[MetricData] = []
    room = MOST_VALUES
    for name in result.metrics:
        trio = result.triples(name)
        scalar = trio.scrubbed.ndim == 1
        kept = scalar and (not found or room >= 2 * len(result))
        room -= 2 * len(result) * kept
        loss = None
        if scalar and trio.randomized is not None:
            loss = bool(trio.model.mean() <= trio.randomized.mean())
        values = np.concatenate([trio.model, trio.scrubbed]) if scalar else np.zeros(0)
        found.append(
            MetricData(
                name=name,
                scores=result[name],
                lower_is_better=loss,
                model=trio.model.astype(np.float32) if kept else None,
                scrubbed=trio.scrubbed.astype(np.float32) if kept else None,
                right=bool(scalar and np.isin(values, (0, 1)).all()),
            )
        )
    return found


def _worst_first(metric: MetricData) -> Any:
    """Samples by how much worse than the model they came out; by the change if unknown."""
    if metric.model is None or metric.scrubbed is None:
        return None
    change = metric.scrubbed - metric.model
    if metric.lower_is_better is None:
        return np.argsort(-np.abs(change), kind="stable")
    return np.argsort(-change if metric.lower_is_better else change, kind="stable")


def _worst(result: RunViews, functions: FunctionComparison | None) -> list[Shown]:
    if functions is None or result.data is None:
        return []
    return [shown(result.data.show(bad.row)) for bad in functions.worst]


def _facts(result: RunViews) -> dict[str, str]:
    """Short facts beside the answer: what could not be swapped, and right and wrong."""
    found = {} if result.stuck is None else {EVERY: share(result.stuck)}
    for name in result.metrics:
        trio = result.triples(name)
        if trio.scrubbed.ndim != 1:
            continue
        values = np.concatenate([trio.model, trio.scrubbed])
        if np.isin(values, (0, 1)).all():
            lost = float(np.mean((trio.model == 1) & (trio.scrubbed == 0)))
            won = float(np.mean((trio.model == 0) & (trio.scrubbed == 1)))
            found[f"{name}: 1 for the model, 0 scrubbed"] = share(lost)
            found[f"{name}: 0 for the model, 1 scrubbed"] = share(won)
    return found


def _recipe(result: RunViews) -> str:
    """Lines that run it again and look at what was saved."""
    record, lines = result.record, []
    parts = record.parts or (
        {"seed": record.seed, "start": record.start, "stop": record.start + len(result)},
    )
    for one in parts:
        lines.append(_call(record, **one))
    made = lines[0]
    if len(lines) > 1:
        made = "cs.merge([\n" + "".join(f"    {line},\n" for line in lines) + "])"
    return (
        "import causal_scrubbing as cs\n\n"
        f"# the data has the hash {result.fingerprints['data']},\n"
        f"# the graph {result.fingerprints['graph']}\n"
        f"result = {made}\n"
        'result.save("run/")\n'
        'cs.verify("run/")                   # files as written, estimates as the tables give\n'
        'same = cs.load("run/", data=data)   # refuses other data\n'
    )


def _call(record: RunRecord, seed: int, start: int, stop: int) -> str:
    options = f"samples={stop - start}, seed={seed}"
    if start:
        options += f", start={start}"
    if record.randomize is not None:
        options += f", randomize={record.randomize!r}"
    return f"cs.scrub(hypothesis, data, metric, {options})"


def _settings(result: RunViews) -> dict[str, str]:
    """Settings as a person reads them: no empty ones, and seconds to three digits."""
    found: dict[str, str] = {}
    for key, value in result.record.to_dict().items():
        if key in HIDDEN or value is None:
            continue
        label = key.replace("_", " ")
        if key == "baseline":
            found[label] = baseline_name(value)
        elif key == "randomize":
            found["randomized at"] = str(value)
        elif isinstance(value, Mapping):
            found[label] = ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        elif isinstance(value, float):
            found[label] = f"{value:.3g}"
        else:
            found[label] = str(value)
    actual: Mapping[str, Any] = result.record.actual
    for key, label in (("table_seconds", "on clean rows"), ("sample_seconds", "on samples")):
        if isinstance(actual.get(key), float):
            found[f"seconds {label}"] = f"{actual[key]:.3g}"
    if result.record.self_check is not None:
        found["self-check"] = str(result.record.self_check)
    found |= {key: str(value) for key, value in result.record.versions.items()}
    return found | {f"{what} hash": str(value) for what, value in result.fingerprints.items()}


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
