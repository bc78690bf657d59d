"""In how many samples a hypothesis was not tested at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causal_scrubbing._data import Classes
from causal_scrubbing._statistics.values import BoolArray, IntArray


def own_row_samples(classes: Sequence[Classes], agreed: Sequence[IntArray]) -> BoolArray:
    """In which samples every claim could only keep the row it has to agree with, ``[N]``.

    In such a sample no swap was possible, so it scores what the model scores whether the hypothesis
    is true or not; where all are such the hypothesis recovers 100% and is void.

    Args:
        classes: Of each claim, at least one.
        agreed: For each claim, the row its datum had to agree with in each sample, ``[N]``.
    """
    alone = np.ones(len(agreed[0]), dtype=np.bool_)
    for partition, rows in zip(classes, agreed, strict=True):
        alone &= partition.sizes[partition.ids[rows]] == 1
    return alone
