"""A few rows of data: enough to look up shapes, test edges and compare graphs."""

from __future__ import annotations

from typing import Final

import numpy as np

from causal_scrubbing._data import Dataset

EXAMPLE_ROWS: Final = 16
"""How many rows a graph keeps as its example."""


def few_rows(data: Dataset, most: int) -> Dataset:
    """At most so many rows, spread evenly over a dataset."""
    return data.take(spread(len(data), most))


def spread(rows: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """At most so many of the numbers below `rows`, spread evenly."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64))
