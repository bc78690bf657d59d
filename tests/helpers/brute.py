"""Exact answers by enumerating every assignment of rows to draws: the exact evaluator's oracle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from naive import naive_sample

from causal_scrubbing._data import Dataset
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis


def assignments(h: Hypothesis, data: Dataset) -> Iterator[tuple[dict[str, int], float]]:
    """Every possible draw of one sample, with its probability."""
    classes = h.classes(data)
    weights = data.weights

    def extend(rows: dict[str, int], prob: float, left: list[Any]) -> Iterator[Any]:
        if not left:
            yield rows, prob
            return
        block = left[0]
        ids = classes[block.key].ids
        agree = np.flatnonzero(ids == ids[rows[block.of]])
        if not h.self_draws and len(agree) > 1:
            agree = agree[agree != rows[block.of]]
        for row in agree:
            share = weights[row] / weights[agree].sum()
            yield from extend({**rows, block.key: int(row)}, prob * share, left[1:])

    for row in range(len(data)):
        yield from extend({REFERENCE: row}, float(weights[row]), list(h.tree.blocks))


def count(h: Hypothesis, data: Dataset) -> int:
    """At most how many assignments there are: the product of the largest classes."""
    total = len(data)
    for classes in h.classes(data).values():
        total *= int(classes.sizes.max())
    return total


def brute_force(h: Hypothesis, data: Dataset, metric: Any = None) -> float:
    """E_scrubbed, one naive evaluation for each assignment."""
    total = 0.0
    for rows, prob in assignments(h, data):
        output = naive_sample(h, data, rows)
        if metric is not None:
            output = metric(output, data[rows[REFERENCE] : rows[REFERENCE] + 1])
        total += prob * float(output.reshape(()))
    return total
