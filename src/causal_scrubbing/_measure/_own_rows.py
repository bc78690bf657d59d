"""In how many samples a hypothesis was not tested at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causal_scrubbing._data import Classes
from causal_scrubbing._measure._values import IntArray


def own_row_share(classes: Sequence[Classes], agreed: Sequence[IntArray]) -> float:
    """Share of samples in which every claim could only keep the row it has to agree with.

    In such a sample no swap was possible, so it scores what the model scores whether the hypothesis
    is true or not; at 1 the hypothesis recovers 100% and is void.

    Args:
        classes: Of each claim.
        agreed: For each claim, the row its datum had to agree with in each sample, ``[N]``.
    """
    if not classes or len(agreed[0]) == 0:
        return 1.0
    alone = np.ones(len(agreed[0]), dtype=np.bool_)
    for partition, rows in zip(classes, agreed, strict=True):
        alone &= partition.sizes[partition.ids[rows]] == 1
    return float(alone.mean())
