"""What checks of a run may cost, and samples of it computed again when it is finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Ints
from causal_scrubbing._engine import Executor, Settings
from causal_scrubbing._simulate.self_check import check_samples_again

_SHARE: Final = 0.05
"""The part of a run's operations that a check may take."""

_FREE: Final = 1e10
"""Operations that a check may take in any case."""

_ROWS: Final = 16
"""Rows that a check may evaluate in any case."""

_ALONE: Final = 32
"""Clean rows that are evaluated one by one when samples are computed again."""

_READS: Final = 8
"""Batches of clean rows then, where there are more."""

_LONG: Final = 10_000
"""Steps of a program from which on two samples are computed again, and not up to four."""

_LONG_ROW: Final = 1e9
"""Operations of the model on a row from which on they are two as well."""


def rows_worth(executor: Executor, row_cost: float, samples: int) -> int:
    """Rows that a check may evaluate: few beside those of the run where each costs much.

    Args:
        executor: of the run.
        row_cost: operations of the model on a row.
        samples: of the run.
    """
    drawn = min(len(executor.data), samples)
    run = drawn * row_cost + samples * executor.program.flops(executor.costs)
    return max(_ROWS, int(max(_FREE, _SHARE * run) / max(row_cost, 1.0)))


def rows_left(executor: Executor, node: str, draws: Sequence[Mapping[str, Ints]]) -> int:
    """How many rows of the data no sample reads a node's clean value on.

    Args:
        executor: of the samples.
        node: the node.
        draws: the rows by draw variable, a piece of the samples at a time.
    """
    read = np.zeros(len(executor.data), dtype=bool)
    variables = [step.variable for step in executor.program.gathers if step.node == node]
    for piece in draws:
        for variable in variables:
            read[piece[variable]] = True
    return int((~read).sum())


def run_again(
    executor: Executor,
    watched: Sequence[int],
    kept: Mapping[int, Sequence[torch.Tensor]],
    draw: Callable[[int], Mapping[str, Ints]],
    row_cost: float,
) -> int:
    """Compute samples of a finished run again, each alone, and compare.

    Args:
        executor: of the run.
        watched: numbers of the outputs that are compared.
        kept: number of a sample -> its outputs in the run, in the order of `watched`.
        draw: the rows of a sample by draw variable.
        row_cost: operations of the model on a row.

    Returns:
        How many samples were compared.

    Raises:
        ScrubError: one gives another output than it gave in the run.
    """
    if not kept:
        return 0
    if len(kept) > 2 and (len(executor.program.steps) > _LONG or row_cost > _LONG_ROW):
        kept = {number: kept[number] for number in (min(kept), max(kept))}
    asked = executor.settings
    alone = Settings(1, asked.device, store="memory", store_dtype=asked.store_dtype)
    again = executor.again(watched, alone, samples=len(kept))
    drawn = [draw(number) for number in kept]
    rows = {name: np.concatenate([one[name] for one in drawn]) for name in drawn[0]}
    _read_together(again, rows, executor.layout.row_batch)
    return check_samples_again(again, watched, rows, kept, asked.store_dtype)


def _read_together(again: Executor, rows: Mapping[str, Ints], most: int) -> None:
    """Have clean rows evaluated a few at a time where samples read many.

    A sample of many claims reads most rows of the data: each alone would take longer than the run.
    """
    needed = len(np.unique(np.concatenate(list(rows.values()))))
    together = min(-(-needed // _READS), most)
    if needed > _ALONE and together > 1:
        again.layout = replace(again.layout, row_batch=together)
