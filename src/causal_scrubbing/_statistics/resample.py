"""Bootstrap and jackknife of functions of means, in bounded memory and from one seed.

Every estimate of this package is a smooth function of column means of independent samples. So one
bootstrap of the means serves all of them, and one pass over leave-one-out means gives the standard
errors and the skewness that the intervals need.

More than ``BLOCKS`` samples are first shuffled into ``BLOCKS`` blocks whose sums are resampled
instead. Samples are independent and identically distributed, so block sums are too; the bootstrap
of their mean has the variance and the skewness that resampling single samples would have, and its
estimate of the variance has relative error about ``sqrt(2 / BLOCKS)`` (1.6%) where 1,000 resamples
alone have 4.5%. A million samples then cost what 8,192 do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from causal_scrubbing._statistics.values import FloatArray, IntArray

BLOCKS = 8192
_CELLS = 1 << 21
_CHUNK = 1 << 16

Statistic = Callable[[FloatArray], FloatArray]


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the generator that belongs to ``seed`` and ``name``, apart from all others."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


@dataclass(frozen=True)
class Group:
    """One independent sample: rows of ``columns`` that were drawn together.

    ``pools`` gives the pool each row came from, ``[N]`` ids from 0; rows of one pool depend on
    each other, and then the pool and not the row is the unit that statistics count.
    ``strata`` gives the stratum of each row, ``[N]`` ids from 0; how many rows a stratum has is
    fixed, so that only differences within strata are noise. Not both.
    """

    columns: FloatArray
    pools: IntArray | None = None
    strata: IntArray | None = None

    @property
    def units(self) -> int:
        """How many independent units there are: pools, or rows."""
        return len(self.columns) if self.pools is None else int(self.pools.max()) + 1

    def centre(self) -> FloatArray:
        """Column means ``[c]``; a constant column's mean is that constant, to the bit."""
        mean: FloatArray = self.columns.mean(axis=0)
        first = self.columns[0]
        constant = (self.columns == first).all(axis=0)
        return np.where(constant, first, mean)

    def unit_sums(self) -> tuple[FloatArray, FloatArray]:
        """Sums of deviations from the centre ``[units, c]`` and row counts ``[units]``."""
        deviations = self.columns - self.centre()
        if self.pools is None:
            return deviations, np.ones(len(deviations))
        counts = np.bincount(self.pools).astype(np.float64)
        sums = [np.bincount(self.pools, weights=column) for column in deviations.T]
        return np.stack(sums, axis=1), counts


def point(groups: Sequence[Group]) -> FloatArray:
    """Means of all columns of all groups, ``[C]``."""
    return np.concatenate([group.centre() for group in groups])


