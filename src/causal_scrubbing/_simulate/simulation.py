"""From hypotheses to behaviour values: draw, compile, execute, measure, a block at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import (
    Checkpoint,
    Compiler,
    Executor,
    Look,
    Settings,
    Space,
    actual_dict,
)
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE, Hypothesis
from causal_scrubbing._sampling import Sampler
from causal_scrubbing._simulate.behaviour import Metric
from causal_scrubbing._simulate.evaluation import Reader, Spent, joined
from causal_scrubbing._statistics import FloatArray

Tensors: TypeAlias = dict[str, torch.Tensor]

_PAUSE: Final = 0.1
"""Seconds between looks at whether other processes have finished their blocks."""


@dataclass
class Values:
    """What a run gathers for one hypothesis, block after block.

    Attributes:
        scrubbed, model, randomized: metric name -> one array a block, [samples] or [samples, k].
        draws: draw key -> one array of rows a block.
        moved: kind of comparison -> of scrubbed outputs with the model's own, a block.
        moved_randomized: the same for the outputs of random rows.
        outputs: scrubbed and model's own outputs a block, where they are kept.
    """

    scrubbed: dict[str, list[FloatArray]] = field(default_factory=dict)
    model: dict[str, list[FloatArray]] = field(default_factory=dict)
    randomized: dict[str, list[FloatArray]] = field(default_factory=dict)
    draws: dict[str, list[Ints]] = field(default_factory=dict)
    moved: dict[str, list[FloatArray]] = field(default_factory=dict)
    moved_randomized: dict[str, list[FloatArray]] = field(default_factory=dict)
    outputs: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)


@dataclass
class _Look:
    """Samples that are asked for at once.

    Attributes:
        blocks: first sample of each block, and one past its last.
        finished: how many blocks were found finished before the first that was not.
        filled: whether the table has been brought to where this look needs it.
    """

    blocks: list[tuple[int, int]]
    finished: int = 0
    filled: bool = False


class Work:
    """The compiled work of several hypotheses about one graph, on common random numbers.

    Args:
        hypotheses: about one graph object; clean activations and equal subtrees are shared.
        data: the dataset.
        metrics: by name.
        seed: of all draws.
        randomize: node whose value E_randomized takes on another row; None for none.
        baseline: hypothesis whose scrubbed values stand in for the randomized ones, or None.
        engine: how to use the machine.
        samples: how many will be asked for in all.
        keep_outputs: whether outputs are gathered.
        compare: whether outputs are compared with the model's own.
    """

    def __init__(
        self,
        hypotheses: Sequence[Hypothesis],
        data: Dataset,
        metrics: Mapping[str, Metric],
        *,
        seed: int,
        randomize: str | None,
        baseline: Hypothesis | None,
        engine: Settings,
        samples: int,
        keep_outputs: bool,
        compare: bool = True,
    ) -> None:
        self.data = data
        self.metrics = metrics
        self.keep_outputs = keep_outputs
        self.spent = Spent()
        graph = hypotheses[0].graph
        space = Space()
        compiler = Compiler(graph, space)

        self.samplers = [Sampler(one, data, seed) for one in hypotheses]
        self.roots = [compiler.tree(s.hypothesis.tree, s.variables) for s in self.samplers]
        self.model = compiler.clean(graph.output, REFERENCE)
        self.extra: list[Sampler] = []
        stand_in: int | None = None
        if baseline is not None:
            self.extra = [Sampler(baseline, data, seed)]
            stand_in = compiler.tree(baseline.tree, self.extra[0].variables)
        self.randomized: list[int | None] = []
        for one in self.samplers:
            if randomize is None:
                self.randomized.append(stand_in)
            elif randomize == graph.output:
                self.randomized.append(compiler.clean(graph.output, one.variables[RANDOMIZED]))
            else:
                swapped = {randomize: one.variables[RANDOMIZED]}
                self.randomized.append(compiler.substitute(graph.output, swapped, REFERENCE))
        wanted = [*self.roots, self.model, *(r for r in self.randomized if r is not None)]
        self.reader = Reader(
            data, metrics, self.model, self.roots, self.randomized, compare, self.spent
        )
        self.executor = Executor(
            graph,
            space,
            wanted,
            data,
            engine,
            samples=samples,
            reading=lambda: self.reader.cost(graph, self.executor.device),
        )
        self.values = [Values() for _ in hypotheses]
        self._looks: list[_Look] = []

    def actual(self) -> dict[str, Any]:
        """What the run took, as plain data; blocks found on disk took nothing."""
        found = actual_dict(self.executor.actual)
        others = self.spent.to_dict()
        return {**found, **others, "seconds": found["seconds"] + sum(others.values())}

    def draw(self, start: int, stop: int) -> tuple[dict[str, Ints], list[Mapping[str, Ints]]]:
        """Rows by draw variable for all hypotheses together, and by key for each."""
        began = time.perf_counter()
        rows: dict[str, Ints] = {}
        by_key: list[Mapping[str, Ints]] = []
        for sampler in [*self.samplers, *self.extra]:
            drawn = sampler.draw(start, stop).rows
            by_key.append(drawn)
            for key, found in drawn.items():
                rows[sampler.variables[key]] = found
        self.spent.drawing += time.perf_counter() - began
        return rows, by_key[: len(self.values)]

    def look(
        self, blocks: Sequence[tuple[int, int]], checkpoint: Checkpoint | None = None
    ) -> Iterator[int]:
        """Draw samples and add their values, computed or found finished on disk.

        Args:
            blocks: first sample of each block, and one past its last; they follow each other.
            checkpoint: where finished blocks are kept.

        Yields:
            How many samples each block had.
        """
        self._looks.append(_Look(list(blocks)))
        if checkpoint is not None and checkpoint.shared:
            yield from self._take_part(blocks, checkpoint)
            for low, high in blocks:
                self._block(low, high, checkpoint)
            return
        for low, high in blocks:
            self._block(low, high, checkpoint)
            yield high - low

    def _take_part(
        self, blocks: Sequence[tuple[int, int]], checkpoint: Checkpoint
    ) -> Iterator[int]:
        """Compute the blocks that no other process does, until all are finished by someone."""
        waiting = list(blocks)
        if not all(checkpoint.has(*block) for block in blocks):
            self.executor.look_ahead(self._drawn(blocks, len(blocks)))
        while waiting:
            before, waiting = waiting, []
            for low, high in before:
                with checkpoint.claim(low, high) as mine:
                    if mine:
                        checkpoint.put(low, high, *self._compute(self.draw(low, high)[0]))
                if checkpoint.has(low, high):
                    yield high - low
                else:
                    waiting.append((low, high))
            if waiting == before:
                time.sleep(_PAUSE)

    def _block(self, start: int, stop: int, checkpoint: Checkpoint | None) -> None:
        rows, by_key = self.draw(start, stop)
        found = (
            None if checkpoint is None else checkpoint.get(start, stop, tensors=self.keep_outputs)
        )
        if found is None:
            self._fill()
            found = self._compute(rows)
            if checkpoint is not None:
                checkpoint.put(start, stop, *found)
        elif not self._looks[-1].filled:
            self._looks[-1].finished += 1
        arrays, tensors = found
        for name, array in arrays.items():
            number, kind, metric = name.split("|", 2)
            getattr(self.values[int(number)], kind).setdefault(metric, []).append(array)
        for values, drawn in zip(self.values, by_key, strict=True):
            for key, one in drawn.items():
                # Half the memory: a long run keeps all of them.
                values.draws.setdefault(key, []).append(one.astype(np.int32))
        if self.keep_outputs:
            for i, values in enumerate(self.values):
                values.outputs.append((tensors[f"scrubbed{i}"], tensors["model"]))

    def _fill(self) -> None:
        """Bring the table to where an uninterrupted run would have it before this block."""
        waiting = [look for look in self._looks if not look.filled]
        began, drawing = time.perf_counter(), self.spent.drawing
        # A single block with nothing before it fills the table as it runs.
        if len(self._looks) > 1 or len(self._looks[0].blocks) > 1:
            self.executor.fill(
                Look(partial(self._drawn, look.blocks), len(look.blocks), look.finished)
                for look in waiting
            )
        passed = time.perf_counter() - began
        self.executor.actual.table_seconds += passed - (self.spent.drawing - drawing)
        for look in waiting:
            look.filled = True

    def _drawn(self, blocks: Sequence[tuple[int, int]], most: int) -> Iterator[Mapping[str, Ints]]:
        return (self.draw(*block)[0] for block in blocks[:most])

    def _compute(self, rows: Mapping[str, Ints]) -> tuple[dict[str, FloatArray], Tensors]:
        """Values of some samples by ``number|kind|metric``, and outputs where they are kept."""
        arrays: dict[str, list[FloatArray]] = {}
        tensors: dict[str, list[torch.Tensor]] = {}
        for low, high, found in self.executor.run(rows):
            reference = rows[REFERENCE][low:high]
            values = self.reader.read(found, reference, self.executor.layout.read_batch)
            for name, array in values.items():
                arrays.setdefault(name, []).append(array)
            if self.keep_outputs:
                tensors.setdefault("model", []).append(found[self.model].cpu())
                for i, root in enumerate(self.roots):
                    tensors.setdefault(f"scrubbed{i}", []).append(found[root].cpu())
        return joined(arrays), {name: torch.cat(parts) for name, parts in tensors.items()}

    def metric_rows(self, rows: Ints, own: torch.Tensor) -> Dataset:
        """What a metric is given of some rows: their fields, and the model's own output."""
        return self.reader.rows(rows, own)
