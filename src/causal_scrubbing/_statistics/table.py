"""Statistics of column means with their errors and intervals: the one method behind all estimates.

Scrub, compare, controls, discover, refute and ablate all ask this file. Independent samples have
BCa bootstrap intervals (see `intervals`). Samples in units that depend on each other, samples in
strata, and fewer than ten samples have Student's, with the freedom that the jackknife gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, overload

import numpy as np
import numpy.typing as npt

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.intervals import bca_interval, t_interval
from causal_scrubbing._statistics.resample import (
    Group,
    Statistic,
    jackknife,
    point,
    resampled_means,
)
from causal_scrubbing._statistics.values import FloatArray, IntArray

FEWEST: Final = 10
ONE_SAMPLE: Final = "one sample: it has no standard error"
ONE_POOL: Final = "one pool: it has no standard error"


class Table:
    """A statistic of column means with all that intervals need, computed once for all outputs.

    Args:
        groups: Independent samples. None of them: the statistic is exact.
        statistic: Of all their column means, ``[..., C]`` to ``[..., s]``.
        seed: Of the bootstrap.
        resamples: How many bootstrap resamples; 0 for Student's intervals without any.
    """

    def __init__(
        self, groups: Sequence[Group], statistic: Statistic, seed: int, resamples: int
    ) -> None:
        self.exact = not groups
        self.replicates: FloatArray | None = None
        if self.exact:
            self.values = statistic(np.zeros(0))
            self.units, self.pooled = 0, False
            return
        self.values = statistic(point(groups))
        self.jackknife = jackknife(groups, statistic)
        self.units = min(group.units for group in groups)
        self.pooled = any(group.pools is not None for group in groups)
        stratified = any(group.strata is not None for group in groups)
        if resamples and not self.pooled and not stratified and self.units >= FEWEST:
            drawn = resampled_means(groups, seed=seed, resamples=resamples)
            self.replicates = statistic(drawn)

    def estimate(self, index: int, level: float, unit: str = "") -> Estimate:
        """Return output ``index`` with its standard error and interval; ``n`` counts units."""
        value = float(self.values[index])
        if self.exact:
            return Estimate(value, 0.0, (value, value), n=0, level=level, unit=unit)
        se = float(self.jackknife.se[index])
        if self.units < 2:
            what = ONE_POOL if self.pooled else ONE_SAMPLE
            return Estimate(value, n=self.units, level=level, unit=unit, note=what)
        freedom = float(self.jackknife.freedom[index])
        if self.replicates is None:
            ends = t_interval(value, se, freedom, level)
        else:
            acceleration = float(self.jackknife.acceleration[index])
            n = freedom + 1 if np.isfinite(freedom) and freedom >= 1 else self.units
            ends = bca_interval(
                self.replicates[:, index],
                value,
                acceleration,
                n=n,
                level=level,
                freedom=max(1.0, min(n - 1, float(self.jackknife.speaking[index]))),
            )
        return Estimate(value, se, ends, n=self.units, level=level, unit=unit)


def mean_estimate(
    values: npt.ArrayLike,
    *,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
    unit: str = "",
) -> Estimate:
    """The mean of independent samples, with the interval that every estimate here has.

    Args:
        values: ``[N]``.
        seed: Of the bootstrap.
        level: Coverage of the interval.
        resamples: How many bootstrap resamples.
        unit: ``""``, or ``"%"`` for percentages.
    """
    columns = np.asarray(values, dtype=np.float64)[:, None]
    table = Table([Group(columns)], lambda means: means, seed, resamples)
    return replace(table.estimate(0, level, unit), n=len(columns))


def ratio_estimate(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike | float,
    *,
    scale: float = 1.0,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
    unit: str = "",
) -> Estimate:
    """A ratio of means over the same samples, ``scale`` mean(numerator) / mean(denominator).

    Args:
        numerator: ``[N]``.
        denominator: ``[N]`` on the same samples, or a number that is known.
        scale: What the ratio is multiplied by, 100 for percentages.
        seed: Of the bootstrap.
        level: Coverage of the interval.
        resamples: How many bootstrap resamples.
        unit: ``""``, or ``"%"``.
    """
    top = np.asarray(numerator, dtype=np.float64)
    bottom = np.broadcast_to(np.asarray(denominator, dtype=np.float64), top.shape)

    def statistic(means: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return scale * means[..., :1] / means[..., 1:]

    table = Table([Group(np.stack([top, bottom], axis=1))], statistic, seed, resamples)
    return replace(table.estimate(0, level, unit), n=len(top))


def check_settings(level: float, resamples: int) -> None:
    """Refuse levels that are no coverage and bootstraps too small for one.

    Raises:
        MetricError: If ``level`` is not between 0 and 1, or ``resamples`` from 1 to 99.
    """
    if not 0 < level < 1:
        raise MetricError(f"level is {level}; give a coverage between 0 and 1, such as 0.95")
    if resamples != 0 and resamples < 100:
        raise MetricError(
            f"resamples is {resamples}; an interval needs at least 100, or 0 for Student's"
        )


@overload
def dense(pools: IntArray) -> IntArray: ...


@overload
def dense(pools: None) -> None: ...


@overload
def dense(pools: IntArray | None) -> IntArray | None: ...


def dense(pools: IntArray | None) -> IntArray | None:
    """Return pool ids numbered from 0 without gaps."""
    if pools is None:
        return None
    return np.unique(pools, return_inverse=True)[1].astype(np.int64)
