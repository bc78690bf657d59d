"""Executing a program: a clean table within a memory budget, then batches of samples."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine.cost import NodeCost, measure_costs
from causal_scrubbing._engine.layout import Layout, lay_out, simple_layout
from causal_scrubbing._engine.memory import (
    Budget,
    MemoryLimit,
    clock,
    keep_freed,
    read_budget,
    release,
)
from causal_scrubbing._engine.program import Program, Step, assemble, calculate
from causal_scrubbing._engine.storage import NoRoomError
from causal_scrubbing._engine.table import Bools, CleanTable, Effort
from causal_scrubbing._engine.working import Reading
from causal_scrubbing._errors import Notice
from causal_scrubbing._expressions import Clean, Space
from causal_scrubbing._graph import Graph, agreed, is_out_of_memory
from causal_scrubbing._positions import difference, narrow

HOST: Final = torch.device("cpu")
_CHECKED: Final = 2
"""Samples of a run that are computed at all positions too."""
_OUTPUTS: Final = 16
"""Outputs of them that are, at most."""


@dataclass(frozen=True)
class Settings:
    """How a run uses the machine; what it computes does not depend on it.

    Attributes:
        batch_size: samples (and clean rows) computed at once; from measured sizes if None.
        device: where to compute; where the graph says if None.
        memory: bytes for activations, like "4GiB", or one such for "cpu" and one for "cuda"; half
            of what is free if None.
        store: "memory" keeps the table of clean activations in memory, "disk" in a temporary file;
            "auto" takes the file where memory would mean much recomputing.
        store_dtype: dtype to round stored activations to, which changes results; None keeps them.
    """

    batch_size: int | None = None
    device: torch.device | str | None = None
    memory: MemoryLimit = None
    store: str = "auto"
    store_dtype: torch.dtype | None = None


@dataclass
class Actual:
    """What a run took.

    Attributes:
        table_seconds: filling the table of clean activations.
        sample_seconds: gathering and computing samples.
        samples: samples computed.
        blocks: pieces of samples that had the table to themselves.
        shrunk: times a batch was halved because memory ran out.
        effort: work done on the table.
    """

    table_seconds: float = 0.0
    sample_seconds: float = 0.0
    samples: int = 0
    blocks: int = 0
    shrunk: int = 0
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """A run gone through without evaluating anything.

    Attributes:
        table: with its work counted.
        needs: rows that each of the table's columns is needed on, over all samples, [n] flags.
        samples: how many.
        blocks: pieces of samples that had the table to themselves.
    """

    table: CleanTable
    needs: Sequence[Bools]
    samples: int
    blocks: int


@dataclass(frozen=True)
class Look:
    """Samples that are asked for at once, in blocks.

    Attributes:
        draws: the rows by draw variable of the first so many blocks, a block at a time.
        blocks: how many there are.
        finished: how many were run before.
    """

    draws: Callable[[int], Iterator[Mapping[str, Ints]]]
    blocks: int
    finished: int


class Executor:
    """Runs the expressions of one space on one dataset.

    Args:
        graph: the graph of the space.
        space: the expressions.
        roots: the expressions wanted.
        data: the dataset.
        settings: how to use the machine; without it, memory is not watched.
        samples: how many samples will be asked for in all, if known.
        batch_size, device: see `Settings`, where that is not given.
        reading: bytes a sample that reading the wanted values takes, measured when it may matter.
    """

    def __init__(
        self,
        graph: Graph,
        space: Space,
        roots: Sequence[int],
        data: Dataset,
        settings: Settings | None = None,
        *,
        samples: int | None = None,
        batch_size: int | None = None,
        device: torch.device | str | None = None,
        reading: Reading | None = None,
    ) -> None:
        self.graph = space.sums.extend(graph)
        self.space = space
        self.roots = list(dict.fromkeys(roots))
        self._number = {root: root for root in self.roots}
        self.data = data
        self.settings = settings or Settings(batch_size=batch_size, device=device)
        where = self.settings.device
        self.device = graph.device if where is None else torch.device(where)
        self.samples = samples
        self.reading = reading
        self.actual = Actual()
        self._ahead: Sequence[Bools] | None = None
        self._plain = settings is None and batch_size is not None
        self.labels: Mapping[str, str] = {}
        self.notes: tuple[str, ...] = ()
        self._before: tuple[Graph, Space, list[int]] | None = None
        if not self._plain:
            self._narrow()

    def _narrow(self) -> None:
        """Compute positions that change and are read alone, where that is known to be right."""
        found = narrow(self.graph, self.space, self.roots, self.data, self.device)
        if found is None:
            return
        self._before = (self.graph, self.space, self.roots)
        self.graph, self.space, self._number = found.graph, found.space, dict(found.roots)
        self.roots = list(dict.fromkeys(found.roots.values()))
        self.labels, self.notes = found.labels, found.notes

    def _check_positions(self, rows: Mapping[str, Ints]) -> None:
        """Compute a few samples at all positions too, once a run; where they differ, do so always.

        Both ways share a table, which is not that of the run: it is filled in its own order.
        """
        before, self._before = self._before, None
        if before is None:
            return
        _, space, roots = before
        moved = [root for root in roots if not isinstance(space[root], Clean)]
        some = [moved[i] for i in np.unique(np.linspace(0, len(moved) - 1, _OUTPUTS).astype(int))]
        both = Space()
        both.sums = space.sums
        plain = both.take(space, some)
        narrowed = both.take(self.space, [self._number[root] for root in some])
        few = {variable: found[:_CHECKED] for variable, found in rows.items()}
        wanted = [*plain.values(), *narrowed.values()]
        one = Executor(self.graph, both, wanted, self.data, batch_size=_CHECKED, device=self.device)
        found = next(iter(one.run(few)))[2]
        worst = max(
            difference(found[plain[root]], found[narrowed[self._number[root]]]) for root in some
        )
        if worst <= 1:
            return
        warnings.warn(
            "all positions are recomputed: on a few samples, recomputing only those that can "
            f"change gave other outputs, by {worst:.2g} times what rounding may do. Please report "
            "the model and the hypothesis.",
            Notice,
            stacklevel=2,
        )
        self.graph, self.space, self.roots = before
        self._number = {root: root for root in self.roots}
        self.labels, self.notes = {}, ()
        for name in ("costs", "_whole", "layout", "batch_size", "table"):
            self.__dict__.pop(name, None)

    def again(self, roots: Sequence[int], settings: Settings, *, samples: int) -> Executor:
        """An executor of some of the same outputs, with a table of its own.

        Args:
            roots: the expressions wanted, among those wanted here.
            settings: how to use the machine.
            samples: how many samples will be asked for in all.
        """
        found = copy.copy(self)
        found._number = {root: self._number[root] for root in roots}
        found.roots = list(dict.fromkeys(found._number.values()))
        found.settings, found.samples, found.reading = settings, samples, None
        found.actual, found._ahead = Actual(), None
        for name in ("_whole", "budget", "layout", "batch_size", "table"):
            found.__dict__.pop(name, None)
        return found

    # --- planning ------------------------------------------------------------------------------

    @cached_property
    def costs(self) -> dict[str, NodeCost]:
        """What each node that is run costs, measured on two rows."""
        wanted = {self.graph.output, *(step.node for step in self._whole.steps)}
        return measure_costs(self.graph, self.data, wanted, self.device)

    @cached_property
    def budget(self) -> Budget:
        """Bytes the run may take."""
        # What is free differs between the ranks of a sharded model.
        return agreed(self.graph, read_budget(self.settings.memory, self.device or HOST))

    @cached_property
    def _whole(self) -> Program:
        return assemble(self.space, self.roots)

    @cached_property
    def layout(self) -> Layout:
        """What is stored and what is recomputed, and the sizes of batches."""
        asked = self.settings
        if self._plain and asked.batch_size is not None:
            return simple_layout(self.space, self.roots, asked.batch_size, self.device or HOST)
        return lay_out(
            self.graph,
            self.space,
            self.roots,
            self.data,
            self.costs,
            self.budget,
            self.device or HOST,
            batch_size=asked.batch_size,
            store=asked.store,
            store_dtype=asked.store_dtype,
            samples=self.samples,
            reading=self.reading,
            program=self._whole,
        )

    @cached_property
    def batch_size(self) -> int:
        """Samples computed at once; halved where memory runs out."""
        return self.layout.batch_size

    @property
    def program(self) -> Program:
        """The steps done for each batch."""
        return self.layout.program

    @property
    def gathers(self) -> list[Clean]:
        """The clean activations read, each once."""
        return [Clean(step.node, step.variable) for step in self.program.gathers]

    @cached_property
    def table(self) -> CleanTable:
        """The clean activations; kept between runs, so that later samples reuse earlier rows."""
        keep_freed()  # before the first batch
        return self._make_table(dry=False)

    def _make_table(self, *, dry: bool) -> CleanTable:
        layout = self.layout
        return CleanTable(
            self.graph,
            self.data,
            layout.columns,
            batch_size=layout.row_batch,
            device=self.device,
            storage=layout.storage,
            most=layout.table_bytes,
            spare=layout.spare,
            dry=dry,
        )

    def rehearse(self, draws: Iterable[Mapping[str, Ints]]) -> Rehearsal:
        """The work of running these draws, one look in several blocks, counted without doing it."""
        table = self._make_table(dry=True)
        pieces = list(draws)
        needs = _union(table, pieces)
        if table.holds(needs):
            table.fill(needs)
        samples = blocks = 0
        for rows in pieces:
            samples += len(next(iter(rows.values())))
            blocks += sum(1 for _ in _ensured(table, rows))
        return Rehearsal(table, needs, samples, blocks)

    def fill(self, looks: Iterable[Look]) -> None:
        """Bring the table to where it has to be for blocks of draws that are to be run.

        Where all rows that the blocks of a look need fit the table at once, they are evaluated
        before the first block: a row that one block needs for one node and a later block for
        another is run once, not once a block. Else the blocks that were run before are gone
        through again. Either way a resumed run evaluates clean rows in the very batches of an
        uninterrupted one, so that its values are equal to the last bit. What came before the last
        emptying of the table is skipped.

        Args:
            looks: samples that were asked for at once, the last of them now.
        """
        dry = self._make_table(dry=True)
        since: list[Sequence[Bools]] = []

        def note(needs: Sequence[Bools], restarts: int) -> None:
            if dry.effort.restarts > restarts:
                since.clear()
            since.append(needs)

        for look in looks:
            restarts = dry.effort.restarts
            whole = _union(dry, look.draws(look.blocks))
            if dry.holds(whole):
                dry.fill(whole)
                note(whole, restarts)
                continue
            for rows in look.draws(look.finished):
                for part in _ensured(dry, rows):
                    note(dry.needs(part), restarts)
                    restarts = dry.effort.restarts
        for needs in since:
            with suppress(NoRoomError):  # blocks of samples find the table as small as it now is
                self.table.fill(needs)

    @property
    def table_is_dense(self) -> bool:
        """Whether the table has a place for every row."""
        return self._make_table(dry=True).is_dense

    def share(self, folder: Path) -> None:
        """Fill the table together with other processes of this machine, before anything is run.

        Args:
            folder: where it is; none of it is on a disk.
        """
        self.layout = replace(self.layout, storage=replace(self.layout.storage, shared=folder))

    def look_ahead(self, draws: Iterable[Mapping[str, Ints]]) -> None:
        """Evaluate a row, from now on, for all that these draws need of it when one needs some.

        For a process that runs some of the blocks, it does not know which: rows that only the
        others' blocks need are left to the others, and no row is run twice for different nodes.
        """
        self._ahead = _union(self._make_table(dry=True), draws)

    def _needs(self, rows: Mapping[str, Ints]) -> Sequence[Bools]:
        needs = self.table.needs(rows)
        if self._ahead is None or not self.table.holds(self._ahead):
            return needs
        touched = np.logical_or.reduce(needs)
        return [need | (ahead & touched) for need, ahead in zip(needs, self._ahead, strict=True)]

    # --- running -------------------------------------------------------------------------------

    def run(self, rows: Mapping[str, Ints]) -> Iterator[tuple[int, int, dict[int, torch.Tensor]]]:
        """The roots' values, a batch of samples at a time.

        Args:
            rows: draw variable -> row of each sample.

        Yields:
            First sample of the batch, one past its last, and root -> value [batch, ...].
        """
        self._check_positions(rows)
        samples = len(next(iter(rows.values())))
        read = {step.variable for step in self.program.gathers}
        drawn = {variable: rows[variable] for variable in read}
        start = 0
        while start < samples:
            began = clock(self.device)
            stop = _largest(self.table, drawn, start, samples)
            part = {variable: found[start:stop] for variable, found in drawn.items()}
            try:
                self.table.fill(self._needs(part))
            except NoRoomError:
                continue
            self.actual.effort = self.table.effort
            self.actual.table_seconds += clock(self.device) - began
            self.actual.blocks += 1
            for low, high, values in self._block(part, stop - start):
                yield start + low, start + high, values
            start = stop

    def _block(
        self, rows: Mapping[str, Ints], samples: int
    ) -> Iterator[tuple[int, int, dict[int, torch.Tensor]]]:
        whole = {v: torch.from_numpy(np.ascontiguousarray(r)) for v, r in rows.items()}
        start = 0
        while start < samples:
            stop = min(start + self.batch_size, samples)
            began = clock(self.device)
            try:
                values = self._batch({v: r[start:stop] for v, r in whole.items()}, stop - start)
            except Exception as error:
                if not is_out_of_memory(error) or self.batch_size == 1:
                    raise
                self.batch_size = max(1, self.batch_size // 2)
                self.actual.shrunk += 1
                release(self.device)
                continue
            self.actual.sample_seconds += clock(self.device) - began
            self.actual.samples += stop - start
            yield start, stop, values
            start = stop

    def _batch(self, rows: Mapping[str, torch.Tensor], size: int) -> dict[int, torch.Tensor]:
        with torch.no_grad():
            values = calculate(self.graph, self.program, self._gather(rows))
        found = dict(zip(self.program.roots, values, strict=True))
        full = {number: _full(value, size) for number, value in found.items()}
        return {root: full[number] for root, number in self._number.items()}

    def _gather(self, rows: Mapping[str, torch.Tensor]) -> Callable[[Step], torch.Tensor]:
        """Reads the table for a step; nodes read on the same rows look them up once."""
        table, where = self.table, self.table.storage.device
        moved = {variable: found.to(where) for variable, found in rows.items()}
        index: dict[tuple[int, str], torch.Tensor] = {}

        def gather(step: Step) -> torch.Tensor:
            node, variable = step.node, step.variable
            column = table.column_of(node)
            if len(table.columns[column].nodes) == 1:  # no other node reads these rows of it
                return table.gather(node, table.index(node, moved[variable]))
            key = (column, variable)
            if key not in index:
                index[key] = table.index(node, moved[variable])
            return table.gather(node, index[key])

        return gather


def _largest(table: CleanTable, rows: Mapping[str, Ints], start: int, samples: int) -> int:
    """How far a block can go from here with all its clean activations in the table."""
    size = samples - start
    while size > 1:
        part = {variable: found[start : start + size] for variable, found in rows.items()}
        if table.fits(part):
            break
        size = (size + 1) // 2
    return start + size


def _ensured(table: CleanTable, rows: Mapping[str, Ints]) -> Iterator[Mapping[str, Ints]]:
    """The pieces in which draws are run, each once the table has what it needs."""
    start, stop = 0, len(next(iter(rows.values())))
    while start < stop:
        end = _largest(table, rows, start, stop)
        part = {variable: found[start:end] for variable, found in rows.items()}
        table.ensure(part)
        yield part
        start = end


def _union(table: CleanTable, draws: Iterable[Mapping[str, Ints]]) -> list[Bools]:
    """Which rows each column needs for all of these draws together, [n] flags."""
    needs = [np.zeros(len(table.data), dtype=bool) for _ in table.columns]
    for rows in draws:
        if all(flags.all() for flags in needs):
            break
        for flags, found in zip(needs, table.needs(rows), strict=True):
            flags |= found
    return needs


def _full(value: torch.Tensor, size: int) -> torch.Tensor:
    """A value with one entry a sample, also where it is a constant."""
    return value if value.ndim and len(value) == size else value.expand(size, *value.shape[1:])
