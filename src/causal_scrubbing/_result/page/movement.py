"""How far the activations of each draw moved, and what of the change goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._format import plural
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._page import BlockData, ClaimData
from causal_scrubbing._result.views import RunViews
from causal_scrubbing._statistics import FloatArray, movement_costs

MOST_ROWS: Final = 8192
"""Rows on which a page runs the model to see which activations changed."""

MOST_SAMPLES: Final = 4000
SKETCH: Final = 64
"""Numbers kept of a larger activation: random sums, whose distances are its own on average."""

_CHUNK: Final = 256


def with_movement(
    result: RunViews, claims: Sequence[ClaimData], blocks: Sequence[BlockData]
) -> tuple[tuple[BlockData, ...], str]:
    """The blocks with what changed and what it cost, and a note on how that was found."""
    trio = result.triples()
    if trio.scrubbed.ndim != 1:
        return tuple(blocks), "The behaviour is a vector, so costs of single claims are not fitted."
    chosen = _chosen(result, blocks)
    moved = _activations_moved(result, claims, blocks, chosen)
    if isinstance(moved, str):
        chosen, table, how = _by_rows(result, blocks, moved)
        found = list(blocks)
    else:
        shares, table = moved
        how = "how far the activations of each draw moved from those on the row it agrees with"
        found = [
            replace(block, changed=float(np.mean(table[:, i] > 0)), moved=shares[i])
            for i, block in enumerate(blocks)
        ]
    every = np.asarray(trio.scrubbed - trio.model, dtype=np.float64)
    fit = movement_costs(every[chosen], table)
    if fit is None and not isinstance(moved, str):
        reason = (
            f"{len(chosen)} {plural(len(chosen), 'sample')} with activations cannot tell apart "
            f"{len(blocks)} {plural(len(blocks), 'draw')}"
        )
        chosen, table, how = _by_rows(result, blocks, reason)
        fit = movement_costs(every[chosen], table)
    if fit is None:
        return tuple(found), (
            f"Costs are not fitted: {len(chosen)} {plural(len(chosen), 'sample')} cannot tell "
            "apart "
            f"{len(blocks)} {plural(len(blocks), 'draw')}."
        )
    found = [replace(block, cost=cost) for block, cost in zip(found, fit.costs, strict=True)]
    return tuple(found), (
        f"Costs: the change of {trio.name} in {len(chosen)} of this run's samples, fitted by "
        f"{how}. "
        f"The fit explains {100 * fit.explained:.0f}% of the variation between samples and leaves "
        f"{_percent(fit.rest, every[chosen])} of the mean change to no draw. It shows what goes "
        "together in this run and is no experiment: claims that move together cannot be told "
        "apart, and what two do only jointly goes to either. cs.controls takes claims out one by "
        "one."
    )


def _percent(rest: float, change: FloatArray) -> str:
    size = float(np.abs(change).mean())
    mean = float(change.mean())
    # A mean change that is rounding has no parts.
    return f"{100 * rest / mean + 0.0:.0f}%" if abs(mean) > 1e-6 * size else "none"


def _chosen(result: RunViews, blocks: Sequence[BlockData]) -> Ints:
    """The first samples, as many as draw few enough rows of the data."""
    most = min(len(result), MOST_SAMPLES)
    keys = [REFERENCE, *(block.key for block in blocks)]
    drawn = np.stack([result.drawn[key][:most] for key in keys], 1)
    _, first = np.unique(drawn, return_index=True)
    if len(first) > MOST_ROWS:
        most = max(int(np.sort(first)[MOST_ROWS] // len(keys)), 1)
    return np.arange(most)


def _by_rows(
    result: RunViews, blocks: Sequence[BlockData], reason: str
) -> tuple[Ints, FloatArray, str]:
    """The first samples, and at each block whether another row was drawn."""
    chosen = np.arange(min(len(result), MOST_SAMPLES))
    table = np.stack([_swapped(result, blocks, block, chosen) for block in blocks], 1)
    return chosen, table, f"whether another row was drawn ({reason})"


def _above(result: RunViews, blocks: Sequence[BlockData], block: BlockData) -> Ints:
    return result.drawn[REFERENCE if block.of is None else blocks[block.of].key]


def _swapped(
    result: RunViews, blocks: Sequence[BlockData], block: BlockData, chosen: Ints
) -> FloatArray:
    other = result.drawn[block.key][chosen] != _above(result, blocks, block)[chosen]
    return np.asarray(other, dtype=np.float64)


def _activations_moved(
    result: RunViews, claims: Sequence[ClaimData], blocks: Sequence[BlockData], chosen: Ints
) -> tuple[list[float], FloatArray] | str:
    """Of each block its squared movement, relative, and the distance in each sample; or why not."""
    if result.hypothesis is None or result.data is None:
        return "activations are not kept in a saved run"
    graph = result.hypothesis.graph
    names = [
        tuple(dict.fromkeys([claims[i].node for i in block.claims])) or block.parts
        for block in blocks
    ]
    wanted = sorted({name for part in names for name in part})
    keys = [REFERENCE, *(block.key for block in blocks)]
    rows, place = np.unique(
        np.stack([result.drawn[key][chosen] for key in keys]), return_inverse=True
    )
    place = place.reshape(len(keys), -1)
    try:
        sketches = _sketches(graph, result.data, wanted, rows)
    except (CausalScrubbingError, RuntimeError, ValueError) as error:
        return f"activations could not be computed again: {type(error).__name__}"
    table = np.zeros((len(chosen), len(blocks)))
    shares = []
    for i, (block, part) in enumerate(zip(blocks, names, strict=True)):
        here, there = place[1 + i], place[0 if block.of is None else 1 + block.of]
        squared = np.zeros(len(chosen))
        for name in part:
            values = sketches[name]
            spread = 2 * float(values.var(axis=0).sum())
            if spread > 0:
                squared += ((values[here] - values[there]) ** 2).sum(axis=1) / spread
        squared /= max(len(part), 1)
        shares.append(float(squared.mean()))
        table[:, i] = np.sqrt(squared)
    return shares, table


def _sketches(
    graph: Graph, data: Dataset, names: Sequence[str], rows: Ints
) -> dict[str, FloatArray]:
    found: dict[str, list[FloatArray]] = {name: [] for name in names}
    with torch.no_grad():
        for start in range(0, len(rows), _CHUNK):
            values = graph.values(data.take(rows[start : start + _CHUNK]), list(names))
            for name in names:
                flat = values[name].detach().to("cpu", torch.float64)
                found[name].append(_sketch(flat.reshape(len(flat), -1).numpy()))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _sketch(values: FloatArray) -> FloatArray:
    """Few numbers with about the distances of many: each is added, with a random sign, to one."""
    width = values.shape[1]
    if width <= SKETCH:
        return values
    random = np.random.Generator(np.random.Philox(width))
    place, sign = random.integers(SKETCH, size=width), random.choice([-1.0, 1.0], size=width)
    sums = np.zeros((len(values), SKETCH))
    for i in range(SKETCH):
        mine = place == i
        sums[:, i] = (values[:, mine] * sign[mine]).sum(axis=1)
    return sums
