"""Scores of many growing hypotheses, on common random numbers, each scrubbed once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causal_scrubbing._controls import recovered
from causal_scrubbing._data import Dataset, Feature, Floats, exact
from causal_scrubbing._discover.partial_hypothesis import FeaturePool, PartialHypothesis, Path
from causal_scrubbing._errors import HypothesisError, ScrubError
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Hypothesis, node_path
from causal_scrubbing._refute import search_seed
from causal_scrubbing._simulate import Metric, Progress
from causal_scrubbing._statistics import ranked
from causal_scrubbing._trials import Spread, Trials, class_entropy

LEAST = 0.5
"""Percent recovered that counts as no difference."""

GROWING, CUTTING, SCREENING = 0, 1, 2
"""Which samples: those that claims are chosen on, those on which they must prove needed, and those
on which many are thinned out."""

MANY = 64
"""Trees of which a third is chosen on few samples first."""


@dataclass(frozen=True, eq=False)
class Scored:
    """A tree with its score on some samples.

    Attributes:
        tree: the tree of claims.
        recovered: percent recovered.
        se: its standard error.
        bits: how much is claimed; see `Scorer.bits`.
        values: metric of each sample, over the mean of model less randomized, in percent.
        below: model less randomized of each sample, over their mean.
    """

    tree: PartialHypothesis
    recovered: float
    se: float
    bits: float
    values: Floats = field(repr=False)
    below: Floats = field(repr=False)

    @property
    def worth(self) -> float:
        """Percent recovered; above 100 as far below it, since the behaviour is missed as well."""
        return 100 - abs(100 - self.recovered)

    @property
    def claims(self) -> int:
        """How many claims there are."""
        return sum(1 for _ in self.tree.walk())

    def error(self, than: Scored) -> float:
        """Standard error of the difference of percent recovered, over the same samples."""
        difference = self.values - than.values
        residuals = difference - difference.mean() * self.below
        return float(residuals.std(ddof=1)) / math.sqrt(len(residuals))

    def is_better(self, than: Scored, tried: int) -> bool:
        """Whether it does better by more than chance would give the best of so many."""
        from scipy.stats import norm

        error = float(norm.isf(0.05 / max(tried, 2))) * self.error(than)
        return self.worth - than.worth > max(error, LEAST)

    def keeps_up(self, base: Scored) -> bool:
        """Whether it does not do worse by more than two standard errors."""
        return base.worth - self.worth <= max(2 * self.error(base), LEAST)

    def is_near(self, top: Scored) -> bool:
        """Whether it does as well within the error."""
        return top.worth - self.worth <= max(self.error(top), LEAST)


@dataclass(eq=False)
class Scorer:
    """Scores trees of claims.

    Attributes:
        graph: the graph.
        data: the dataset.
        metric: one metric, or None.
        pool: the features.
        via: of every claim.
        unimportant: the policy.
        within: as for `Hypothesis`.
        samples: of each tree, in either part.
        seed: of the search.
        options: of `Trials`.
        bar: told of the work.
        again: how often samples were drawn afresh, which then are of other seeds.
        known: scores by tree and part.
    """

    graph: Graph
    data: Dataset
    metric: Metric | Mapping[str, Metric] | None
    pool: FeaturePool
    via: tuple[str, ...]
    unimportant: str
    within: Feature
    samples: int
    seed: int
    options: dict[str, Any]
    bar: Progress = field(default_factory=lambda: Progress(False, 0), repr=False)
    again: int = 0
    known: dict[tuple[PartialHypothesis, int], Scored] = field(default_factory=dict, repr=False)

    def hypothesis(self, tree: PartialHypothesis) -> Hypothesis:
        """The hypothesis of a tree.

        Raises:
            HypothesisError: it cannot be stated: a claim stands on the only route of another.
        """
        root = replace(self.pool.claim(tree, self.via), feature=exact, via=())
        return Hypothesis(self.graph, root, unimportant=self.unimportant, within=self.within)

    def can_state(self, tree: PartialHypothesis) -> bool:
        """Whether a tree is a hypothesis."""
        try:
            self.hypothesis(tree)
        except HypothesisError:
            return False
        return True

    def settles(self, features: tuple[int, ...], one: tuple[int, ...] | None) -> bool:
        """Whether rows that agree on some features agree on others (the row itself if None)."""
        have = tuple(self.pool.features[i].feature for i in features)
        want = exact if one is None else tuple(self.pool.features[i].feature for i in one)
        return self.data.classes((have, want)).count == self.data.classes(have).count

    def loose(self, tree: PartialHypothesis, path: Path) -> tuple[str, ...]:
        """The unimportant parents of the claim at a path."""
        return tuple(self.hypothesis(tree).tree[node_path(tree.node, *path)].other_draws)

    def bits(self, h: Hypothesis) -> float:
        """How much is claimed: the entropy of the feature that each node is said to carry.

        The sum over claims below the root and over unimportant parents with a feature, of what
        the feature adds to `within`; so a feature of all unimportant parents costs what claiming
        it of each would.
        """
        classes = h.classes(self.data)
        always = class_entropy(self.data.classes(h.within))
        return sum(
            (class_entropy(classes[block.key]) - always) * (len(block.claims) + len(block.others))
            for block in h.tree.blocks[1:]
        )

    def score(self, trees: Iterable[PartialHypothesis], part: int = GROWING) -> list[Scored]:
        """Scores of trees on the samples of a part; those that cannot be stated are left out.

        Raises:
            ScrubError: percent recovered is undefined.
        """
        trees = list(dict.fromkeys(trees))
        fresh: dict[PartialHypothesis, Hypothesis] = {}
        for tree in trees:
            if (tree, part) not in self.known:
                try:
                    fresh[tree] = self.hypothesis(tree)
                except HypothesisError:
                    continue
        if fresh:
            trials = Trials(list(fresh.values()), self.data, self.metric, **self.options)
            start = part * self.samples
            stop = start + (self.few if part == SCREENING else self.samples)
            self.bar.expect((stop - start) * len(fresh))
            trials.advance = self.bar.advance
            seed = self.seed
            for _ in range(1 + self.again):
                seed = search_seed(seed)
            chunk = trials.run(range(len(fresh)), seed, start, stop)
            for i, (tree, h) in enumerate(fresh.items()):
                one = recovered(chunk, chunk.values[i], resamples=0)
                # The few samples of a screening rank trees; they need not settle the baseline.
                unsettled = not one.defined and part != SCREENING
                if unsettled or chunk.randomized is None:
                    raise ScrubError(
                        f"percent recovered is undefined ({one.reason}), so no hypothesis can be "
                        "grown towards a target. Give a metric, or randomize=."
                    )
                below = chunk.model - chunk.randomized
                whole = float(below.mean())
                if whole == 0.0:
                    continue
                above = chunk.values[i] - chunk.randomized
                share = float(above.mean()) / whole
                error = float(np.std(above - share * below, ddof=1)) / abs(whole)
                self.known[tree, part] = Scored(
                    tree, 100 * share, 100 * error / len(below) ** 0.5, self.bits(h),
                    100 * chunk.values[i] / whole, np.asarray(below / whole),
                )  # fmt: skip
        return [self.known[tree, part] for tree in trees if (tree, part) in self.known]

    @property
    def few(self) -> int:
        """Samples of a tree where many are thinned out."""
        return max(self.samples // 4, 2)

    def contenders(self, trees: Sequence[PartialHypothesis]) -> list[PartialHypothesis]:
        """The better third of trees by few samples, where they are many."""
        if len(trees) <= MANY:
            return list(trees)
        scored = self.score(trees, SCREENING)
        order = ranked([one.worth for one in scored])
        return [scored[i].tree for i in order[: max(len(scored) // 3, MANY // 2)]]

    def over(self, spread: Spread | None) -> Scorer:
        """A scorer whose trees are scrubbed by these workers; by this process if None."""
        return replace(self, options={**self.options, "spread": spread})

    def afresh(self, samples: int) -> Scorer:
        """A scorer on other samples, and as many of them as given."""
        return replace(self, samples=samples, again=self.again + 1, known={})

    def one(self, tree: PartialHypothesis, part: int = GROWING) -> Scored:
        """The score of a tree that can be stated."""
        return self.score([tree], part)[0]
