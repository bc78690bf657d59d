"""The numbers a scrub reports of one behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from causal_scrubbing._display import Displayed
from causal_scrubbing._format import plain, short
from causal_scrubbing._statistics.columns import Columns, Means, means_reader
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.intervals import t_interval
from causal_scrubbing._statistics.of_means import OfMeans
from causal_scrubbing._statistics.resample import jackknife
from causal_scrubbing._statistics.table import ONE_POOL, ONE_SAMPLE, Table
from causal_scrubbing._statistics.values import FloatArray

NO_BASELINE: Final = (
    "there is no randomized baseline: the metric is inside the graph and no node was named to "
    "randomize (pass randomize='NODE', the node whose value a random row should give, or baseline=)"
)
KINDS: Final = ("model", "scrubbed", "randomized", "gap", "recovered")
_ABOVE = (
    "above 100%: the scrubbed model scores further from the randomized baseline than the model "
    "itself does. The swaps removed something that worked against the behaviour, or gains on some "
    "inputs cancel losses on others; compare the functions input by input"
)
_NOISE = (
    "outside 0% to 100% by no more than sampling noise: its interval reaches inside. Draw more "
    "samples to see whether it stays outside"
)
_BELOW = (
    "below 0%: the scrubbed model scores on the far side of the randomized baseline. The swaps "
    "made the model wrong more confidently than outputs of random rows are, often because claims "
    "break a correlation between activations that the model relies on"
)
_EQUAL: Final = 1e-9
"""Means that differ by less, as a share of their size, differ by rounding."""

_ROUNDING: Final = 1e-6
"""A gap below this share of the behaviour's size may be float32 rounding."""

_WORTH_TELLING: Final = 1.05
_MOST_DECIMALS: Final = 12
_NEARLY: Final = 95.0
_TIMES: Final = 3.0
"""A loss so many times the model's is another story than the percentage near 100% beside it."""


