"""Functions of means, such as a correlation, on many sets of means at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics.values import FloatArray, call_numeric

OfMeans: TypeAlias = Callable[[FloatArray], FloatArray]
"""A number of means, ``[..., k]`` to ``[...]``."""

_WHAT: Final = "the function of means"


def along_last(of_means: Callable[[Any], Any]) -> OfMeans:
    """A function of means ``[k]`` as one of many such ``[..., k]``.

    A function written with arithmetic works on columns of numbers as it does on numbers: it is
    given ``[k, many]`` where that gives the same, and called for each otherwise.
    """

    def one(means: FloatArray) -> float:
        return _number_of(of_means, means)

    def many(means: FloatArray) -> FloatArray:
        flat = means.reshape(-1, means.shape[-1])
        if len(flat) > 2:
            found = _all_at_once(of_means, flat)
            if found is not None:
                return found.reshape(means.shape[:-1])
        return np.array([one(row) for row in flat]).reshape(means.shape[:-1])

    return many


def _number_of(of_means: Callable[[Any], Any], means: FloatArray) -> float:
    values = call_numeric(_WHAT, of_means, means).reshape(-1)
    if len(values) != 1:
        raise MetricError(
            f"{_WHAT} gave {len(values)} numbers; it takes the means of the columns and gives one"
        )
    return float(values[0])


def _all_at_once(of_means: Callable[[Any], Any], flat: FloatArray) -> FloatArray | None:
    """The function on all rows of means in one call; None where that is not the same."""
    try:
        found = call_numeric(_WHAT, of_means, np.ascontiguousarray(flat.T))
    except MetricError:  # written for one vector alone
        return None
    if found.shape != (len(flat),):
        return None
    places = np.unique(np.linspace(0, len(flat) - 1, 3).astype(np.int64))
    singly = np.array([_number_of(of_means, flat[place]) for place in places])
    return found if np.allclose(found[places], singly, rtol=1e-9, equal_nan=True) else None


def slope_of(of_means: OfMeans, means: FloatArray, scale: FloatArray) -> FloatArray:
    """The gradient ``[k]`` of a function of means, by central differences.

    Args:
        of_means: From `along_last`.
        means: Where, ``[k]``.
        scale: How much each mean varies, ``[k]``; the steps are small against it.
    """
    steps = 1e-4 * np.where(scale > 0, scale, 1.0)
    shifts = np.diag(steps)
    found: FloatArray = (of_means(means + shifts) - of_means(means - shifts)) / (2 * steps)
    return found
