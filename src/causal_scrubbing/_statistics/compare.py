"""Two runs on common reference rows, and many tests at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from causal_scrubbing._errors import MetricError
from causal_scrubbing._format import plain, short
from causal_scrubbing._statistics.columns import Columns, means_reader
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.of_means import OfMeans, along_last, slope_of
from causal_scrubbing._statistics.permute import swap_test_of_mean
from causal_scrubbing._statistics.resample import Statistic
from causal_scrubbing._statistics.table import Table, check_settings, dense
from causal_scrubbing._statistics.triples import Triples
from causal_scrubbing._statistics.values import FloatArray


@dataclass(frozen=True)
class RunComparison:
    """Two runs compared sample by sample.

    Attributes:
        difference: Mean of the first run's scrubbed values minus the second's.
        recovered: Percent recovered by the first minus that by the second, or undefined.
        p_value: Two-sided, of "which run a scrubbed value came from makes no difference".
        permutations: How many swap patterns the p-value rests on.
        assumption: When the p-value is exact and when it is right for large N only.
    """

    difference: Estimate
    recovered: Estimate
    p_value: float
    permutations: int
    assumption: str = (
        "exact if swapping the two runs' values on a sample leaves their joint law unchanged; "
        "of equal means alone, right for large N"
    )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values: dict[str, Any] = plain(self)
        return values

    def __str__(self) -> str:
        low, high = self.difference.bounds() or ("", "")
        return (
            f"difference  {self.difference} [{low}, {high}]\n"
            f"recovered   {self.recovered}\n"
            f"p           {short(self.p_value, 3)} ({self.permutations} swaps; {self.assumption})"
        )


def compare_runs(
    first: Triples,
    second: Triples,
    *,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
    permutations: int = 9999,
    apart: str | None = None,
) -> RunComparison:
    """Compare the scrubbed values of two runs on the same reference rows.

    Differences are taken sample by sample, so what both runs share (the reference row, and the
    draws of claims they have in common) cancels. Intervals bootstrap whole samples of both runs.

    Args:
        first: The run that others are compared with.
        second: Another.
        seed: Of bootstrap and swaps.
        level: Coverage of the intervals.
        resamples: How many bootstrap resamples.
        permutations: How many swap patterns at most.
        apart: Why percentages of the two runs are not on one scale, such as other zeros; their
            difference is then undefined, with this reason.

    Raises:
        MetricError: If the runs are not paired: other numbers of samples, a behaviour that is a
            vector, or other values of the model itself (beyond float32 rounding).
    """
    check_settings(level, resamples)
    _check_paired(first, second)
    n = len(first)
    columns = first.columns("first.")
    columns = second.columns("second.", columns)
    columns.main["difference"] = columns.main["first.gap"] - columns.main["second.gap"]
    read, number = _reader(columns, first)
    zero = read(np.zeros(columns.width)).shape[-1] == 4
    table = Table(columns.groups, read, seed, resamples)
    change = first.scrubbed - second.scrubbed
    if change.ndim == 2:  # a function of means, to first order
        middle = (first.scrubbed + second.scrubbed) / 2
        change = change @ slope_of(number, middle.mean(axis=0), middle.std(axis=0))
    p_value, patterns = swap_test_of_mean(
        change, seed=seed, permutations=permutations, pools=dense(first.pools)
    )
    recovered = (
        _recovered_difference(table, zero, level, n)
        if apart is None
        else Estimate.undefined(apart, n=n, level=level, unit="%")
    )
    difference = replace(table.estimate(0, level), n=n)
    return RunComparison(difference, recovered, p_value, patterns)


def _reader(columns: Columns, run: Triples) -> tuple[Statistic, OfMeans]:
    """What reads the difference, both spans and the difference of percentages off the means."""
    get = columns.reader()
    one, other = means_reader(columns, "first."), means_reader(columns, "second.")
    number: OfMeans = (lambda m: m[..., 0]) if run.of_means is None else along_last(run.of_means)

    def statistic(means: FloatArray) -> FloatArray:
        a, b = one(means), other(means)
        if run.of_means is None:
            difference = number(get(means, "difference")) + number(a.model - b.model)
            gaps = (number(a.gap), number(b.gap))
        else:
            difference = number(a.scrubbed) - number(b.scrubbed)
            gaps = (number(a.scrubbed) - number(a.model), number(b.scrubbed) - number(b.model))
        if a.span is None or b.span is None or a.randomized is None or b.randomized is None:
            return difference[..., None]
        if run.of_means is None:
            spans = (number(a.span), number(b.span))
        else:
            spans = (number(a.model) - number(a.randomized), number(b.model) - number(b.randomized))
        with np.errstate(divide="ignore", invalid="ignore"):
            points = 100 * (gaps[0] / spans[0] - gaps[1] / spans[1])
        return np.stack([difference, *spans, points], axis=-1)

    return statistic, number


def _recovered_difference(table: Table, both: bool, level: float, n: int) -> Estimate:
    if not both:
        reason = "a run has no randomized values on these reference rows"
        return Estimate.undefined(reason, n=n, level=level, unit="%")
    for index, which in ((1, "first"), (2, "second")):
        low, high = table.estimate(index, 0.95).interval
        if not (low > 0 or high < 0):
            reason = f"percent recovered is undefined for the {which} run"
            return Estimate.undefined(reason, n=n, level=level, unit="%")
    return replace(table.estimate(3, level, "%"), n=n)


def _check_paired(first: Triples, second: Triples) -> None:
    problem = None
    for run in (first, second):
        if run.scrubbed.ndim != 1 and run.of_means is None:
            raise MetricError(
                f"the behaviour {run.name!r} is a vector of {run.scrubbed.shape[1]} numbers, and "
                f"runs are compared by one number a row: compare a component, {run.name}[0]"
            )
    if (first.known is None) != (second.known is None):
        problem = "the behaviour on every row of the data is known to one of them alone"
    elif len(first) != len(second):
        problem = f"one has {len(first)} samples and the other {len(second)}"
    elif not np.allclose(first.model, second.model, rtol=1e-4, atol=1e-6):
        problem = "the model's own values differ, so the reference rows or the metric do"
    elif (first.pools is None) != (second.pools is None) or (
        first.pools is not None
        and second.pools is not None
        and not np.array_equal(first.pools, second.pools)
    ):
        problem = "their samples come from other pools"
    if problem:
        raise MetricError(
            f"runs {first.name!r} and {second.name!r} are not paired: {problem}. Run both with "
            "the same data, metric, seed and number of samples"
        )


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p-values so that the chance of any false rejection stays below the level.

    Step-down Bonferroni, valid under any dependence (Holm 1979, A Simple Sequentially Rejective
    Multiple Test Procedure, Scandinavian Journal of Statistics 6).

    Args:
        p_values: ``[m]``, in any order; the adjusted ones come back in that order.
    """
    p, order = _ordered(p_values)
    m = len(p)
    adjusted = np.maximum.accumulate(np.minimum(p * (m - np.arange(m)), 1.0))
    return _restored(adjusted, order)


def benjamini_hochberg(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p-values so that the expected share of false rejections stays below the level.

    Valid for independent tests and under positive regression dependence (Benjamini and Hochberg
    1995, Journal of the Royal Statistical Society B 57; Benjamini and Yekutieli 2001).

    Args:
        p_values: ``[m]``, in any order; the adjusted ones come back in that order.
    """
    p, order = _ordered(p_values)
    m = len(p)
    scaled = np.minimum(p * m / np.arange(1, m + 1), 1.0)
    return _restored(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _ordered(p_values: npt.ArrayLike) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise MetricError("p-values must be a list of numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    return p[order], order


def _restored(adjusted: FloatArray, order: npt.NDArray[np.intp]) -> FloatArray:
    restored = np.empty_like(adjusted)
    restored[order] = adjusted
    return restored
