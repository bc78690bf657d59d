"""On which inputs a shift lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causal_scrubbing._data import Dataset, Floats, Ints
from causal_scrubbing._refute.refutation import Where
from causal_scrubbing._statistics import ranked
from causal_scrubbing._trials import PoolFeature, by_row

MOST_CLASSES = 8
MOST_ROWS = 5


def locate(
    data: Dataset, features: Sequence[PoolFeature], values: Floats, reference: Ints
) -> tuple[tuple[Where, ...], tuple[Where, ...]]:
    """Where a shift lies: by the feature that tells it best, and by single rows.

    Args:
        data: the dataset.
        features: those to tell it by; only those of up to 8 classes.
        values: the shift of each sample.
        reference: its reference row.
    """
    best: tuple[Where, ...] = ()
    most = 0.0
    for one in features:
        classes = data.classes(one.feature)
        if not 2 <= classes.count <= MOST_CLASSES:
            continue
        ids = classes.ids[reference]
        counts = np.bincount(ids, minlength=classes.count)
        sums = np.bincount(ids, weights=values, minlength=classes.count)
        means = sums / np.maximum(counts, 1)
        between = float((counts * (means - values.mean()) ** 2).sum())
        if between > most * (1 + 1e-6):
            most = between
            labels = _labels(data, one)
            best = tuple(
                Where(f"{one.name} = {labels[c]}", float(means[c]), float(counts[c] / len(ids)))
                for c in ranked(np.abs(sums))
                if counts[c]
            )
    rows = tuple(
        Where(_told(data, row), part * len(values) / count, count / len(values))
        for row, part, count in by_row(values, reference)[:MOST_ROWS]
        if part
    )
    return best, rows


def _labels(data: Dataset, one: PoolFeature) -> list[str]:
    """A value of the feature for each class."""
    classes = data.classes(one.feature)
    first = classes.order[classes.starts]
    if isinstance(one.feature, tuple) or not (
        isinstance(one.feature, str) or callable(one.feature)
    ):
        return [f"class {i}" for i in range(classes.count)]
    values = data.evaluate(one.feature)
    return [str(values[row].tolist() if hasattr(values[row], "tolist") else values[row])
            for row in first]  # fmt: skip


def _told(data: Dataset, row: int) -> str:
    shown = data.show(row)
    return f"row {row}: {shown}" if isinstance(shown, str) else f"row {row}"
