"""The scrubbed model and the model itself, compared on the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import MetricError
from causal_scrubbing._format import alike, plain, plural
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.resample import Group
from causal_scrubbing._statistics.table import Table, check_settings, dense
from causal_scrubbing._statistics.values import FloatArray, IntArray, as_values, check_finite

RANDOM_ROW: Final = "a random row's"
_NOTHING: Final = "nothing changes, so that nothing can cancel"


@dataclass(frozen=True)
class Measure:
    """One comparison with the model's own output: for the scrubbed model, and for the zero.

    The zero is a random row's output, or that of the hypothesis that is the run's baseline.
    """

    name: str
    scrubbed: Estimate
    randomized: Estimate


@dataclass(frozen=True)
class WorstInput:
    """A reference row whose output moved far: mean measure and behaviours over its samples."""

    row: int
    samples: int
    measure: float
    model: float
    scrubbed: float


@dataclass(frozen=True)
class FunctionComparison(Displayed):
    """How far the scrubbed model is from the model as a function of the input.

    Everything counts samples: a reference row that was drawn more than once counts each time, and
    its samples differ by what was swapped in. So the change that cancels does so between samples,
    of one input or of several; most runs draw too few of a row to tell those two apart.

    Attributes:
        measures: Means over samples of per-input comparisons of outputs.
        better: Percent of samples whose behaviour improved by more than ``tolerance``.
        worse: Percent that got worse.
        same: Percent that did neither.
        mean_change: Mean of scrubbed - model, the gap.
        mean_absolute_change: Mean of abs(scrubbed - model).
        cancelled: Percent of the change that the mean hides,
            100 (1 - abs(mean change) / mean abs change); NaN where nothing changed.
        worst_by: The measure that ranks ``worst``.
        worst: Reference rows from the worst on.
        tolerance: Changes up to tolerance * (1 + abs(model)) count as none.
        samples: How many samples there are.
        rows: How many reference rows they have.
        zero: Whose output ``Measure.randomized`` is about, in words.
    """

    measures: tuple[Measure, ...]
    better: Estimate
    worse: Estimate
    same: Estimate
    mean_change: Estimate
    mean_absolute_change: Estimate
    cancelled: float
    worst_by: str
    worst: tuple[WorstInput, ...]
    tolerance: float
    samples: int
    rows: int
    zero: str = RANDOM_ROW

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; where there is no number, ``reason`` says why."""
        values: dict[str, Any] = plain(self)
        values["cancelled_reason"] = _NOTHING if np.isnan(self.cancelled) else None
        for bad, entry in zip(self.worst, values["worst"], strict=True):
            finite = np.isfinite(bad.measure)
            entry["reason"] = None if finite else f"{self.worst_by} has no finite mean on this row"
        return values

    def __repr__(self) -> str:
        return f"FunctionComparison(mean change {self.mean_change}; print it to see it all)"

    def __str__(self) -> str:
        lines = ["against the model's own output on the same input:"]
        lines += [
            f"  {measure.name:<16} {measure.scrubbed}"
            + (f"   ({self.zero}: {measure.randomized})" if measure.randomized.defined else "")
            for measure in self.measures
        ]
        lines += [
            f"{self.samples} {plural(self.samples, 'sample')} on {self.rows} "
            f"{plural(self.rows, 'row')}: better {self.better}, worse {self.worse}, the same "
            f"{self.same}"
        ]
        hidden = (
            "nothing changes"
            if np.isnan(self.cancelled)
            else f"{self.cancelled:.1f}% of the change cancels between samples"
        )
        lines += [
            f"mean change {self.mean_change}, mean absolute change {self.mean_absolute_change}: "
            + hidden
        ]
        if self.worst:
            lines += [f"worst inputs by {self.worst_by}:"]
            lines += [f"  {'row':>8}{self.worst_by:>17}{'model':>12}{'scrubbed':>12}{'samples':>9}"]
            lines += [
                f"  {bad.row:>8}{measure:>17}{model:>12}{scrubbed:>12}{bad.samples:>9}"
                for bad, measure, model, scrubbed in zip(
                    self.worst,
                    alike([bad.measure for bad in self.worst]),
                    alike([bad.model for bad in self.worst]),
                    alike([bad.scrubbed for bad in self.worst]),
                    strict=True,
                )
            ]
        return "\n".join(lines)


