"""The shapes of a journal's records, checked where a search goes on from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from causal_scrubbing._files import NUMBER, Between, ListOf, Optional, Shape

FIRST: Final[Shape] = {
    **dict.fromkeys(("model", "scrubbed", "scale", "precision"), NUMBER),
    "randomized": Optional(NUMBER, missing=False),
}
"""Of the first look at the hypothesis."""


def shifts_of(count: int) -> Shape:
    """Of mean shifts of so many candidates, and their standard errors."""
    return dict.fromkeys(("mean", "se"), ListOf(NUMBER, count))


def values_of(numbers: Sequence[int], samples: int, rows: int) -> Shape:
    """Of the values of some hypotheses on so many samples of a dataset."""
    values = ListOf(NUMBER, samples)
    return {
        "values": {str(i): values for i in numbers},
        "model": values,
        "randomized": Optional(values, missing=False),
        "reference": ListOf(Between(0, rows - 1, integer=True), samples),
    }
