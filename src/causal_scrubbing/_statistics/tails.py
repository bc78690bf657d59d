"""Means that hang on a few samples, or on rows that were never drawn: no interval knows of those.

An interval is made from the samples. Where a few of them hold most of what varies, or a row that
holds much of the model's behaviour was never a reference row, it may be far too narrow or in the
wrong place, whatever the method. Then a note says so, with the share.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from causal_scrubbing._format import plural, share
from causal_scrubbing._statistics.known import KnownMeans
from causal_scrubbing._statistics.values import BoolArray, FloatArray, IntArray

HELD: Final = 0.2
"""The share of a mean that a few samples or rows must hold to be worth a note."""

FEW: Final = 0.01
"""What few samples are: this share of them, and three at least."""

_LEAST: Final = 3
_EACH: Final = 10.0
"""A row that holds much holds so many times an even share."""

_SEEN: Final = 100
"""Samples on the rows that hold much, above which their mean is known well enough."""

_NONE_SEEN: Final = 3
"""What has not been seen in N draws has a chance below 3 / N, at 95% confidence (-log 0.05)."""

_ENOUGH: Final = 20
"""With fewer samples three of them hold much of any mean; an interval shows that by itself."""


def tail_notes(
    name: str,
    values: FloatArray,
    *,
    rows: IntArray | None = None,
    known: KnownMeans | None = None,
    moved: BoolArray | None = None,
) -> tuple[str, ...]:
    """What a reader must know of the tails of a behaviour.

    Args:
        name: What is measured, for the note.
        values: Behaviour of each sample as it enters the estimate, ``[N]``.
        rows: The reference row of each sample, ``[N]``.
        known: What is known of every row.
        moved: In which samples the swaps changed the behaviour, ``[N]``.
    """
    notes = []
    few = max(_LEAST, int(FEW * len(values)))
    held, count = _held_by_few(values, few)
    if count == 0 and moved is not None and not moved.any():
        share_ = share(_NONE_SEEN / max(len(values), _NONE_SEEN))
        notes.append(
            f"no sample of {len(values):,} changed {name}: at 95% confidence fewer than {share_} "
            "of draws do"
        )
    elif len(values) >= _ENOUGH and held > HELD:
        notes.append(
            f"the mean of {name} hangs on few samples: {count} of {len(values):,} hold "
            f"{share(held)} of its deviation from the median. Its interval may be too narrow; draw "
            'more samples, or draw="balanced", or bound the metric'
        )
    if rows is not None and known is not None and known.model.ndim == 1:
        notes += _rows_notes(name, rows, known)
    return tuple(notes)


def _held_by_few(values: FloatArray, few: int) -> tuple[float, int]:
    """The share of all deviation from the median that the largest few have, and their number."""
    deviations = np.sort(np.abs(values - np.median(values)))[::-1]
    total = float(deviations.sum())
    if total == 0:
        return 0.0, 0
    count = min(few, int(np.count_nonzero(deviations)))
    return float(deviations[:count].sum()) / total, count


def _rows_notes(name: str, rows: IntArray, known: KnownMeans) -> list[str]:
    """Rows that hold much of the model's behaviour, or of the weight, and how often they came."""
    n = len(known)
    few = max(_LEAST, int(FEW * n))
    if n <= 2 * few:
        return []
    drawn = np.bincount(rows, minlength=n)
    deviations = known.weights * np.abs(known.model - np.median(known.model))
    for what, held in (("the model's behaviour", deviations), ("the weight", known.weights)):
        total = float(held.sum())
        if total == 0:
            continue
        largest = np.argsort(-held, kind="stable")[:few]
        largest = largest[held[largest] > _EACH * total / n]
        missing = largest[drawn[largest] == 0]
        for some, lost in ((missing, True), (largest, False)):
            part = float(held[some].sum()) / total
            seen = int(drawn[some].sum())
            if part <= HELD or (seen >= _SEEN and what != "the weight"):
                continue
            which = f"{len(some)} {plural(len(some), 'row')} of the data ({_listed(some)})"
            have = f"{which} {plural(len(some), 'has', 'have')} {share(part)} of {what}"
            if lost:
                return [
                    f"{have} and {plural(len(some), 'was', 'were')} never a reference row: what "
                    f"the swaps do there is not in the estimate of {name}. Draw more samples, or "
                    'draw="balanced"'
                ]
            return [
                f"{have}: the mean of {name} hangs on what the swaps do there, seen in {seen:,} of "
                f"{len(rows):,} samples"
            ]
    return []


def _listed(rows: IntArray, most: int = 5) -> str:
    text = ", ".join(map(str, rows[:most].tolist()))
    return text if len(rows) <= most else f"{text} and {len(rows) - most} more"
