"""How large the tables of an exact computation must become at least, counted before any work.

Only clean values are read. What is computed may turn out to have few values or many, so it is taken
to have one: a table is never counted larger than it will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causal_scrubbing._exact.budget import Meter
from causal_scrubbing._exact.distribution import Distribution, join, merge
from causal_scrubbing._graph import Add, Graph
from causal_scrubbing._hypothesis import Call


def count_calls(
    graph: Graph, calls: Sequence[Call], dists: Sequence[Distribution], meter: Meter
) -> None:
    """Refuse calls whose tables are too large whatever the values in them are.

    Args:
        graph: whose functions are called.
        calls: the calls of F(u), at least one.
        dists: independent distributions over inputs; inputs that are in none have one value.
        meter: the budget.

    Raises:
        ExactError: a table does not fit the budget.
    """
    last = {slot: i for i, one in enumerate(calls) for slot in one.reads}
    live = []
    for dist in dists:
        slots = {slot for slot in dist.columns if slot in last}
        if slots:
            live.append((slots, counted(dist.keep(list(slots)))))
    for i, one in enumerate(calls):
        touched = [pair for pair in live if not pair[0].isdisjoint(one.reads)]
        if not touched:
            continue
        live = [pair for pair in live if not any(pair is t for t in touched)]
        node = graph.nodes[one.node]
        if isinstance(node.fn, Add) and len(one.reads) == len(one.arguments):
            # A sum is made term by term, and partial sums may have one value.
            touched = [(slots, _single(dist)) for slots, dist in touched]
        table = touched[0][1]
        for _, other in touched[1:]:
            table = join(table, other, meter)
            meter.need(int(table.prob.sum()))
        later = {slot for slots, _ in touched for slot in slots if last[slot] > i}
        live.append((later | {one.slot}, _single(table)))


def counted(dist: Distribution) -> Distribution:
    """How many outcomes there are for each combination of labels, in place of probabilities."""
    return merge(replace(dist, columns={}, prob=np.ones(len(dist))))


def _single(table: Distribution) -> Distribution:
    """One outcome for each combination of labels."""
    return replace(table, prob=np.ones(len(table)))


def count_by_row(dist: Distribution, draw: str, rows: int) -> int:
    """Entries that a distribution has when it is given by each row of a draw."""
    if draw not in dist.labels:
        return len(dist) * rows
    sizes = np.bincount(dist.given[draw], minlength=int(dist.labels[draw].max()) + 1)
    return int(sizes[dist.labels[draw]].sum())
