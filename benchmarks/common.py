"""Running one experiment through the engine and its peers, and checking that numbers agree."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import peers
import torch

import causal_scrubbing as cs
from causal_scrubbing._engine import Executor, Settings
from causal_scrubbing._expressions import Compiler, Space
from causal_scrubbing._hypothesis.tree import RANDOMIZED, REFERENCE
from causal_scrubbing._sampling import Sampler


@dataclass
class Case:
    """A hypothesis compiled for a number of samples, with its draws."""

    h: cs.Hypothesis
    data: cs.Dataset
    samples: int
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.h, self.data, 0)
        self.rows = dict(self.sampler.draw(0, self.samples).rows)
        graph = self.h.graph
        self.space = Space()
        compiler = Compiler(graph, self.space)
        variables = self.sampler.variables
        self.root = compiler.tree(self.h.tree, variables)
        self.model = compiler.clean(graph.output, REFERENCE)
        self.random = compiler.clean(graph.output, variables[RANDOMIZED])
        self.by_variable = {
            variables[key]: found for key, found in self.rows.items() if key in variables
        }

    def executor(self) -> Executor:
        return Executor(
            self.h.graph,
            self.space,
            [self.root, self.model, self.random],
            self.data,
            self.settings,
            samples=self.samples,
        )

    def run(self) -> tuple[float, torch.Tensor, Executor]:
        """Seconds, the scrubbed outputs, and the executor."""
        began = peers.clock()
        executor = self.executor()
        found = [values[self.root] for _, _, values in executor.run(self.by_variable)]
        seconds = peers.clock() - began
        return seconds, torch.cat(found), executor


@dataclass(frozen=True)
class Line:
    """One line of the table of results."""

    what: str
    samples: int
    engine: float
    floor: float | None = None
    naive: float | None = None
    user: float | None = None
    note: str = ""


def compare(
    what: str, case: Case, *, naive_samples: int, repeat: int = 3, user=None, note: str = ""
) -> Line:
    """Time the engine against the floor, the naive method and a user's own code.

    The naive method and the user's code are run on the first `naive_samples` samples and scaled:
    they do the same for each sample. The engine and the floor take turns, and the shortest time of
    each counts: others use the machine too.
    """
    if repeat > 1:
        case.run()  # warm up
    times: list[float] = []
    floors: list[float] = []
    for _ in range(repeat):
        passed, values, executor = case.run()
        times.append(passed)
        floors.append(peers.floor_seconds(executor, case.by_variable))
    seconds, floor = min(times), min(floors)
    few = {key: found[:naive_samples] for key, found in case.rows.items()}
    began = peers.clock()
    slow = peers.naive(case.h, case.data, few)
    for key in (REFERENCE, RANDOMIZED):
        peers.forward(case.h.graph, case.data, few[key])
    naive = (peers.clock() - began) * case.samples / naive_samples
    check(values[:naive_samples], slow)
    own = None
    if user is not None:
        began = peers.clock()
        written = user(few)
        own = (peers.clock() - began) * case.samples / naive_samples
        check(values[:naive_samples], written)
    line = Line(what, case.samples, seconds, floor, naive, own, note)
    print(line, flush=True)
    return line


def check(one: torch.Tensor, other: torch.Tensor) -> None:
    """The same draws give the same numbers."""
    scale = max(1.0, float(other.abs().max()))
    np.testing.assert_allclose(one.float().cpu(), other.float().cpu(), rtol=0, atol=2e-4 * scale)
