"""From the output inwards: each claim said to be computed from others, where the pool can say."""

from __future__ import annotations

from dataclasses import dataclass, replace

from causal_scrubbing._discover.greedy_growth import Grower
from causal_scrubbing._discover.partial_hypothesis import PartialHypothesis, Path
from causal_scrubbing._discover.scorer import CUTTING, Scored
from causal_scrubbing._hypothesis import node_path


@dataclass(frozen=True)
class Explained:
    """Whether a claim could be said to be computed from others.

    Attributes:
        claim: its path.
        carries: its feature, in words.
        by: the nodes it is said to be computed from; None where it stays a leaf.
        why: why it stays one, or what the whole hypothesis recovers with it explained.
        tried: how many hypotheses were scrubbed for it, each once for a part of the samples.
    """

    claim: str
    carries: str
    by: tuple[str, ...] | None
    why: str
    tried: int


def explain(grower: Grower, depth: int | None) -> tuple[PartialHypothesis, tuple[Explained, ...]]:
    """Explain the output to reach the target, then claim after claim so as to keep it.

    Args:
        grower: explains one claim.
        depth: levels of claims below the root; None for no limit.

    Returns:
        The tree, and what was found of each of its claims, parents first.
    """
    scorer = grower.scorer
    bare = PartialHypothesis(scorer.graph.output)
    grown = grower.grow(bare, (), None)
    best = grower.cut(grown.tree, (), None)
    start, tree = scorer.one(best.tree), best.tree
    tried = len(scorer.known)
    why = _kept(best) if grower.reaches(start, None) else _short(grower, bare, (), start)
    found = dict[Path, Explained]()
    found[()] = _explained(grower, tree, (), True, why, tried)
    todo: list[Path] = [(one.node,) for one in tree.children or ()]
    while todo:
        path = todo.pop(0)
        before = len(scorer.known)
        more: Scored | None = None
        node = path[-1]
        if not scorer.graph.parents(node):
            why = "an input of the graph"
        elif not grower.candidates(node):
            why = "no node of the pool feeds it"
        elif depth is not None and len(path) >= depth:
            why = f"depth={depth}: not tried"
        else:
            more, why = _inwards(grower, tree, path, start, best)
        if more is not None:
            tree = more.tree
            todo += [(*path, one.node) for one in tree.at(path).children or ()]
        tried = len(scorer.known) - before
        found[path] = _explained(grower, tree, path, more is not None, why, tried)
    return tree, tuple(found[path] for path, _ in tree.walk())


def _inwards(
    grower: Grower, tree: PartialHypothesis, path: Path, start: Scored, cut: Scored
) -> tuple[Scored | None, str]:
    """Explain one claim, keeping what the outermost claims recovered on either part."""
    scorer = grower.scorer
    grown = grower.grow(tree, path, start)
    again = scorer.one(grown.tree, CUTTING)
    if not (grower.reaches(grown, start) and grower.reaches(again, cut)):
        return None, _short(grower, tree, path, grown)
    partial = grown.tree.at(path)
    if partial.others:
        # All parents on one datum is what the leaf says already.
        alone = scorer.one(tree.put(path, replace(partial, children=())))
        if grower.reaches(alone, start):
            agree = scorer.pool.names(partial.others)
            return None, f"only as a whole: its parents together agreeing on {agree}"
    kept = grower.cut(grown.tree, path, cut)
    return kept, _kept(kept)


def _explained(
    grower: Grower, tree: PartialHypothesis, path: Path, is_inner: bool, why: str, tried: int
) -> Explained:
    partial = tree.at(path)
    by = tuple(one.node for one in partial.children or ()) if is_inner else None
    carries = grower.scorer.pool.names(partial.features) if path else "exact"
    return Explained(node_path(tree.node, *path), carries, by, why, tried)


def _kept(scored: Scored) -> str:
    return f"recovered {scored.recovered:.1f}%"


def _short(grower: Grower, tree: PartialHypothesis, path: Path, best: Scored) -> str:
    """What the best found recovers, and what everything the pool can say does."""
    full = grower.everything(tree, path)
    verdict = "not found" if full.worth + full.se >= grower.target else "the pool falls short"
    return (
        f"{verdict}: {best.recovered:.1f}% at best; all its nodes with all its features recover "
        f"{full.recovered:.1f}%"
    )
