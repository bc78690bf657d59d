"""Growing a tree on where samples that had no part in its growth show that it falls short."""

from __future__ import annotations

from dataclasses import dataclass, replace

from causal_scrubbing._discover.explained import Explanation, inwards
from causal_scrubbing._discover.greedy_growth import Grower
from causal_scrubbing._discover.partial_hypothesis import Path
from causal_scrubbing._discover.reasons import gain
from causal_scrubbing._discover.scorer import CUTTING, GROWING, Scored
from causal_scrubbing._statistics import Estimate


@dataclass(frozen=True)
class Check:
    """What a hypothesis recovers on samples that had no part in its growth.

    Attributes:
        recovered: percent, of as many samples as the estimate says.
        reached: whether it is within two standard errors of the target.
    """

    recovered: Estimate
    reached: bool


@dataclass(frozen=True)
class _Move:
    path: Path
    name: str
    scored: Scored
    tried: int
    why: str


def check(recovered: Estimate, target: float) -> Check:
    """Whether an estimate reaches a target; more than 100% counts as far below it."""
    worth = 100 - abs(100 - recovered.mean)
    return Check(recovered, recovered.defined and worth + 2 * recovered.se >= target)


def grow_on(grower: Grower, found: Explanation) -> bool:
    """Add to a tree, at any claim that is explained, until the target is reached.

    A claim or a feature more, or an explained claim taken whole again, whichever helps most; then
    the least part of everything; then a feature of unimportant parents. New claims are explained.

    Args:
        grower: on samples that had no part in the growth so far.
        found: the tree, which is changed.

    Returns:
        Whether there is more to the tree than before.
    """
    scorer = grower.scorer
    scorer.bar.phase("growing on")
    start = best = scorer.one(found.tree)
    while not grower.reaches(best, None):
        better = _moves(grower, best)
        if better:
            top = max(better, key=lambda one: one.scored.worth)
            near = [one for one in better if one.scored.is_near(top.scored)]
            move = min(near, key=lambda one: (round(one.scored.bits, 9), -one.scored.worth))
            best = move.scored
            grower.note(move.path, move.name, best, move.tried, move.why)
            continue
        further = grower.least_of_everything(best, best.tree, (), None)
        for path, partial in best.tree.walk():
            if not further and partial.children is not None:
                further = grower.with_agreement(best, path)
        if not further:
            break
        best = further[0]
    if best is start:
        return False
    before = dict(found.tree.walk())
    for path, partial in best.tree.walk():
        if partial.children is not None:
            best = grower.merge(best, path, GROWING)
    found.tree = best.tree
    fresh = []
    for path, partial in best.tree.walk():
        if partial.children is not None:
            found.note(path, f"recovered {best.recovered:.1f}%", 0)
        elif before.get(path) != partial:
            fresh.append(path)
    inwards(grower, found, fresh, best, scorer.one(best.tree, CUTTING))
    return True


def _moves(grower: Grower, best: Scored) -> list[_Move]:
    """What does better: at each claim the best addition, or the claim taken whole."""
    made = []
    for path, partial in best.tree.walk():
        if partial.children is None:
            continue
        chosen, tried, why = grower.one_more([best], path)
        if chosen:
            made.append(_Move(path, "added", chosen[0], tried, why))
        if path:
            leaf = best.tree.put(path, replace(partial, children=None, others=()))
            whole = grower.scorer.one(leaf)
            if whole.is_better(best, 1):
                why = f"what it was computed from falls short: {gain(whole, best)}"
                made.append(_Move(path, "taken whole", whole, 1, why))
    return made
