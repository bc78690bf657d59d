"""The numbers a scrub reports, from three behaviour values a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final, overload

import numpy as np
import numpy.typing as npt

from causal_scrubbing._errors import MetricError
from causal_scrubbing._format import plain
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.intervals import bca_interval, t_interval
from causal_scrubbing._statistics.resample import (
    Group,
    Statistic,
    jackknife,
    point,
    resampled_means,
)
from causal_scrubbing._statistics.values import (
    BoolArray,
    FloatArray,
    IntArray,
    as_values,
    check_finite,
)
from causal_scrubbing._statistics.vectors import Distance, vector_gap

NO_BASELINE = (
    "there is no randomized baseline: the metric is inside the graph and no node was named to "
    "randomize (pass randomize='NODE', the node whose value a random row should give, or baseline=)"
)
KINDS = ("model", "scrubbed", "randomized", "gap", "recovered")
FEWEST = 10
_ONE_SAMPLE = "one sample: it has no standard error"
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


@dataclass(frozen=True)
class Scores:
    """The five estimates of one metric: E_model, E_scrubbed, E_randomized, gap and recovered.

    Of a behaviour that is a vector only gap is defined, and `components` has the estimates of each
    of its numbers, made when first asked for; it is empty of any other.
    """

    model: Estimate
    scrubbed: Estimate
    randomized: Estimate
    gap: Estimate
    recovered: Estimate
    components: Sequence[Scores] = field(default=(), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; :meth:`from_dict` gives back equal scores."""
        return {name: plain(getattr(self, name)) for name in KINDS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scores:
        """Return the scores that :meth:`to_dict` wrote."""
        model, scrubbed, randomized, gap, recovered = (
            Estimate.from_dict(values[name]) for name in KINDS
        )
        return cls(model, scrubbed, randomized, gap, recovered)

    def __str__(self) -> str:
        return "\n".join(f"{name:<10}  {getattr(self, name)}" for name in KINDS)


@final
class Components(Sequence[Scores]):
    """The estimates of each number of a vector behaviour, each made when it is first asked for."""

    def __init__(
        self, triples: Triples, *, seed: int = 0, level: float = 0.95, resamples: int = 1000
    ) -> None:
        self._triples = triples
        self._settings = (seed, level, resamples)
        self._found: dict[int, Scores] = {}

    def __len__(self) -> int:
        return int(self._triples.scrubbed.shape[1])

    @overload
    def __getitem__(self, index: int) -> Scores: ...

    @overload
    def __getitem__(self, index: slice) -> list[Scores]: ...

    def __getitem__(self, index: int | slice) -> Scores | list[Scores]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        place = range(len(self))[index]
        if place not in self._found:
            seed, level, resamples = self._settings
            one = self._triples.component(place)
            self._found[place] = one.estimate(seed=seed, level=level, resamples=resamples)
        return self._found[place]


@dataclass(frozen=True, eq=False)
class Triples:
    """Behaviour values of N independent samples, three on each reference row.

    Attributes:
        name: The metric, for messages.
        scrubbed: Of the scrubbed model, ``[N]``, or ``[N, k]`` for a behaviour that is a vector.
        model: Of the model itself on the same reference rows, same shape.
        randomized: With the output of a random row, same shape; ``None`` if there is no baseline
            on these reference rows.
        baseline: Of another run, on other reference rows and perhaps another number of them,
            ``[M]`` or ``[M, k]``; stands in for ``randomized`` and is resampled on its own.
        pools: The pool each sample was drawn from, ``[N]`` integers, where samples were drawn from
            random sub-datasets; intervals are then Student's over pools.
        why_not: Why there is neither ``randomized`` nor ``baseline``, shown with ``recovered``.
    """

    name: str
    scrubbed: FloatArray
    model: FloatArray
    randomized: FloatArray | None = None
    baseline: FloatArray | None = None
    pools: IntArray | None = None
    why_not: str = NO_BASELINE

    def __post_init__(self) -> None:
        scrubbed = as_values(self.name, self.scrubbed)
        for what in ("scrubbed", "model", "randomized", "baseline"):
            given = getattr(self, what)
            if given is None:
                continue
            values = as_values(self.name, given)
            if what != "baseline" and values.shape != scrubbed.shape:
                raise MetricError(
                    f"metric {self.name!r}: {what} has shape {list(values.shape)} and scrubbed "
                    f"{list(scrubbed.shape)}; both must be on the same samples. Pass a run on "
                    "other reference rows as baseline"
                )
            if values.shape[1:] != scrubbed.shape[1:]:
                raise MetricError(
                    f"metric {self.name!r}: baseline has shape {list(values.shape)} and scrubbed "
                    f"{list(scrubbed.shape)}; both must come from the same metric"
                )
            check_finite(self.name, what, values)
            object.__setattr__(self, what, values)
        if self.randomized is not None and self.baseline is not None:
            raise MetricError(
                f"metric {self.name!r} has both randomized and baseline values; recovered divides "
                "by one of them, so pass one"
            )
        if self.pools is not None:
            pools = np.asarray(self.pools)
            if pools.shape != (len(scrubbed),) or pools.dtype.kind not in "iu":
                raise MetricError(
                    f"metric {self.name!r}: pools must be {len(scrubbed)} integers, one a sample; "
                    f"they are {pools.dtype} of shape {list(pools.shape)}"
                )
            object.__setattr__(self, "pools", pools.astype(np.int64))

    def __len__(self) -> int:
        return len(self.scrubbed)

    def on(self, subset: npt.ArrayLike, *, baseline: npt.ArrayLike | None = None) -> Triples:
        """Return the triples of some samples.

        Args:
            subset: A mask ``[N]``: True for the samples to keep.
            baseline: The same subset among the samples of the baseline run, ``[M]``; without it a
                baseline on other reference rows says nothing about the subset and is dropped.

        Raises:
            MetricError: If a mask is no mask of that length, or keeps nothing.
        """
        keep = self._mask(subset, len(self), "subset")
        kept = replace(
            self,
            scrubbed=self.scrubbed[keep],
            model=self.model[keep],
            randomized=None if self.randomized is None else self.randomized[keep],
            pools=None if self.pools is None else self.pools[keep],
        )
        if self.baseline is None:
            return kept
        if baseline is None:
            return replace(
                kept,
                baseline=None,
                why_not="the baseline is a run on other reference rows, and was not restricted to "
                "this subset; restrict it too, or score both runs on the same reference rows",
            )
        chosen = self._mask(baseline, len(self.baseline), "subset of the baseline")
        return replace(kept, baseline=self.baseline[chosen])

    def _mask(self, subset: npt.ArrayLike, count: int, what: str) -> BoolArray:
        mask = np.asarray(subset)
        if mask.dtype != np.bool_ or mask.shape != (count,):
            raise MetricError(
                f"metric {self.name!r}: the {what} must be {count} booleans, one a sample; it is "
                f"{mask.dtype} of shape {list(mask.shape)}"
            )
        if not mask.any():
            raise MetricError(
                f"metric {self.name!r}: the {what} keeps none of the {count} samples; draw more "
                "samples or take a larger subset"
            )
        return mask

    def component(self, index: int) -> Triples:
        """Return one number of a vector behaviour as triples of its own."""

        def pick(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[:, index]

        return replace(
            self,
            name=f"{self.name}[{index}]",
            scrubbed=self.scrubbed[:, index],
            model=self.model[:, index],
            randomized=pick(self.randomized),
            baseline=pick(self.baseline),
        )

    def estimate(
        self,
        *,
        seed: int = 0,
        level: float = 0.95,
        resamples: int = 1000,
        distance: str | Distance = "euclidean",
    ) -> Scores:
        """Estimate E_model, E_scrubbed, E_randomized, gap and recovered.

        gap is the mean of scrubbed - model, sample by sample. recovered is
        100 (E_scrubbed - E_randomized) / (E_model - E_randomized), a ratio of means; whole triples
        are resampled, so that the uncertainty of both baselines and all three correlations are in
        its interval. It is undefined where the 95% interval of E_model - E_randomized contains 0
        (whatever ``level`` is). Standard errors are sd / sqrt(N) for means and the jackknife's for
        recovered. Intervals are BCa bootstraps; they are Student's over pools where there are
        pools, and for fewer than 10 samples, whose resamples are too few to have quantiles.

        For a behaviour that is a vector, gap is a distance between the two mean vectors and the
        other estimates are per number: see `Scores.components`.

        Args:
            seed: Of the bootstrap; the same seed gives the same intervals.
            level: Coverage of the intervals.
            resamples: How many bootstrap resamples.
            distance: For vectors: ``"euclidean"``, ``"manhattan"``, ``"max"``, or a metric
                (a, b) -> number.
        """
        check_settings(level, resamples)
        if self.scrubbed.ndim == 2:
            return self._vector(seed, level, resamples, distance)
        return self._scalar(seed, level, resamples)

    def _scalar(self, seed: int, level: float, resamples: int) -> Scores:
        paired = self.randomized is not None
        columns = [self.scrubbed, self.model, self.scrubbed - self.model]
        if self.randomized is not None:
            columns += [self.randomized, self.model - self.randomized]
        groups = [Group(np.stack(columns, axis=1), dense(self.pools))]
        if self.baseline is not None:
            groups.append(Group(self.baseline[:, None]))
        has_baseline = len(columns) == 5 or len(groups) == 2

        def statistic(means: FloatArray) -> FloatArray:
            scrubbed, model, gap = means[..., 0], means[..., 1], means[..., 2]
            outputs = [scrubbed, model, gap]
            if has_baseline:
                randomized = means[..., 3]
                span = means[..., 4] if paired else model - randomized
                with np.errstate(divide="ignore", invalid="ignore"):
                    # (S - R) / (M - R) = 1 + gap / span: exactly 100% where no sample moved.
                    outputs += [randomized, span, 100 * (1 + gap / span)]
            return np.stack(outputs, axis=-1)

        table = Table(groups, statistic, seed, resamples)
        n = len(self)
        none = Estimate.undefined(self.why_not, n=n, level=level)
        randomized, recovered = none, replace(none, unit="%")
        if has_baseline:
            count = n if self.baseline is None else len(self.baseline)
            randomized = replace(table.estimate(3, level), n=count)
            recovered = _recovered(table, level, n)
        scrubbed, model, gap = (replace(table.estimate(i, level), n=n) for i in range(3))
        return Scores(model, scrubbed, randomized, gap, recovered)

    def _vector(self, seed: int, level: float, resamples: int, distance: str | Distance) -> Scores:
        n, width = self.scrubbed.shape
        reason = (
            f"the behaviour is a vector of {width} numbers; the gap is a distance between mean "
            f"vectors, and result[{self.name!r}].components has the estimates of each number, the "
            f"first also called result[{self.name + '[0]'!r}]"
        )
        none = Estimate.undefined(reason, n=n, level=level)
        gap = vector_gap(
            self.scrubbed,
            self.model,
            pools=dense(self.pools),
            distance=distance,
            seed=seed,
            level=level,
            resamples=resamples,
        )
        parts = Components(self, seed=seed, level=level, resamples=resamples)
        return Scores(none, none, none, gap, replace(none, unit="%"), parts)


class Table:
    """A statistic of column means with all that intervals need, computed once for all outputs."""

    def __init__(
        self, groups: list[Group], statistic: Statistic, seed: int, resamples: int
    ) -> None:
        self.values = statistic(point(groups))
        self.jackknife = jackknife(groups, statistic)
        self.units = min(group.units for group in groups)
        self.pooled = any(group.pools is not None for group in groups)
        self.replicates: FloatArray | None = None
        if not self.pooled and self.units >= FEWEST:
            drawn = resampled_means(groups, seed=seed, resamples=resamples)
            self.replicates = statistic(drawn)

    def estimate(self, index: int, level: float, unit: str = "") -> Estimate:
        """Return output ``index`` with its standard error and interval; ``n`` counts units."""
        value, se = float(self.values[index]), float(self.jackknife.se[index])
        if self.units < 2:
            what = "one pool: it has no standard error" if self.pooled else _ONE_SAMPLE
            return Estimate(value, n=self.units, level=level, unit=unit, note=what)
        if self.replicates is None:
            ends = t_interval(value, se, float(self.jackknife.freedom[index]), level)
        else:
            acceleration = float(self.jackknife.acceleration[index])
            ends = bca_interval(
                self.replicates[:, index], value, acceleration, n=self.units, level=level
            )
        return Estimate(value, se, ends, n=self.units, level=level, unit=unit)


def _recovered(table: Table, level: float, n: int) -> Estimate:
    if table.units < 2:
        reason = (
            f"{'one pool' if table.pooled else 'one sample'} cannot show that the model differs "
            "from the randomized baseline; draw more"
        )
        return Estimate.undefined(reason, n=n, level=level, unit="%")
    span = table.estimate(4, 0.95)
    low, high = span.interval
    if low <= 0 <= high:
        reason = (
            "the model and the randomized baseline cannot be told apart: the 95% interval of "
            f"E_model - E_randomized is [{', '.join(span.bounds() or ())}] and contains 0, and "
            "recovered divides by that difference. Draw more samples, or take a metric or subset "
            "on which the model differs from outputs of random rows"
        )
        return Estimate.undefined(reason, n=n, level=level, unit="%")
    estimate = replace(table.estimate(5, level, "%"), n=n)
    if 0 <= estimate.mean <= 100:
        return estimate
    low, high = estimate.interval
    if low <= 100 and high >= 0:
        return replace(estimate, note=_NOISE)
    return replace(estimate, note=_ABOVE if estimate.mean > 100 else _BELOW)


def check_settings(level: float, resamples: int) -> None:
    """Refuse levels that are no coverage and bootstraps too small for one.

    Raises:
        MetricError: If ``level`` is not between 0 and 1 or ``resamples`` below 100.
    """
    if not 0 < level < 1:
        raise MetricError(f"level is {level}; give a coverage between 0 and 1, such as 0.95")
    if resamples < 100:
        raise MetricError(f"resamples is {resamples}; an interval needs at least 100")


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
