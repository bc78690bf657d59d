"""The part of a run that other processes do: from the number of a sample to its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from causal_scrubbing._engine import take_layout
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._sampling import Source
from causal_scrubbing._simulate.request import Request
from causal_scrubbing._simulate.simulation import Block, Simulation


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
    """

    request: Request
    hypotheses: tuple[Hypothesis, ...]
    baseline: Hypothesis | None
    samples: int
    keep_outputs: bool
    layout: Mapping[str, Any]
    source: Source

    def __call__(self) -> Callable[[int, int], Block]:
        simulation = Simulation(
            self.request,
            self.hypotheses,
            self.baseline,
            samples=self.samples,
            keep_outputs=self.keep_outputs,
            source=self.source,
        )
        take_layout(simulation.executor, self.layout)

        def compute(low: int, high: int) -> Block:
            return simulation.compute(low, simulation.draw(low, high)[0])

        return compute