def compare_functions(
    measures: Mapping[str, FloatArray],
    *,
    model: FloatArray,
    scrubbed: FloatArray,
    rows: IntArray,
    randomized: Mapping[str, FloatArray] | None = None,
    pools: IntArray | None = None,
    lower_is_better: bool = True,
    worst: int = 10,
    tolerance: float = 1e-6,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
    zero: str = RANDOM_ROW,
) -> FunctionComparison:
    """Compare two functions from per-sample numbers.

    Args:
        measures: Comparisons of the scrubbed output with the model's own, ``[N]`` each, from
            :func:`causal_scrubbing._metrics.output_measures`. The first one ranks the worst inputs.
        model: The behaviour of the model on each sample, ``[N]``.
        scrubbed: The behaviour of the scrubbed model, ``[N]``.
        rows: The reference row of each sample, ``[N]``.
        randomized: The same measures for the output of a random row, for scale.
        pools: The pool of each sample, as in :class:`Triples`.
        lower_is_better: Whether a smaller behaviour is better (a loss).
        worst: How many inputs to list.
        tolerance: See :class:`FunctionComparison`.
        seed: Of the bootstrap.
        level: Coverage of the intervals.
        resamples: How many bootstrap resamples.
        zero: Whose output ``randomized`` is about, in words.

    Raises:
        MetricError: If arrays differ in length, or a behaviour is not finite.
    """
    check_settings(level, resamples)
    n = len(rows)
    if not measures:
        raise MetricError("no measure was given; pass what output_measures gives")
    given = {"model": model, "scrubbed": scrubbed}
    values = {name: as_values(name, array, n) for name, array in given.items()}
    for name, array in values.items():
        if array.ndim != 1:
            raise MetricError(
                f"the behaviour ({name}) is a vector of {array.shape[1]} numbers, of which none is "
                "better or worse; compare one component"
            )
        check_finite(name, "behaviour", array)
    change = values["scrubbed"] - values["model"]
    moved = np.abs(change) > tolerance * (1 + np.abs(values["model"]))
    gain = -change if lower_is_better else change
    columns = [
        *(100.0 * part for part in (moved & (gain > 0), moved & (gain < 0), ~moved)),
        change,
        np.abs(change),
    ]

    def means(arrays: list[FloatArray], units: list[str]) -> list[Estimate]:
        group = Group(np.stack(arrays, axis=1), dense(pools))
        table = Table([group], lambda mean: mean, seed, resamples)
        return [
            replace(table.estimate(index, level, unit), n=n) for index, unit in enumerate(units)
        ]

    better, worse, same, mean_change, absolute = means(columns, ["%", "%", "%", "", ""])
    absolute_mean = absolute.mean
    cancelled = (
        100 * max(0.0, 1 - abs(mean_change.mean) / absolute_mean) if absolute_mean else np.nan
    )

    def estimate(name: str, source: Mapping[str, FloatArray] | None) -> Estimate:
        if source is None or name not in source:
            return Estimate.undefined("no such output was measured", level=level)
        array = as_values(name, source[name], n)
        bad = int((~np.isfinite(array)).sum())
        if bad:
            reason = f"{name} is infinite or NaN on {bad} of {n} samples, so it has no mean"
            return Estimate.undefined(reason, n=n, level=level)
        return means([array], [""])[0]

    table = tuple(
        Measure(name, estimate(name, measures), estimate(name, randomized)) for name in measures
    )
    first = next(iter(measures))
    ranked = _worst(rows, as_values(first, measures[first], n), values, worst, first)
    return FunctionComparison(
        table,
        better,
        worse,
        same,
        mean_change,
        absolute,
        float(cancelled),
        first,
        ranked,
        tolerance,
        n,
        len(np.unique(rows)),
        zero,
    )


def _worst(
    rows: IntArray, measure: FloatArray, values: Mapping[str, FloatArray], most: int, name: str
) -> tuple[WorstInput, ...]:
    """Rank reference rows by the mean of their samples' measure."""
    found, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True)

    def mean(array: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(inverse, weights=array) / counts, dtype=np.float64)

    distance, model, scrubbed = mean(measure), mean(values["model"]), mean(values["scrubbed"])
    # Agreement is the one measure of which a small value is bad.
    order = np.argsort(distance if name == "agreement" else -distance, kind="stable")[:most]
    return tuple(
        WorstInput(
            int(found[i]), int(counts[i]), float(distance[i]), float(model[i]), float(scrubbed[i])
        )
        for i in order
    )
