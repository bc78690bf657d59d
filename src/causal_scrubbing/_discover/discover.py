"""Growing a hypothesis from nothing: a tree of claims over a pool of nodes and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from causal_scrubbing._data import Dataset, Feature, exact
from causal_scrubbing._discover.explained import Explained, explain
from causal_scrubbing._discover.greedy_growth import Grower, GrowthStep
from causal_scrubbing._discover.partial_hypothesis import FeaturePool, PartialHypothesis
from causal_scrubbing._discover.scorer import Scorer
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import Executor
from causal_scrubbing._format import plural
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._report import align
from causal_scrubbing._result import Result
from causal_scrubbing._scrub import scrub
from causal_scrubbing._simulate import Metric, check_seed, named_metrics, try_metrics, whole
from causal_scrubbing._trials import (
    PoolFeature,
    Workshop,
    check_patterns,
    check_run,
    check_target,
    field_features,
    named_features,
)


@dataclass(frozen=True, eq=False)
class Discovery(Displayed):
    """A hypothesis that was grown, and how.

    Attributes:
        hypothesis: the smallest found that reaches the target, or the best; then explained inwards.
        result: its scrub on samples that had no part in the search.
        steps: how it grew and was cut back, attempts that failed included.
        explained: of each claim, the root's first, whether it could be explained.
        target: percent recovered that was sought.
        reached: whether the held-out estimate is within its error of the target.
    """

    hypothesis: Hypothesis
    result: Result
    steps: tuple[GrowthStep, ...]
    explained: tuple[Explained, ...]
    target: float

    @property
    def reached(self) -> bool:
        """Whether the held-out estimate is within two standard errors of the target.

        More than 100% misses the behaviour as well: it counts as far below as it is above.
        """
        found = self.result.recovered
        if not found.defined:
            return False
        return 100 - abs(100 - found.mean) + 2 * found.se >= self.target

    def to_dict(self) -> dict[str, Any]:
        """Everything but the samples, as plain data."""
        return {
            "hypothesis": self.hypothesis.to_dict(),
            "steps": [vars(step) for step in self.steps],
            "explained": [vars(one) for one in self.explained],
            "target": self.target,
            "reached": self.reached,
            "recovered": self.result.recovered.to_dict(),
        }

    def __repr__(self) -> str:
        return (
            f"Discovery({len(self.steps)} {plural(len(self.steps), 'step')}; print it to see them)"
        )

    def __str__(self) -> str:
        rows = [
            [s.claim, s.move, s.text, f"{s.recovered:.1f}%", f"{s.bits:.2f}", str(s.tried)]
            for s in self.steps
        ]
        steps = align(("claim", "move", "computed from", "recovered", "bits", "tried"), rows)
        told = [
            [
                one.claim,
                one.carries,
                "no" if one.by is None else ", ".join(one.by) or "nothing",
                one.why,
            ]
            for one in self.explained
        ]
        explained = align(("claim", "carries", "explained by", "why"), told)
        reached = "reached" if self.reached else "not reached"
        return (
            f"{steps}\n\n{explained}\n\n{self.hypothesis}\n\nheld out: recovered "
            f"{self.result.recovered}; target {self.target:g}% {reached}"
        )


def discover(
    graph: Graph,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    features: Sequence[Feature] | Mapping[str, Feature] | None = None,
    nodes: str | Sequence[str] | None = None,
    via: str | Sequence[str] = (),
    target: float = 95.0,
    depth: int | None = 2,
    most: int = 8,
    beam: int = 2,
    samples: int = 1000,
    unimportant: str = "per-claim",
    within: Feature | None = None,
    randomize: str | None = None,
    seed: int = 0,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
    executor: Executor | None = None,
) -> Discovery:
    """Grow a tree of claims outwards from the hypothesis that nothing matters.

    First the output is explained: said to be computed from nothing that matters, then from nodes
    with features, added one at a time, until the target is reached. Each step tries every node of
    the pool with every feature, and every further feature of a claim made, and takes the best; of
    what does equally well within the error, what claims fewest bits. Where no addition helps,
    everything the pool can say is claimed and what is not needed left out, half of it at a time, so
    that nodes which matter only together are found; and then the unimportant parents may agree on
    a feature. On samples of their own, claims and features that the target does not need are
    taken away, and features swapped for smaller ones.

    Then each claim made is explained in the same way, level by level: what it is said to be
    computed from must keep the whole hypothesis at the target. Such claims permit more swaps, and
    as a rule recover no more; they say how the features come about. A claim that the pool cannot
    explain stays a leaf, and the result says so. What comes out is consistent with the data, not
    proven: run `refute` on it.

    Example::

        grown = cs.discover(graph, data, loss, nodes="a*.h*", features=["count", "horizon"])
        print(grown)

    Args:
        graph: the graph.
        data: the dataset.
        metric: one metric; None for the graph's own output, with `randomize`.
        features: the pool; dataset fields of few values and `exact` if None.
        nodes: names or patterns of nodes that may be claimed; the parents of each claim's node if
            None.
        via: nodes that routes between claims may pass.
        target: percent recovered to reach. More than 100% counts as far below as it is above.
        depth: levels of claims below the output; 1 for the output's alone, None for no limit.
        most: claims at most below any one.
        beam: hypotheses kept at each step.
        samples: of each candidate, twice: to grow and to cut back. The final hypothesis is
            scrubbed with four times as many, of another seed.
        unimportant: policy for unimportant parents.
        within: as for `Hypothesis`.
        randomize: as for `scrub`.
        seed: with it the growth is the same everywhere.
        batch_size: samples computed at once.
        device: where to compute.
        executor: where candidates are computed, as for `scrub`.

    Raises:
        GraphError: a pattern matches no node.
        HypothesisError: a feature is none, or `unimportant` no policy.
        ScrubError: recovered is undefined, so that no target can be reached; or an argument makes
            no sense.
    """
    seed = check_seed(seed)
    batch_size = whole("batch_size", batch_size, "how many are computed at once")
    samples = whole("samples", samples, "how many for each candidate", least=2)
    most = whole("most", most, "how many claims below any one")
    beam = whole("beam", beam, "how many hypotheses are kept")
    depth = None if depth is None else whole("depth", depth, "how many levels, or None for all")
    target = check_target(target)
    if not isinstance(graph, Graph):
        raise ScrubError(
            f"graph is {type(graph).__name__}; make one with cs.Graph.build or cs.capture."
        )
    via = check_patterns(graph, "via", via)
    wanted = None if nodes is None else graph.find(check_patterns(graph, "nodes", nodes))
    scorer = Scorer(
        graph, data, metric, FeaturePool(()), via, unimportant, () if within is None else within,
        samples, seed, {"randomize": randomize, "batch_size": batch_size, "device": device},
    )  # fmt: skip
    # What is wrong whatever is claimed is told by the hypothesis that all growth begins with.
    nothing = scorer.hypothesis(PartialHypothesis(graph.output, children=()))
    check_run(nothing, data, samples, seed, batch_size, device, randomize, executor)
    try_metrics(named_metrics(metric), graph, data, device, check=True)
    pool = (
        [*field_features(data), PoolFeature("exact", exact)]
        if features is None
        else named_features(features)
    )
    if not pool:
        raise ScrubError("features= is empty, so nothing can be claimed. Give at least one.")
    with Workshop(executor) as spread:
        options = {**scorer.options, "spread": spread}
        scorer = replace(scorer, pool=FeaturePool(tuple(pool)), options=options)
        grower = Grower(scorer, wanted, target, most, beam)
        tree, explained = explain(grower, depth)
    h = scorer.hypothesis(tree).with_(name="discovered")
    result = scrub(
        h, data, metric, samples=4 * samples, seed=seed, randomize=randomize, device=device,
        batch_size=batch_size, executor=executor,
    )  # fmt: skip
    return Discovery(h, result, tuple(grower.steps), explained, target)