@dataclass(frozen=True, repr=False)
class Scores(Displayed):
    """The five estimates of one metric: E_model, E_scrubbed, E_randomized, gap and recovered.

    Of a behaviour that is a vector only gap and recovered are defined, which are about distances,
    and `components` has the estimates of each of its numbers, made when first asked for; it is
    empty of any other.

    Attributes:
        model: E_model.
        scrubbed: E_scrubbed.
        randomized: E_randomized.
        gap: E_scrubbed - E_model.
        recovered: 100 (E_scrubbed - E_randomized) / (E_model - E_randomized).
        components: Of a vector behaviour.
        log_recovered: 100 log(E_scrubbed / E_randomized) / log(E_model / E_randomized), for a loss
            whose means are all above 0: of how much smaller a loss is, rather than by how much.
        exact: Which of the means have no error: known from every row of D.
        factors: By what factor the squared error of "scrubbed" and "recovered" fell against as many
            independent draws without known means.
        notes: What a reader must know of the estimates as a whole.
    """

    model: Estimate
    scrubbed: Estimate
    randomized: Estimate
    gap: Estimate
    recovered: Estimate
    components: Sequence[Scores] = field(default=(), repr=False, compare=False)
    log_recovered: Estimate = field(
        default_factory=lambda: Estimate.undefined("it was not estimated", unit="%")
    )
    exact: tuple[str, ...] = ()
    factors: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        pair = (self.scrubbed, self.recovered)
        scrubbed, recovered = (str(one) if one.defined else "undefined" for one in pair)
        return f"Scores(scrubbed {scrubbed}, recovered {recovered}; print it)"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is exact, by what factor errors fell, and the notes, in words."""
        lines = []
        if self.exact and (self.gap.defined or self.components):
            names = " and ".join(f"E_{name}" for name in self.exact)
            line = f"{names} {'is' if len(self.exact) == 1 else 'are'} exact"
            fell = [
                f"{name} {short(factor, 2)}"
                for name, factor in self.factors.items()
                if factor >= _WORTH_TELLING
            ]
            if fell:
                line += (
                    "; squared errors are smaller than those of as many independent draws with "
                    f"nothing known, by these factors: {', '.join(fell)}"
                )
            lines.append(line)
        return (*lines, *self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; :meth:`from_dict` gives back equal scores."""
        return {
            **{name: plain(getattr(self, name)) for name in (*KINDS, "log_recovered")},
            "exact": list(self.exact),
            "factors": dict(self.factors),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scores:
        """Return the scores that :meth:`to_dict` wrote."""
        model, scrubbed, randomized, gap, recovered = (
            Estimate.from_dict(values[name]) for name in KINDS
        )
        return cls(
            model,
            scrubbed,
            randomized,
            gap,
            recovered,
            log_recovered=Estimate.from_dict(values["log_recovered"]),
            exact=tuple(values["exact"]),
            factors=dict(values["factors"]),
            notes=tuple(values["notes"]),
        )

    def __str__(self) -> str:
        return "\n".join(f"{name:<10}  {getattr(self, name)}" for name in KINDS)


SCRUBBED, MODEL, GAP, RANDOMIZED, SPAN, RECOVERED, LOG = range(7)


def scores_of(
    columns: Columns,
    of_means: OfMeans | None,
    *,
    name: str,
    size: float,
    count: int,
    baseline_count: int,
    why_not: str,
    seed: int,
    level: float,
    resamples: int,
) -> Scores:
    """The estimates that columns give.

    Args:
        columns: Of one run.
        of_means: What the behaviour is of the means of its columns; None for the one mean itself.
        name: The behaviour, for messages.
        size: A typical size of the behaviour, against which rounding is measured.
        count: How many samples there are.
        baseline_count: How many E_randomized rests on.
        why_not: Why there is no E_randomized, where there is none.
        seed: Of the bootstrap.
        level: Coverage of the intervals.
        resamples: How many bootstrap resamples.
    """
    read = means_reader(columns)
    zero = read(np.zeros(columns.width)).span is not None
    table = Table(columns.groups, _numbers(read, of_means), seed, resamples)
    none = Estimate.undefined(why_not, n=count, level=level)
    percent = replace(none, unit="%")
    missing = _no_function(table, of_means, name, zero=zero)
    if missing is not None:
        lost = Estimate.undefined(missing, n=count, level=level)
        lost_percent = replace(lost, unit="%")
        return Scores(lost, lost, lost, lost, lost_percent, log_recovered=lost_percent)
    scrubbed, model, gap = (
        replace(table.estimate(i, level), n=count) for i in (SCRUBBED, MODEL, GAP)
    )
    if not zero:
        return Scores(model, scrubbed, none, gap, percent, log_recovered=percent)
    randomized = replace(table.estimate(RANDOMIZED, level), n=baseline_count)
    recovered = _recovered(table, level, count, size)
    log = _log_recovered(table, level, count)
    if recovered.defined:
        recovered = _spelled_out(recovered, gap, size)
        times = scrubbed.mean / model.mean if model.mean else 0.0
        recovered = _beside_log(recovered, log, gap, times)
    return Scores(model, scrubbed, randomized, gap, recovered, log_recovered=log)


def half_width(columns: Columns, of_means: OfMeans | None, level: float = 0.95) -> float:
    """The half-width of recovered's interval to first order; infinite where it has none."""
    read = means_reader(columns)
    if read(np.zeros(columns.width)).span is None or not columns.groups:
        return float("inf")
    found = jackknife(columns.groups, _numbers(read, of_means))
    se, freedom = float(found.se[RECOVERED]), float(found.freedom[RECOVERED])
    return t_interval(0.0, se, freedom, level)[1] if np.isfinite(se) else float("inf")


def _numbers(read: Any, of_means: OfMeans | None) -> Any:
    def one(values: FloatArray) -> FloatArray:
        return values[..., 0] if of_means is None else of_means(values)

    def statistic(means: FloatArray) -> FloatArray:
        found: Means = read(means)
        if of_means is None:
            scrubbed, model, gap = one(found.scrubbed), one(found.model), one(found.gap)
        else:
            scrubbed, model = one(found.scrubbed), one(found.model)
            gap = np.where((found.gap == 0).all(axis=-1), 0.0, scrubbed - model)
        outputs = [scrubbed, model, gap]
        if found.randomized is not None and found.span is not None:
            randomized = one(found.randomized)
            span = one(found.span) if of_means is None else model - randomized
            with np.errstate(divide="ignore", invalid="ignore"):
                # (S - R) / (M - R) = 1 + gap / span: exactly 100% where no sample moved.
                recovered = 100 * (1 + gap / span)
                log = 100 * np.log(scrubbed / randomized) / np.log(model / randomized)
            outputs += [randomized, span, recovered, log]
        return np.stack(outputs, axis=-1)

    return statistic


def _no_function(table: Table, of_means: OfMeans | None, name: str, *, zero: bool) -> str | None:
    """Why a function of means is no number here."""
    if of_means is None:
        return None
    kinds = ("scrubbed", "model", "gap", "randomized")[: 4 if zero else 3]
    bad = [kind for kind, value in zip(kinds, table.values, strict=False) if not np.isfinite(value)]
    if not bad:
        return None
    return (
        f"{name} is a function of means that has no finite value at the means of "
        f"{', '.join(bad)}, such as a correlation with something that does not vary"
    )


def _recovered(table: Table, level: float, n: int, size: float) -> Estimate:
    if not table.exact and table.units < 2:
        start = "one pool" if table.pooled else "one sample"
        reason = (
            f"{start} cannot show that the model differs from the randomized baseline; draw more"
        )
        return Estimate.undefined(reason, n=n, level=level, unit="%")
    span = table.estimate(SPAN, 0.95)
    low, high = span.interval
    if low <= 0 <= high:
        reason = (
            "the model and the randomized baseline cannot be told apart: the 95% interval of "
            f"E_model - E_randomized is [{', '.join(span.bounds() or ())}] and contains 0, and "
            "recovered divides by that difference. Draw more samples, or take a metric or subset "
            "on which the model differs from outputs of random rows"
        )
        return Estimate.undefined(reason, n=n, level=level, unit="%")
    if abs(span.mean) <= _EQUAL * size:
        reason = (
            "E_model and E_randomized are equal but for rounding, so there is nothing to recover; "
            "take a metric or a subset on which the model differs from outputs of random rows"
        )
        return Estimate.undefined(reason, n=n, level=level, unit="%")
    estimate = replace(table.estimate(RECOVERED, level, "%"), n=n)
    if 0 <= estimate.mean <= 100:
        return estimate
    low, high = estimate.interval
    if low <= 100 and high >= 0:
        return replace(estimate, note=_NOISE)
    return replace(estimate, note=_ABOVE if estimate.mean > 100 else _BELOW)


def _log_recovered(table: Table, level: float, n: int) -> Estimate:
    scrubbed, model, randomized = (float(table.values[i]) for i in (SCRUBBED, MODEL, RANDOMIZED))
    if not (min(scrubbed, model, randomized) > 0 and randomized > model):
        reason = "the log scale is for a loss whose means are all above 0, the model's the smallest"
        return Estimate.undefined(reason, n=n, level=level, unit="%")
    return replace(table.estimate(LOG, level, "%"), n=n)


def _spelled_out(recovered: Estimate, gap: Estimate, size: float) -> Estimate:
    """Enough decimals that what is not 100% (or 0%) is not shown as such."""
    low, high = gap.interval
    clear = (low > 0 or high < 0) and abs(gap.mean) > _ROUNDING * size
    if not clear:
        return recovered
    ends = (recovered.mean, *recovered.interval)
    wanted = 0
    for value in ends:
        for whole in (0.0, 100.0):
            places = 1
            while places < _MOST_DECIMALS and value != whole and round(value, places) == whole:
                places += 1
            wanted = max(wanted, places)
    return replace(recovered, least_decimals=wanted)


def _beside_log(recovered: Estimate, log: Estimate, gap: Estimate, times: float) -> Estimate:
    """Add the log scale where it tells another story: a loss many times the model's."""
    low, high = gap.interval
    if not log.defined or not (low > 0 or high < 0):
        return recovered
    if recovered.mean < _NEARLY or times < _TIMES:
        return recovered
    told = (
        f"scrubbed is {times:.3g} times model; on a log scale, 100 log(scrubbed / randomized) / "
        f"log(model / randomized), it is {log.ranged()}"
    )
    note = told if recovered.note is None else f"{recovered.note}. Also, {told}"
    return replace(recovered, note=note)


__all__ = ["KINDS", "NO_BASELINE", "ONE_POOL", "ONE_SAMPLE", "Scores", "scores_of"]
