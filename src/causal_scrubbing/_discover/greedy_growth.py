"""Growing the claims that one claim is computed from, and cutting them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from causal_scrubbing._discover import reasons
from causal_scrubbing._discover.partial_hypothesis import PartialHypothesis, Path
from causal_scrubbing._discover.redundant import without_redundant
from causal_scrubbing._discover.scorer import CUTTING, LEAST, Scored, Scorer
from causal_scrubbing._hypothesis import node_path
from causal_scrubbing._statistics import Estimate
from causal_scrubbing._trials import reachable


@dataclass(frozen=True)
class GrowthStep:
    """One step of the growth.

    Attributes:
        claim: path of the claim that is being explained.
        move: what was done.
        text: what the claim is said to be computed from then.
        recovered: percent recovered then, of the whole hypothesis.
        bits: how much it claims: the entropy of the feature each node is said to carry, summed.
        tried: how many moves it was chosen from.
        why: why it was made.
    """

    claim: str
    move: str
    text: str
    recovered: float
    bits: float
    tried: int
    why: str


@dataclass
class Grower:
    """Explains one claim after another.

    Attributes:
        scorer: scores the trees.
        nodes: the pool of nodes; None for the parents of each claim's node.
        target: percent recovered to reach.
        most: claims at most below one claim.
        beam: trees kept at each step.
        steps: what was done.
    """

    scorer: Scorer
    nodes: tuple[str, ...] | None
    target: float
    most: int
    beam: int
    steps: list[GrowthStep] = field(default_factory=list)

    def candidates(self, node: str) -> list[str]:
        """Nodes of the pool that a node may be said to be computed from."""
        if self.nodes is None:
            return list(self.scorer.graph.parents(node))
        within_reach = set(reachable(self.scorer.graph, node, self.scorer.via))
        return [one for one in self.nodes if one in within_reach]

    def on(self, scorer: Scorer) -> Grower:
        """A grower with another scorer that goes on with the same list of steps."""
        return replace(self, scorer=scorer)

    def note(self, path: Path, move: str, scored: Scored, tried: int, why: str) -> None:
        """Write a step down."""
        tree = scored.tree
        text = self.scorer.pool.told(tree.at(path))
        name = node_path(tree.node, *path)
        self.steps.append(GrowthStep(name, move, text, scored.recovered, scored.bits, tried, why))
        self.scorer.bar.phase(f"{name}: {move}, recovered {scored.recovered:.1f}%")

    def fell_short(self, tree: PartialHypothesis, held_out: Estimate) -> None:
        """Write down that samples held out recover less than the target."""
        bits = self.scorer.bits(self.scorer.hypothesis(tree))
        why = f"{held_out.n:,} samples held out recover too little; grown on with as many others"
        text = self.scorer.pool.told(tree)
        self.steps.append(GrowthStep(tree.node, "fell short", text, held_out.mean, bits, 1, why))

    # --- what is enough -----------------------------------------------------------------------

    def reaches(self, one: Scored, base: Scored | None) -> bool:
        """Whether a tree reaches the target, or what it started from, or loses no more than error.

        Args:
            one: the tree.
            base: the tree without the claims that are being made, on the same samples; None where
                the output is explained, which has the target alone to reach.
        """
        enough = one.worth >= self.target - 1e-9
        return enough or (base is not None and one.keeps_up(base))

    def _still_does(self, one: Scored, before: Scored, base: Scored | None) -> bool:
        """Whether a tree with less claimed is as good as is needed.

        The output's claims must reach the target within the error, or what they did before where
        that was less. Those of other claims must lose nothing, so that what the target leaves to
        lose is there for the claims still to be explained.
        """
        if base is not None:
            return self.reaches(one, base) and one.keeps_up(before)
        if before.worth >= self.target:
            return one.worth + one.se >= self.target - 1e-9
        return one.keeps_up(before)

    # --- outwards -----------------------------------------------------------------------------

    def grow(self, tree: PartialHypothesis, path: Path, base: Scored | None) -> Scored:
        """Say that nothing matters to a claim, then add what it is computed from.

        A node with a feature, or a feature of a node already claimed, as long as one helps; then
        the least part of everything the pool can say, if that does better; then a feature of the
        unimportant parents.

        Args:
            tree: the tree.
            path: the claim.
            base: as for `reaches`.
        """
        self.scorer.bar.phase(f"growing {node_path(tree.node, *path)}")
        bare = replace(tree.at(path), children=(), others=())
        start = self.scorer.one(tree.put(path, bare))
        self.note(path, "start", start, 1, "the least that can be claimed")
        # That nothing matters to a claim may cost nothing: else it were not claimed.
        if self.reaches(start, base) and (base is None or start.keeps_up(base)):
            return start
        states = [start]
        while states[0] is start or not self.reaches(states[0], base):
            better = (
                self._with_one_more(states, path)
                or self.least_of_everything(states[0], tree, path, base)
                or self.with_agreement(states[0], path)
            )
            if not better:
                break
            states = better
        return states[0]

    def _with_one_more(self, states: Sequence[Scored], path: Path) -> list[Scored]:
        chosen, tried, why = self.one_more(states, path)
        if chosen:
            self.note(path, "added", chosen[0], tried, why)
        return chosen

    def one_more(self, states: Sequence[Scored], path: Path) -> tuple[list[Scored], int, str]:
        """The best trees with a claim or a feature more, if they do better than the first.

        Returns:
            The trees, best first; how many were tried; and why the first of them was chosen.
        """
        options = list(
            dict.fromkeys(
                one.tree.put(path, partial)
                for one in states
                for partial in self._additions(one.tree.at(path))
            )
        )
        scored = self.scorer.score(self.scorer.contenders(options))
        chosen = smallest_first(scored, states[0], path, self.beam, len(options))
        why = reasons.added(chosen[0], scored, states[0], path, self.scorer.pool) if chosen else ""
        return chosen, len(options), why

    def least_of_everything(
        self, best: Scored, tree: PartialHypothesis, path: Path, base: Scored | None
    ) -> list[Scored]:
        """What is needed of all that the pool can say, if that does better."""
        full = self.everything(tree, path)
        if not full.is_better(best, 1) or not (base is None or self.reaches(full, base)):
            return []
        one, tried = self.least_of(full, path, base)
        if one is None or not one.is_better(best, 1):
            return []
        self.note(path, "least of everything", one, tried, reasons.of_everything(full, one, path))
        return [one]

    def with_agreement(self, best: Scored, path: Path) -> list[Scored]:
        """The unimportant parents agreeing on a feature more, or on all, if that does better."""
        pool, others = self.scorer.pool, best.tree.at(path).others
        for features in (pool.added(others), [pool.finest]):
            scored = self.scorer.score(self._agreements(best.tree, path, features))
            chosen = smallest_first(scored, best, path, 1, len(scored))
            if chosen:
                one = self._absorbed(chosen[0], path)
                why = reasons.agreement(one, best)
                self.note(path, "others agree", one, len(scored), why)
                return [one]
        return []

    def _additions(self, partial: PartialHypothesis) -> list[PartialHypothesis]:
        pool = self.scorer.pool
        claimed = {one.node: one.features for one in partial.children or ()}
        return [
            partial.with_child(node, features)
            for node in self.candidates(partial.node)
            if node in claimed or len(claimed) < self.most
            for features in pool.added(claimed.get(node, ()))
        ]

    def _agreements(
        self, tree: PartialHypothesis, path: Path, options: Sequence[tuple[int, ...]]
    ) -> list[PartialHypothesis]:
        """Trees in which a claim's unimportant parents agree on features.

        All of them agreeing on what settles the claim's own feature would be the leaf again.
        """
        if not self.scorer.loose(tree, path):
            return []
        partial = tree.at(path)
        return [
            tree.put(path, replace(partial, others=others))
            for others in options
            if not self.scorer.settles(others, partial.features if path else None)
        ]

    def _absorbed(self, one: Scored, path: Path) -> Scored:
        """The tree without claims that say no more than what the unimportant parents agree on."""
        partial = one.tree.at(path)
        same = [c.node for c in partial.children or () if set(c.features) <= set(partial.others)]
        less = self.scorer.score([one.tree.put(path, partial.without(same))])
        return next((found for found in less if found.keeps_up(one)), one)

    # --- from everything inwards --------------------------------------------------------------

    def everything(self, tree: PartialHypothesis, path: Path) -> Scored:
        """The tree with every node of the pool claimed to carry all that the pool can say."""
        partial = replace(tree.at(path), children=(), others=())
        for node in self.candidates(partial.node):
            more = partial.with_child(node, self.scorer.pool.finest)
            if self.scorer.can_state(tree.put(path, more)):
                partial = more
        return self.scorer.one(tree.put(path, partial))

    def least_of(self, full: Scored, path: Path, base: Scored | None) -> tuple[Scored | None, int]:
        """Few of the claims of `everything` that recover as much of the target as all do.

        Claims are left out half, a quarter, an eighth at a time, so that a few that matter among
        many cost a few dozen trials; what helps only together with others is found so.

        Returns:
            The tree, None where it has more than `most` claims; and how many were tried.
        """
        best, parts, tried = full, 2, 1
        while left := [one.node for one in best.tree.at(path).children or ()]:
            parts = min(parts, len(left))
            size = -(-len(left) // parts)
            chunks = [left[i : i + size] for i in range(0, len(left), size)]
            options = {
                best.tree.put(path, best.tree.at(path).without(chunk)): chunk for chunk in chunks
            }
            scored = self.scorer.score(options)
            good = [one for one in scored if self._still_does(one, full, base)]
            tried += len(scored)
            if len(good) > 1:
                loose = [node for one in good for node in options[one.tree]]
                both = self.scorer.score([best.tree.put(path, best.tree.at(path).without(loose))])
                tried += len(both)
                if both and self._still_does(both[0], full, base):
                    best = both[0]
                    continue
            if good:
                best = max(good, key=lambda one: one.worth)
            elif size == 1:
                break
            else:
                parts *= 2
        fits = len(best.tree.at(path).children or ()) <= self.most
        return (best if fits else None), tried

    # --- cutting back -------------------------------------------------------------------------

    def cut(self, tree: PartialHypothesis, path: Path, base: Scored | None) -> Scored:
        """Take away or make smaller what is not needed, on samples that had no part in the growth.

        A claim or a feature goes where the rest is still enough. Features are swapped for smaller
        ones where those are, and of what there is to lose lose no larger share than they spare
        of the bits.

        Args:
            tree: the tree.
            path: the claim whose claims are cut back.
            base: as for `grow`, on the samples of cutting.
        """
        self.scorer.bar.phase(f"cutting back {node_path(tree.node, *path)}")
        best = before = self.scorer.one(tree, CUTTING)
        while True:
            fewer = self._smaller(best.tree, path, self._removals(best.tree.at(path)))
            other = self._smaller(best.tree, path, self._swaps(best.tree.at(path)))
            good = [
                one
                for one in self.scorer.score(fewer, CUTTING)
                if self._still_does(one, before, base)
            ]
            good += [
                one
                for one in self.scorer.score(other, CUTTING)
                if self._still_does(one, before, base) and self._is_worth_it(one, best)
            ]
            if not good:
                return self.merge(best, path, CUTTING)
            less = min(good, key=lambda one: (*self._size(one.tree), -one.worth))
            why = reasons.cut_back(less, best, path)
            self.note(path, "cut back", less, len(fewer) + len(other), why)
            best = less

    def merge(self, best: Scored, path: Path, part: int) -> Scored:
        """The tree without features, below a claim, that the others of their claim settle.

        The classes are the same, and so are the swaps.
        """
        partial, less = without_redundant(best.tree.at(path), self.scorer)
        if not less:
            return best
        merged = self.scorer.one(best.tree.put(path, partial), part)
        self.note(path, "merged", merged, 1, "; ".join(less))
        return merged

    def _is_worth_it(self, one: Scored, than: Scored) -> bool:
        share = 1 - one.bits / than.bits
        return than.worth - one.worth <= max(share * (than.worth - self.target), LEAST)

    def _smaller(
        self, tree: PartialHypothesis, path: Path, options: Sequence[PartialHypothesis]
    ) -> list[PartialHypothesis]:
        """The trees with one of the claims at a path that claim less and can be stated."""
        made = [tree.put(path, one) for one in options]
        size = self._size(tree)
        return [one for one in made if self.scorer.can_state(one) and self._size(one) < size]

    def _size(self, tree: PartialHypothesis) -> tuple[float, int, int]:
        """Bits, claims, and those that are exact: features of as many bits say more of a node."""
        bits = self.scorer.bits(self.scorer.hypothesis(tree))
        claims = [one for _, one in tree.walk()]
        exactly = sum(any(map(self.scorer.pool.is_exact, one.features)) for one in claims)
        return round(bits, 9), len(claims), exactly

    def _removals(self, partial: PartialHypothesis) -> list[PartialHypothesis]:
        """The claim without one of those it is computed from, or without one of the features."""
        made = [partial.without([one.node]) for one in partial.children or ()]
        made += [
            partial.with_child(one.node, features)
            for one in partial.children or ()
            for features in _fewer(one.features)
        ]
        if partial.others:
            made.append(replace(partial, others=()))
            made += [replace(partial, others=others) for others in _fewer(partial.others)]
        return made

    def _swaps(self, partial: PartialHypothesis) -> list[PartialHypothesis]:
        """The claim with other features in place of those of one it is computed from."""
        instead = self.scorer.pool.instead
        made = [
            partial.with_child(one.node, features)
            for one in partial.children or ()
            for features in instead(one.features)
        ]
        if partial.others:
            made += [replace(partial, others=others) for others in instead(partial.others)]
        return made


def _fewer(features: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [tuple(j for j in features if j != i) for i in features if len(features) > 1]


def smallest_first(
    scored: Sequence[Scored], than: Scored, path: Path, count: int, tried: int
) -> list[Scored]:
    """The trees that do better, best first, at most so many; of those as good, the smallest.

    Of the same nodes one tree is kept: the smallest of those within the error of the best.
    """
    by_nodes: dict[tuple[str, ...], list[Scored]] = {}
    for one in scored:
        if one.is_better(than, tried):
            nodes = tuple(child.node for child in one.tree.at(path).children or ())
            by_nodes.setdefault(nodes, []).append(one)
    left = [_smallest(group) for group in by_nodes.values()]
    order: list[Scored] = []
    while left and len(order) < count:
        order.append(_smallest(left))
        left = [one for one in left if one is not order[-1]]
    return order


def _smallest(group: Sequence[Scored]) -> Scored:
    top = max(group, key=lambda one: one.worth)
    near = [one for one in group if one.is_near(top)]
    return min(near, key=lambda one: (round(one.bits, 9), one.claims, -one.worth))
