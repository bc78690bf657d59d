"""Behaviours that are vectors: distances between mean vectors, and how much of one is recovered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics.columns import Columns, Means, means_reader
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.intervals import t_interval
from causal_scrubbing._statistics.resample import jackknife, point, resampled_means
from causal_scrubbing._statistics.table import FEWEST
from causal_scrubbing._statistics.values import FloatArray, call_numeric

Distance = Callable[[Any, Any], Any]
"""A metric on vectors ``[k]``, given as arrays: symmetric, zero for equal vectors, with the
triangle inequality."""

_EQUAL: Final = 1e-9
"""Means that differ by this share of the larger one are equal but for rounding."""

_NORMS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "euclidean": lambda x: np.sqrt((x**2).sum(axis=-1)),
    "manhattan": lambda x: np.abs(x).sum(axis=-1),
    "max": lambda x: np.abs(x).max(axis=-1),
}


@dataclass(frozen=True)
class _Length:
    """A distance of mean vectors with how far it may be off.

    Attributes:
        value: The distance.
        replicates: Of resamples, or empty.
        radius: How far off it is at the level asked for, by the triangle inequality.
    """

    value: float
    replicates: FloatArray
    radius: float


def vector_numbers(
    columns: Columns,
    distance: str | Distance,
    *,
    why_not: str,
    seed: int,
    level: float,
    resamples: int,
) -> tuple[Estimate, Estimate]:
    """The distance d(E_scrubbed, E_model), and 100 (1 - that / d(E_randomized, E_model)).

    A distance is never negative, and its plug-in estimate is too large by about the noise's own
    length, so the usual bootstrap intervals miss a true zero. Here the interval is
    [d - r, d + r] cut at 0, where r is the bootstrap quantile of how far resampled mean differences
    lie from the estimated one: by the triangle inequality the true distance is inside whenever the
    true mean difference is within r, so coverage is at least ``level`` for large N, zero
    included. It is wider than necessary far from zero. For a metric of your own r is the quantile
    of distance(s*, s) + distance(m*, m), valid for every metric, and wider still. The interval of
    recovered divides the ends of one distance by the far ends of the other, each at half the error
    allowed (Bonferroni); between known means there is none, and all of it goes to the other.

    Standard errors are the bootstrap's.

    Args:
        columns: Of one run, ``[N, k]`` each.
        distance: A name, or a function of two vectors.
        why_not: Why there is no E_randomized, where there is none.
        seed: Of the bootstrap.
        level: Coverage of the intervals.
        resamples: How many bootstrap resamples.
    """
    read = means_reader(columns)
    groups = columns.groups
    centre = read(point(groups))
    check_distance(distance)
    units = min(group.units for group in groups)
    if units < 2:
        note = f"one {'sample' if columns.pools is None else 'pool'}: it has no standard error"
        value = _between(distance, centre.gap, centre.scrubbed, centre.model)
        if centre.span is not None:
            why_not = "one sample cannot show that the model differs from the randomized baseline"
        return (
            Estimate(value, level=level, note=note),
            Estimate.undefined(why_not, level=level, unit="%"),
        )
    drawn = read(_means(columns, seed, resamples, units))
    gap = _length(distance, centre, drawn, "gap", level)
    low, high = max(0.0, gap.value - gap.radius), gap.value + gap.radius
    estimate = Estimate(gap.value, float(gap.replicates.std(ddof=1)), (low, high), level=level)
    if centre.span is None or drawn.span is None:
        return estimate, Estimate.undefined(why_not, level=level, unit="%")
    return estimate, _recovered(distance, centre, drawn, level)


def _means(columns: Columns, seed: int, resamples: int, units: int) -> FloatArray:
    """Resampled means; normal ones where the units are too few, or not alike, to be resampled."""
    groups = columns.groups
    few = columns.pools is not None or columns.strata is not None or units < FEWEST
    means = resampled_means(groups, seed=seed, resamples=resamples)
    if not few:
        return means
    # The spread is brought to what Student's interval has for so few units, or for strata.
    found = jackknife(groups, lambda values: values)
    centre = point(groups)
    sd = means.std(axis=0, ddof=1)
    wanted = np.array(
        [
            t_interval(0.0, float(se), float(freedom), 0.95)[1] / t_interval(0, 1, np.inf, 0.95)[1]
            if se > 0
            else 0.0
            for se, freedom in zip(found.se, found.freedom, strict=True)
        ]
    )
    factor = np.divide(wanted, sd, out=np.zeros_like(sd), where=sd > 0)
    scaled: FloatArray = centre + (means - centre) * factor
    return scaled


def _recovered(distance: str | Distance, centre: Means, drawn: Means, level: float) -> Estimate:
    known = not np.ptp(_field(drawn, "span"), axis=0).any()
    each = level if known else (1 + level) / 2
    top = _length(distance, centre, drawn, "gap", each)
    bottom = _length(distance, centre, drawn, "span", each)
    nearest, farthest = bottom.value - bottom.radius, bottom.value + bottom.radius
    if nearest > 0 and nearest <= _rounding(distance, centre):
        reason = (
            "the model's mean vector and the randomized one are equal but for rounding, so there "
            "is nothing to recover; take a behaviour in which the model differs from outputs of "
            "random rows"
        )
        return Estimate.undefined(reason, level=level, unit="%")
    if not nearest > 0:
        reason = (
            "the model's mean vector and the randomized one cannot be told apart, and recovered "
            "divides by the distance between them. Draw more samples, or take a behaviour in which "
            "the model differs from outputs of random rows"
        )
        return Estimate.undefined(reason, level=level, unit="%")
    value = 100 * (1 - top.value / bottom.value)
    replicates = 100 * (1 - top.replicates / bottom.replicates)
    interval = (
        100 * (1 - (top.value + top.radius) / nearest),
        100 * (1 - max(0.0, top.value - top.radius) / farthest),
    )
    se = float(replicates[np.isfinite(replicates)].std(ddof=1))
    return Estimate(value, se, interval, level=level, unit="%")


def _rounding(distance: str | Distance, centre: Means) -> float:
    """How far apart two mean vectors may be that are equal but for rounding."""
    model, other = centre.model, _field(centre, "randomized")
    size = np.maximum(np.abs(model), np.abs(other))
    step = _EQUAL * np.maximum(size, size.max(initial=0.0))
    turns = np.where(np.arange(len(model)) % 2, -1.0, 1.0)
    found = [_between(distance, sign * step, model + sign * step, model) for sign in (1.0, turns)]
    return max(found)


def _length(
    distance: str | Distance, centre: Means, drawn: Means, what: str, level: float
) -> _Length:
    """The distance between the model's mean and the scrubbed ("gap") or randomized one ("span")."""
    change, changes = _field(centre, what), _field(drawn, what)
    other = "scrubbed" if what == "gap" else "randomized"
    point_, points = _field(centre, other), _field(drawn, other)
    if not callable(distance):
        norm = _NORMS[distance]
        value, replicates, radii = float(norm(change)), norm(changes), norm(changes - change)
    else:
        value = apply_distance(distance, point_, centre.model)
        pairs = list(zip(points, np.broadcast_to(drawn.model, points.shape), strict=True))
        replicates = np.array([apply_distance(distance, a, b) for a, b in pairs])
        radii = np.array(
            [
                apply_distance(distance, a, point_) + apply_distance(distance, b, centre.model)
                for a, b in pairs
            ]
        )
    return _Length(value, replicates, float(np.quantile(radii, level, method="weibull")))


