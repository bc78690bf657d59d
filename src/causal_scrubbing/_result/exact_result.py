"""What exact evaluation found: expectations, laws of the behaviour, the joint law of the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causal_scrubbing._data import Dataset, Floats
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._exact import Joint, cut_draws, joint
from causal_scrubbing._format import plural
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._report import KINDS, align, kinds
from causal_scrubbing._result.labels import Zero, headline
from causal_scrubbing._statistics import (
    NO_BASELINE,
    Distance,
    Estimate,
    FloatArray,
    OfMeans,
    Scores,
    along_last,
    vector_distance,
)

if TYPE_CHECKING:
    import pandas as pd

_ROUNDING = 1e-12
_EQUAL = (
    "E_model and E_randomized are equal, so there is nothing to recover; take a metric or a subset "
    "on which the model differs from outputs of random rows"
)


class ExactNumber(float):
    """A float without sampling error; NaN where undefined, and then `reason` says why.

    It has what a sampled `Estimate` has: `mean`, `se` (0), `interval`, `defined`, `reason`, `unit`.
    """

    reason: str | None
    unit: str

    def __new__(cls, value: float, *, unit: str = "", reason: str | None = None) -> ExactNumber:
        self = super().__new__(cls, math.nan if reason is not None else value + 0.0)
        self.reason = reason
        self.unit = unit
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_remake, (float(self), self.unit, self.reason))

    @property
    def mean(self) -> float:
        """The number."""
        return float(self)

    @property
    def se(self) -> float:
        """Its standard error: 0."""
        return 0.0 if self.defined else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends are the number."""
        return (float(self), float(self))

    @property
    def defined(self) -> bool:
        """Whether there is a number."""
        return self.reason is None

    @property
    def estimate(self) -> Estimate:
        """The number as an estimate, for tables beside sampled ones."""
        if self.reason is not None:
            return Estimate.undefined(self.reason, unit=self.unit)
        return Estimate(float(self), 0.0, self.interval, unit=self.unit)

    def __str__(self) -> str:
        if self.reason is not None:
            return f"undefined: {self.reason}"
        return f"{float(self):.6g}{self.unit}"


def _remake(value: float, unit: str, reason: str | None) -> ExactNumber:
    return ExactNumber(value, unit=unit, reason=reason)


@dataclass(frozen=True)
class Behaviour:
    """The exact laws of one metric.

    Attributes:
        scrubbed: distinct values under the swaps, sorted, [K] or [K, k], and their probabilities.
        model: the same of the model itself.
        randomized: the same with a random row's value; None where it is not defined.
        by_row: expectation under the swaps given each row of D as reference row, [n] or [n, k].
        model_by_row: the model's own behaviour on each row.
        of_means: the function of means that the behaviour is; None where it is the mean itself.
        distance: how far apart two mean vectors are, where the behaviour is a vector.
    """

    scrubbed: tuple[FloatArray, Floats]
    model: tuple[FloatArray, Floats]
    randomized: tuple[FloatArray, Floats] | None
    by_row: FloatArray
    model_by_row: FloatArray
    of_means: Callable[[Any], Any] | None = None
    distance: str | Distance = "euclidean"


@dataclass(frozen=True)
class ExactScores:
    """The exact numbers of one metric; a vector behaviour has a gap, and `means` by component.

    Attributes:
        expectation: E_scrubbed.
        model: E_model.
        randomized: E_randomized, or undefined.
        gap: E_scrubbed - E_model; of a vector, the Euclidean distance between the means.
        recovered: 100 (E_scrubbed - E_randomized) / (E_model - E_randomized), or undefined.
        means: "scrubbed", "model", "randomized" -> mean, a number or [k].
    """

    expectation: ExactNumber
    model: ExactNumber
    randomized: ExactNumber
    gap: ExactNumber
    recovered: ExactNumber
    means: Mapping[str, FloatArray]

    @property
    def scrubbed(self) -> ExactNumber:
        """E_scrubbed, by the name it has in a sampled result."""
        return self.expectation

    @property
    def scores(self) -> Scores:
        """The same numbers as the estimates of a sampled run."""
        return Scores(
            model=self.model.estimate,
            scrubbed=self.expectation.estimate,
            randomized=self.randomized.estimate,
            gap=self.gap.estimate,
            recovered=self.recovered.estimate,
        )


