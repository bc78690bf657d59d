"""Memory that batches take besides the table, and how large batches may be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch

from causal_scrubbing._engine.cost import NodeCost
from causal_scrubbing._engine.program import Program
from causal_scrubbing._graph import Graph, needed_nodes

WORKING: Final = {"cpu": 32 << 20, "cuda": 1 << 30}
"""Bytes alive in a batch that make operations long against their overhead: on a CPU more only
spills its caches."""

WORKING_SHARE: Final = 0.25
"""Part of the budget that batches take, where one sample needs no more and the table no less."""

Reading: TypeAlias = Callable[[], float]

_LARGEST_BATCH: Final = 1 << 16
_FEWEST: Final = 2
_READING: Final = 16
_NUMBER: Final = 8


@dataclass(frozen=True)
class Need:
    """Bytes that are alive besides the table, for one row or one sample.

    Attributes:
        sample: while a sample is computed.
        active: of these, what is computed with: wanted values that are made already lie aside.
        row: while a clean row is evaluated, without moving it to the table.
        put: for moving one clean row to the table.
        kept: the wanted values: those of the last batch are alive while the next is computed.
        reading: for reading the wanted values; 0 where it has not been measured.
        share: part of the budget that batches take, where one sample needs no more.
    """

    sample: float
    active: float
    row: float
    put: float
    kept: float
    reading: float = 0.0
    share: float = WORKING_SHARE

    @property
    def least(self) -> float:
        """For a batch of one, counted as two.

        Costs are measured on two rows, so that what a function makes once a call is halved there.
        """
        one = max(self.sample + self.kept, self.row + self.put + self.kept)
        return _FEWEST * max(one, self.reading + self.kept)

    def reserved(self, budget: float) -> float:
        """What batches may take of a budget."""
        return max(self.share * budget, self.least)

    def batches(
        self, budget: float, device: torch.device, asked: int | None, given: bool
    ) -> tuple[int, int]:
        """How many samples, and how many clean rows, to do at once.

        Args:
            budget: bytes for everything.
            device: where they are done.
            asked: the batch size asked for.
            given: whether the budget was asked for, and so limits what else was.
        """
        room = self.reserved(budget)
        best = WORKING.get(device.type, WORKING["cuda"])
        most = room / (self.sample + self.kept)
        samples = asked or _power(min(best / self.active, most, _LARGEST_BATCH))
        if given:
            samples = max(1, min(samples, int(most)))
        most = (room - samples * self.kept) / (self.row + self.put)
        rows = asked or _power(min(best / self.row, most, _LARGEST_BATCH))
        if given:
            rows = max(1, min(rows, int(most)))
        return samples, rows

    def working(self, samples: int, rows: int) -> float:
        """Most bytes alive in such batches."""
        return max(
            samples * (self.sample + self.kept),
            rows * (self.row + self.put) + samples * self.kept,
        )

    def is_large(self, samples: int, budget: float) -> bool:
        """Whether reading a batch's values might take more than batches may."""
        return samples * self.kept * (1 + _READING) > self.reserved(budget)

    def readable(self, samples: int, budget: float) -> int:
        """How many samples' values can be read at once."""
        room = self.reserved(budget) - samples * self.kept
        return max(1, int(room / max(self.reading, 1.0)))


def needed(
    graph: Graph,
    program: Program,
    costs: Mapping[str, NodeCost],
    device: torch.device,
    store_dtype: torch.dtype | None,
) -> Need:
    """What batches of a program take; see `lay_out`."""
    gathers = program.gathers
    wanted = list(dict.fromkeys(step.node for step in gathers))
    stored = {name: stored_bytes(costs[name], store_dtype) for name in wanted}
    # Where each sample's rows are: as drawn, moved to the device, and by column where that is kept.
    index = _NUMBER * (len({s.variable for s in gathers}) + _kept_indices(program))
    places = {step.out: costs[step.node].bytes for step in program.steps}
    kept = sum(places[place] for place in set(program.roots.values()))
    sample = program.peak(costs, stored) + index
    active = program.peak(costs, stored, roots=False) + index
    largest = max((costs[name].bytes for name in wanted), default=0.0)
    row = row_peak(graph, wanted, costs)
    return Need(max(sample, 1.0), max(active, 1.0), max(row, 1.0), 2 * largest + 3 * _NUMBER, kept)


def _kept_indices(program: Program) -> int:
    """How many times it is kept where in a column the rows of a variable are: if read again."""
    read: dict[str, set[str]] = {}
    for step in program.gathers:
        read.setdefault(step.node, set()).add(step.variable)
    columns = Counter(frozenset(found) for found in read.values())
    return 1 + sum(len(variables) for variables, nodes in columns.items() if nodes > 1)


def stored_bytes(cost: NodeCost, dtype: torch.dtype | None) -> float:
    """Bytes of a node's value on one row, as stored."""
    if dtype is None or not cost.dtype.is_floating_point:
        return cost.bytes
    return cost.bytes * dtype.itemsize / cost.dtype.itemsize


def row_peak(graph: Graph, wanted: list[str], costs: Mapping[str, NodeCost]) -> float:
    """Most bytes alive for one row while the wanted nodes are evaluated, each moved when made."""
    order = needed_nodes(graph, wanted)
    last = {parent: name for name in order for parent in graph.nodes[name].parents}
    alive = most = 0.0
    for name in order:
        most = max(most, alive + costs[name].peak)
        alive += costs[name].bytes
        gone = {parent for parent in graph.nodes[name].parents if last[parent] == name}
        alive -= sum(costs[one].bytes for one in (gone if name in last else {*gone, name}))
    return most


def _power(most: float) -> int:
    """The largest power of two that is not larger, at least 1."""
    return int(2 ** math.floor(math.log2(max(1.0, most))))
