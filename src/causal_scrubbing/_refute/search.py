"""`refute` and `improve`: one search over additions to a hypothesis, told two ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Unpack

import torch

from causal_scrubbing._data import Dataset, Feature
from causal_scrubbing._engine import MemoryLimit
from causal_scrubbing._executors import Executor
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._refute.options import SearchOptions, SearchSettings
from causal_scrubbing._refute.refutation import Refutation
from causal_scrubbing._refute.search_stages import Search
from causal_scrubbing._simulate import Metric
from causal_scrubbing._trials import Workshop


def refute(
    h: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    features: Sequence[Feature] | Mapping[str, Feature] = (),
    fields: bool = True,
    activations: str | Sequence[str] = "auto",
    rivals: Sequence[Hypothesis] = (),
    budget: int | None = None,
    samples: int = 4000,
    keep: int = 8,
    alpha: float = 0.05,
    tolerance: float | None = None,
    randomize: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    memory: MemoryLimit = None,
    executor: Executor | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
) -> Refutation:
    """Look for an addition to a hypothesis that changes what it predicts.

    A high score does not make a hypothesis true. Chan et al. (2022) propose adversarial validation:
    a hypothesis is good when no addition to it changes the predicted metric much. Additions are
    joins, so they only forbid swaps: a feature claimed besides, two draws tied together, a claim
    taken whole, a rival hypothesis joined in, or two of these. If every swap that h permits leaves
    each sample's metric as it is, no addition can move the estimate. Changes that permit more swaps
    (a tie cut, `separate`) are tried too and listed apart: they test another, more specific
    hypothesis.

    Candidates race on common random numbers, the better third going on to more samples; what is
    left is tested on samples of another seed, those that ``cs.scrub(h, ..., seed=seed)`` draws
    (unless a group of unimportant parents has one member: it is searched as drawn per claim).

    Example::

        found = cs.refute(h, data, cs.metrics.cross_entropy("label"), features=[length, "mode"])
        print(found)

    Args:
        h: the hypothesis.
        data: the dataset.
        metric: one metric; None for the graph's own output.
        features: features to add, besides the others, as a list or by name.
        fields: whether dataset fields of few values join the pool.
        activations: nodes (names or patterns) in whose activations to look for features (clusters,
            sides of principal directions, probes of the other features). "auto": claimed nodes and
            some unimportant ones; empty for none.
        rivals: whole hypotheses to be joined in, about the same graph or other rewrites of it.
        budget: samples the search may spend, over all candidates; None for 100 a candidate and
            stage.
        samples: held-out samples for the confirmation, for each of `keep` candidates. One that
            they leave open gets six times as many.
        keep: candidates confirmed, and two pairs of them besides.
        alpha: the chance of any false finding in each list, at most, if no swap that h permits
            changes a sample's metric; otherwise for many samples.
        tolerance: shifts within it do not count; None for 1% of E_model - E_randomized, and at
            least what rounding may do in the model's precision.
        randomize: as for `scrub`.
        seed: with it a search is the same everywhere.
        out: file for finished stages (JSON lines); a search that was cut short goes on from it.
        batch_size: samples computed at once; None chooses it from measured sizes.
        device: where to compute.
        memory: bytes for activations, as for `scrub`.
        executor: where candidates are computed, as for `scrub`.
        progress: as for `scrub`.

    Returns:
        A `Refutation`: what was found, smallest additions first, or what would have been.

    Raises:
        HypothesisError: a feature cannot be used on the data.
        MetricError: the metric has a value that is not finite.
        ScrubError: an argument is wrong, the budget is too small for the candidates, or `out` is
            of another search.
    """
    settings = SearchSettings(
        features=features,
        fields=fields,
        activations=activations,
        rivals=rivals,
        budget=budget,
        samples=samples,
        keep=keep,
        alpha=alpha,
        tolerance=tolerance,
        randomize=randomize,
        seed=seed,
        out=out,
        batch_size=batch_size,
        device=device,
        memory=memory,
        executor=executor,
        progress=progress,
    )
    with Workshop(settings.executor) as spread:
        return Search(h, data, metric, settings, improve=False, spread=spread).result()


def improve(
    h: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    **options: Unpack[SearchOptions],
) -> Refutation:
    """Rank the additions that bring a hypothesis's estimate nearest to the model's, per bit.

    The search of `refute`, reported the other way round. What an addition claims is counted in
    bits: by how much the entropy of the data drawn falls. A finding's ``hypothesis`` is the
    hypothesis with the addition taken up. What moves the estimate past the model's, and further
    from it than before, is no finding.

    Args:
        h: the hypothesis.
        data: the dataset.
        metric: one metric; None for the graph's own output.
        **options: the keyword arguments of `refute`, with its defaults but for ``keep=12``.

    Raises:
        HypothesisError: a feature cannot be used on the data.
        MetricError: the metric has a value that is not finite.
        ScrubError: an argument is wrong, the budget is too small for the candidates, or `out` is
            of another search.
    """
    unknown = [name for name in options if name not in SearchOptions.__annotations__]
    if unknown:
        raise TypeError(f"improve() got an unexpected keyword argument {unknown[0]!r}")
    options.setdefault("keep", 12)
    settings = SearchSettings(**options)
    with Workshop(settings.executor) as spread:
        return Search(h, data, metric, settings, improve=True, spread=spread).result()
