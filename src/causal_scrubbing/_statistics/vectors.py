"""The gap of a behaviour that is a vector: a distance between two mean vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.resample import Group, point, resampled_means
from causal_scrubbing._statistics.values import FloatArray, IntArray

Distance = Callable[[FloatArray, FloatArray], float]
"""A metric on vectors ``[k]``: symmetric, zero for equal vectors, with the triangle inequality."""

_NORMS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "euclidean": lambda x: np.sqrt((x**2).sum(axis=-1)),
    "manhattan": lambda x: np.abs(x).sum(axis=-1),
    "max": lambda x: np.abs(x).max(axis=-1),
}


def vector_gap(
    scrubbed: FloatArray,
    model: FloatArray,
    *,
    pools: IntArray | None = None,
    distance: str | Distance = "euclidean",
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
) -> Estimate:
    """Estimate the distance between the mean vectors of ``scrubbed`` and ``model``, both [N, k].

    A distance is never negative, and its plug-in estimate is too large by about the noise's own
    length, so the usual bootstrap intervals miss a true zero. Here the interval is
    [d - r, d + r] cut at 0, where r is the bootstrap quantile of how far resampled mean differences
    lie from the estimated one: by the triangle inequality the true distance is inside whenever the
    true mean difference is within r, so coverage is at least ``level`` for large N, zero
    included. It is wider than necessary far from zero. For a metric of your own r is the quantile
    of distance(s*, s) + distance(m*, m), valid for every metric, and wider still.

    The standard error is the bootstrap's. With ``pools``, pools are resampled instead of samples.
    """
    width = scrubbed.shape[1]
    if callable(distance):
        groups = [Group(np.concatenate([scrubbed, model], axis=1), pools)]
    else:
        norm = _norm(distance)
        groups = [Group(scrubbed - model, pools)]
    centre = point(groups)
    if callable(distance):
        value = _apply(distance, centre[:width], centre[width:])
    else:
        value = float(norm(centre))
    if groups[0].units < 2:
        note = f"one {'sample' if pools is None else 'pool'}: it has no standard error"
        return Estimate(value, n=len(scrubbed), level=level, note=note)
    means = resampled_means(groups, seed=seed, resamples=resamples)
    if not callable(distance):
        distances, radii = norm(means), norm(means - centre)
    else:
        left, right = means[:, :width], means[:, width:]
        distances = np.array([_apply(distance, a, b) for a, b in zip(left, right, strict=True)])
        radii = np.array(
            [
                _apply(distance, a, centre[:width]) + _apply(distance, b, centre[width:])
                for a, b in zip(left, right, strict=True)
            ]
        )
    radius = float(np.quantile(radii, level, method="weibull"))
    interval = (max(0.0, value - radius), value + radius)
    return Estimate(value, float(distances.std(ddof=1)), interval, n=len(scrubbed), level=level)


def _norm(distance: str) -> Callable[[FloatArray], FloatArray]:
    if distance not in _NORMS:
        raise MetricError(
            f"distance is {distance!r}; take one of {sorted(_NORMS)}, or a function (a, b) -> "
            "number that is a metric"
        )
    return _NORMS[distance]


def _apply(distance: Distance, a: FloatArray, b: FloatArray) -> float:
    value = float(distance(a, b))
    if not value >= 0:
        raise MetricError(f"the distance gave {value}; a distance must be a number from 0 up")
    return value
