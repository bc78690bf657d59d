"""Variants of a hypothesis that serve as controls: weaker, stronger, random, of its shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from causal_scrubbing._data import Dataset, Feature, anything, exact, feature_name
from causal_scrubbing._data.classes import Ints
from causal_scrubbing._data.features import flatten_feature
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._graph import Graph
from causal_scrubbing._graph.patterns import matches
from causal_scrubbing._hypothesis import Claim, Hypothesis
from causal_scrubbing._hypothesis.hypothesis import POLICIES
from causal_scrubbing._refute.additions import edit


@dataclass(frozen=True, eq=False)
class Variant:
    """One control: what was changed, and the hypothesis that gives."""

    kind: str
    text: str
    hypothesis: Hypothesis


@dataclass(frozen=True, eq=False)
class Permuted:
    """A feature with its values dealt out anew: as many rows in each class, but other rows."""

    feature: Feature
    seed: int

    @property
    def name(self) -> str:
        """How it is told."""
        return f"permuted {feature_name(self.feature)}"

    def __call__(self, data: Dataset) -> Ints:
        """The class of each row."""
        order = np.random.default_rng([self.seed, 0xC0DE]).permutation(len(data))
        return data.classes(self.feature).ids[order]


def variants(h: Hypothesis, seed: int, random: int) -> list[Variant]:
    """All controls of a hypothesis that can be stated on its graph.

    Args:
        h: the hypothesis.
        seed: of the random ones.
        random: how many random ones of each kind.
    """
    found: list[Variant] = []
    for kind, text, make in _proposals(h, seed, random):
        try:
            found.append(Variant(kind, text, make().with_(name=text)))
        except HypothesisError:
            continue  # without this claim a sibling's route is ambiguous, or a group is empty
    return found


Proposal: TypeAlias = tuple[str, str, Callable[[], Hypothesis]]


def _proposals(h: Hypothesis, seed: int, random: int) -> Iterator[Proposal]:
    output = h.graph.output

    def whole(feature: Feature) -> Hypothesis:
        return h.with_(root=Claim(output, feature), unimportant="per-claim")

    yield "bound", "trivial: the output carries anything", lambda: whole(anything)
    yield "bound", "all exact: the model itself", lambda: whole(exact)
    for policy in POLICIES:
        if policy != h.unimportant:
            yield (
                "policy",
                f"unimportant parents drawn {policy}",
                partial(h.with_, unimportant=policy),
            )
    for entry in h.tree.claims:
        claim, path = entry.claim, entry.path
        parts = flatten_feature(claim.feature)
        if parts and entry.parent is not None:
            yield "coarsened", f"{path} carries anything", _set(h, path, feature=anything)
        if len(parts) > 1:
            for part in parts:
                rest = tuple(p for p in parts if p is not part)
                text = f"{path} without {feature_name(part)}"
                yield "coarsened", text, _set(h, path, feature=rest)
        if parts != (exact,):
            yield "refined", f"{path} carries exact", _set(h, path, feature=exact)
        if claim.children is not None:
            yield (
                "unexpanded",
                f"{path} taken whole",
                _set(h, path, children=None, others=anything),
            )
        if entry.parent is not None:
            yield "removed", f"{path} not claimed", partial(_without, h, path)
            for pattern in claim.via:
                left = tuple(p for p in claim.via if p != pattern)
                yield "edge removed", f"{path} not via {pattern}", _set(h, path, via=left)
        for i in range(random):
            if parts and parts != (exact,):
                permuted = Permuted(claim.feature, seed + i)
                text = f"{path} carries {permuted.name} ({i + 1})"
                yield "random feature", text, _set(h, path, feature=permuted)
    rng = np.random.default_rng([seed, 0xD1CE])
    for i in range(random if h.root.children else 0):
        yield (
            "random nodes",
            f"same shape on other nodes ({i + 1})",
            lambda: h.with_(root=_elsewhere(h.graph, h.root, h.root.node, rng)),
        )


def _set(h: Hypothesis, path: str, **changes: Any) -> Callable[[], Hypothesis]:
    return lambda: edit(h, path, lambda claim: replace(claim, **changes))


def _without(h: Hypothesis, path: str) -> Hypothesis:
    above, label = path.rsplit("/", 1)

    def drop(claim: Claim) -> Claim:
        children = tuple(c for c in claim.children or () if c.label != label)
        return replace(claim, children=children)

    return edit(h, above, drop)


def _elsewhere(graph: Graph, claim: Claim, node: str, rng: np.random.Generator) -> Claim:
    """The claim on another node, its children on random parents of that one."""
    if claim.children is None:
        return replace(claim, node=node, name=None)
    taken: set[str] = set()
    children: list[Claim] = []
    for child in claim.children:
        options = [p for p in reachable(graph, node, child.via) if p not in taken]
        others = [p for p in options if p != child.node] or options
        if not others:
            continue
        chosen = str(rng.choice(others))
        taken.add(chosen)
        children.append(_elsewhere(graph, child, chosen, rng))
    return replace(claim, node=node, children=tuple(children), name=None)


def reachable(graph: Graph, node: str, via: Sequence[str]) -> list[str]:
    """Nodes from which a route by `via` leads to a node."""
    found = dict.fromkeys(graph.parents(node))
    todo = list(found)
    while todo:
        one = todo.pop()
        if any(matches(pattern, one) for pattern in via):
            fresh = [p for p in graph.parents(one) if p not in found]
            found.update(dict.fromkeys(fresh))
            todo += fresh
    return list(found)
