"""A distribution pushed through F(u), call by call.

Inputs enter as independent distributions. Each call joins only the distributions it reads, and what
no later call reads is summed out at once, equal values merged: a sum of many independent parents is
convolved term by term, not enumerated.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._exact.budget import Meter
from causal_scrubbing._exact.distribution import OWN, Distribution, certain, join, number
from causal_scrubbing._exact.pool import Pool, distinct_in_batches
from causal_scrubbing._graph import Add, AnyValue, Graph, add, call, evaluate
from causal_scrubbing._hypothesis import Call


class Machine:
    """Calls functions of a graph on tuples of numbered values.

    Args:
        graph: the graph.
        data: where values of which any will do are taken.
        batch_size: calls made at once.
        device: where calls are made.
        meter: the budget.
    """

    def __init__(
        self,
        graph: Graph,
        data: Dataset,
        batch_size: int,
        device: torch.device | None,
        meter: Meter,
    ) -> None:
        self.graph = graph
        self.data = data
        self.batch_size = batch_size
        self.device = device
        self.meter = meter
        self._free: dict[tuple[str, int], torch.Tensor] = {}

    def push(
        self,
        calls: Sequence[Call],
        dists: Sequence[Distribution],
        pools: Mapping[Hashable, torch.Tensor],
    ) -> tuple[Distribution, torch.Tensor]:
        """The distribution of the last call's value.

        Args:
            calls: the calls of F(u), at least one.
            dists: independent distributions over the inputs; an input is a column of exactly one.
            pools: input -> its distinct values.

        Returns:
            The distribution, its only column the slot of the last call, and that slot's values.
        """
        last = {slot: i for i, one in enumerate(calls) for slot in one.reads}
        last[calls[-1].slot] = len(calls)
        # What no call reads has no say in the value.
        live = [dist.keep([c for c in dist.columns if c in last]) for dist in dists]
        live = [dist for dist in live if dist.columns]
        tensors = dict(pools)
        for i, one in enumerate(calls):
            touched = [dist for dist in live if any(slot in dist.columns for slot in one.reads)]
            live = [dist for dist in live if not any(dist is t for t in touched)]
            later = {slot for slot, when in last.items() if when > i}
            if isinstance(self.graph.nodes[one.node].fn, Add) and len(one.reads) == len(
                one.arguments
            ):
                dist = self._sum(one, touched, tensors, later)
            else:
                dist = touched[0] if touched else _nothing(len(self.data))
                for other in sorted(touched[1:], key=len):
                    dist = join(dist, other, self.meter)
                function = partial(call, self.graph.nodes[one.node])
                dist = self._apply(function, one.arguments, one.slot, dist, tensors, later)
            live.append(dist)
        dist = live[0]
        for other in live[1:]:
            dist = join(dist, other, self.meter)
        slot = calls[-1].slot
        return dist.keep([slot]), tensors[slot]

    def _sum(
        self,
        one: Call,
        dists: list[Distribution],
        tensors: dict[Hashable, torch.Tensor],
        later: set[Hashable],
    ) -> Distribution:
        """A sum, term by term: first what is drawn together, then what is independent."""
        parts: list[tuple[Distribution, Hashable]] = []
        for dist in dists:
            terms = [slot for slot in one.arguments if slot in dist.columns]
            if len(terms) == 1:
                parts.append((dist, terms[0]))
                continue
            slot = ("sum", one.slot, len(parts))
            parts.append((self._apply(_add, terms, slot, dist, tensors, later), slot))
        parts.sort(key=lambda pair: len(pair[0]))
        dist, total = parts[0]
        for step, (other, term) in enumerate(parts[1:], 1):
            final = step == len(parts) - 1
            filled: Hashable = one.slot if final else ("total", one.slot, step)
            joined = join(dist, other, self.meter)
            waiting = later | {t for _, t in parts[step + 1 :]}
            dist = self._apply(_add, [total, term], filled, joined, tensors, waiting)
            total = filled
        if len(parts) == 1:
            dist = self._apply(_same, [total], one.slot, dist, tensors, later)
        return dist

    def _apply(
        self,
        function: Callable[[list[torch.Tensor]], torch.Tensor],
        arguments: Sequence[Hashable],
        slot: Hashable,
        dist: Distribution,
        tensors: dict[Hashable, torch.Tensor],
        later: set[Hashable],
    ) -> Distribution:
        reads = list(dict.fromkeys(one for one in arguments if not isinstance(one, AnyValue)))
        if reads:
            ids = number([dist.columns[one] for one in reads])
            _, first = np.unique(ids, return_index=True)
        else:
            ids, first = np.zeros(len(dist), dtype=np.int64), np.zeros(1, dtype=np.int64)
        drawn = {one: torch.as_tensor(dist.columns[one][first]) for one in reads}

        def make(start: int, stop: int) -> torch.Tensor:
            values = [
                self.free(one.node, stop - start)
                if isinstance(one, AnyValue)
                else tensors[one][drawn[one][start:stop]].to(self.device or "cpu")
                for one in arguments
            ]
            with torch.no_grad():
                value = function(values)
            if value.ndim == 0 or len(value) != stop - start:
                value = value.expand(stop - start, *value.shape[1:])
            return value

        pool = distinct_in_batches(len(first), self.batch_size, make, self.meter)
        tensors[slot] = pool.values
        filled = Distribution(
            dist.labels, dist.given, {**dist.columns, slot: pool.ids[ids]}, dist.prob
        )
        return filled.keep([c for c in filled.columns if c in later or c == slot])

    def free(self, name: str, count: int) -> torch.Tensor:
        """A node's value on copies of the first row, where any value of its shape will do."""
        key = (name, count)
        if key not in self._free:
            rows = self.data.take(np.zeros(count, dtype=np.int64))
            with torch.no_grad():
                found = evaluate(self.graph, rows, [name], device=self.device)
            self._free[key] = found[name]
        return self._free[key]


def _add(values: list[torch.Tensor]) -> torch.Tensor:
    total: torch.Tensor = add(*values)
    return total


def _same(values: list[torch.Tensor]) -> torch.Tensor:
    return values[0]


def _nothing(rows: int) -> Distribution:
    return certain(OWN, np.zeros(rows, dtype=np.int64), {})


def clean_distribution(draw: str, pools: Mapping[Hashable, Pool]) -> Distribution:
    """The distribution of nodes' clean values on one draw's row."""
    columns: dict[Hashable, Ints] = {name: pool.ids for name, pool in pools.items()}
    return certain(draw, number(list(columns.values())), columns)
