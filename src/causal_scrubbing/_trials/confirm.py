"""The held-out test of shifts: Student's, held back where few samples speak, in two looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causal_scrubbing._data import Floats
from causal_scrubbing._statistics import holm
from causal_scrubbing._trials.trials import Chunk

LOOKS = 2
"""Times a shift may be tested: on the first samples, and on all where those leave it open."""

LONGER = 6
"""How many times the samples the second look has."""

OPEN = 0.6
"""Uncorrected p below which a shift not found at the first look gets a second."""

FEW = 50.0
"""Samples that a shift rests on, at least, for its mean to be taken as normal."""


@dataclass(frozen=True)
class Shift:
    """A candidate's shift on held-out samples.

    Attributes:
        mean: mean of candidate minus base.
        se: its standard error.
        interval: 95% interval, Student's.
        p: of "the shift is within the tolerance", before correction.
        adjusted: after Holm's correction for the number confirmed, and for the looks.
        values: the shift of each sample.
    """

    mean: float
    se: float
    interval: tuple[float, float]
    p: float
    adjusted: float
    values: Floats


def speaking(values: Floats) -> float:
    """How many samples a sum rests on: (sum of |v|)^2 / sum of v^2 (Kish 1965, Survey Sampling).

    It is the number of samples where all weigh alike, and few where most are zero or a few rule.
    """
    squares = float((values**2).sum())
    return float(np.abs(values).sum()) ** 2 / squares if squares > 0 else 0.0


def one_test(values: Floats, tolerance: float, side: float = 0.0) -> Shift:
    """Student's test of "the mean is within the tolerance", not corrected.

    Where the mean rests on few samples k, p is held at or above 2^(1 - k): the share of patterns of
    signs as one-sided as one in which all k agree (Fisher 1935, The Design of Experiments, 21), as
    Student's test takes a mean of few values for normal. No test of a mean is right for every law
    (Bahadur and Savage 1956): a rare and large shift that no sample shows is not accounted for.

    Args:
        values: the shift of each sample.
        tolerance: a mean within it does not count.
        side: 0 for either direction; 1 or -1 for one only.
    """
    from scipy import stats

    n = len(values)
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    se = sd / math.sqrt(n)
    half = float(stats.t.ppf(0.975, n - 1)) * se
    beyond = (abs(mean) if side == 0 else side * mean) - tolerance
    tail = float(stats.t.sf(beyond / se, n - 1)) if se > 0 else float(beyond <= 0)
    p = min(1.0, tail if side else 2 * tail)
    count = speaking(values)
    if beyond > 0 and (count < FEW or se == 0):
        p = max(p, min(1.0, 2.0 ** (1 - count)))
    return Shift(mean, se, (mean - half, mean + half), p, p, values)


def _corrected(shifts: Sequence[Shift], family: int, looks: int) -> list[Shift]:
    padded = [one.p for one in shifts] + [1.0] * max(0, family - len(shifts))
    adjusted = holm(padded)[: len(shifts)].tolist()
    return [
        replace(one, adjusted=min(1.0, looks * q)) for one, q in zip(shifts, adjusted, strict=True)
    ]


def confirm(
    chunk: Chunk,
    base: int,
    candidates: Sequence[int],
    tolerance: float,
    family: int | None = None,
    side: float = 0.0,
    looks: int = 1,
) -> list[Shift]:
    """Test the shifts on samples that had no part in choosing the candidates.

    The test is Student's on the paired differences, of the shift lying within the tolerance; see
    `one_test`. The samples are fresh, so that only the number confirmed needs correcting for.

    Args:
        chunk: values on the held-out samples.
        base: number of the base hypothesis.
        candidates: numbers of those to confirm.
        tolerance: shifts within it do not count.
        family: tests corrected for, at least the number of candidates.
        side: 0 for shifts either way; 1 or -1 for one direction only.
        looks: times that a shift may be tested, each at its share of the level (Bonferroni), which
            holds whatever decides on a further look.
    """
    found = [one_test(chunk.values[i] - chunk.values[base], tolerance, side) for i in candidates]
    return _corrected(found, family or 0, looks)


def left_open(shifts: Mapping[int, Shift], alpha: float) -> list[int]:
    """Those not found at the first look that more samples might find."""
    return [i for i, one in shifts.items() if one.adjusted > alpha and one.p < OPEN]


def second_look(
    first: Mapping[int, Shift],
    longer: Chunk,
    base: int,
    again: Sequence[int],
    tolerance: float,
    family: int,
    side: float = 0.0,
) -> dict[int, Shift]:
    """The shifts after both looks: the further samples join those of the first.

    Args:
        first: shifts of the first look by number.
        longer: values on all samples, the first ones included.
        base: number of the base hypothesis.
        again: numbers of those that had a second look.
        tolerance: shifts within it do not count.
        family: tests corrected for.
        side: 0 for shifts either way; 1 or -1 for one direction only.
    """
    found = dict(first)
    later = confirm(longer, base, again, tolerance, family, side, LOOKS)
    for i, shift in zip(again, later, strict=True):
        found[i] = replace(shift, adjusted=min(shift.adjusted, first[i].adjusted))
    return found
