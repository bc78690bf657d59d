"""Growing a hypothesis from nothing: greedy and beam search over nodes and features."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Feature, exact
from causal_scrubbing._data.features import flatten_feature
from causal_scrubbing._errors import HypothesisError, ScrubError
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Claim, Hypothesis
from causal_scrubbing._refute.additions import class_entropy, merged
from causal_scrubbing._refute.controls import recovered
from causal_scrubbing._refute.pool import PoolFeature, field_features, named_features
from causal_scrubbing._refute.search import search_seed
from causal_scrubbing._refute.trials import Trials
from causal_scrubbing._report import align
from causal_scrubbing._scrub import Result, scrub
from causal_scrubbing._scrub.behaviour import Metric

State: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
"""Claims below the root: (node, numbers of its features in the pool), sorted."""

PAIRS = 12
"""Moves of which all pairs are tried where no single one helps."""


@dataclass(frozen=True)
class Step:
    """One step of the growth.

    Attributes:
        text: the claims then.
        recovered: percent recovered then, on the search's samples.
        bits: entropy of the features claimed, all claims together.
        tried: how many moves it was chosen from.
    """

    text: str
    recovered: float
    bits: float
    tried: int


@dataclass(frozen=True, eq=False)
class Discovery:
    """A hypothesis that was grown, and how.

    Attributes:
        hypothesis: the smallest found that reaches the target, or the best.
        result: its scrub on samples that had no part in the search.
        steps: how it grew and was cut back.
        target: percent recovered that was sought.
        reached: whether the held-out estimate is within its error of the target.
    """

    hypothesis: Hypothesis
    result: Result
    steps: tuple[Step, ...]
    target: float

    @property
    def reached(self) -> bool:
        """Whether the held-out estimate is within two standard errors of the target."""
        found = self.result.recovered
        return found.defined and found.mean + 2 * found.se >= self.target

    def to_dict(self) -> dict[str, Any]:
        """Everything but the samples, as plain data."""
        return {
            "hypothesis": self.hypothesis.to_dict(),
            "steps": [vars(step) for step in self.steps],
            "target": self.target,
            "reached": self.reached,
            "recovered": self.result.recovered.to_dict(),
        }

    def __str__(self) -> str:
        rows = [
            [step.text, f"{step.recovered:.1f}%", f"{step.bits:.2f}", str(step.tried)]
            for step in self.steps
        ]
        table = align(("claims", "recovered", "bits", "tried"), rows)
        reached = "reached" if self.reached else "not reached"
        return (
            f"{table}\n\n{self.hypothesis}\n\nheld out: recovered {self.result.recovered}; "
            f"target {self.target:g}% {reached}"
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
    most: int = 8,
    beam: int = 2,
    samples: int = 1000,
    unimportant: str = "per-claim",
    within: Feature | None = None,
    randomize: str | None = None,
    seed: int = 0,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> Discovery:
    """Grow a hypothesis outwards from the one that claims nothing matters.

    Each step tries every node of the pool with every feature, and every feature besides those of a
    claim already made, and keeps the `beam` best; where features do equally well within the error,
    the one that claims fewest bits. Where no single move helps, pairs of the best are tried. Once
    the target is reached, claims and features that are not needed for it are taken away again.
    What comes out is consistent with the data, not proven: run `refute` on it.

    Example::

        grown = cs.discover(graph, data, loss, nodes="a*.h*", features=["count", "horizon"])
        print(grown)

    Args:
        graph: the graph.
        data: the dataset.
        metric: one metric; None for the graph's own output, with `randomize`.
        features: the pool; dataset fields of few values and `exact` if None.
        nodes: names or patterns of nodes that may be claimed; the output's parents if None.
        via: nodes that routes from them to the output may pass.
        target: percent recovered to reach.
        most: claims at most.
        beam: hypotheses kept at each step.
        samples: of each candidate; the final hypothesis is scrubbed with four times as many.
        unimportant: policy for unimportant parents.
        within: as for `Hypothesis`.
        randomize: as for `scrub`.
        seed: with it the growth is the same everywhere.
        batch_size: samples computed at once.
        device: where to compute.

    Raises:
        GraphError: a pattern matches no node.
        ScrubError: recovered is undefined, so that no target can be reached.
    """
    pool = (
        [*field_features(data), PoolFeature("exact", exact)]
        if features is None
        else named_features(features)
    )
    found = graph.find(nodes) if nodes is not None else graph.parents(graph.output)
    patterns = (via,) if isinstance(via, str) else tuple(via)
    grower = _Grower(
        graph, data, metric, pool, [n for n in found if n != graph.output], patterns,
        unimportant, () if within is None else within, samples, randomize, seed, batch_size, device,
    )  # fmt: skip
    state, steps = grower.grow(target, most, beam)
    state, cut = grower.prune(state, target)
    h = grower.hypothesis(state).with_(name="discovered")
    result = scrub(
        h, data, metric, samples=4 * samples, seed=seed, randomize=randomize, device=device
    )
    return Discovery(h, result, (*steps, *cut), target)


@dataclass(frozen=True)
class _Scored:
    """A state with its score on the search's samples."""

    state: State
    recovered: float
    se: float
    bits: float


