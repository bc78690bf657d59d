"""The model's values as a control variate: their mean over D is known, so their noise can go.

E_scrubbed is the mean of scrubbed - b (model - E_model) for any b that does not depend on the
sample it is applied to, as model - E_model has mean zero. The best b is the slope of the regression
of scrubbed on model (Owen 2013, Monte Carlo theory, methods and examples, 8.9). Fitted on all
samples it would correct each sample by itself and be biased by a term of order 1/N; here each
sample's b is fitted on all other samples (leave-one-out), so there is no bias at any N. Where the
other samples do not vary, b is 1: the plain paired difference.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from causal_scrubbing._statistics.values import FloatArray, IntArray

_FLAT: Final = 1e-12
"""Variance left, as a share of all of it or of the change's, that rounding could have made."""


def paired_changes(
    values: FloatArray, model: FloatArray, mean: FloatArray, units: IntArray | None = None
) -> FloatArray:
    """Each sample's value minus E_model, the noise of its model value taken off.

    Args:
        values: Of the scrubbed model, ``[N, k]``.
        model: Of the model on the same samples, ``[N, k]``.
        mean: E_model, ``[k]``.
        units: Which independent unit each sample is of, ``[N]`` from 0; None if samples are
            independent. A unit's b is fitted on all other units.

    Returns:
        ``values - mean - b (model - mean)``, ``[N, k]``: their mean is the gap. Where values equal
        the model's it is exactly 0.
    """
    slopes = slopes_without_own(values, model, units)
    return (values - model) - (slopes - 1) * (model - mean)


def slopes_without_own(
    values: FloatArray, model: FloatArray, units: IntArray | None = None
) -> FloatArray:
    """The slope of values on model over all units but a sample's own, ``[N, k]``.

    With units it is the slope of their means: those of samples that depend on each other, as of one
    scrambling of Sobol' points, vary together in another way than single samples do.
    """
    # Measured from the centre: the slope does not change, and less is lost to rounding.
    x = model - model.mean(axis=0)
    z = values - model  # the slope of the change; b is one more, and exactly one without change
    z = z - z.mean(axis=0)
    if units is not None:
        slope = _leave_one_out(_unit_means(x, units), _unit_means(z, units))
        return slope[units]
    return _leave_one_out(x, z)


def _unit_means(values: FloatArray, units: IntArray) -> FloatArray:
    counts = np.bincount(units)[:, None]
    sums = np.stack([np.bincount(units, column) for column in values.T], axis=1)
    return np.asarray(sums / counts, dtype=np.float64)


def _leave_one_out(x: FloatArray, z: FloatArray) -> FloatArray:
    moments = np.stack([np.ones_like(x), x, z, x * x, x * z])
    count, sum_x, sum_z, sum_xx, sum_xz = moments.sum(axis=1)[:, None] - moments
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = sum_xx - sum_x * sum_x / count
        slope = 1 + (sum_xz - sum_x * sum_z / count) / spread
    whole = np.maximum((x * x).sum(axis=0), (z * z).sum(axis=0))
    return np.where((count > 1) & (spread > _FLAT * whole), slope, 1.0)
