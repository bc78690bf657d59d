"""Many hypotheses about one graph on one set of random numbers, a chunk of samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Floats, Ints
from causal_scrubbing._engine import MemoryLimit, Settings
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
    ) -> None:
        table = named_metrics(metric)
        if len(table) > 1:
            raise ScrubError(
                f"a search follows one metric, and {len(table)} were given: {', '.join(table)}. "
                "Pass one of them."
            )
        self.metric_name, self.metric = next(iter(table.items()))
        self.hypotheses = list(with_means(hypotheses, data, device=device))
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
        self._samplers: dict[int, Sampler] = {}

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
            chunk = self._pass(numbers, self._draw(numbers, seed, start, stop))
            self._check(chunk, unchecked)
            values.update(chunk.values)
        return Chunk(values, chunk.model, chunk.randomized, chunk.reference)

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

    def _pass(self, numbers: Sequence[int], rows: Mapping[str, Ints]) -> Chunk:
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