class _Grower:
    """Scores states, each once."""

    def __init__(
        self,
        graph: Graph,
        data: Dataset,
        metric: Metric | Mapping[str, Metric] | None,
        pool: Sequence[PoolFeature],
        nodes: Sequence[str],
        via: tuple[str, ...],
        unimportant: str,
        within: Feature,
        samples: int,
        randomize: str | None,
        seed: int,
        batch_size: int,
        device: torch.device | str | None,
    ) -> None:
        self.graph, self.data, self.metric = graph, data, metric
        self.pool, self.nodes, self.via = pool, nodes, via
        self.unimportant, self.within = unimportant, within
        self.samples, self.seed = samples, seed
        self.options: dict[str, Any] = {
            "randomize": randomize,
            "batch_size": batch_size,
            "device": device,
        }
        self.known: dict[State, _Scored] = {}

    def hypothesis(self, state: State) -> Hypothesis:
        """The hypothesis of a state."""
        children = tuple(
            Claim(node, merged(*(self.pool[i].feature for i in which)), via=self.via)
            for node, which in state
        )
        root = Claim(self.graph.output, exact, children)
        return Hypothesis(self.graph, root, unimportant=self.unimportant, within=self.within)

    def bits(self, h: Hypothesis) -> float:
        """Entropy of the features claimed below the root."""
        classes = h.classes(self.data)
        return sum(class_entropy(classes[e.draw]) for e in h.tree.claims[1:])

    def text(self, state: State) -> str:
        """The claims of a state in words."""
        told = [
            f"{node} carries {' & '.join(self.pool[i].name for i in which)}"
            for node, which in state
        ]
        return "; ".join(told) or "nothing matters"

    def step(self, scored: _Scored, tried: int) -> Step:
        """The step to a state."""
        return Step(self.text(scored.state), scored.recovered, scored.bits, tried)

    def score(self, states: Iterable[State]) -> list[_Scored]:
        """Scores of states; those that cannot be stated are left out."""
        states = list(dict.fromkeys(states))
        fresh: dict[State, Hypothesis] = {}
        for state in states:
            if state not in self.known:
                try:
                    fresh[state] = self.hypothesis(state)
                except HypothesisError:
                    continue  # a claimed node stands on the only route of another
        if fresh:
            trials = Trials(list(fresh.values()), self.data, self.metric, **self.options)
            piece = trials.run(range(len(fresh)), search_seed(self.seed), 0, self.samples)
            for i, (state, h) in enumerate(fresh.items()):
                one = recovered(piece, piece.values[i])
                if not one.defined:
                    raise ScrubError(
                        f"percent recovered is undefined ({one.reason}), so no hypothesis can be "
                        "grown towards a target. Give a metric, or randomize=."
                    )
                self.known[state] = _Scored(state, one.mean, one.se, self.bits(h))
        return [self.known[state] for state in states if state in self.known]

    def moves(self, state: State) -> list[State]:
        """States one addition away."""
        made: list[State] = []
        claimed = dict(state)
        for node in self.nodes:
            which = claimed.get(node, ())
            if any(self.pool[i].feature is exact for i in which):
                continue
            for i, one in enumerate(self.pool):
                if i in which:
                    continue
                exactly = flatten_feature(one.feature) == (exact,)
                parts = (i,) if exactly else tuple(sorted((*which, i)))
                made.append(tuple(sorted({**claimed, node: parts}.items())))
        return made

    def grow(self, target: float, most: int, beam: int) -> tuple[State, list[Step]]:
        """Add claims until the target is reached, or nothing helps."""
        best = self.score([()])[0]
        states, steps = [best], [self.step(best, 1)]
        while best.recovered < target:
            options = [s for one in states for s in self.moves(one.state) if len(s) <= most]
            scored = self.score(options)
            if not any(_better(one, best) for one in scored):
                scored += self.score(self._pairs(best, scored, most))
            chosen = _smallest_among_best(scored, beam)
            if not chosen or not _better(chosen[0], best):
                break
            best, states = chosen[0], chosen
            steps.append(self.step(best, len(scored)))
        return best.state, steps

    def _pairs(self, best: _Scored, scored: Sequence[_Scored], most: int) -> list[State]:
        single = sorted(
            (s for s in scored if len(s.state) == len(best.state) + 1),
            key=lambda s: -s.recovered,
        )[:PAIRS]
        both = [{**dict(a.state), **dict(b.state)} for a, b in combinations(single, 2)]
        size = len(best.state) + 2
        return [tuple(sorted(one.items())) for one in both if len(one) == size <= most]

    def prune(self, state: State, target: float) -> tuple[State, list[Step]]:
        """Take away claims and features that the target does not need."""
        steps: list[Step] = []
        while state:
            enough = min(target, self.score([state])[0].recovered)
            options: list[State] = []
            for node, which in state:
                rest = {n: w for n, w in state if n != node}
                options.append(tuple(sorted(rest.items())))
                for i in which if len(which) > 1 else ():
                    fewer = {**rest, node: tuple(j for j in which if j != i)}
                    options.append(tuple(sorted(fewer.items())))
            good = [s for s in self.score(options) if s.recovered + s.se >= enough]
            if not good:
                break
            kept = min(good, key=lambda s: (s.bits, -s.recovered))
            steps.append(self.step(kept, len(options)))
            state = kept.state
        return state, steps


def _better(one: _Scored, than: _Scored) -> bool:
    error = math.hypot(one.se, than.se)
    return one.recovered - than.recovered > max(2 * error, 0.5)


def _smallest_among_best(scored: Sequence[_Scored], beam: int) -> list[_Scored]:
    """The best states; among those of the same nodes, of what does as well, the smallest."""
    by_nodes: dict[tuple[str, ...], list[_Scored]] = {}
    for one in scored:
        by_nodes.setdefault(tuple(node for node, _ in one.state), []).append(one)
    chosen = []
    for group in by_nodes.values():
        top = max(group, key=lambda s: s.recovered)
        near = [s for s in group if s.recovered >= top.recovered - max(top.se, 0.5)]
        chosen.append(min(near, key=lambda s: (s.bits, -s.recovered)))
    order = np.argsort([-s.recovered for s in chosen], kind="stable")
    return [chosen[i] for i in order[:beam]]
