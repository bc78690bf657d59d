"""Random hypotheses of a hypothesis's shape: features dealt out anew, the claims on other nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from causal_scrubbing._data import Dataset, Feature, Floats, Ints, anything, feature_name
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Claim, Hypothesis, node_label

ATTEMPTS = 40
"""Draws made for each random hypothesis before it is given up."""


@dataclass(frozen=True, eq=False)
class Permuted:
    """A feature with its values dealt out anew: as much weight in each class, but other rows.

    Rows of one class of `within` exchange values among themselves, so that the two features
    together keep the weight of their classes too. With unequal weights no exchange keeps the
    weights exactly; then rows are dealt out, heavy ones first, to classes that have room left.

    Attributes:
        feature: the feature.
        seed: of the deal.
        within: rows that differ in it exchange nothing.
    """

    feature: Feature
    seed: int
    within: Feature = anything

    @property
    def name(self) -> str:
        """How it is told."""
        return f"permuted {feature_name(self.feature)}"

    def __call__(self, data: Dataset) -> Ints:
        """The class of each row."""
        rng = np.random.default_rng([self.seed, 0xC0DE])
        old, kept = data.classes(self.feature), data.classes(self.within)
        new = old.ids.copy()
        for start, size in zip(kept.starts, kept.sizes, strict=True):
            rows = kept.order[start : start + size]
            if data.is_uniform:
                new[rows] = rng.permutation(old.ids[rows])
            else:
                new[rows] = _deal(old.ids[rows], data.weights[rows], rng)
        return new


def _deal(ids: Ints, weights: Floats, rng: np.random.Generator) -> Ints:
    """Classes dealt out so that each has about the weight it had, and at least one row."""
    classes, old = np.unique(ids, return_inverse=True)
    room = np.bincount(old, weights=weights)
    new = np.empty_like(old)
    shuffled = rng.permutation(len(ids))
    for row in shuffled[np.argsort(-weights[shuffled], kind="stable")]:
        # Among the classes with room for the row, by the room left; else the emptiest.
        fits = np.where(room >= weights[row] * (1 - 1e-9), room, 0.0)
        chance = fits / fits.sum() if fits.any() else None
        chosen = int(np.argmax(room)) if chance is None else int(rng.choice(len(room), p=chance))
        new[row] = chosen
        room[chosen] -= weights[row]
    missing = np.setdiff1d(np.arange(len(classes)), new)
    for one in missing:  # a class squeezed out takes the lightest row that is not its class's last
        sizes = np.bincount(new, minlength=len(classes))
        spare = np.flatnonzero(sizes[new] > 1)
        new[spare[np.argmin(weights[spare])]] = one
    return np.asarray(classes[new], dtype=np.int64)


def permutations(
    feature: Feature, within: Feature, data: Dataset, seed: int, number: int
) -> Iterator[Permuted]:
    """Up to a number of permuted features whose classes differ from the feature's and each other's.

    Args:
        feature: what is permuted.
        within: the hypothesis's, which every block carries besides.
        data: the dataset.
        seed: of the first; those that repeat one are passed over.
        number: how many are wanted.
    """
    seen = {data.classes((feature, within)).digest}
    made = 0
    for attempt in range(ATTEMPTS * max(number, 1)):
        if made == number:
            return
        one = Permuted(feature, seed + attempt, within)
        digest = data.classes((one, within)).digest
        if digest not in seen:
            seen.add(digest)
            made += 1
            yield one


def can_permute(feature: Feature, within: Feature, data: Dataset) -> bool:
    """Whether rows of one class of `within` differ in the feature, and not all from one another."""
    return data.classes(within).count < data.classes((feature, within)).count < len(data)


def elsewhere(h: Hypothesis, rng: np.random.Generator, other: bool) -> Hypothesis:
    """The hypothesis with its claims on random nodes upstream of their parents', via random routes.

    Args:
        h: the hypothesis: its shape, features, ties and policy are kept.
        rng: makes the choices.
        other: no claim keeps its node.

    Raises:
        HypothesisError: the nodes chosen have no room for the tree, or the routes clash.
    """
    paths: dict[str, str] = {}
    root = _place(h, h.root, h.root.node, (h.root.label, h.root.label), paths, rng, other)
    policy = h.unimportant
    if isinstance(policy, Mapping):
        policy = {paths[path]: group for path, group in policy.items()}
    return h.with_(root=root, unimportant=policy)


def _place(
    h: Hypothesis,
    claim: Claim,
    node: str,
    path: tuple[str, str],
    paths: dict[str, str],
    rng: np.random.Generator,
    other: bool,
) -> Claim:
    paths[path[0]] = path[1]
    if claim.children is None:
        return replace(claim, node=node)
    taken: set[str] = set()
    children: list[Claim] = []
    for child in claim.children:
        options = [
            name
            for name in h.graph.names
            if name in h.graph.ancestors(node)
            and name not in taken
            and not h.graph.is_constant[name]
            and len(h.graph.ancestors(name)) >= _size(child)
            and not (other and name == child.node)
        ]
        if not options:
            raise HypothesisError([f"no node upstream of {node} has room for {path[0]}'s claims."])
        chosen = str(rng.choice(options))
        taken.add(chosen)
        via = _route(h.graph, chosen, node, rng)
        below = (f"{path[0]}/{child.label}", f"{path[1]}/{node_label(chosen)}")
        placed = _place(h, child, chosen, below, paths, rng, other)
        children.append(replace(placed, via=via, name=None, draw=None, cut=()))
    return replace(claim, node=node, children=tuple(children))


def _size(claim: Claim) -> int:
    """How deep the claims go below a claim: at least so many nodes must be upstream of its own."""
    return 1 + max(map(_size, claim.children)) if claim.children else 0


def _route(graph: Graph, start: str, end: str, rng: np.random.Generator) -> tuple[str, ...]:
    """The nodes between on a random route; none where there is an edge."""
    between: list[str] = []
    here = start
    while here not in graph.parents(end):
        inside = [c for c in graph.children(here) if c in graph.ancestors(end)]
        here = str(rng.choice(inside))
        between.append(here)
    return tuple(between)
