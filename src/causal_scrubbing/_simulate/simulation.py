"""From hypotheses to behaviour values: draw, compile, execute, measure, a block at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import (
    Checkpoint,
    CleanTable,
    Executor,
    Look,
    actual_dict,
)
from causal_scrubbing._executors import Workers
from causal_scrubbing._graph import is_out_of_memory, needed_nodes
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE, Hypothesis
from causal_scrubbing._sampling import (
    SCRAMBLING,
    SCRAMBLINGS,
    Sampler,
    Sobol,
    Source,
    make_source,
)
from causal_scrubbing._simulate.again import rows_left, rows_worth, run_again
from causal_scrubbing._simulate.evaluation import Reader, Spent, joined
from causal_scrubbing._simulate.known import FEWEST_READ, SHARE, Known, KnownRows, may_know
from causal_scrubbing._simulate.ordering import order_rows
from causal_scrubbing._simulate.outputs import Outputs
from causal_scrubbing._simulate.progress import Progress
from causal_scrubbing._simulate.record import Gathered, Measured, Sampled, from_columns, to_columns
from causal_scrubbing._simulate.request import Request
from causal_scrubbing._simulate.self_check import FEW, check_draws, check_workers

Block: TypeAlias = tuple[tuple[Measured, ...], dict[str, torch.Tensor]]
"""Values of some samples, a hypothesis each, and outputs by name where they are kept."""

_WATCHED: Final = 1
"""How many hypotheses have samples computed again after a run."""


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


def _largest(values: Measured, name: str) -> float:
    both = (values.model[name], values.scrubbed[name])
    return max(float(np.abs(one).max(initial=0.0)) for one in both)


class Simulation:
    """The work of several hypotheses about one graph, on common random numbers.

    Clean activations and equal subtrees are shared.

    Args:
        request: data, metrics, seed, and how to use the machine.
        hypotheses: about one graph object, as they are run (see `Request.grounded`).
        baseline: the hypothesis whose scrubbed values stand in for the randomized ones, or None.
        samples: how many will be asked for in all.
        keep_outputs: whether outputs are gathered.
        source: of reference rows and random numbers, where another process has made it.
    """

    def __init__(
        self,
        request: Request,
        hypotheses: Sequence[Hypothesis],
        baseline: Hypothesis | None,
        *,
        samples: int,
        keep_outputs: bool,
        source: Source | None = None,
    ) -> None:
        data, seed = request.data, request.seed
        self.data = data
        self.metrics = request.metrics
        self.draw_by = request.draw
        self.order: dict[str, str] | None = None
        self.keep_outputs = keep_outputs
        self.spent = Spent()
        graph = hypotheses[0].graph
        self.outputs = Outputs(
            graph,
            data,
            request.engine,
            samples=samples,
            reading=lambda: self.reader.cost(graph, self.executor.device),
        )
        self.source = source or self._source(request, hypotheses, baseline)
        source = self.source
        self.samplers = [Sampler(one, data, seed, source) for one in hypotheses]
        self.roots = [self.outputs.scrubbed(s.hypothesis.tree, s.variables) for s in self.samplers]
        self.model = self.outputs.clean()
        self.extra: list[Sampler] = []
        stand_in: int | None = None
        if baseline is not None:
            self.extra = [Sampler(baseline, data, seed, source)]
            stand_in = self.outputs.scrubbed(baseline.tree, self.extra[0].variables)
        self.randomize = request.randomized_at(graph)
        self.randomized = [
            stand_in
            if self.randomize is None
            else self._randomized(self.randomize, one.variables[RANDOMIZED])
            for one in self.samplers
        ]
        self.reader = Reader(
            data, self.metrics, self.model, self.roots, self.randomized, request.compare, self.spent
        )
        self._gathered = [Gathered() for _ in hypotheses]
        self._store_dtype = request.engine.store_dtype
        self._rows: KnownRows | None = None
        self._known = [Known() for _ in hypotheses]
        self._looks: list[_Look] = []
        self._noted: list[dict[int, list[torch.Tensor]]] = []
        self._checks = request.check
        # Whether blocks may come from a folder or another process.
        self._is_kept = request.folder is not None or request.executor is not None
        self.workers: Workers | None = None
        self.bar = Progress(False, samples)

    def _source(
        self, request: Request, hypotheses: Sequence[Hypothesis], baseline: Hypothesis | None
    ) -> Source:
        """Where reference rows and random numbers come from."""
        data, seed = request.data, request.seed
        if request.draw != "sobol":
            count = None if request.samples == "auto" else request.samples
            return make_source(request.draw, data, seed, count)
        began = time.perf_counter()
        many = [*hypotheses, *([] if baseline is None else [baseline])]
        graph, asked = hypotheses[0].graph, request.engine.device
        where = graph.device if asked is None else torch.device(asked)
        metric = next(iter(request.metrics.values()))
        orders = order_rows(many, data, metric, device=where)
        self.spent.ordering += time.perf_counter() - began
        source = Sobol(data, seed, [*orders.keys, RANDOMIZED], orders.rows)
        self.order = {"by": orders.how, "digest": source.digest}
        return source

    def _randomized(self, node: str, variable: str) -> int:
        if node == self.outputs.graph.output:
            return self.outputs.clean(variable)
        return self.outputs.swapped({node: variable})

    @property
    def executor(self) -> Executor:
        """What runs the samples."""
        return self.outputs.executor

    @property
    def row_cost(self) -> float:
        """Operations of the model on a row."""
        graph = self.outputs.graph
        return sum(self.executor.costs[one].flops for one in needed_nodes(graph, [graph.output]))

    def worth(self, samples: int) -> int:
        """Rows that a check of so many samples may evaluate: few where each costs much."""
        return rows_worth(self.executor, self.row_cost, samples)

    def measured(self, number: int) -> Measured:
        """The values of one hypothesis so far."""
        return Measured.joined(self._gathered[number].measured)

    def sampled(self, number: int, hypothesis: Hypothesis) -> Sampled:
        """What was found for one hypothesis, once the run is finished; it is kept here no more.

        Args:
            number: of the hypothesis.
            hypothesis: as it was given.
        """
        gathered = self._gathered[number]
        draws = {key: np.concatenate(found) for key, found in gathered.draws.items()}
        gathered.draws.clear()
        if self.draw_by == "sobol":
            draws[SCRAMBLING] = np.arange(len(draws[REFERENCE])) % SCRAMBLINGS
        outputs = None
        if self.keep_outputs:
            scrubbed, own = zip(*gathered.outputs, strict=True)
            outputs = (torch.cat(scrubbed), torch.cat(own))
        known = self._known[number]
        return Sampled(
            hypothesis,
            self.measured(number),
            draws,
            outputs,
            known.means,
            self.of_means,
            known.notes,
        )

    @property
    def of_means(self) -> dict[str, Callable[[Any], Any]]:
        """Metric name -> the function of means that it is, for those that are one."""
        found = {name: getattr(one, "of_means", None) for name, one in self.metrics.items()}
        return {name: fn for name, fn in found.items() if fn is not None}

    def know(self) -> None:
        """Evaluate what can be known without sampling, where that costs little beside the run."""
        began = time.perf_counter()
        if self._rows is None:
            self._rows = self._known_rows()
        if self._rows is not None:
            for number, sampler in enumerate(self.samplers):
                found = self._rows.means(
                    sampler.classes_of(RANDOMIZED), self_draws=sampler.hypothesis.self_draws
                )
                self._known[number] = self._agreeing(self._rows, found, number)
        self.spent.knowing += time.perf_counter() - began

    def reference(self, number: int) -> Ints:
        """The reference rows of a hypothesis so far."""
        return np.concatenate(self._gathered[number].draws[REFERENCE]).astype(np.int64)

    def scramblings(self, number: int) -> Ints | None:
        """The scrambling of each sample of a hypothesis so far, of Sobol' draws."""
        if self.draw_by != "sobol":
            return None
        return np.arange(len(self.reference(number))) % SCRAMBLINGS

    def known(self, number: int) -> Known:
        """What is known for a hypothesis, as of the last `know`."""
        return self._known[number]

    def knowing(self, draws: Sequence[Mapping[str, Ints]]) -> float:
        """Operations of evaluating the model where the run has not, 0 where that is not done.

        Args:
            draws: the rows of the run by draw variable, a piece of the samples at a time.
        """
        if not self.may_know(np.concatenate([piece[REFERENCE] for piece in draws])):
            return 0.0
        output, left = self.outputs.graph.output, len(self.data)
        if self.randomize in (None, output) and not self._is_kept:
            left = rows_left(self.executor, output, draws)
        return left * self.row_cost

    def may_know(self, reference: Ints) -> bool:
        """Whether the model is evaluated on every row, which must cost little beside the run."""
        executor = self.executor
        read = executor.layout.read_batch
        if self._store_dtype is not None or (read is not None and read < FEWEST_READ):
            return False  # memory holds the run's own outputs, and hardly any besides
        if self.draw_by == "sobol":
            return True  # rows were put in order by what the model does on each
        sample_cost = executor.program.flops(executor.costs)
        drawn, samples = len(np.unique(reference)), len(reference)
        return may_know(len(self.data), drawn, self.row_cost, sample_cost, samples)

    def _known_rows(self) -> KnownRows | None:
        """The behaviour on every row, or None where it costs too much."""
        graph, executor, row_cost = self.outputs.graph, self.executor, self.row_cost
        reference = self.reference(0)
        if not self.may_know(reference):
            return None
        costs = {name: cost.flops for name, cost in executor.costs.items()}
        sample_cost = executor.program.flops(executor.costs)
        drawn, samples = len(np.unique(reference)), len(reference)
        try:
            return KnownRows(
                graph,
                self.data,
                self.metrics,
                device=executor.device,
                batch_size=executor.layout.row_batch,
                read_batch=executor.layout.read_batch,
                most_pairs=executor.settings.batch_size,
                held=executor.budget.device * SHARE,
                table=self._table_at_hand,
                seed=self.samplers[0].seed,
                randomize=self.randomize,
                run=drawn * row_cost + samples * sample_cost,
                costs=costs,
            )
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None

    @property
    def _table_at_hand(self) -> CleanTable | None:
        """The run's table, where it is the same however the run was interrupted."""
        return None if self._is_kept else self.executor.table

    def _agreeing(self, rows: KnownRows, found: Known, number: int) -> Known:
        """What is known of the metrics that the run's own values agree with."""
        reference = self.reference(number)
        values = self.measured(number)
        other = [
            name
            for name in found.means
            if not rows.agrees(name, reference, values.model[name], _largest(values, name))
        ]
        notes = [
            f"E_model of {name} is not exact: evaluated again on every row, the model gave other "
            "values than in the run"
            for name in other
        ]
        means = {name: one for name, one in found.means.items() if name not in other}
        return Known(means, (*found.notes, *notes))

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
        return rows, by_key[: len(self._gathered)]

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
        if self.workers is not None:
            yield from self._spread(blocks, checkpoint, self.workers)
            return
        for low, high in blocks:
            self._block(low, high, checkpoint)
            yield high - low

    def _spread(
        self, blocks: Sequence[tuple[int, int]], checkpoint: Checkpoint | None, workers: Workers
    ) -> Iterator[int]:
        """Have workers compute the blocks that are not finished; then add all, in their order."""
        found: dict[tuple[int, int], Block] = {}
        for low, high in blocks:
            done = None if checkpoint is None else self._finished(low, high, checkpoint)
            if done is not None:
                found[low, high] = done
                yield high - low
        began = time.perf_counter()
        missing = [block for block in blocks if block not in found]
        drawn: dict[tuple[int, int], Sequence[Mapping[str, Ints]]] = {}
        for block, (values, rows) in workers.compute(missing, tell=self._told):
            drawn[block] = rows
            if checkpoint is not None:
                values = self._keep(*block, checkpoint, values)
            found[block] = values
            self.bar.phase("samples")
            self.bar.estimate(values[0][0].scrubbed)
            yield block[1] - block[0]
        if self._checks and missing:
            low = missing[0][0]
            rows, by_key = self.draw(low, min(low + FEW, missing[0][1]))
            few, theirs = self.compute(low, rows)[0], found[missing[0]][0]
            check_workers([one.scrubbed for one in few], [one.scrubbed for one in theirs])
            check_draws(by_key, drawn[missing[0]])
        self.executor.actual.sample_seconds += time.perf_counter() - began
        for block in blocks:
            self._add(found.pop(block), drawn[block] if block in drawn else self.draw(*block)[1])

    def _told(self, phase: str, samples: int) -> None:
        """Show what a worker says; one that fills its table is no news where others run samples."""
        if phase == "samples" or not self.bar.done:
            self.bar.phase(phase)
        if samples:
            self.bar.batch(samples)

    def look_ahead(self, blocks: Sequence[tuple[int, int]]) -> None:
        """Know all blocks of a run of which this process is to compute some."""
        self.executor.look_ahead(self._drawn(blocks, len(blocks)))

    def _block(self, start: int, stop: int, checkpoint: Checkpoint | None) -> None:
        rows, by_key = self.draw(start, stop)
        found = None if checkpoint is None else self._finished(start, stop, checkpoint)
        if found is None:
            self._fill()
            found = self.compute(start, rows)
            if checkpoint is not None:
                found = self._keep(start, stop, checkpoint, found)
        elif not self._looks[-1].filled:
            self._looks[-1].finished += 1
        self._add(found, by_key)

    def _add(self, found: Block, by_key: Sequence[Mapping[str, Ints]]) -> None:
        """Add the values of a block and its draws to those before."""
        measured, tensors = found
        for number, (gathered, drawn) in enumerate(zip(self._gathered, by_key, strict=True)):
            gathered.measured.append(measured[number])
            for key, one in drawn.items():
                # Half the memory: a long run keeps all of them.
                gathered.draws.setdefault(key, []).append(one.astype(np.int32))
            if self.keep_outputs:
                gathered.outputs.append((tensors[f"scrubbed{number}"], tensors["model"]))

    def _fill(self) -> None:
        """Bring the table to where an uninterrupted run would have it before this block."""
        waiting = [look for look in self._looks if not look.filled]
        began, drawing = time.perf_counter(), self.spent.drawing
        self.bar.phase("clean rows")
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
        self.bar.phase("samples")

    def _drawn(self, blocks: Sequence[tuple[int, int]], most: int) -> Iterator[Mapping[str, Ints]]:
        return (self.draw(*block)[0] for block in blocks[:most])

    def _note(self, start: int, stop: int, found: Mapping[int, torch.Tensor]) -> None:
        """Keep a few outputs of the first and of the latest batch, to compute them again later."""
        ends = dict.fromkeys((start, stop - 1))
        kept = {
            number: [found[root][number - start][None].cpu().clone() for root in self._watched]
            for number in ends
        }
        self._noted = [*self._noted[:1], kept]

    @property
    def _watched(self) -> list[int]:
        """The outputs that are computed again after a run: the model's and a few of the roots."""
        some = np.unique(np.linspace(0, len(self.roots) - 1, _WATCHED).astype(np.int64))
        return [self.model, *(self.roots[i] for i in some)]

    def check_again(self) -> int:
        """Compute a few samples of the run again, each alone; how many there were.

        Raises:
            ScrubError: one gives another output than it gave in the run.
        """
        kept = {number: values for part in self._noted for number, values in part.items()}
        return run_again(
            self.executor, self._watched, kept, lambda i: self.draw(i, i + 1)[0], self.row_cost
        )

    def _finished(self, start: int, stop: int, checkpoint: Checkpoint) -> Block | None:
        found = checkpoint.get(start, stop, tensors=self.keep_outputs)
        return None if found is None else (from_columns(found[0], len(self.roots)), found[1])

    def _keep(self, start: int, stop: int, checkpoint: Checkpoint, found: Block) -> Block:
        """Keep a block; what is kept, which another process may have put there first."""
        if checkpoint.put(start, stop, to_columns(found[0]), found[1]):
            return found
        return self._finished(start, stop, checkpoint) or found

    def compute(self, start: int, rows: Mapping[str, Ints]) -> Block:
        """Values of some samples, and outputs where they are kept."""
        parts: list[tuple[Measured, ...]] = []
        tensors: dict[str, list[torch.Tensor]] = {}
        for low, high, found in self.outputs.run(rows):
            reference = rows[REFERENCE][low:high]
            if self._checks:
                self._note(start + low, start + high, found)
            parts.append(self.reader.read(found, reference, self.executor.layout.read_batch))
            self.bar.batch(high - low, parts[-1][0].scrubbed)
            if self.keep_outputs:
                tensors.setdefault("model", []).append(found[self.model].cpu())
                for i, root in enumerate(self.roots):
                    tensors.setdefault(f"scrubbed{i}", []).append(found[root].cpu())
        return joined(parts), {name: torch.cat(some) for name, some in tensors.items()}

    def metric_rows(self, rows: Ints, own: torch.Tensor) -> Dataset:
        """What a metric is given of some rows: their fields, and the model's own output."""
        return self.reader.rows(rows, own)
