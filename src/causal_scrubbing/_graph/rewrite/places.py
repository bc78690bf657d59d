"""Places of an axis as a user writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from causal_scrubbing._nodes import RowPosition, Where


def as_where(value: object) -> Where | None:
    """A place, slice, list or mask of places, or field of places; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, slice):
        return value
    if isinstance(value, str):
        return RowPosition(value)
    if isinstance(value, list | tuple | range | np.ndarray | torch.Tensor):
        array = np.asarray(value)
        if array.dtype == bool:
            array = np.flatnonzero(array)
        if array.ndim == 1 and array.dtype.kind in "iu" and len(array):
            return tuple(int(place) for place in array)
    return None


def brief(first: Sequence[object], count: int) -> str:
    """Some of several places, and how many there are."""
    return ", ".join(map(str, first)) + (f", ... ({count} in all)" if count > len(first) else "")


@dataclass(frozen=True)
class Then:
    """One function after another."""

    first: Callable[..., Any]
    second: Callable[..., Any]

    def __call__(self, x: torch.Tensor) -> Any:
        return self.second(self.first(x))
