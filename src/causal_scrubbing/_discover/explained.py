"""From the output inwards: each claim said to be computed from others, where the pool can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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


@dataclass
class Explanation:
    """A tree, and what was found of its claims.

    Attributes:
        tree: the tree.
        depth: levels of claims below the root; None for no limit.
        why: of each claim.
        tried: likewise.
    """

    tree: PartialHypothesis
    depth: int | None
    why: dict[Path, str] = field(default_factory=dict)
    tried: dict[Path, int] = field(default_factory=dict)

    def note(self, path: Path, why: str, tried: int) -> None:
        """Write down what was found of a claim; what was tried adds up."""
        self.why[path] = why
        self.tried[path] = self.tried.get(path, 0) + tried

    def explained(self, grower: Grower) -> tuple[Explained, ...]:
        """What was found of each claim, parents first."""
        made = []
        for path, partial in self.tree.walk():
            children = partial.children
            made.append(
                Explained(
                    node_path(self.tree.node, *path),
                    grower.scorer.pool.names(partial.features) if path else "exact",
                    None if children is None else tuple(one.node for one in children),
                    self.why[path],
                    self.tried[path],
                )
            )
        return tuple(made)


def explain(grower: Grower, depth: int | None) -> Explanation:
    """Explain the output to reach the target, then claim after claim so as to keep it.

    Args:
        grower: explains one claim.
        depth: levels of claims below the root; None for no limit.
    """
    scorer = grower.scorer
    bare = PartialHypothesis(scorer.graph.output)
    grown = grower.grow(bare, (), None)
    best = grower.cut(grown.tree, (), None)
    start = scorer.one(best.tree)
    tried = len(scorer.known)
    why = _kept(best) if grower.reaches(start, None) else _short(grower, bare, (), start)
    found = Explanation(best.tree, depth)
    found.note((), why, tried)
    inwards(grower, found, [(one.node,) for one in best.tree.children or ()], start, best)
    return found


def inwards(
    grower: Grower, found: Explanation, paths: Sequence[Path], start: Scored, cut: Scored
) -> None:
    """Explain claims, then those that they are said to be computed from, level by level.

    Args:
        grower: explains one claim.
        found: the tree, which is changed.
        paths: of the claims.
        start: what is to be kept, on the samples of growing.
        cut: likewise, on those of cutting.
    """
    scorer, todo = grower.scorer, list(paths)
    while todo:
        path = todo.pop(0)
        before = len(scorer.known)
        more: Scored | None = None
        node = path[-1]
        if not scorer.graph.parents(node):
            why = "an input of the graph"
        elif not grower.candidates(node):
            why = "no node of the pool feeds it"
        elif found.depth is not None and len(path) >= found.depth:
            why = f"depth={found.depth}: not tried"
        else:
            more, why = _inwards(grower, found.tree, path, start, cut)
        if more is not None:
            found.tree = more.tree
            todo += [(*path, one.node) for one in found.tree.at(path).children or ()]
        found.note(path, why, len(scorer.known) - before)


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
