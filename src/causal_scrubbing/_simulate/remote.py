"""The part of a run that other processes do: from the number of a sample to its values."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from causal_scrubbing._engine import take_layout
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import SHARED, Tell, quiet
from causal_scrubbing._graph import is_out_of_memory
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis
from causal_scrubbing._sampling import Source
from causal_scrubbing._simulate.progress import Progress
from causal_scrubbing._simulate.request import Request
from causal_scrubbing._simulate.simulation import Block, Simulation
from causal_scrubbing._statistics import FloatArray

Drawn: TypeAlias = tuple[Block, list[dict[str, npt.NDArray[np.int32]]]]
"""A block, and the rows drawn for it by draw key, a hypothesis each."""

_OFTEN: Final = 0.5
"""Seconds between two reports of a worker, at least."""


@dataclass(frozen=True, eq=False)
class RemoteWork:
    """What a worker needs to compute blocks: called, it gives the function that does.

    Attributes:
        request: of the run, without what belongs to the process that asked.
        hypotheses: as they are run.
        baseline: see `Simulation`.
        samples: how many are asked for in all.
        keep_outputs: whether outputs are gathered.
        layout: how the machine is used, noted by the process that asked.
        source: of reference rows and random numbers, its orders made once.
        blocks: all blocks of the run, where that is known before it begins.
        share: whether workers of one machine fill one table together.
    """

    request: Request
    hypotheses: tuple[Hypothesis, ...]
    baseline: Hypothesis | None
    samples: int
    keep_outputs: bool
    layout: Mapping[str, Any]
    source: Source
    blocks: Sequence[tuple[int, int]]
    share: bool

    def __call__(self) -> Callable[[int, int, bytes, Tell], Drawn]:
        simulation = Simulation(
            self.request,
            self.hypotheses,
            self.baseline,
            samples=self.samples,
            keep_outputs=self.keep_outputs,
            source=self.source,
        )
        take_layout(simulation.executor, self.layout)
        folder = os.environ.get(SHARED)
        if self.share and folder is not None:
            simulation.executor.share(Path(folder))
        if self.blocks:
            simulation.look_ahead(self.blocks)

        def run(low: int, high: int) -> Drawn:
            rows, by_key = simulation.draw(low, high)
            small = {id(r): r.astype(np.int32) for one in by_key for r in one.values()}
            drawn = [{key: small[id(r)] for key, r in one.items()} for one in by_key]
            return simulation.compute(low, rows), drawn

        def compute(low: int, high: int, request: bytes = b"", tell: Tell = quiet) -> Drawn:
            simulation.bar = _Told(tell)
            try:
                return run(low, high)
            except Exception as error:
                simulation.bar = Progress(False, 0)
                at = failing(run, low, high, error)
                if at is None:
                    raise
                row = int(simulation.draw(at, at + 1)[0][REFERENCE][0])
                raise ScrubError(
                    f"sample {at}, on row {row} of the data: {type(error).__name__}: {error}"
                ) from error

        return compute


def failing(run: Callable[[int, int], object], low: int, high: int, error: Exception) -> int | None:
    """The first sample of a block that fails alone, by halves; None where none does.

    Args:
        run: computes some samples.
        low: the first sample of a block that failed.
        high: one past its last.
        error: with what.
    """
    if is_out_of_memory(error):
        return None

    def fails(start: int, stop: int) -> bool:
        try:
            run(start, stop)
        except Exception:
            return True
        return False

    while high - low > 1:
        middle = (low + high) // 2
        if fails(low, middle):
            high = middle
        elif fails(middle, high):
            low = middle
        else:
            return None
    return low


class _Told(Progress):
    """Progress inside a block, sent to the process that asked for it now and then."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(False, 0)
        self._tell = tell
        self._since = time.monotonic()
        self._samples = 0
        tell("clean rows", 0)

    def batch(self, amount: int, values: Mapping[str, FloatArray] | None = None) -> None:
        """Report work inside a block."""
        self._samples += amount
        if time.monotonic() - self._since >= _OFTEN:
            self._tell("samples", self._samples)
            self._since, self._samples = time.monotonic(), 0
