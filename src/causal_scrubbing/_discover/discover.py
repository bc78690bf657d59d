"""Growing a hypothesis from nothing: a tree of claims over a pool of nodes and features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from causal_scrubbing._data import Dataset, Feature, exact
from causal_scrubbing._discover.explained import Explained, explain
from causal_scrubbing._discover.greedy_growth import Grower, GrowthStep
from causal_scrubbing._discover.growing_on import Check, check, grow_on
from causal_scrubbing._discover.partial_hypothesis import FeaturePool, PartialHypothesis
from causal_scrubbing._discover.redundant import without_twins
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
from causal_scrubbing._simulate import (
    Metric,
    Progress,
    check_seed,
    named_metrics,
    try_metrics,
    whole,
)
from causal_scrubbing._trials import (
    PoolFeature,
    Workshop,
    check_patterns,
    check_run,
    check_target,
    field_features,
    named_features,
)

HELD_OUT, CHECKS = 4, 3
"""Times as many samples as the search's are held out for a check; and checks at most."""


@dataclass(frozen=True, eq=False)
class Discovery(Displayed):
    """A hypothesis that was grown, and how.

    Attributes:
        hypothesis: the smallest found that reaches the target, or the best; then explained inwards.
        result: its scrub on samples that had no part in the search.
        steps: how it grew and was cut back, attempts that failed included.
        explained: of each claim, the root's first, whether it could be explained.
        target: percent recovered that was sought.
        checks: what it recovered on samples held out, the last of them being `result`; where one
            fell short, it was grown on after it.
        same: features that were left out, each with the one that has the same classes.
        reached: whether the held-out estimate is within its error of the target.
    """

    hypothesis: Hypothesis
    result: Result
    steps: tuple[GrowthStep, ...]
    explained: tuple[Explained, ...]
    target: float
    checks: tuple[Check, ...]
    same: Mapping[str, str]

    @property
    def reached(self) -> bool:
        """Whether the held-out estimate is within two standard errors of the target.

        More than 100% misses the behaviour as well: it counts as far below as it is above.
        """
        return self.checks[-1].reached

    def to_dict(self) -> dict[str, Any]:
        """Everything but the samples, as plain data."""
        return {
            "hypothesis": self.hypothesis.to_dict(),
            "steps": [vars(step) for step in self.steps],
            "explained": [vars(one) for one in self.explained],
            "target": self.target,
            "reached": self.reached,
            "recovered": self.result.recovered.to_dict(),
            "checks": [one.recovered.to_dict() for one in self.checks],
            "same": dict(self.same),
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
        lines = align(("claim", "move", "computed from", "recovered", "bits", "tried"), rows)
        head, rule, *body = lines.splitlines()
        steps = [head, rule]
        for line, step in zip(body, self.steps, strict=True):
            steps += [line, f"    {step.why}"]
        same = [f"{left!r} has the classes of {kept!r}" for left, kept in self.same.items()]
        if same:
            steps += ["", f"left out of the pool: {'; '.join(same)}"]
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
        held_out = [
            f"held out: recovered {one.recovered}; target {self.target:g}% "
            f"{'reached' if one.reached else 'not reached'}"
            for one in self.checks
        ]
        return "\n".join([*steps, "", explained, "", str(self.hypothesis), "", *held_out])


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
    progress: bool | Callable[[int, int], None] | None = None,
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
    explain stays a leaf, and the result says so.

    Last the hypothesis is scrubbed on samples held out. Where it falls short of the target there,
    it is grown on at any of its claims, on other samples and as many as showed it, and checked on
    further ones, at most twice. A feature that others settle is left out: of several with the
    same classes the first is kept, and of a claim's features those that say something more. Every
    step says why it was made. What comes out is consistent with the data, not proven: run `refute`
    on it.

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
        progress: as for `scrub`, counted in samples of all hypotheses tried; how many these will be
            turns out as it goes on.

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
    pool, same = without_twins(pool, data)
    checks: list[Check] = []
    with Progress(progress, 0) as bar:
        scorer = replace(scorer, pool=FeaturePool(tuple(pool)), bar=bar)
        grower = Grower(scorer, wanted, target, most, beam)
        with Workshop(executor) as spread:
            grower = grower.on(scorer.over(spread))
            found = explain(grower, depth)
        more = True
        while more:
            h = scorer.hypothesis(found.tree).with_(name="discovered")
            result = _held_out(h, scorer, len(checks), executor)
            checks.append(check(result.recovered, target))
            if checks[-1].reached or len(checks) == CHECKS:
                break
            grower.fell_short(found.tree, result.recovered)
            with Workshop(executor) as spread:
                grower = grower.on(grower.scorer.afresh(HELD_OUT * samples).over(spread))
                more = grow_on(grower, found)
        explained = found.explained(grower)
    return Discovery(h, result, tuple(grower.steps), explained, target, tuple(checks), same)


def _held_out(h: Hypothesis, scorer: Scorer, number: int, executor: Executor | None) -> Result:
    """A hypothesis on samples of the user's seed, which no search draws; each check on others."""
    samples, bar = HELD_OUT * scorer.samples, scorer.bar
    bar.phase("held-out samples")
    bar.expect(samples)
    seen = 0

    def advance(done: int, of: int) -> None:
        nonlocal seen
        bar.batch(done - seen)
        seen = done

    result = scrub(
        h, scorer.data, scorer.metric, samples=samples, start=number * samples, seed=scorer.seed,
        progress=advance, executor=executor, **scorer.options,
    )  # fmt: skip
    bar.advance(samples)
    return result
