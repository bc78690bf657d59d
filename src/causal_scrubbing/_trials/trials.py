"""Many hypotheses about one graph on one set of random numbers, a chunk of samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Floats, Ints
from causal_scrubbing._engine import CleanTable, MemoryLimit, Settings
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE, Hypothesis, with_means
from causal_scrubbing._sampling import Sampler, uniforms
from causal_scrubbing._simulate import Metric, Outputs, evaluate_metric, named_metrics
from causal_scrubbing._statistics import check_finite

ROOTS = 256
"""Hypotheses run in one pass; a batch of each one's output is held at a time."""


@dataclass(frozen=True)
class Chunk:
    """Behaviour values of samples start..stop - 1.

    Attributes:
        values: number of a hypothesis -> its values, float64 [samples].
        model: the model's own.
        randomized: with the randomized node's value of another row; None where that is undefined.
        reference: the reference rows.
    """

    values: Mapping[int, Floats]
    model: Floats
    randomized: Floats | None
    reference: Ints


def joined(parts: Sequence[Chunk], numbers: Sequence[int]) -> Chunk:
    """Samples that follow each other as one, hypotheses 0, 1, ... called by their numbers."""
    randomized = [part.randomized for part in parts if part.randomized is not None]
    return Chunk(
        {i: np.concatenate([part.values[at] for part in parts]) for at, i in enumerate(numbers)},
        np.concatenate([part.model for part in parts]),
        np.concatenate(randomized) if randomized else None,
        np.concatenate([part.reference for part in parts]),
    )


@dataclass(frozen=True)
class Asked:
    """What is asked of workers.

    Attributes:
        hypotheses: to run.
        seed: of the draws.
    """

    hypotheses: tuple[Hypothesis, ...]
    seed: int


class Spread(Protocol):
    """Runs hypotheses in other processes."""

    def compute(
        self, trials: Trials, asked: Asked, start: int, stop: int
    ) -> Iterator[tuple[tuple[int, int], Chunk]]:
        """The values of samples start..stop - 1, in blocks, hypotheses by their place."""
        ...