@dataclass(frozen=True, eq=False)
class ExactResult(Displayed):
    """A hypothesis scrubbed exactly.

    The numbers of the first metric are attributes; ``result["kl"]`` has those of another.

    Attributes:
        behaviours: metric name -> its exact laws.
        hypothesis: the hypothesis.
        data: the dataset.
        largest: combinations in the largest table that was needed.
        budget: how many were allowed.
        randomize: the node whose value E_randomized takes on another row; None if undefined.
        baseline: the hypothesis whose scrubbed mean stands in for E_randomized, or None.
        metric_in_graph: whether the graph's own output is the behaviour.
    """

    behaviours: Mapping[str, Behaviour]
    hypothesis: Hypothesis
    data: Dataset
    largest: int
    budget: int
    randomize: str | None = None
    baseline: Hypothesis | None = None
    metric_in_graph: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the main one first."""
        return tuple(self.behaviours)

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    @cached_property
    def _scores(self) -> Mapping[str, ExactScores]:
        return {name: _scores(one) for name, one in self.behaviours.items()}

    def __getitem__(self, metric: str) -> ExactScores:
        if metric not in self.behaviours:
            raise ScrubError(f"no metric is called {metric!r}; there is {', '.join(self.metrics)}.")
        return self._scores[metric]

    @property
    def expectation(self) -> ExactNumber:
        """E_scrubbed of the first metric."""
        return self[self.metrics[0]].expectation

    @property
    def scrubbed(self) -> ExactNumber:
        """E_scrubbed of the first metric, by the name it has in a sampled result."""
        return self.expectation

    @property
    def model(self) -> ExactNumber:
        """E_model of the first metric."""
        return self[self.metrics[0]].model

    @property
    def randomized(self) -> ExactNumber:
        """E_randomized of the first metric, or undefined."""
        return self[self.metrics[0]].randomized

    @property
    def gap(self) -> ExactNumber:
        """E_scrubbed - E_model of the first metric."""
        return self[self.metrics[0]].gap

    @property
    def recovered(self) -> ExactNumber:
        """100 (E_scrubbed - E_randomized) / (E_model - E_randomized), or undefined."""
        return self[self.metrics[0]].recovered

    def distribution(self, what: str = "scrubbed", metric: str | None = None) -> pd.DataFrame:
        """The exact law of the behaviour: one row a distinct value, with its probability.

        Args:
            what: "scrubbed", "model" or "randomized".
            metric: the metric; the first if None.

        Raises:
            ScrubError: there is no such law or metric.
        """
        import pandas as pd

        name = self.metrics[0] if metric is None else metric
        self[name]
        laws = {w: getattr(self.behaviours[name], w) for w in ("scrubbed", "model", "randomized")}
        law = laws.get(what)
        if law is None:
            known = ", ".join(w for w, one in laws.items() if one is not None)
            raise ScrubError(f"there is no law {what!r} of metric {name!r}; there is {known}.")
        values, prob = law
        if values.ndim == 1:
            return pd.DataFrame({"value": values, "probability": prob})
        columns = {f"value.{i}": values[:, i] for i in range(values.shape[1])}
        return pd.DataFrame({**columns, "probability": prob})

    @cached_property
    def joint(self) -> Joint:
        """The joint law of the data of leaf claims and unimportant parents, one variable a draw."""
        return joint(self.hypothesis, self.data, budget=self.budget)

    def cut(self, claims: Sequence[str]) -> Joint:
        """The joint law of the data at another cut through the tree.

        Args:
            claims: paths, one of them on every way from the root to a leaf. Unimportant draws of
                the claims above the cut belong to it.

        Raises:
            HypothesisError: the claims are no cut.
        """
        draws = cut_draws(self.hypothesis, claims)
        return Joint(self.hypothesis, self.data, draws, self.budget)

    @property
    def entropy(self) -> float:
        """The entropy of `joint`, in bits."""
        return self.joint.entropy

    def by_row(self, metric: str | None = None) -> pd.DataFrame:
        """Expectation under the swaps for each reference row, beside the model's own behaviour."""
        import pandas as pd

        name = self.metrics[0] if metric is None else metric
        self[name]
        one = self.behaviours[name]
        columns: dict[str, Any] = {"weight": self.data.weights}
        for label, values in (("scrubbed", one.by_row), ("model", one.model_by_row)):
            if values.ndim == 1:
                columns[label] = values
            else:
                columns |= {f"{label}.{i}": values[:, i] for i in range(values.shape[1])}
        return pd.DataFrame(columns).rename_axis("row")

    def __str__(self) -> str:
        names, labels = KINDS, kinds(self.zero.label)
        rows, notes = [], dict[str, dict[str, None]]()
        for metric, one in self._scores.items():
            numbers: list[ExactNumber] = [getattr(one, name) for name in names]
            rows.append([metric, *(str(n) if n.defined else "undefined" for n in numbers)])
            for label, found in zip(labels, numbers, strict=True):
                if found.reason is not None:
                    notes.setdefault(found.reason, {})[label] = None
        how = headline(
            f"exact, {len(self.data)} {plural(len(self.data), 'row')}",
            self.hypothesis.to_dict(),
            self.zero,
        )
        head = f"{self.hypothesis.name or 'unnamed'}: {how}; {self.largest:,} combinations at most"
        table = align(("metric", *labels), rows)
        return "\n".join(
            [head, table, *(f"note: {', '.join(which)}: {note}" for note, which in notes.items())]
        )

    @property
    def zero(self) -> Zero:
        """What 0% is."""
        baseline = None if self.baseline is None else self.baseline.to_dict()
        return Zero(baseline, self.randomize, self.metric_in_graph)

    def __repr__(self) -> str:
        return f"ExactResult(expectation {self.expectation}, recovered {self.recovered})"

    def to_dict(self) -> dict[str, Any]:
        """Hypothesis and numbers as plain data, for JSON."""
        return {
            "hypothesis": self.hypothesis.to_dict(),
            "rows": len(self.data),
            "largest": self.largest,
            "budget": self.budget,
            "randomize": self.zero.randomize,
            "baseline": self.zero.baseline,
            "scores": {name: one.scores.to_dict() for name, one in self._scores.items()},
        }


