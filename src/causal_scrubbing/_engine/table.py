"""The table of clean activations: each needed (node, row) pair, evaluated once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine.memory import show_bytes
from causal_scrubbing._engine.shared import attached, shared_flags, shared_tensor
from causal_scrubbing._engine.storage import NoRoomError, Storage, allocate, gather
from causal_scrubbing._errors import GraphError, ScrubError
from causal_scrubbing._graph import Graph, is_out_of_memory, made, read_field

SLOT: Final = 4
"""Bytes of the number that says where in the table a row is."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """Nodes that are read on the data of the same draw variables, and so on the same rows.

    Attributes:
        nodes: their names.
        variables: the draw variables.
        bytes: of one row of all of them, as stored; 0 where they are fields read in place.
        weight: cost of evaluating one row, for grouping rows into batches.
        largest: bytes of one row of the largest of them.
        rows: how many rows are expected to be needed in all.
    """

    nodes: tuple[str, ...]
    variables: frozenset[str]
    bytes: float
    weight: float = 0.0
    largest: float = 0.0
    rows: int = 0


@dataclass
class Effort:
    """Work done on the table, counted.

    Attributes:
        rows: how many rows were run for which nodes.
        restarts: times the table was emptied because it had no room left.
        shrunk: times the batch was halved because memory ran out.
        moved: times the table was put elsewhere or made smaller because memory or the disk ran out.
    """

    rows: dict[tuple[str, ...], int] = field(default_factory=dict)
    restarts: int = 0
    shrunk: int = 0
    moved: int = 0


class CleanTable:
    """Activations of nodes on the rows that need them, filled as samples ask for rows.

    Args:
        graph: the graph.
        data: the dataset; rows are its row numbers.
        columns: what is read, and on which draw variables.
        batch_size: rows evaluated at once.
        device: where activations are made.
        storage: where and how they are kept.
        most: bytes the table may take.
        spare: where else it may be, and how large, should there be less room than was thought.
        dry: only count the work, evaluate nothing.
    """

    def __init__(
        self,
        graph: Graph,
        data: Dataset,
        columns: Sequence[Column],
        *,
        batch_size: int,
        device: torch.device | None,
        storage: Storage,
        most: float = float("inf"),
        spare: Sequence[tuple[Storage, float]] = (),
        dry: bool = False,
    ) -> None:
        self.graph = graph
        self.data = data
        self.batch_size = batch_size
        self.device = device
        self.storage = storage
        self.most = most
        self.spare = list(spare)
        self.dry = dry
        self.effort = Effort()
        # The dearest first: rows are sorted by what they need, dear nodes before cheap ones.
        self.columns = sorted(columns, key=lambda c: -c.weight)
        self._column = {node: i for i, c in enumerate(self.columns) for node in c.nodes}
        self._dtypes: dict[str, torch.dtype] = {}
        self._begin()

    def _begin(self) -> None:
        """An empty table at the place and of the size now chosen."""
        n = len(self.data)
        self.is_dense = dense(self.columns, n, self.most)
        self._shared = self.storage.shared if self.is_dense and not self.dry else None
        self._have: list[Bools] = [np.zeros(n, dtype=bool) for _ in self.columns]
        self._slots: list[torch.Tensor | None] = [None] * len(self.columns)
        self._used = [0] * len(self.columns)
        self._room = [0] * len(self.columns)
        self._values: dict[str, torch.Tensor] = {}
        for i, column in enumerate(self.columns):
            if self._in_place(column):
                self._have[i][:] = True
                for node in column.nodes:
                    self._values[node] = read_field(self.graph.nodes[node], self.data, None)
            elif self._shared is not None:
                self._have[i] = shared_flags(self._shared, column.nodes, n)
            elif not (self.is_dense or self.dry):
                device = self.storage.device
                self._slots[i] = torch.full((n,), -1, dtype=torch.int32, device=device)

    def _in_place(self, column: Column) -> bool:
        return column.bytes == 0 and all(self.graph.nodes[n].is_input for n in column.nodes)

    # --- filling -------------------------------------------------------------------------------

    def needs(self, rows: Mapping[str, Ints]) -> list[Bools]:
        """Which rows each column needs, [n] flags."""
        found = []
        for column in self.columns:
            flags = np.zeros(len(self.data), dtype=bool)
            for variable in column.variables:
                flags[rows[variable]] = True
            found.append(flags)
        return found

    def fits(self, rows: Mapping[str, Ints]) -> bool:
        """Whether everything these draws need can be in the table at once."""
        return self.is_dense or self.holds(self.needs(rows))

    def holds(self, needs: Sequence[Bools]) -> bool:
        """Whether all of these rows, [n] flags a column, can be in the table at once."""
        return self.is_dense or self._size([int(flags.sum()) for flags in needs]) <= self.most

    def _size(self, rows: Sequence[int]) -> float:
        return sum(c.bytes * count for c, count in zip(self.columns, rows, strict=True))

    def ensure(self, rows: Mapping[str, Ints]) -> None:
        """Evaluate what these draws need and the table lacks; see `fill`."""
        self.fill(self.needs(rows))

    def fill(self, needs: Sequence[Bools]) -> None:
        """Evaluate those of these rows that the table lacks; drop the rest if room is short.

        Raises:
            NoRoomError: memory or the disk ran out, and the table, now empty, is smaller: it holds
                fewer rows at once.
            ScrubError: they ran out, and no place is left.
        """
        while True:
            try:
                self._fill_missing(needs)
                return
            except NoRoomError as error:
                self._retreat(error)
            if not self.holds(needs):
                raise NoRoomError("the table holds fewer rows than before")

    def adopt(self, other: CleanTable) -> None:
        """Take the rows that another table of the same data has of the same nodes.

        Args:
            other: a table of the same graph, or of one that shares nodes with it.
        """
        for i, column in enumerate(self.columns):
            if self._in_place(column) or not all(self._same(other, n) for n in column.nodes):
                continue
            rows = np.flatnonzero(
                np.logical_and.reduce([other._have[other._column[n]] for n in column.nodes])
                & ~self._have[i]
            )
            room = [u + len(rows) * (j == i) for j, u in enumerate(self._used)]
            if not len(rows) or not (self.is_dense or self._make_room(room)):
                continue
            self._take_slots(i, rows)
            for node in column.nodes:
                there = torch.as_tensor(rows, device=other.storage.device)
                self._put(node, other.gather(node, other.index(node, there)), rows, None)
            self._used[i] += len(rows)
            self._have[i][rows] = True

    def _same(self, other: CleanTable, node: str) -> bool:
        """Whether another table has values of the very node."""
        there = other.graph.nodes.get(node)
        return there is self.graph.nodes[node] and node in other._values

    def _fill_missing(self, needs: Sequence[Bools]) -> None:
        missing = [need & ~have for need, have in zip(needs, self._have, strict=True)]
        if not self.is_dense:
            counts = [int(flags.sum()) for flags in missing]
            if not self._make_room([u + c for u, c in zip(self._used, counts, strict=True)]):
                self._clear()
                missing = [need & ~have for need, have in zip(needs, self._have, strict=True)]
                self._make_room([int(flags.sum()) for flags in missing], exactly=True)
        wants = np.stack(missing) if missing else np.zeros((0, len(self.data)), dtype=bool)
        todo = np.flatnonzero(wants.any(axis=0))
        if not len(todo):
            return
        wants = wants[:, todo]
        # Rows that need the same nodes go together, so that few run what they do not need.
        order = np.lexsort(~wants[::-1])
        todo, wants = todo[order], wants[:, order]
        leading = np.argmax(wants, axis=0)
        cuts = np.flatnonzero(np.diff(leading)) + 1
        for start, stop in zip([0, *cuts], [*cuts, len(todo)], strict=True):
            self._run(todo[start:stop], wants[:, start:stop])
        for i, flags in enumerate(missing):
            self._have[i] |= flags

    def _make_room(self, rows: Sequence[int], *, exactly: bool = False) -> bool:
        """Plan for so many rows a column; False if they are too many.

        Enlarging a node's table copies it, so more room than needed is planned for where there is
        enough of it: the rows expected in all, then twice as many as before.
        """
        n = len(self.data)
        grown = [i for i, count in enumerate(rows) if count > self._room[i]]
        if not grown:
            return True
        ample, tight = list(self._room), list(self._room)
        for i in grown:
            tight[i] = rows[i]
            ample[i] = min(n, max(rows[i], 2 * self._room[i] or self.columns[i].rows))
        copied = max(self.columns[i].largest * self._room[i] for i in grown)
        for plan in (ample, tight):
            if self._size(plan) + copied <= self.most:
                self._room = plan
                return True
        if exactly:
            self._room = tight
        return False

    def _retreat(self, error: NoRoomError) -> None:
        """Empty the table and take the next place for it, or half the room.

        Raises:
            ScrubError: no place is left, or not even one sample would fit.
        """
        where, whole = str(self.storage), self._size([len(self.data)] * len(self.columns))
        self._values.clear()
        least = sum(c.bytes * len(c.variables) for c in self.columns)
        half = min(self.most, whole) / 2
        if self.spare:
            self.storage, self.most = self.spare.pop(0)
        elif self.storage.on_disk:
            raise ScrubError(
                f"the table of clean activations does not fit {where}: {error}. It may take up to "
                f"{show_bytes(whole)}: set TMPDIR to a folder with more room, or pass "
                "store='memory', which runs samples in blocks whose table fits memory=."
            ) from error
        elif half < least:
            raise ScrubError(
                f"not even the clean activations of one sample fit {where}: {error}. Free some "
                "memory, pass store='disk', or claim nodes with smaller values."
            ) from error
        else:
            self.most = half
        self.effort.moved += 1
        self._begin()

    def _clear(self) -> None:
        self.effort.restarts += 1
        for i, column in enumerate(self.columns):
            if not self._in_place(column):
                self._have[i][:] = False
                self._used[i] = self._room[i] = 0
                slots = self._slots[i]
                if slots is not None:
                    slots.fill_(-1)
                for node in column.nodes:
                    self._values.pop(node, None)

    def _run(self, rows: Ints, wants: Bools) -> None:
        start = 0
        if self._shared is not None and len(rows) > self.batch_size:
            # Processes that need the same rows begin at different ones.
            turn = os.getpid() % (-(-len(rows) // self.batch_size)) * self.batch_size
            rows, wants = np.roll(rows, -turn), np.roll(wants, -turn, axis=1)
        with torch.no_grad():
            while start < len(rows):
                part = slice(start, start + self.batch_size)
                flags = wants[:, part]
                if self._shared is not None:
                    flags = flags & ~np.stack([have[rows[part]] for have in self._have])
                    if not flags.any():  # another process has run them meanwhile
                        start += len(rows[part])
                        continue
                needed = [i for i in range(len(self.columns)) if flags[i].any()]
                nodes = tuple(node for i in needed for node in self.columns[i].nodes)
                try:
                    if not self.dry:
                        self._evaluate(needed, nodes, rows[part], flags)
                except Exception as error:
                    if not is_out_of_memory(error) or self.batch_size == 1:
                        raise
                    self.batch_size = max(1, self.batch_size // 2)
                    self.effort.shrunk += 1
                    continue
                for i in needed:
                    self._used[i] += int(flags[i].sum())
                    if self._shared is not None:
                        self._have[i][rows[part][flags[i]]] = True
                done = self.effort.rows.get(nodes, 0)
                self.effort.rows[nodes] = done + len(rows[part])
                start += len(rows[part])

    def _evaluate(
        self, needed: Sequence[int], nodes: Sequence[str], rows: Ints, wants: Bools
    ) -> None:
        wanted: dict[int, Bools | None] = {}
        for i in needed:
            wanted[i] = None if wants[i].all() else wants[i]
            self._take_slots(i, rows if wants[i].all() else rows[wants[i]])
        # Each value is moved as it is made: kept to the end of the batch they would take so much
        # memory that the C library gives it back, and asks for it anew, with every batch.
        lazy = self.data.lazy(rows)
        for name, value in made(self.graph, lazy, nodes, device=self.device):
            self._put(name, value, rows, wanted[self._column[name]])
            del value

    def _take_slots(self, i: int, rows: Ints) -> None:
        slots = self._slots[i]
        if slots is not None:
            stop = self._used[i] + len(rows)
            new = torch.arange(self._used[i], stop, dtype=slots.dtype, device=slots.device)
            slots[torch.as_tensor(rows, device=slots.device)] = new

    def _put(self, name: str, value: torch.Tensor, rows: Ints, wanted: Bools | None) -> None:
        if value.ndim == 0 or len(value) != len(rows):
            raise GraphError(
                f"node {name!r} returned shape {list(value.shape)} for a batch of {len(rows)} "
                "rows; a node's value is batch first, one entry a row."
            )
        self._dtypes[name] = value.dtype
        table = self._table(name, value)
        if value.shape[1:] != table.shape[1:]:
            raise GraphError(
                f"node {name!r} has shape {list(value.shape[1:])} on some rows and "
                f"{list(table.shape[1:])} on others; activations that are swapped have one shape. "
                "Pad the data to one length."
            )
        column = self._column[name]
        if self._slots[column] is not None:
            if wanted is not None:
                value = value[torch.as_tensor(wanted, device=value.device)]
            start = self._used[column]
            table[start : start + len(value)] = value
        elif rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            table[rows[0] : rows[-1] + 1] = value
        else:
            value = value.to(device=table.device, dtype=table.dtype)
            table.index_copy_(0, torch.as_tensor(rows, device=table.device), value)

    def _table(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """The node's table, made or enlarged to the room planned for."""
        column = self._column[name]
        size = len(self.data) if self._slots[column] is None else self._room[column]
        table = self._values.get(name)
        if table is not None and len(table) >= size:
            return table
        dtype = value.dtype
        if self.storage.dtype is not None and value.is_floating_point():
            dtype = self.storage.dtype
        shape = value.shape[1:] if table is None else table.shape[1:]
        if self._shared is not None:
            self._values[name] = shared_tensor(
                self._shared, name, (size, *shape), dtype, value.dtype
            )
            return self._values[name]
        made = allocate(self.storage, (size, *shape), dtype)
        if table is not None:
            made[: len(table)] = table
        self._values[name] = made
        return made

    # --- reading -------------------------------------------------------------------------------

    def index(self, name: str, rows: torch.Tensor) -> torch.Tensor:
        """Where a node's values on the given rows are, [len(rows)], on the table's device."""
        slots = self._slots[self._column[name]]
        return rows if slots is None else slots.index_select(0, rows)

    def gather(self, name: str, index: torch.Tensor) -> torch.Tensor:
        """The node's activations at places told by `index`, [len(index), ...]."""
        if self._shared is not None and name not in self._values:
            self._values[name], self._dtypes[name] = attached(self._shared, name)
        value = gather(self._values[name], index, self.device)
        return value.to(self._dtypes[name]) if name in self._dtypes else value

    def holds_rows(self, name: str) -> Bools | None:
        """Which rows of a node are here now, [n] flags; None where it is no node of the table."""
        column = self._column.get(name)
        return None if column is None else self._have[column]

    def column_of(self, name: str) -> int:
        """Number of the column a node is in; nodes of one column share their index."""
        return self._column[name]

    @property
    def bytes(self) -> int:
        """Bytes the table takes now, with its index (fields read in place not counted)."""
        mine = [n for c in self.columns if not self._in_place(c) for n in c.nodes]
        tables = [self._values[name] for name in mine if name in self._values]
        tables += [slots for slots in self._slots if slots is not None]
        return sum(table.numel() * table.element_size() for table in tables)


def dense(columns: Sequence[Column], n: int, most: float) -> bool:
    """Whether the table has a place for each of n rows, and so needs no index."""
    whole = sum(column.bytes for column in columns) * n
    return whole <= most < float("inf") or whole == 0