def resampled_means(
    groups: Sequence[Group], *, seed: int, resamples: int, name: str = "~bootstrap"
) -> FloatArray:
    """Column means of bootstrap resamples, ``[resamples, C]``.

    Rows of a group are resampled as rows, so columns keep their pairing; groups are resampled
    independently of each other.
    """
    parts = []
    for number, group in enumerate(groups):
        rng = stream(seed, f"{name}/{number}")
        sums, counts = _blocks(group, rng)
        means = np.empty((resamples, sums.shape[1]))
        step = max(1, _CELLS // len(sums))
        for start in range(0, resamples, step):
            taken = _draw_counts(rng, min(step, resamples - start), len(sums))
            means[start : start + len(taken)] = (taken @ sums) / (taken @ counts)[:, None]
        parts.append(group.centre() + means)
    return np.concatenate(parts, axis=1)


def _blocks(group: Group, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    sums, counts = group.unit_sums()
    if len(sums) <= BLOCKS:
        return sums, counts
    # Shuffled, so that an order in the samples (sorted rows, say) cannot pass for dependence.
    order = rng.permutation(len(sums))
    starts = np.linspace(0, len(sums), BLOCKS, endpoint=False).astype(np.int64)
    return np.add.reduceat(sums[order], starts), np.add.reduceat(counts[order], starts)


def _draw_counts(rng: np.random.Generator, resamples: int, units: int) -> FloatArray:
    """How often each unit is in each resample, ``[resamples, units]``."""
    taken = rng.integers(0, units, size=(resamples, units), dtype=np.int64)
    taken += np.arange(resamples)[:, None] * units
    counts = np.bincount(taken.ravel(), minlength=resamples * units)
    return counts.reshape(resamples, units).astype(np.float64)


@dataclass(frozen=True)
class Jackknife:
    """What leaving out one unit at a time says of each statistic.

    Attributes:
        se: Standard errors, ``[s]``.
        acceleration: Of BCa intervals, ``[s]``.
        freedom: Degrees of freedom of the variances where influences are normal, ``[s]``.
        speaking: Degrees of freedom as the influences are, ``[s]``, never more than ``freedom``.
    """

    se: FloatArray
    acceleration: FloatArray
    freedom: FloatArray
    speaking: FloatArray


def jackknife(groups: Sequence[Group], statistic: Statistic) -> Jackknife:
    """Leave one unit out at a time.

    The influence of unit p is d_p = (1 - n_p / n) (theta - theta without p); for a mean of single
    rows it is (x_p - mean) / n, so that the standard error is sd / sqrt(n) exactly, and for other
    functions of means it is the delta method's to first order. Groups add their variances.
    The acceleration is sum d^3 / (6 (sum d^2)^1.5), over all groups (Efron and Tibshirani 1993,
    An Introduction to the Bootstrap, eq. 14.15); degrees of freedom are Welch and Satterthwaite's.
    A variance of n influences with kurtosis k has a relative error of (k - 1) / n, as one of normal
    values with 2 n / (k - 1) degrees of freedom has: that is what ``speaking`` counts. It is small
    where a few units rule, as where most samples do not move at all.
    With strata a unit's influence is measured from the mean of its stratum, and strata add their
    variances as groups do (Cochran 1977, Sampling Techniques, 5.4); one with a single unit has no
    mean to measure from and counts whole.
    Groups of one unit have no variance to estimate: the standard error is then NaN.
    """
    centre = point(groups)
    whole = statistic(centre)
    variance = np.zeros_like(whole)
    squares = np.zeros_like(whole)
    cubes = np.zeros_like(whole)
    spread, uneven = np.zeros_like(whole), np.zeros_like(whole)
    column = 0
    for group in groups:
        sums, counts = group.unit_sums()
        units, total, width = len(sums), counts.sum(), sums.shape[1]
        if units < 2:
            nan = np.full_like(whole, np.nan)
            return Jackknife(nan, nan, nan, nan)
        moments = np.zeros((4, *whole.shape))
        kept: list[FloatArray] = []
        for start in range(0, units, _CHUNK):
            part, size = sums[start : start + _CHUNK], counts[start : start + _CHUNK]
            without = np.repeat(centre[None], len(part), axis=0)
            without[:, column : column + width] -= part / (total - size)[:, None]
            # A ratio whose denominator is zero has no influences; they are NaN, and so its error.
            with np.errstate(invalid="ignore"):
                influence = (1 - size / total)[:, None] * (whole - statistic(without))
            influence[np.isinf(influence)] = np.nan
            for power in range(4):
                moments[power] += (influence ** (power + 1)).sum(axis=0)
            if group.strata is not None:
                kept.append(influence)
        # Where influences are infinite moments are NaN, and so is the error.
        with np.errstate(invalid="ignore", over="ignore"):
            mean = moments[0] / units
            second = np.maximum(moments[1] - units * mean**2, 0.0)
            third = moments[2] - 3 * mean * moments[1] + 2 * units * mean**3
            if group.strata is None:
                part_variance = second * units / (units - 1)
                spread += part_variance**2 / (units - 1)
                fourth = moments[3] - 4 * mean * moments[2] + 6 * mean**2 * moments[1]
                fourth -= 3 * units * mean**4
                excess = np.maximum(fourth - second**2 / units, 0.0)
                uneven += np.maximum(excess / 2, part_variance**2 / (units - 1))
            else:
                part_variance, part_spread = _within(np.concatenate(kept), group.strata)
                spread += part_spread
                uneven += part_spread
        variance += part_variance
        squares += second
        cubes += third
        column += width
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration = np.where(squares > 0, cubes / (6 * squares**1.5), 0.0)
        freedom = np.where(spread > 0, variance**2 / spread, np.inf)
        speaking = np.where(uneven > 0, variance**2 / uneven, np.inf)
    return Jackknife(np.sqrt(variance), acceleration, freedom, speaking)


def _within(influence: FloatArray, strata: IntArray) -> tuple[FloatArray, FloatArray]:
    """Variance of the sum of influences ``[N, s]`` within strata, and its square over freedom."""
    counts = np.bincount(strata)
    alone = counts == 1
    free = np.where(alone, 1, counts - 1)

    def sums(values: FloatArray) -> FloatArray:
        columns = [np.bincount(strata, column, len(counts)) for column in values.T]
        return np.stack(columns, axis=1)

    means = np.where(alone[:, None], 0.0, sums(influence) / counts[:, None])
    squares = sums((influence - means[strata]) ** 2)
    each = squares * (np.where(alone, 1, counts) / free)[:, None]
    return each.sum(axis=0), (each**2 / free[:, None]).sum(axis=0)
