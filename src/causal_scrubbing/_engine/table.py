"""The table of clean activations: each needed (node, row) pair, evaluated once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._data.classes import Ints
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import Graph
from causal_scrubbing._graph.evaluate import evaluate


class CleanTable:
    """Activations of nodes on the rows that need them.

    Args:
        graph: the graph.
        data: the dataset; rows are its row numbers.
        needed: node -> rows it is needed on, sorted and distinct.
        batch_size: rows evaluated at once.
        device: where activations are made and kept.
    """

    def __init__(
        self,
        graph: Graph,
        data: Dataset,
        needed: Mapping[str, Ints],
        batch_size: int,
        device: torch.device | None,
    ) -> None:
        self._slot: dict[str, torch.Tensor] = {}
        self._values: dict[str, torch.Tensor] = {}
        order = [name for name in graph.nodes if name in needed]
        if not order:
            return
        wants = np.zeros((len(order), len(data)), dtype=bool)
        for i, name in enumerate(order):
            wants[i, needed[name]] = True
            slots = np.full(len(data), -1, dtype=np.int64)
            slots[needed[name]] = np.arange(len(needed[name]))
            self._slot[name] = torch.as_tensor(slots)
        rows = np.flatnonzero(wants.any(axis=0))
        # Rows that need the same nodes go together, so that few run what they do not need.
        rows = rows[np.lexsort(wants[:, rows])]
        with torch.no_grad():
            for start in range(0, len(rows), batch_size):
                part = rows[start : start + batch_size]
                here = [n for i, n in enumerate(order) if wants[i, part].any()]
                values = evaluate(graph, data.take(part), here, device=device)
                for name, value in values.items():
                    self._put(name, value, part, wants[order.index(name), part], len(needed[name]))

    def _put(
        self, name: str, value: torch.Tensor, rows: Ints, wanted: np.ndarray, size: int
    ) -> None:
        if value.ndim == 0 or len(value) != len(rows):
            raise GraphError(
                f"node {name!r} returned shape {list(value.shape)} for a batch of {len(rows)} "
                "rows; a node's value is batch first, one entry a row."
            )
        if name not in self._values:
            self._values[name] = value.new_empty((size, *value.shape[1:]))
        table = self._values[name]
        if value.shape[1:] != table.shape[1:]:
            raise GraphError(
                f"node {name!r} has shape {list(value.shape[1:])} on some rows and "
                f"{list(table.shape[1:])} on others; activations that are swapped have one shape. "
                "Pad the data to one length."
            )
        slots = self._slot[name][torch.as_tensor(rows[wanted])].to(table.device)
        kept = value if wanted.all() else value[torch.as_tensor(wanted, device=value.device)]
        table.index_copy_(0, slots, kept)

    def gather(self, name: str, rows: Ints) -> torch.Tensor:
        """The node's activation on each of the given rows, [len(rows), ...]."""
        table = self._values[name]
        slots = self._slot[name][torch.as_tensor(rows)]
        return table.index_select(0, slots.to(table.device))