def _field(means: Means, name: str) -> FloatArray:
    found: FloatArray = getattr(means, name)
    return found


def _between(
    distance: str | Distance, change: FloatArray, one: FloatArray, other: FloatArray
) -> float:
    if callable(distance):
        return apply_distance(distance, one, other)
    return float(_NORMS[distance](change))


def vector_distance(distance: str | Distance, one: FloatArray, other: FloatArray) -> float:
    """How far apart two vectors ``[k]`` are.

    Raises:
        MetricError: There is no such distance, or the function gives no distance.
    """
    check_distance(distance)
    return _between(distance, one - other, one, other)


def check_distance(distance: str | Distance) -> str | Distance:
    """A name of a distance, or a function.

    Raises:
        MetricError: It is neither one of the names nor a function.
    """
    known = isinstance(distance, str) and distance in _NORMS
    if not callable(distance) and not known:
        raise MetricError(
            f"distance is {distance!r}; take one of {sorted(_NORMS)}, or a function (a, b) -> "
            "number that is a metric"
        )
    return distance


def apply_distance(distance: Distance, a: FloatArray, b: FloatArray) -> float:
    """A distance function on two vectors.

    Raises:
        MetricError: It gives no number from 0 up.
    """
    found = call_numeric("the distance", distance, a, b)
    value = float(found) if found.size == 1 else float("nan")
    if not value >= 0:
        raise MetricError(f"the distance gave {value}; a distance must be a number from 0 up")
    return value
