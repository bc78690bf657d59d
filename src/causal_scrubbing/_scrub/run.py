"""The verb: scrub a hypothesis on data and measure what is left of the behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Unpack, overload

from causal_scrubbing._data import Dataset
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._result import Result, Results, keep
from causal_scrubbing._simulate import (
    Metric,
    Options,
    Request,
    folder_name,
    simulate,
    takes_options,
)


@overload
def scrub(
    hypothesis: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    **options: Unpack[Options],
) -> Result: ...


@overload
def scrub(
    hypothesis: Sequence[Hypothesis],
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    **options: Unpack[Options],
) -> Results: ...


@takes_options()
def scrub(
    hypothesis: Hypothesis | Sequence[Hypothesis],
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    **options: Unpack[Options],
) -> Result | Results:
    """Make every activation swap a hypothesis permits, at random, and measure the behaviour left.

    Behaviour-preserving resampling ablation (Chan et al. 2022, "Causal scrubbing", Algorithm): for
    each of N samples a reference row is drawn, then a datum for every block of the hypothesis that
    agrees with what it must, and the treeified graph is run on them.

    Example::

        result = cs.scrub(h, data, metric=cs.metrics.cross_entropy("label"), samples=4000)
        print(result)

    Args:
        hypothesis: one hypothesis, or several, which share clean activations and random numbers.
        data: the dataset D; every expectation is over draws from it.
        metric: a function (output, rows) -> one number a row; several by name; None where the
            graph's own output is one number a row, the metric being inside the graph.
        **options: keyword arguments such as ``samples=4000``, ``seed=1`` or ``out="run/"``; see
            `Options` for all of them.

    Returns:
        A `Result`; for a list of hypotheses `Results`, a list of them.

    Raises:
        HypothesisError: a feature or field cannot be used on this data.
        ScrubError: a self-check failed, or an argument is wrong.
        MetricError: a metric does not give one number (or vector) a row.
    """
    request = Request.of("scrub", hypothesis, data, metric, options)
    results: dict[int, Result] = {}
    for run in simulate(request):
        for number, sampled in zip(run.numbers, run.sampled, strict=True):
            results[number] = Result.from_run(sampled, data, run)
            if request.folder is not None:
                name = folder_name(sampled.hypothesis, number)
                where = request.folder if request.single else request.folder.child(name)
                results[number] = replace(results[number], source=keep(results[number], where))
    ordered = Results(results[number] for number in range(len(request.hypotheses)))
    return ordered[0] if request.single else ordered
