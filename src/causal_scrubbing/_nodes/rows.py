"""A few rows of data: enough to look up shapes, test edges and compare graphs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset, check_dataset

EXAMPLE_ROWS: Final = 16
"""How many rows a graph keeps as its example."""


COVERED: Final = 64
"""How many values of an integer field a few rows are made to cover."""


def few_rows(data: Dataset, most: int, fields: Iterable[str | None] = ()) -> Dataset:
    """A few rows, spread evenly over a dataset.

    Args:
        data: the dataset.
        most: how many.
        fields: fields, of which those that hold one integer a row have all their values covered by
            further rows, up to 64 values each: such a field may say which place a row is read at.
    """
    check_dataset(data)
    chosen = [spread(len(data), most)]
    for name in fields:
        value = data[name] if name is not None and name in data else None
        if torch.is_tensor(value) and value.ndim == 1 and not value.is_floating_point():
            first = np.unique(value.cpu().numpy(), return_index=True)[1]
            chosen.append(first[spread(len(first), COVERED)])
    return data.take(np.unique(np.concatenate(chosen)))


def spread(rows: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """At most so many of the numbers below `rows`, spread evenly."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64))
