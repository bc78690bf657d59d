"""The hypotheses of a search in other processes, which keep their clean activations meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine import MemoryLimit
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import (
    Executor,
    Tell,
    Workers,
    load_request,
    packed,
    packed_request,
    quiet,
)
from causal_scrubbing._graph import Graph
from causal_scrubbing._simulate import Metric, failing
from causal_scrubbing._trials.trials import Asked, Chunk, Spread, Trials

_BLOCKS: Final = 8
_SMALLEST: Final = 32
"""Samples of a block, at least: a block of many hypotheses is long with few."""


class Workshop:
    """The workers of a search, started when they are first needed; a context manager.

    They hold graph, data and metric, and between requests the clean activations. Where a search
    turns to another graph, other workers take their place.

    Args:
        executor: see `scrub`; None runs hypotheses in this process.
    """

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._stack = ExitStack()
        self._held: Mapping[str, object] = {}
        self._workers: Workers | None = None

    def __enter__(self) -> Spread | None:
        return None if self._executor is None else self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def compute(
        self, trials: Trials, asked: Asked, start: int, stop: int
    ) -> Iterator[tuple[tuple[int, int], Chunk]]:
        """The values of samples start..stop - 1, in blocks; see `Spread`."""
        workers = self._opened(trials)
        size = max(_SMALLEST, -(-(stop - start) // _BLOCKS))
        blocks = [(low, min(low + size, stop)) for low in range(start, stop, size)]
        yield from workers.compute(blocks, request=packed_request(asked, self._held))

    def _opened(self, trials: Trials) -> Workers:
        held = _held(trials.graph, trials.data)
        if self._workers is None or any(held[name] is not self._held[name] for name in _NAMES):
            assert self._executor is not None
            self._stack.close()
            work = _Work(
                trials.graph,
                trials.data,
                trials.metric_name,
                trials.metric,
                trials.randomize,
                trials.batch_size,
                None if trials.device is None else str(trials.device),
                None if trials.engine is None else trials.engine.memory,
            )
            self._workers = self._stack.enter_context(self._executor.open(packed(work)))
            self._held = held
        return self._workers


_NAMES: Final = ("graph", "data")


def _held(graph: Graph, data: Dataset) -> dict[str, object]:
    """What workers hold, by name: requests are sent without it."""
    nodes: dict[str, object] = {f"node {name}": node for name, node in graph.nodes.items()}
    return {"graph": graph, "data": data, **nodes}


@dataclass(frozen=True, eq=False)
class _Work:
    """What a worker needs for the hypotheses of a search; see `Trials`."""

    graph: Graph
    data: Dataset
    name: str
    metric: Metric | None
    randomize: str | None
    batch_size: int | None
    device: str | None
    memory: MemoryLimit

    def __call__(self) -> Callable[[int, int, bytes, Tell], Chunk]:
        held = _held(self.graph, self.data)
        trials: Trials | None = None
        known, asked = b"", None

        def compute(low: int, high: int, request: bytes = b"", tell: Tell = quiet) -> Chunk:
            nonlocal trials, known, asked
            if asked is None or request != known:
                asked, known = load_request(request, held), request
                before, trials = trials, self._trials(asked)
                trials.take_over(before)
            assert trials is not None
            made, numbers, seed = trials, range(len(asked.hypotheses)), asked.seed

            def run(start: int, stop: int) -> Chunk:
                return made.block(numbers, seed, start, stop, keep=True)

            try:
                return run(low, high)
            except Exception as error:
                at = failing(run, low, high, error)
                if at is None:
                    raise
                row = made.reference(numbers, seed, at)
                raise ScrubError(
                    f"sample {at}, on row {row} of the data: {type(error).__name__}: {error}"
                ) from error

        return compute

    def _trials(self, asked: Any) -> Trials:
        return Trials(
            asked.hypotheses,
            self.data,
            None if self.metric is None else {self.name: self.metric},
            randomize=self.randomize,
            batch_size=self.batch_size,
            device=self.device,
            memory=self.memory,
            grounded=True,
        )
