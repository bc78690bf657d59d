"""Whether a model and its metrics are those a folder of blocks was begun with.

Both are code, which cannot be compared; what they give on a few rows can.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch

from causal_scrubbing._errors import Notice, ScrubError
from causal_scrubbing._expressions import Apply, Clean
from causal_scrubbing._files import NUMBER, DictOf, ListOf, Shape
from causal_scrubbing._graph import evaluate, is_hidden
from causal_scrubbing._simulate.behaviour import evaluate_metric
from causal_scrubbing._simulate.self_check import TOLERANCE
from causal_scrubbing._simulate.simulation import Simulation

ROWS: Final = 8
PROBE: Final[Shape] = {"nodes": DictOf(ListOf(NUMBER)), "metrics": DictOf(ListOf(NUMBER))}
"""The shape of what `probe` gives."""
_ULPS: Final = 16
"""Rounding allowed, in units of a dtype's own: other processors add in another order."""


def probe(work: Simulation) -> dict[str, Any]:
    """What the nodes that a run reads, and its metrics, give on a few rows.

    Returns:
        "nodes": name -> [tolerance, numbers that any change of the values changes];
        "metrics": name -> [tolerance, values on the rows with their own outputs and with each
        other's, as some metrics are 0 on a row's own].
    """
    executor = work.executor
    rows = np.unique(np.linspace(0, len(work.data) - 1, ROWS).astype(np.int64))
    exprs = [executor.space[number] for number in executor.space.cone(executor.roots)]
    output = work.samplers[0].hypothesis.graph.output
    nodes = dict.fromkeys([output, *(e.node for e in exprs if isinstance(e, Apply | Clean))])
    with torch.no_grad():
        values = evaluate(executor.graph, work.data.take(rows), list(nodes), device=executor.device)
        own = values[output]
        given = work.metric_rows(rows, own)
        metrics: dict[str, list[float]] = {}
        for name, metric in work.metrics.items():
            both = [evaluate_metric(name, metric, o, given) for o in (own, own.roll(1, 0))]
            metrics[name] = [TOLERANCE.get(own.dtype, 1e-4), *_plain(np.stack(both))]
    return {
        "nodes": {name: _numbers(value) for name, value in values.items()},
        "metrics": metrics,
    }


def _numbers(value: torch.Tensor) -> list[float]:
    """Tolerance, size, mean and a mean with weights of a node's values."""
    rounding = _ULPS * torch.finfo(value.dtype).eps if value.is_floating_point() else 0.0
    flat = value.detach().reshape(-1).to("cpu", torch.float64).nan_to_num()
    weights = torch.cos(torch.arange(len(flat), dtype=torch.float64))
    found = (flat.square().mean().sqrt(), flat.mean(), (flat * weights).mean())
    return [min(rounding, 0.05), *_plain(torch.stack(found).numpy())]


def _plain(values: Any) -> list[float]:
    return [float(v) for v in np.nan_to_num(np.asarray(values, dtype=np.float64)).reshape(-1)]


def check_probe(noted: Mapping[str, Any], found: Mapping[str, Any], folder: str) -> None:
    """Refuse blocks of another model or metric.

    Raises:
        ScrubError: values differ by more than rounding, naming what gave them. Where they differ
            by less, a notice says so.
    """
    if noted == found:
        return
    worst = 0.0
    for what, word in (("nodes", "node"), ("metrics", "metric")):
        differing = []
        for name in dict.fromkeys([*found[what], *noted[what]]):
            off = _off(noted[what].get(name), found[what].get(name))
            worst = max(worst, off)
            if off > 1:
                differing.append(name)
        if differing:
            named = sorted(differing, key=is_hidden)
            raise ScrubError(
                f"{folder} holds blocks of another {'model' if what == 'nodes' else 'metric'}: on "
                f"the same rows {word} {', '.join(map(repr, named[:4]))} gave other values then. "
                "Give another folder as out=, or delete that one."
            )
    warnings.warn(
        f"on a few rows the model now gives values that differ from those the blocks in {folder} "
        f"were begun with, by rounding ({worst:.1g} of what is allowed): another machine, or a "
        "model changed by very little.",
        Notice,
        stacklevel=2,
    )


def _off(noted: Sequence[float] | None, found: Sequence[float] | None) -> float:
    """The largest difference, as a multiple of the one allowed."""
    if noted is None or found is None or len(noted) != len(found):
        return float("inf")
    one, other = np.array(noted[1:]), np.array(found[1:])
    scale = max(float(np.abs(one).max()), float(np.abs(other).max()))
    difference = float(np.abs(one - other).max())
    if difference == 0:
        return 0.0
    return difference / (found[0] * scale) if found[0] else float("inf")
