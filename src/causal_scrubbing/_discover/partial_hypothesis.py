"""A hypothesis while it grows: a tree of nodes and of numbers of features in a pool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from causal_scrubbing._data import exact, flatten_feature
from causal_scrubbing._hypothesis import Claim
from causal_scrubbing._trials import PoolFeature, merged

Path: TypeAlias = tuple[str, ...]
"""Nodes from below the root to a claim; empty for the root."""


@dataclass(frozen=True)
class PartialHypothesis:
    """A claim while it grows.

    Attributes:
        node: its node.
        features: numbers of its features in the pool, ascending; the root's are not kept.
        children: the claims it is said to be computed from; None for a leaf.
        others: numbers of the features its unimportant parents agree on.
    """

    node: str
    features: tuple[int, ...] = ()
    children: tuple[PartialHypothesis, ...] | None = None
    others: tuple[int, ...] = ()

    def at(self, path: Path) -> PartialHypothesis:
        """The claim at a path."""
        return self if not path else self.child(path[0]).at(path[1:])

    def child(self, node: str) -> PartialHypothesis:
        """The claim about a node that this one is computed from."""
        return next(one for one in self.children or () if one.node == node)

    def put(self, path: Path, partial: PartialHypothesis) -> PartialHypothesis:
        """The tree with another claim at a path."""
        if not path:
            return partial
        inner = self.child(path[0]).put(path[1:], partial)
        return self.with_children(
            [inner if one.node == path[0] else one for one in self.children or ()]
        )

    def with_children(self, children: Sequence[PartialHypothesis]) -> PartialHypothesis:
        """The claim computed from others; their order is that of their names."""
        return replace(self, children=tuple(sorted(children, key=lambda one: one.node)))

    def without(self, nodes: Sequence[str]) -> PartialHypothesis:
        """The claim without those about some nodes."""
        return self.with_children([one for one in self.children or () if one.node not in nodes])

    def with_child(self, node: str, features: Sequence[int]) -> PartialHypothesis:
        """The claim with a leaf about a node, in place of one about it that is there."""
        leaf = PartialHypothesis(node, tuple(sorted(features)))
        return self.with_children([*(self.without([node]).children or ()), leaf])

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, PartialHypothesis]]:
        """The claims with their paths, parents first."""
        yield path, self
        for one in self.children or ():
            yield from one.walk((*path, one.node))


@dataclass(frozen=True)
class FeaturePool:
    """The features that may be claimed, by number."""

    features: tuple[PoolFeature, ...]

    def __len__(self) -> int:
        return len(self.features)

    def is_exact(self, number: int) -> bool:
        """Whether a feature tells every row from every other."""
        return flatten_feature(self.features[number].feature) == (exact,)

    @property
    def inexact(self) -> tuple[int, ...]:
        """All features but `exact`."""
        return tuple(i for i in range(len(self)) if not self.is_exact(i))

    @property
    def finest(self) -> tuple[int, ...]:
        """The most that the pool can say of a node: `exact`, or all features together."""
        return next(((i,) for i in range(len(self)) if self.is_exact(i)), self.inexact)

    def added(self, features: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Features with one more."""
        if any(map(self.is_exact, features)):
            return []
        return [
            (i,) if self.is_exact(i) else tuple(sorted((*features, i)))
            for i in range(len(self))
            if i not in features
        ]

    def instead(self, features: tuple[int, ...]) -> list[tuple[int, ...]]:
        """What may stand in place of features: any one of the pool, or for `exact` all others."""
        options: list[tuple[int, ...]] = [(i,) for i in range(len(self))]
        if any(map(self.is_exact, features)) and self.inexact:
            options.append(self.inexact)
        return [one for one in dict.fromkeys(options) if one != features]

    def names(self, features: Sequence[int]) -> str:
        """Features in words."""
        return " & ".join(self.features[i].name for i in features)

    def told(self, partial: PartialHypothesis) -> str:
        """What a claim is said to be computed from, in words."""
        parts = [f"{one.node} carries {self.names(one.features)}" for one in partial.children or ()]
        if partial.others:
            parts.append(f"the others agree on {self.names(partial.others)}")
        return "; ".join(parts) or "nothing matters"

    def claim(self, partial: PartialHypothesis, via: tuple[str, ...]) -> Claim:
        """The claim below the root that a tree stands for."""
        return Claim(
            partial.node,
            merged(*(self.features[i].feature for i in partial.features)),
            None
            if partial.children is None
            else tuple(self.claim(c, via) for c in partial.children),
            via=via,
            others=merged(*(self.features[i].feature for i in partial.others)),
        )