def _scores(one: Behaviour) -> ExactScores:
    means = {"scrubbed": _mean(one.scrubbed), "model": _mean(one.model)}
    if one.randomized is not None:
        means["randomized"] = _mean(one.randomized)
    if one.of_means is not None:
        return _of_means(along_last(one.of_means), means)
    if means["model"].ndim:
        return _of_vector(means, one.distance)
    scrubbed, model = float(means["scrubbed"]), float(means["model"])
    gap = ExactNumber(scrubbed - model)
    if "randomized" not in means:
        none = ExactNumber(math.nan, reason=NO_BASELINE)
        percent = ExactNumber(math.nan, unit="%", reason=NO_BASELINE)
        return ExactScores(ExactNumber(scrubbed), ExactNumber(model), none, gap, percent, means)
    randomized = float(means["randomized"])
    span = model - randomized
    scale = max(abs(values).max() for values, _ in (one.model, one.randomized or one.model))
    if abs(span) <= _ROUNDING * scale:
        recovered = ExactNumber(math.nan, unit="%", reason=_EQUAL)
    else:
        recovered = ExactNumber(100 * (scrubbed - randomized) / span, unit="%")
    return ExactScores(
        ExactNumber(scrubbed), ExactNumber(model), ExactNumber(randomized), gap, recovered, means
    )


def _of_means(of_means: OfMeans, means: Mapping[str, FloatArray]) -> ExactScores:
    """The numbers of a behaviour that is a function of means."""
    values = {kind: float(of_means(np.atleast_1d(mean))) for kind, mean in means.items()}
    bad = [kind for kind, value in values.items() if not np.isfinite(value)]
    if bad:
        reason = f"the function of means has no finite value at the means of {', '.join(bad)}"
        none = ExactNumber(math.nan, reason=reason)
        return ExactScores(none, none, none, none, ExactNumber(math.nan, reason=reason), means)
    scrubbed, model = values["scrubbed"], values["model"]
    gap = 0.0 if np.array_equal(means["scrubbed"], means["model"]) else scrubbed - model
    if "randomized" not in values:
        none = ExactNumber(math.nan, reason=NO_BASELINE)
        percent = ExactNumber(math.nan, unit="%", reason=NO_BASELINE)
        return ExactScores(
            ExactNumber(scrubbed), ExactNumber(model), none, ExactNumber(gap), percent, means
        )
    randomized = values["randomized"]
    recovered = _share_left(gap, model - randomized, max(abs(model), abs(randomized)))
    return ExactScores(
        ExactNumber(scrubbed),
        ExactNumber(model),
        ExactNumber(randomized),
        ExactNumber(gap),
        recovered,
        means,
    )


def _of_vector(means: Mapping[str, FloatArray], distance: str | Distance) -> ExactScores:
    """The numbers of a vector behaviour: a distance, and how much of one is recovered."""
    reason = (
        f"the behaviour is a vector of {len(means['model'])} numbers; gap and recovered are of "
        "distances between mean vectors, and `means` has each component"
    )
    none = ExactNumber(math.nan, reason=reason)
    gap = vector_distance(distance, means["scrubbed"], means["model"])
    if "randomized" in means:
        span = vector_distance(distance, means["randomized"], means["model"])
        recovered = _share_left(-gap, span, float(np.abs(means["model"]).max()))
    else:
        recovered = ExactNumber(math.nan, unit="%", reason=NO_BASELINE)
    return ExactScores(none, none, none, ExactNumber(gap), recovered, means)


def _share_left(gap: float, span: float, scale: float) -> ExactNumber:
    """100 (1 + gap / span), or undefined where span is zero but for rounding."""
    if abs(span) <= _ROUNDING * scale:
        return ExactNumber(math.nan, unit="%", reason=_EQUAL)
    return ExactNumber(100 * (1 + gap / span), unit="%")


def _mean(law: tuple[FloatArray, Floats]) -> FloatArray:
    values, prob = law
    return np.asarray(prob @ values, dtype=np.float64)