class Trials:
    """The hypotheses of a search, scrubbed together.

    Random numbers are those `scrub` draws for each hypothesis. A datum that two hypotheses draw
    alike is drawn once, and what is computed from such data alone is computed once.

    Args:
        hypotheses: about one graph object.
        data: the dataset.
        metric: one metric, or None for the graph's own output.
        randomize: the node whose value E_randomized takes on another row; None for none.
        batch_size: samples computed at once; None chooses it from measured sizes of activations.
        device: where to compute; where the graph says if None.
        memory: bytes for activations, as for `scrub`; not watched if None and a batch size is
            given.
        advance: called with each number of samples done, times the hypotheses they were run for.
        spread: where other processes run the hypotheses; None for this one.
        grounded: whether the hypotheses are about a graph that holds the means they need.

    Raises:
        ScrubError: several metrics, or hypotheses about several graphs.
        MetricError: raised by the runs, where a value is not finite.
        HypothesisError: a feature cannot be used on the data.
    """

    def __init__(
        self,
        hypotheses: Sequence[Hypothesis],
        data: Dataset,
        metric: Metric | Mapping[str, Metric] | None,
        *,
        randomize: str | None = None,
        batch_size: int | None = 1024,
        device: torch.device | str | None = None,
        memory: MemoryLimit = None,
        advance: Callable[[int], None] | None = None,
        spread: Spread | None = None,
        grounded: bool = False,
    ) -> None:
        table = named_metrics(metric)
        if len(table) > 1:
            raise ScrubError(
                f"a search follows one metric, and {len(table)} were given: {', '.join(table)}. "
                "Pass one of them."
            )
        self.metric_name, self.metric = next(iter(table.items()))
        self.hypotheses = list(
            hypotheses if grounded else with_means(hypotheses, data, device=device)
        )
        self.graph = self.hypotheses[0].graph
        if any(h.graph is not self.graph for h in self.hypotheses):
            raise ScrubError("the hypotheses compared are about several graphs; state all on one.")
        self.data = data
        self.randomize = (
            self.graph.output if randomize is None and metric is not None else randomize
        )
        watched = memory is not None or batch_size is None
        self.engine = Settings(batch_size, device, memory) if watched else None
        self.batch_size = batch_size
        self.device = device
        self.advance = advance
        self.spread = spread
        self._samplers: dict[int, Sampler] = {}
        self._kept: CleanTable | None = None

    def add(self, hypotheses: Sequence[Hypothesis]) -> list[int]:
        """Further hypotheses about the same graph; their numbers."""
        if any(h.graph is not self.graph for h in hypotheses):
            raise ScrubError("the hypotheses compared are about several graphs; state all on one.")
        first = len(self.hypotheses)
        self.hypotheses += hypotheses
        return list(range(first, len(self.hypotheses)))

    def sampler(self, number: int) -> Sampler:
        """The sampler of a hypothesis; its classes and variables do not depend on the seed."""
        if number not in self._samplers:
            self._samplers[number] = Sampler(self.hypotheses[number], self.data, 0)
        return self._samplers[number]

    def run(
        self,
        which: Sequence[int],
        seed: int,
        start: int,
        stop: int,
        unchecked: Collection[int] = (),
    ) -> Chunk:
        """The values of some of the hypotheses on samples start..stop - 1 of a seed.

        Raises:
            MetricError: values are not finite, other than those of the hypotheses `unchecked`.
        """
        values: dict[int, Floats] = {}
        chunks = [list(which[i : i + ROOTS]) for i in range(0, len(which), ROOTS)]
        for numbers in chunks:
            if self.spread is None:
                chunk = self.block(numbers, seed, start, stop)
            else:
                chunk = self._in_workers(self.spread, numbers, seed, start, stop)
            self._check(chunk, unchecked)
            values.update(chunk.values)
        return Chunk(values, chunk.model, chunk.randomized, chunk.reference)

    def block(
        self, numbers: Sequence[int], seed: int, start: int, stop: int, *, keep: bool = False
    ) -> Chunk:
        """The same of at most `ROOTS` hypotheses, in this process, values not looked at.

        Args:
            numbers: of the hypotheses.
            seed: of the draws.
            start: number of the first sample.
            stop: one past the last.
            keep: whether clean activations are kept for what is asked next.
        """
        return self._pass(numbers, self._draw(numbers, seed, start, stop), keep=keep)

    def take_over(self, other: Trials | None) -> None:
        """Go on from the clean activations that another one has kept."""
        self._kept = None if other is None else other._kept

    def reference(self, numbers: Sequence[int], seed: int, sample: int) -> int:
        """The reference row of a sample."""
        return int(self._draw(numbers, seed, sample, sample + 1)[REFERENCE][0])

    def _in_workers(
        self, spread: Spread, numbers: Sequence[int], seed: int, start: int, stop: int
    ) -> Chunk:
        asked = Asked(tuple(self.hypotheses[i] for i in numbers), seed)
        parts: dict[tuple[int, int], Chunk] = {}
        for (low, high), part in spread.compute(self, asked, start, stop):
            parts[low, high] = part
            if self.advance is not None:
                self.advance((high - low) * len(numbers))
        return joined([parts[block] for block in sorted(parts)], numbers)

    def _check(self, chunk: Chunk, unchecked: Collection[int]) -> None:
        check_finite(self.metric_name, "model", chunk.model)
        if chunk.randomized is not None:
            check_finite(self.metric_name, "randomized", chunk.randomized)
        for i, values in chunk.values.items():
            if i not in unchecked:
                name = self.hypotheses[i].name or "the hypothesis"
                check_finite(self.metric_name, f"scrubbed ({name})", values)

    def unswapped(self, which: Sequence[int], seed: int, samples: int) -> Chunk:
        """The values of hypotheses with every datum equal to the reference row.

        They are the model's own but for rounding, computed on the ways that `run` computes them.
        """
        reference = self.data.classes(()).pick(
            np.zeros(samples, dtype=np.int64), uniforms(seed, REFERENCE, 0, samples)
        )
        keys = {variable for i in which for variable in self.sampler(i).variables.values()}
        return self._pass(which, dict.fromkeys([REFERENCE, *sorted(keys)], reference))

    def _pass(
        self, numbers: Sequence[int], rows: Mapping[str, Ints], *, keep: bool = False
    ) -> Chunk:
        outputs = Outputs(
            self.graph,
            self.data,
            self.engine,
            batch_size=self.batch_size,
            device=self.device,
            samples=len(rows[REFERENCE]),
        )
        roots = [
            outputs.scrubbed(self.hypotheses[i].tree, self.sampler(i).variables) for i in numbers
        ]
        model = outputs.clean()
        randomized: int | None = None
        if self.randomize is not None:
            variable = self.sampler(numbers[0]).variables[RANDOMIZED]
            randomized = outputs.swapped({self.randomize: variable})
        if keep:
            if self._kept is not None:
                outputs.executor.table.adopt(self._kept)
            self._kept = outputs.executor.table
        found: dict[int, list[Floats]] = {}
        for low, high, batches in outputs.run(rows):
            own = batches[model]
            batch = self.data.lazy(rows[REFERENCE][low:high], own.device).with_model_output(own)
            for number, output in batches.items():
                values = evaluate_metric(self.metric_name, self.metric, output, batch)
                if values.ndim != 1:
                    raise ScrubError(
                        f"metric {self.metric_name!r} gives {values.shape[1]} numbers a row; a "
                        "search follows one. Give a metric of one number a row."
                    )
                found.setdefault(number, []).append(values)
            if self.advance is not None:
                self.advance((high - low) * len(numbers))
        whole = {number: np.concatenate(parts) for number, parts in found.items()}
        return Chunk(
            {i: whole[root] for i, root in zip(numbers, roots, strict=True)},
            whole[model],
            None if randomized is None else whole[randomized],
            rows[REFERENCE],
        )

    def _draw(self, numbers: Sequence[int], seed: int, start: int, stop: int) -> dict[str, Ints]:
        """Draw variable -> rows, each variable once."""
        streams: dict[str, Floats] = {}

        def stream(key: str) -> Floats:
            if key not in streams:
                streams[key] = uniforms(seed, key, start, stop)
            return streams[key]

        anyone = np.zeros(stop - start, dtype=np.int64)
        rows = {REFERENCE: self.data.classes(()).pick(anyone, stream(REFERENCE))}
        for i in numbers:
            sampler = self.sampler(i)
            variables, again = sampler.variables, sampler.hypothesis.self_draws
            for block in self.hypotheses[i].tree.blocks:
                if variables[block.key] not in rows:
                    agree = rows[variables[block.of]]
                    rows[variables[block.key]] = sampler.classes[block.key].pick(
                        agree, stream(block.key), self_draws=again
                    )
        sampler = self.sampler(numbers[0])
        within = self.data.classes(sampler.hypothesis.within)
        rows[sampler.variables[RANDOMIZED]] = within.pick(
            rows[REFERENCE], stream(RANDOMIZED), self_draws=sampler.hypothesis.self_draws
        )
        return rows
