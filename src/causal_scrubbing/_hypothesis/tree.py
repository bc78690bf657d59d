"""The treeified hypothesis: one entry a claim and path, its routes, and the blocks of draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from causal_scrubbing._data import Feature
from causal_scrubbing._hypothesis.ablation import Fixed
from causal_scrubbing._hypothesis.claim import Claim
from causal_scrubbing._hypothesis.routes import Routes

REFERENCE = "~ref"
RANDOMIZED = "~randomized"


@dataclass(frozen=True)
class TreeClaim:
    """A claim at its place in the tree.

    Attributes:
        index: position in `Tree.claims`; parents come before children.
        path: labels from the root, joined by "/", which no label holds.
        claim: the claim as the user wrote it.
        parent: index of the claim it is computed into; None for the root.
        children: indices of the claims it is computed from; None for a leaf.
        draw: key of the block whose datum is this claim's.
        routes: how F(u) is made of its claims and unimportant parents; None for a leaf.
        other_draws: key of the datum of each unimportant parent that is drawn.
        ablated: what each unimportant parent is set to that is not drawn.
    """

    index: int
    path: str
    claim: Claim
    parent: int | None
    children: tuple[int, ...] | None
    draw: str
    routes: Routes | None
    other_draws: Mapping[str, str]
    ablated: Mapping[str, Fixed] = field(default_factory=dict)

    @property
    def is_leaf(self) -> bool:
        """Whether the claim stands for its node and everything upstream as one component."""
        return self.children is None


@dataclass(frozen=True)
class Block:
    """Parents that are drawn together, as one datum.

    Attributes:
        key: names the draw.
        of: key of the draw it must agree with (`REFERENCE` for the root and shared blocks).
        feature: the feature it must agree on, `within` included.
        claims: indices of the claims whose datum it is.
        others: (claim index, node) of the unimportant parents whose datum it is.
    """

    key: str
    of: str
    feature: Feature
    claims: tuple[int, ...] = ()
    others: tuple[tuple[int, str], ...] = ()

    @property
    def is_unimportant(self) -> bool:
        """Whether no claim is drawn by this block."""
        return not self.claims


@dataclass(frozen=True)
class Tree:
    """A treeified hypothesis: its claims, parents first, and its blocks in drawing order."""

    claims: tuple[TreeClaim, ...]
    blocks: tuple[Block, ...]

    @property
    def ablates(self) -> bool:
        """Whether unimportant parents of some claim are set to a constant instead of drawn."""
        return any(entry.ablated for entry in self.claims)

    @property
    def depth(self) -> int:
        """Levels of claims, the root's counted."""
        depths: list[int] = []
        for entry in self.claims:
            depths.append(1 if entry.parent is None else depths[entry.parent] + 1)
        return max(depths, default=0)

    def __getitem__(self, path: str) -> TreeClaim:
        for one in self.claims:
            if one.path == path:
                return one
        raise KeyError(path)
