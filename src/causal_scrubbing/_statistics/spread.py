"""Beyond the mean of one run: its worst cases, and where its variance comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import MetricError
from causal_scrubbing._format import plain, plural, short
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.intervals import (
    pooled_quantile_interval,
    quantile_interval,
    t_interval,
)
from causal_scrubbing._statistics.resample import stream
from causal_scrubbing._statistics.table import dense
from causal_scrubbing._statistics.values import FloatArray, IntArray, as_values, check_finite

_PARTS = 20
_SMALL = 1e-4


@dataclass(frozen=True)
class WorstCases(Displayed):
    """Upper percentiles of a behaviour, worst last.

    Attributes:
        name: The behaviour.
        probabilities: Shares of the samples that are no worse.
        percentiles: The behaviour at those shares, with distribution-free intervals.
        worst: The worst value seen. It bounds nothing: a larger run would find a worse one.
    """

    name: str
    probabilities: tuple[float, ...]
    percentiles: tuple[Estimate, ...]
    worst: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values: dict[str, Any] = plain(self)
        return values

    def __repr__(self) -> str:
        return f"WorstCases({self.name}: {len(self.percentiles)} percentiles; print it to see them)"

    def __str__(self) -> str:
        lines = [f"{self.name}: worst cases"]
        for probability, estimate in zip(self.probabilities, self.percentiles, strict=True):
            lines.append(f"  {probability:>6.1%}  {estimate.ranged()}")
        return "\n".join([*lines, f"  worst   {short(self.worst, 4)}"])


def worst_cases(
    name: str,
    values: Any,
    *,
    probabilities: Sequence[float] = (0.5, 0.9, 0.95, 0.99),
    pools: IntArray | None = None,
    lower_is_better: bool = True,
    level: float = 0.95,
) -> WorstCases:
    """Estimate how bad the worst samples are.

    Intervals run between order statistics, hold for every distribution, and cover at least at
    their level. An end is infinite where there are too few samples to bound the percentile; the
    estimate's note then says how many it takes. Standard errors are the interval's width in normal
    standard deviations, infinite where an end is.

    Samples of one pool depend on each other; with `pools` the intervals are by pool, and right for
    many pools (see :func:`causal_scrubbing._statistics.intervals.pooled_quantile_interval`).

    Args:
        name: The behaviour, for messages.
        values: ``[N]``.
        probabilities: Shares of samples that are no worse, strictly between 0 and 1.
        pools: The pool of each sample, ``[N]``, as in :class:`Triples`.
        lower_is_better: Whether large values are the bad ones (a loss).
        level: Coverage of the intervals.

    Raises:
        MetricError: If values are vectors or not finite, or a probability is out of range.
    """
    from scipy import stats

    array = as_values(name, values)
    if array.ndim != 1:
        raise MetricError(f"metric {name!r} gives vectors; take the percentiles of one component")
    check_finite(name, "sample", array)
    outside = [p for p in probabilities if not 0 < p < 1]
    if outside:
        raise MetricError(f"probabilities {outside} are not strictly between 0 and 1")
    sign = 1.0 if lower_is_better else -1.0
    ordered = np.sort(sign * array)
    units = dense(pools)
    width = 2 * float(stats.norm.ppf((1 + level) / 2))
    estimates = []
    for probability in probabilities:
        if units is None:
            low, high = quantile_interval(ordered, probability, level)
        else:
            low, high = pooled_quantile_interval(sign * array, units, probability, level)
        note = None
        if math.isinf(high - low) and units is not None:
            count = int(units.max()) + 1
            origin = f"{count} {plural(count, 'pool')}"
            note = f"{len(array)} samples from {origin} cannot bound it, take more pools"
        elif math.isinf(high - low):
            tail = math.log((1 - level) / 2)
            needed = math.ceil(max(tail / math.log(q) for q in (probability, 1 - probability)))
            note = f"{len(array)} samples cannot bound it, it takes {needed}"
        ends = (low, high) if lower_is_better else (-high, -low)
        value = sign * float(np.quantile(ordered, probability))
        se = (high - low) / width
        estimates.append(Estimate(value, se, ends, n=len(array), level=level, note=note))
    return WorstCases(name, tuple(probabilities), tuple(estimates), sign * float(ordered[-1]))


@dataclass(frozen=True)
class VarianceSplit(Displayed):
    """Variance of one sample = variance between reference rows + mean variance within a row.

    Attributes:
        total: Variance of a sample.
        rows: Of the mean behaviour of a reference row, over rows: more reference rows reduce it.
        resampling: Of repeated scrubs of one reference row, averaged over rows.
        repeated: How many reference rows were drawn more than once.
    """

    total: Estimate
    rows: Estimate
    resampling: Estimate
    repeated: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values: dict[str, Any] = plain(self)
        return values

    def __repr__(self) -> str:
        return f"VarianceSplit(total {self.total}; print it to see its parts)"

    def __str__(self) -> str:
        return (
            f"variance of a sample    {self.total}\n"
            f"  from reference rows   {self.rows}\n"
            f"  from resampling       {self.resampling} "
            f"({self.repeated} {plural(self.repeated, 'row was', 'rows were')} scrubbed more than "
            "once)"
        )


def split_variance(
    name: str,
    values: Any,
    rows: IntArray,
    *,
    weights: npt.ArrayLike | None = None,
    pools: IntArray | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> VarianceSplit:
    """Split the variance of a behaviour into reference rows and resampling.

    Reference rows are drawn with replacement, so some repeat, and repeats of one row differ by
    resampling alone. With y_ij the j-th of n_i samples of row i, the law of total variance gives
    Var(y) = Var_i(m_i) + E_i(v_i). Var(y) is estimated by the sample variance (samples are
    independent), E_i(v_i) by the mean of rows' sample variances with weights
    w_i (n_i - 1) / E(n_i - 1 if n_i > 0), which undoes that likely rows repeat more often; for
    uniform rows that is the pooled within-row mean square of the one-way random-effects analysis
    (Searle, Casella and McCulloch 1992, Variance Components, 3.6). The rest is the rows'; sampling
    noise can make it negative, it is then reported as it is, with a note.
    Intervals are Student's, from leaving out each of 20 random parts of the samples. With `pools` a
    part holds whole pools. Draws in a pool are from fewer rows and a little more often the row
    itself, which makes the resampling's variance too small by about the share of those. How often
    rows of unequal weights repeat in pools is not known here, so there the split is undefined.

    Args:
        name: The behaviour, for messages.
        values: ``[N]``.
        rows: The reference row of each sample, ``[N]``.
        weights: The weight w_i in D of each sample's reference row, ``[N]``; None for uniform.
        pools: The pool of each sample, ``[N]``, as in :class:`Triples`.
        seed: Of the parts.
        level: Coverage of the intervals.

    Raises:
        MetricError: If values are vectors or not finite, or lengths differ.
    """
    array = as_values(name, values, len(rows))
    if array.ndim != 1:
        raise MetricError(f"metric {name!r} gives vectors; split the variance of one component")
    check_finite(name, "sample", array)
    share = None if weights is None else as_values("weights", weights, len(rows))
    inverse = np.unique(rows, return_inverse=True)[1]
    counts = np.bincount(inverse)
    repeated, n = int((counts > 1).sum()), len(array)
    centred = array - array.mean()
    whole = _parts_of_variance(centred, inverse, share)
    if n < 2:
        none = Estimate.undefined("one sample has no variance; draw more", n=n, level=level)
        return VarianceSplit(none, none, none, repeated)
    units = np.arange(n) if pools is None else dense(pools)
    count = int(units.max()) + 1
    parts = min(_PARTS, count)
    label = stream(seed, "~variance").permutation(np.arange(count) % parts)[units]
    left_out = np.array(
        [
            _parts_of_variance(
                centred[label != part],
                inverse[label != part],
                None if share is None else share[label != part],
            )
            for part in range(parts)
        ]
    )
    spread = ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)
    errors = np.sqrt(spread * (parts - 1) / parts)
    if parts < 2:
        errors[:] = np.nan
    estimates = []
    for value, se in zip(whole.tolist(), errors.tolist(), strict=True):
        if math.isnan(value):
            reason = (
                "no reference row was drawn twice, so resampling cannot be told from rows; draw "
                "more samples, or scrub the same reference rows several times"
            )
            estimates.append(Estimate.undefined(reason, n=n, level=level))
        elif math.isnan(se):
            note = (
                "one pool: it has no standard error"
                if parts < 2
                else "too few reference rows were drawn twice for a standard error"
            )
            estimates.append(Estimate(value, n=n, level=level, note=note))
        else:
            ends = t_interval(value, se, parts - 1, level)
            below = "below zero by sampling noise: the truth is near zero" if value < 0 else None
            estimates.append(Estimate(value, se, ends, n=n, level=level, note=below))
    if pools is not None and share is not None:
        reason = (
            "rows have unequal weights and samples come from pools, where it is not known how "
            "often rows repeat; run without pool= to split the variance"
        )
        estimates[1:] = [Estimate.undefined(reason, n=n, level=level)] * 2
    return VarianceSplit(estimates[0], estimates[1], estimates[2], repeated)


def _parts_of_variance(
    values: FloatArray, inverse: npt.NDArray[np.intp], share: FloatArray | None
) -> FloatArray:
    """Total, between rows, within rows; NaN where not estimable."""
    n = len(values)
    if n < 2:
        return np.full(3, np.nan)
    total = float(values.var(ddof=1))
    counts = np.bincount(inverse)
    means = np.bincount(inverse, weights=values) / np.maximum(counts, 1)
    squares = np.bincount(inverse, weights=(values - means[inverse]) ** 2)
    some = counts > 1
    if not some.any():
        return np.array([total, np.nan, np.nan])
    weight = np.ones(int(some.sum()))
    if share is not None:
        w = np.zeros(len(counts))
        w[inverse] = share
        weight = w[some] / _expected_repeats(w[some], n)
    within = float((weight * squares[some]).sum() / (weight * (counts[some] - 1)).sum())
    return np.array([total, total - within, within])


def _expected_repeats(w: FloatArray, n: int) -> FloatArray:
    """E(n_i - 1 if n_i > 0, else 0) = n w - 1 + (1 - w)^n, by its series where that cancels."""
    with np.errstate(divide="ignore"):
        exact = n * w + np.expm1(n * np.log1p(-w))
    return np.where(n * w < _SMALL, n * (n - 1) / 2 * w**2, exact)
