"""Executing expressions: a clean table, then batches of samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._data.classes import Ints
from causal_scrubbing._engine.expr import Apply, Clean, Space, uses
from causal_scrubbing._engine.table import CleanTable
from causal_scrubbing._graph import Graph
from causal_scrubbing._graph.evaluate import call


class Executor:
    """Runs the expressions of one space on one dataset.

    Args:
        graph: the graph of the space.
        space: the expressions.
        roots: the expressions wanted.
        data: the dataset.
        batch_size: samples (and clean rows) computed at once.
        device: where to compute; the graph's own device if None.
    """

    def __init__(
        self,
        graph: Graph,
        space: Space,
        roots: Sequence[int],
        data: Dataset,
        *,
        batch_size: int,
        device: torch.device | str | None = None,
    ) -> None:
        self.graph = graph
        self.space = space
        self.roots = list(roots)
        self.data = data
        self.batch_size = batch_size
        self.device = graph.device if device is None else torch.device(device)
        self.order = space.cone(self.roots)

    @property
    def gathers(self) -> list[Clean]:
        """The clean activations read, each once."""
        return [e for e in (self.space[i] for i in self.order) if isinstance(e, Clean)]

    def run(self, rows: Mapping[str, Ints]) -> Iterator[tuple[int, int, dict[int, torch.Tensor]]]:
        """The roots' values, a batch of samples at a time.

        Args:
            rows: draw variable -> row of each sample.

        Yields:
            First sample of the batch, one past its last, and root -> value [batch, ...].
        """
        needed: dict[str, list[Ints]] = {}
        for clean in self.gathers:
            needed.setdefault(clean.node, []).append(rows[clean.variable])
        table = CleanTable(
            self.graph,
            self.data,
            {node: np.unique(np.concatenate(found)) for node, found in needed.items()},
            self.batch_size,
            self.device,
        )
        samples = len(next(iter(rows.values())))
        for start in range(0, samples, self.batch_size):
            stop = min(start + self.batch_size, samples)
            part = {variable: drawn[start:stop] for variable, drawn in rows.items()}
            yield start, stop, self._batch(table, part)

    def _batch(self, table: CleanTable, rows: Mapping[str, Ints]) -> dict[int, torch.Tensor]:
        left = dict.fromkeys(self.order, 0)
        for number in self.order:
            for used in uses(self.space[number]):
                left[used] += 1
        for root in self.roots:
            left[root] += 1
        values: dict[int, torch.Tensor] = {}
        size = len(next(iter(rows.values())))
        with torch.no_grad():
            for number in self.order:
                expr = self.space[number]
                if isinstance(expr, Clean):
                    values[number] = table.gather(expr.node, rows[expr.variable])
                elif isinstance(expr, Apply):
                    node = self.graph.nodes[expr.node]
                    values[number] = call(node, [values[i] for i in expr.arguments])
                else:
                    values[number] = _total(expr.terms, values)
                for used in uses(expr):
                    left[used] -= 1
                    if not left[used]:
                        values.pop(used, None)
        return {root: _full(values[root], size) for root in self.roots}


def _total(terms: Sequence[tuple[float, int]], values: Mapping[int, torch.Tensor]) -> torch.Tensor:
    total: torch.Tensor | None = None
    for sign, number in terms:
        value = values[number]
        if total is None:
            total = value if sign == 1 else sign * value
        else:
            total = total + value if sign == 1 else torch.sub(total, value, alpha=-sign)
    if total is None:
        raise AssertionError("a total has at least one term")
    return total


def _full(value: torch.Tensor, size: int) -> torch.Tensor:
    """A value with one entry a sample, also where it is a constant."""
    return value if value.ndim and len(value) == size else value.expand(size, *value.shape[1:])
