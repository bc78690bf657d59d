"""Parts of a hypothesis taken away: a claim, an edge of the graph, its unimportant parents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from causal_scrubbing._data import anything, exact
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._graph import Graph, matches
from causal_scrubbing._hypothesis import (
    RESAMPLE,
    ZERO,
    ChildSource,
    Claim,
    CopySource,
    Hypothesis,
    OtherSource,
    TreeClaim,
    find_routes,
    resampled,
)
from causal_scrubbing._trials.edits import edit

Edge: TypeAlias = tuple[str, str]
"""A node and the node it is a parent of."""


def inner_paths(claim: Claim, path: str | None = None) -> list[str]:
    """Paths of the claims that are no leaves, from a root claim down."""
    here = claim.label if path is None else path
    if claim.children is None:
        return []
    below = [p for c in claim.children for p in inner_paths(c, f"{here}/{c.label}")]
    return [here, *below]


def restated(h: Hypothesis, root: Claim) -> Hypothesis:
    """The hypothesis with another tree; groups that name claims no longer there let go of them."""
    policy = h.unimportant
    if isinstance(policy, Mapping):
        left = set(inner_paths(root))
        policy = {path: group for path, group in policy.items() if path in left} or "per-claim"
    return h.with_(root=root, unimportant=policy)


def changed(h: Hypothesis, path: str, children: Sequence[Claim]) -> Hypothesis:
    """The hypothesis with other claims under the claim at a path; ties keep their draws."""
    entry = h.tree[path]
    draws: dict[str, str] = {}
    for index in entry.children or ():
        below = h.tree.claims[index]
        if below.claim.tie is not None:
            draws[below.claim.tie] = below.draw
    kept: list[Claim] = []
    for child in children:
        key = None if child.tie is None else draws.pop(child.tie, None)
        # The first of a tie names its draw: the next one takes the name on.
        kept.append(child if key in (None, f"{path}/{child.label}") else replace(child, draw=key))
    bare = h.with_(unimportant="per-claim")
    root = edit(bare, path, lambda claim: replace(claim, children=tuple(kept))).root
    return restated(h, root)


def without_claim(h: Hypothesis, path: str) -> Hypothesis:
    """A claim removed: its node is unimportant wherever its value entered.

    Raises:
        HypothesisError: the routes of a sibling pass the same edges beside it, so that no claims
            say this.
    """
    above, label = path.rsplit("/", 1)
    entry = h.tree[above]
    children = entry.claim.children or ()
    number = next(i for i, c in enumerate(children) if c.label == label)
    gone = children[number]
    rest = [c for i, c in enumerate(children) if i != number]
    entered = [edge for edge, source in _sources(entry) if source == ChildSource(number)]
    routes, _ = find_routes(h.graph, entry.claim.node, rest, above)
    opened = [
        (gone.node, copy[0])
        for copy, sources in routes.copies.items()
        if (gone.node, copy[0]) in entered and isinstance(sources[gone.node], CopySource)
    ]
    if opened:
        beside = [e for e, s in _sources(entry) if e in opened and isinstance(s, CopySource)]
        if beside:
            raise HypothesisError(
                [
                    f"routes of a claim beside {path} pass {' -> '.join(beside[0])} too, so that "
                    "it cannot be closed for one alone."
                ]
            )
        rest = [replace(c, cut=(*c.cut, *dict.fromkeys(opened))) for c in rest]
    return changed(h, above, rest)


def _sources(entry: TreeClaim) -> list[tuple[Edge, object]]:
    """Every edge of F(u), one for each copy that it enters, and where its value comes from."""
    if entry.routes is None:
        return []
    return [
        ((parent, copy[0]), source)
        for copy, sources in entry.routes.copies.items()
        for parent, source in sources.items()
    ]


def route_edges(h: Hypothesis, entry: TreeClaim) -> list[Edge]:
    """The edges of the graph that routes into a claim take, nearest to it first.

    The one edge of a claim that has only it is left out: removing that is removing the claim.
    """
    alone: set[Edge] = set()
    for number, child in enumerate(entry.claim.children or ()):
        enters = {e for e, s in _sources(entry) if s == ChildSource(number)}
        if enters == {(child.node, entry.claim.node)}:
            alone |= enters
    found = {e for e, s in _sources(entry) if not isinstance(s, OtherSource)} - alone
    order = {name: i for i, name in enumerate(h.graph.names)}
    return sorted(found, key=lambda edge: (-order[edge[1]], -order[edge[0]]))


def without_edge(h: Hypothesis, path: str, edge: Edge) -> tuple[Hypothesis, list[str]]:
    """An edge removed from all routes into the claim at a path.

    Returns:
        The hypothesis, and labels of the claims that no route connects any more.
    """
    entry = h.tree[path]
    children = [replace(c, cut=(*c.cut, edge)) for c in entry.claim.children or ()]
    cut_off: list[str] = []
    while True:
        routes, _ = find_routes(h.graph, entry.claim.node, children, path)
        reached = {
            source.child
            for sources in routes.copies.values()
            for source in sources.values()
            if isinstance(source, ChildSource)
        }
        if len(reached) == len(children):
            return changed(h, path, children), cut_off
        cut_off += [c.label for i, c in enumerate(children) if i not in reached]
        children = [c for i, c in enumerate(children) if i in reached]


def kept(claim: Claim, nodes: Mapping[str, Sequence[str]], path: str | None = None) -> Claim:
    """The claim with some of the unimportant parents under it on the datum of the claim above them.

    Args:
        claim: the root claim.
        nodes: claim path -> those unimportant parents; only direct ones can be kept.
        path: of the claim.
    """
    here = claim.label if path is None else path
    if claim.children is None:
        return claim
    children = [kept(c, nodes, f"{here}/{c.label}") for c in claim.children]
    children += [Claim(node, exact) for node in nodes.get(here, ())]
    return replace(claim, children=tuple(children))


def ablated(h: Hypothesis, paths: Collection[str], kind: str) -> Hypothesis:
    """The model with nothing but the unimportant parents of some claims taken away.

    Args:
        h: the hypothesis, whose treeified graph says where those parents enter.
        paths: of the claims.
        kind: "mean", "zero", or "resample": drawn as the hypothesis draws them.
    """
    policy = h.unimportant

    def whole(claim: Claim, path: str) -> Claim:
        children = claim.children
        if children is None:
            return replace(claim, feature=exact)
        below = tuple(whole(c, f"{path}/{c.label}") for c in children)
        made = replace(claim, feature=exact, others=exact, children=below)
        if path not in paths:
            return made
        others = anything if kind == ZERO else claim.others
        return replace(made, others=others, ablation=None if kind == RESAMPLE else kind)

    draws: str | Mapping[str, str] = "per-claim"
    if kind == RESAMPLE:
        if isinstance(policy, Mapping):
            draws = {p: g for p, g in policy.items() if p in paths}
        elif policy == "together":
            draws = dict.fromkeys(paths, policy)
        elif policy == "separate":
            draws = policy
    plain = resampled(h)
    return plain.with_(root=whole(plain.root, h.root.label), unimportant=draws or "per-claim")


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


def bare(claim: Claim) -> Claim:
    """The claim and those below it with nothing asked of unimportant parents."""
    if claim.children is None:
        return claim
    return replace(claim, others=anything, children=tuple(map(bare, claim.children)))
