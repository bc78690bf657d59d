"""The verb without sampling: E_scrubbed by summing over everything that can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Floats, Ints
from causal_scrubbing._exact import (
    BUDGET,
    OWN,
    VALUE,
    Distribution,
    Evaluator,
    Meter,
    look_ahead,
    refine,
    weigh,
)
from causal_scrubbing._graph import evaluate
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._result import Behaviour, ExactResult
from causal_scrubbing._simulate import (
    Metric,
    check_arguments,
    check_device,
    evaluate_metric,
    named_metrics,
    refuse_autocast,
    self_check,
    try_metrics,
    whole,
)
from causal_scrubbing._statistics import Distance, FloatArray, check_distance, check_finite


def exact_scrub(
    hypothesis: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    randomize: str | None = None,
    baseline: Hypothesis | None = None,
    distance: str | Distance = "euclidean",
    budget: int = BUDGET,
    batch_size: int = 4096,
    device: torch.device | str | None = None,
    check: bool = True,
) -> ExactResult:
    """E_scrubbed, E_model and E_randomized without sampling: `scrub` with infinitely many samples.

    The distribution of each claim's value given its datum is computed from the leaves up: blocks
    are independent given the datum they must agree with, rows with equal labels give equal
    distributions, and equal values are one (by their bytes, -0.0 counted as 0.0). So the cost is in
    classes and distinct values, not in samples. A datum that claims share (``together``, groups) is
    a condition of all distributions it enters, up to the root. Sums are float64.

    Example::

        exact = cs.exact_scrub(h, data, metric=cs.metrics.squared_error("target"))
        exact.expectation, exact.recovered

    Args:
        hypothesis: the hypothesis.
        data: the dataset D, weighted or not.
        metric: as for `scrub`: a function (output, rows) -> one number a row, several by name, or
            None where the metric is inside the graph.
        randomize: the node whose value E_randomized takes on another row (the same one included).
        baseline: a hypothesis whose scrubbed mean stands in for E_randomized.
        distance: for a metric that gives a vector a row, see `scrub`.
        budget: the most combinations of values in one table; distinct values kept may hold 16
            numbers for each.
        batch_size: combinations evaluated at once.
        device: where to compute; where the graph says if None.
        check: make the self-checks of `scrub` first.

    Raises:
        ExactError: the problem does not fit the budget; says where, how large, and what to do.
        HypothesisError: a feature or field cannot be used on this data.
        ScrubError: a self-check failed, an argument is wrong, or a metric fails.
        MetricError: a metric gives no finite number a row.
    """
    check_arguments(hypothesis, data, randomize, baseline)
    refuse_autocast()
    check_distance(distance)
    device = check_device(device)
    budget = whole("budget", budget, "the most combinations allowed")
    batch_size = whole("batch_size", batch_size, "how many are computed at once")
    metrics = named_metrics(metric)
    checked = [hypothesis, *([] if baseline is None else [baseline])]
    for tested in checked:
        tested.classes(data)
    try_metrics(metrics, hypothesis.graph, data, device, check=check)
    if check:
        self_check(checked, data, device, batch_size=min(batch_size, len(data)))
    meter = Meter(budget)
    one = Evaluator(hypothesis, data, meter, batch_size, device)
    pairs = _Pairs(one, by_row=metric is not None)
    swapped = randomize
    if baseline is None and metric is not None:
        swapped = randomize or one.graph.output
    one.check_budget(swapped, by_row=metric is not None)
    other = None
    if baseline is not None:
        other = Evaluator(baseline, data, meter, batch_size, device)
        other.check_budget(None, by_row=metric is not None)
    for found in (one, *([] if other is None else [other])):
        look_ahead(found, by_row=metric is not None)
    behaviours: dict[str, Behaviour] = {}
    scrubbed = pairs.values("scrubbed", metrics, *one.root())
    model = pairs.values("model", metrics, *one.own(one.graph.output))
    randomized: Mapping[str, Mass] | None = None
    if other is not None:
        randomized = pairs.values("baseline", metrics, *other.root())
    elif swapped is not None:
        randomized = pairs.randomized(metrics, swapped)
    for name in metrics:
        behaviours[name] = Behaviour(
            scrubbed=scrubbed[name].table(),
            model=model[name].table(),
            randomized=None if randomized is None else randomized[name].table(),
            by_row=scrubbed[name].by_row,
            model_by_row=model[name].by_row,
            of_means=getattr(metrics[name], "of_means", None),
            distance=distance,
        )
    return ExactResult(
        behaviours=behaviours,
        hypothesis=hypothesis,
        data=data,
        largest=meter.largest,
        budget=budget,
        randomize=swapped,
        baseline=baseline,
        metric_in_graph=metric is None,
    )


@dataclass(frozen=True)
class Mass:
    """A distribution of behaviour values: one value a pair of reference row and outcome.

    Attributes:
        values: behaviour, [pairs] or [pairs, k].
        prob: probability of each pair.
        by_row: expectation given each row of D as reference row, [n] or [n, k].
    """

    values: FloatArray
    prob: Floats
    by_row: FloatArray

    def table(self) -> tuple[FloatArray, Floats]:
        """Distinct values, sorted, and their probabilities."""
        values, ids = np.unique(self.values, axis=0, return_inverse=True)
        return values, weigh(ids.reshape(-1), self.prob)


class _Pairs:
    """Evaluates behaviours on pairs of a reference row and an outcome."""

    def __init__(self, one: Evaluator, *, by_row: bool) -> None:
        self.one = one
        self.by_row = by_row

    def values(
        self, what: str, metrics: Mapping[str, Metric], dist: Distribution, values: torch.Tensor
    ) -> dict[str, Mass]:
        """The distributions of the metrics, where outcomes are outputs."""
        return self._evaluate(what, metrics, dist, lambda rows, ids: values[torch.as_tensor(ids)])

    def randomized(self, metrics: Mapping[str, Metric], node: str) -> dict[str, Mass]:
        """The distributions of the metrics with a node's value taken on another row."""
        one = self.one
        dist, values = one.swapped(node)
        if node == one.graph.output:
            return self.values("randomized", metrics, dist, values)

        def outputs(rows: Ints, ids: Ints) -> torch.Tensor:
            given = {node: values[torch.as_tensor(ids)].to(one.device or "cpu")}
            batch = one.data.lazy(rows)
            output = one.graph.output
            return evaluate(one.graph, batch, [output], given=given, device=one.device)[output]

        return self._evaluate("randomized", metrics, dist, outputs, by_row=True)

    def _evaluate(
        self,
        what: str,
        metrics: Mapping[str, Metric],
        dist: Distribution,
        outputs: Callable[[Ints, Ints], torch.Tensor],
        *,
        by_row: bool = False,
    ) -> dict[str, Mass]:
        one = self.one
        n = len(one.data)
        if OWN not in dist.labels:
            dist = refine(dist, OWN, np.zeros(n, dtype=np.int64), one.meter)
        labels = dist.labels[OWN]
        one.meter.where = f"the metric on pairs of reference row and {what} value"
        one.meter.hints = []
        if self.by_row or by_row:
            # A metric reads the reference row, so that rows with one distribution still differ.
            dist = refine(dist, OWN, np.arange(n), one.meter)
            rows, place, mass = dist.given[OWN], np.arange(n), one.weights
        else:
            _, first, place = np.unique(labels, return_index=True, return_inverse=True)
            mass = weigh(place, one.weights)
            rows = first[np.searchsorted(labels[first], dist.given[OWN])]
        ids = dist.columns[VALUE]
        own = one.own(one.graph.output)
        own_ids, own_values = one.clean(one.graph.output).ids, own[1]
        parts: dict[str, list[FloatArray]] = {name: [] for name in metrics}
        for start in range(0, len(dist), one.batch_size):
            part = slice(start, start + one.batch_size)
            with torch.no_grad():
                found = outputs(rows[part], ids[part])
                batch = one.data.lazy(rows[part], found.device)
                batch = batch.with_model_output(own_values[torch.as_tensor(own_ids[rows[part]])])
                for name, metric in metrics.items():
                    parts[name].append(evaluate_metric(name, metric, found, batch))
        given = place[rows]
        result = {}
        for name, found_parts in parts.items():
            values = np.concatenate(found_parts)
            check_finite(name, what, values)
            result[name] = Mass(
                values, dist.prob * mass[given], _means(given, dist.prob, values, len(mass))[place]
            )
        return result


def _means(given: Ints, prob: Floats, values: FloatArray, count: int) -> FloatArray:
    """Sum of prob * values for each number given."""
    flat = values.reshape(len(values), -1)
    sums = np.stack([weigh(given, prob * column, count) for column in flat.T], axis=1)
    return np.asarray(sums.reshape(count, *values.shape[1:]), dtype=np.float64)
