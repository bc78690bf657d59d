"""The table of clean activations: each needed (node, row) pair, evaluated once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._data.classes import Ints
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import Graph
from causal_scrubbing._graph.evaluate import evaluate, is_out_of_memory, read_field

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """Nodes that are read on the data of the same draw variables, and so on the same rows.

    Attributes:
        nodes: their names.
        variables: the draw variables.
        bytes: of one row of all of them, as stored; 0 where they are fields read in place.
        weight: cost of evaluating one row, for grouping rows into batches.
    """

    nodes: tuple[str, ...]
    variables: frozenset[str]
    bytes: float
    weight: float = 0.0


@dataclass(frozen=True)
class Storage:
    """Where and how activations are kept.

    Attributes:
        device: where the table is.
        on_disk: whether it is a file, mapped into memory.
        dtype: dtype that floating-point activations are rounded to, or None to keep their own.
    """

    device: torch.device
    on_disk: bool = False
    dtype: torch.dtype | None = None


@dataclass
class Effort:
    """Work done on the table, counted.

    Attributes:
        rows: how many rows were run for which nodes.
        restarts: times the table was emptied because it had no room left.
        shrunk: times the batch was halved because memory ran out.
    """

    rows: dict[tuple[str, ...], int] = field(default_factory=dict)
    restarts: int = 0
    shrunk: int = 0


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
        dry: bool = False,
    ) -> None:
        self.graph = graph
        self.data = data
        self.batch_size = batch_size
        self.device = device
        self.storage = storage
        self.most = most
        self.dry = dry
        self.effort = Effort()
        # The dearest first: rows are sorted by what they need, dear nodes before cheap ones.
        self.columns = sorted(columns, key=lambda c: -c.weight)
        whole = sum(c.bytes for c in self.columns) * len(data)
        self.is_dense = whole <= most < float("inf") or not any(c.bytes for c in self.columns)
        self._have = [np.zeros(len(data), dtype=bool) for _ in self.columns]
        self._slots: list[torch.Tensor | None] = [None] * len(self.columns)
        self._used = [0] * len(self.columns)
        self._values: dict[str, torch.Tensor] = {}
        self._dtypes: dict[str, torch.dtype] = {}
        self._column = {node: i for i, c in enumerate(self.columns) for node in c.nodes}
        for i, column in enumerate(self.columns):
            if self._in_place(column):
                self._have[i][:] = True
                for node in column.nodes:
                    self._values[node] = read_field(graph.nodes[node], data, None)
            elif not self.is_dense:
                self._slots[i] = torch.full((len(data),), -1, device=storage.device)

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
        return self.is_dense or self._size(needs) <= self.most

    def _size(self, needs: Sequence[Bools]) -> float:
        return sum(c.bytes * int(f.sum()) for c, f in zip(self.columns, needs, strict=True))

    def ensure(self, rows: Mapping[str, Ints]) -> None:
        """Evaluate what these draws need and the table lacks; drop the rest if room is short."""
        self.fill(self.needs(rows))

    def fill(self, needs: Sequence[Bools]) -> None:
        """Evaluate those of these rows that the table lacks; drop the rest if room is short."""
        if not self.is_dense:
            both = [need | have for need, have in zip(needs, self._have, strict=True)]
            if self._size(both) > self.most:
                self._clear()
        missing = [need & ~have for need, have in zip(needs, self._have, strict=True)]
        wants = np.stack(missing) if missing else np.zeros((0, len(self.data)), dtype=bool)
        todo = np.flatnonzero(wants.any(axis=0))
        if not len(todo):
            return
        for i, flags in enumerate(missing):
            self._reserve(i, np.flatnonzero(flags))
        wants = wants[:, todo]
        # Rows that need the same nodes go together, so that few run what they do not need.
        order = np.lexsort(~wants[::-1])
        todo, wants = todo[order], wants[:, order]
        leading = np.argmax(wants, axis=0)
        cuts = np.flatnonzero(np.diff(leading)) + 1
        for start, stop in zip([0, *cuts], [*cuts, len(todo)], strict=True):
            self._fill(todo[start:stop], wants[:, start:stop])
        for i, flags in enumerate(missing):
            self._have[i] |= flags

    def _clear(self) -> None:
        self.effort.restarts += 1
        for i, column in enumerate(self.columns):
            if not self._in_place(column):
                self._have[i][:] = False
                self._used[i] = 0
                slots = self._slots[i]
                if slots is not None:
                    slots.fill_(-1)
                for node in column.nodes:
                    self._values.pop(node, None)

    def _reserve(self, i: int, rows: Ints) -> None:
        slots = self._slots[i]
        if slots is None:
            return
        new = torch.arange(self._used[i], self._used[i] + len(rows), device=slots.device)
        slots[torch.as_tensor(rows, device=slots.device)] = new
        self._used[i] += len(rows)

    def _fill(self, rows: Ints, wants: Bools) -> None:
        start = 0
        with torch.no_grad():
            while start < len(rows):
                part = slice(start, start + self.batch_size)
                needed = [i for i in range(len(self.columns)) if wants[i, part].any()]
                nodes = [node for i in needed for node in self.columns[i].nodes]
                try:
                    if not self.dry:
                        self._evaluate(nodes, rows[part], wants[:, part])
                except Exception as error:
                    if not is_out_of_memory(error) or self.batch_size == 1:
                        raise
                    self.batch_size = max(1, self.batch_size // 2)
                    self.effort.shrunk += 1
                    continue
                done = self.effort.rows.get(tuple(nodes), 0)
                self.effort.rows[tuple(nodes)] = done + len(rows[part])
                start += len(rows[part])

    def _evaluate(self, nodes: Sequence[str], rows: Ints, wants: Bools) -> None:
        values = evaluate(self.graph, self.data.take(rows), nodes, device=self.device)
        for name, value in values.items():
            self._put(name, value, rows, wants[self._column[name]])

    def _put(self, name: str, value: torch.Tensor, rows: Ints, wanted: Bools) -> None:
        if value.ndim == 0 or len(value) != len(rows):
            raise GraphError(
                f"node {name!r} returned shape {list(value.shape)} for a batch of {len(rows)} "
                "rows; a node's value is batch first, one entry a row."
            )
        table = self._room(name, value)
        if value.shape[1:] != table.shape[1:]:
            raise GraphError(
                f"node {name!r} has shape {list(value.shape[1:])} on some rows and "
                f"{list(table.shape[1:])} on others; activations that are swapped have one shape. "
                "Pad the data to one length."
            )
        slots = self._slots[self._column[name]]
        if slots is not None and not wanted.all():
            value, rows = value[torch.as_tensor(wanted, device=value.device)], rows[wanted]
        value = value.to(device=table.device, dtype=table.dtype)
        if slots is None and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            table[rows[0] : rows[-1] + 1] = value
            return
        where = torch.as_tensor(rows, device=table.device)
        table.index_copy_(0, where if slots is None else slots[where], value)

    def _room(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """The node's table, made or enlarged to hold all rows reserved."""
        column = self._column[name]
        size = len(self.data) if self._slots[column] is None else self._used[column]
        table = self._values.get(name)
        if table is not None and len(table) >= size:
            return table
        self._dtypes[name] = value.dtype
        dtype = value.dtype
        if self.storage.dtype is not None and value.is_floating_point():
            dtype = self.storage.dtype
        shape = value.shape[1:] if table is None else table.shape[1:]
        made = self._allocate((size, *shape), dtype)
        if table is not None:
            made[: len(table)] = table
        self._values[name] = made
        return made

    def _allocate(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        if not self.storage.on_disk:
            return torch.empty(shape, dtype=dtype, device=self.storage.device)
        count = int(np.prod(shape, dtype=np.int64))
        handle, file = tempfile.mkstemp(prefix="causal-scrubbing-", suffix=".table")
        os.close(handle)
        flat = torch.from_file(file, shared=True, size=max(count, 1), dtype=dtype)
        # The mapping outlives the name: nothing is left behind, however the process ends.
        with suppress(OSError):
            Path(file).unlink()
        return flat[:count].reshape(shape)

    # --- reading -------------------------------------------------------------------------------

    def index(self, name: str, rows: torch.Tensor) -> torch.Tensor:
        """Where a node's values on the given rows are, [len(rows)], on the table's device."""
        slots = self._slots[self._column[name]]
        return rows if slots is None else slots.index_select(0, rows)

    def gather(self, name: str, index: torch.Tensor) -> torch.Tensor:
        """The node's activations at places told by `index`, [len(index), ...]."""
        value = self._values[name].index_select(0, index)
        if self.storage.dtype is not None and name in self._dtypes:
            value = value.to(self._dtypes[name])
        if self.device is not None and value.device != self.device:
            value = value.to(self.device, non_blocking=True)
        return value

    def column_of(self, name: str) -> int:
        """Number of the column a node is in; nodes of one column share their index."""
        return self._column[name]

    @property
    def bytes(self) -> int:
        """Bytes the table takes now (fields read in place not counted)."""
        mine = [n for c in self.columns if not self._in_place(c) for n in c.nodes]
        tables = [self._values[name] for name in mine if name in self._values]
        return sum(table.numel() * table.element_size() for table in tables)
