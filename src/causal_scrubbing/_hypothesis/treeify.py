"""From a tree of claims to paths, routes and blocks, with every fault found on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from causal_scrubbing._data import Feature, anything, flatten_feature
from causal_scrubbing._graph import Graph, nearest
from causal_scrubbing._hypothesis.ablation import RESAMPLE, ZERO, Ablation, Chooser, Fixed
from causal_scrubbing._hypothesis.claim import Claim
from causal_scrubbing._hypothesis.routes import Routes, find_routes, unmatched_via
from causal_scrubbing._hypothesis.tree import REFERENCE, Block, Tree, TreeClaim


def treeify(
    graph: Graph,
    root: Claim,
    unimportant: str | Mapping[str, str],
    within: Feature,
    ablation: Ablation = RESAMPLE,
) -> tuple[Tree, list[str]]:
    """The tree of a hypothesis and all that is wrong with it.

    A claim used in two places is copied once a path; each copy draws for itself.
    """
    faults: list[str] = []
    if root.node not in graph.names:
        return Tree((), ()), [_unknown(graph, root, root.label)]
    claims = _copies(graph, root, faults)
    chooser = Chooser(ablation, graph)
    faults += chooser.faults
    if not chooser.faults:
        _ablate(graph, claims, chooser, within, faults)
    groups = _groups(unimportant, claims, faults)
    blocks = _Blocks(claims, unimportant, groups, within, faults).make()
    return Tree(tuple(claims), tuple(blocks)), faults


def _unknown(graph: Graph, claim: Claim, path: str) -> str:
    return f"claim {path}: there is no node {claim.node!r}. {nearest(claim.node, graph.names)}"


def _copies(graph: Graph, root: Claim, faults: list[str]) -> list[TreeClaim]:
    """One entry a claim and path, parents first. A stack, since trees can be deep."""
    claims: list[TreeClaim] = []
    children: list[list[int]] = []
    known_routes: dict[int, Routes] = {}
    stack: list[tuple[Claim, str, int | None]] = [(root, root.label, None)]
    while stack:
        claim, path, parent = stack.pop()
        index = len(claims)
        routes: Routes | None = None
        children.append([])
        if parent is not None:
            children[parent].append(index)
        if claim.children is not None:
            # The routes of one claim object are the same on every path to it.
            routes = known_routes.get(id(claim))
            known = [child for child in claim.children if child.node in graph.names]
            if routes is None:
                routes, found = _routes(graph, claim, known, path)
                faults += found
                if not found:
                    known_routes[id(claim)] = routes
            stack += [(child, f"{path}/{child.label}", index) for child in reversed(known)]
        claims.append(TreeClaim(index, path, claim, parent, None, claim.draw or path, routes, {}))
    for index, entry in enumerate(claims):
        if entry.claim.children is not None:
            claims[index] = replace(claims[index], children=tuple(children[index]))
            _tie(claims, children[index])
    return claims


def _routes(graph: Graph, claim: Claim, known: list[Claim], path: str) -> tuple[Routes, list[str]]:
    """The routes from a claim's children to it, and what is wrong with them."""
    faults = [
        _unknown(graph, child, f"{path}/{child.label}")
        for child in claim.children or ()
        if child.node not in graph.names
    ]
    for child in known:
        faults += unmatched_via(graph, child, f"{path}/{child.label}")
    routes, found = find_routes(graph, claim.node, known, path)
    faults += found
    labels = [child.label for child in known]
    if len(set(labels)) < len(labels):
        for label in sorted({one for one in labels if labels.count(one) > 1}):
            faults.append(
                f"claim {path}/{label} is made {labels.count(label)} times under {path}; tell the "
                "copies apart with name=, or join them into one claim."
            )
    return routes, faults


def _tie(claims: list[TreeClaim], children: list[int]) -> None:
    """Claims of one parent with one tie have the draw of the first of them."""
    ties: dict[str, str] = {}
    for index in children:
        entry = claims[index]
        if entry.claim.tie is not None:
            first = ties.setdefault(entry.claim.tie, entry.draw)
            claims[index] = replace(entry, draw=first)


def _ablate(
    graph: Graph, claims: list[TreeClaim], chooser: Chooser, within: Feature, faults: list[str]
) -> None:
    """Say of each unimportant parent what it is set to, where it is not drawn."""
    for entry in claims:
        if entry.routes is None or not entry.routes.others:
            continue
        own, here = entry.claim.ablation, chooser
        if own is not None:
            here = Chooser(own, graph, f"the ablation of claim {entry.path}")
            faults += here.faults
        parts = flatten_feature((entry.claim.others, within))
        ablated: dict[str, Fixed] = {}
        for node in entry.routes.others:
            kind = here.kind(node)
            if kind != RESAMPLE:
                ablated[node] = Fixed(kind, () if kind == ZERO else parts)
        claims[entry.index] = replace(entry, ablated=ablated)
        zeros = len(ablated) == len(entry.routes.others) and all(
            fixed.kind == ZERO for fixed in ablated.values()
        )
        if zeros and flatten_feature(entry.claim.others):
            faults.append(
                f"claim {entry.path} has others=, but all its unimportant parents are set to zero, "
                "so that none of them agrees on anything. Drop others=, or take another ablation."
            )
    overridden = all(
        entry.claim.ablation is not None for entry in claims if entry.routes and entry.routes.others
    )
    if not overridden or not any(entry.routes and entry.routes.others for entry in claims):
        faults += chooser.unused()


def _groups(
    unimportant: str | Mapping[str, str], claims: list[TreeClaim], faults: list[str]
) -> dict[str, str]:
    """Claim path -> key of the shared draw of its unimportant parents."""
    inner = [entry.path for entry in claims if entry.children is not None]
    drawn = {e.path for e in claims if e.routes and len(e.ablated) < len(e.routes.others)}
    moving = any(entry.ablated for entry in claims) and not drawn
    if isinstance(unimportant, str):
        if moving and unimportant != "per-claim":
            faults.append(
                f"unimportant={unimportant!r} says how unimportant parents are drawn, but "
                "ablation= sets all of them to constants. Drop one of the two."
            )
        return dict.fromkeys(inner, "~group/together") if unimportant == "together" else {}
    for path, group in unimportant.items():
        entry = next((e for e in claims if e.path == path), None)
        if path not in inner:
            faults.append(
                f"unimportant= names {path!r}, which is "
                + (
                    "a leaf: it has no unimportant parents."
                    if entry is not None
                    else f"not a claim's path. {nearest(path, inner)}"
                )
            )
        elif entry is not None and entry.ablated and path not in drawn:
            faults.append(
                f"unimportant= puts {path!r} in a group that shares a draw, but ablation= sets all "
                "its unimportant parents to constants. Take it out of the group."
            )
        if not isinstance(group, str) or group in ("mean", ZERO):
            faults.append(
                f"unimportant= puts {path!r} in the group {group!r}: a group is any other name, "
                "and parents that share one share a draw. To set parents to constants give "
                "ablation=, by node: ablation={'a*': 'mean'}."
            )
    return {path: f"~group/{group}" for path, group in unimportant.items()}


@dataclass
class _Blocks:
    """Puts the parents of every F(u) into blocks.

    Attributes:
        claims: all entries; their `other_draws` are filled in.
        unimportant: the policy.
        groups: claim path -> key of the shared draw of its unimportant parents.
        within: see `Hypothesis`.
        faults: what is wrong, added to.
        found: the blocks by key.
    """

    claims: list[TreeClaim]
    unimportant: str | Mapping[str, str]
    groups: Mapping[str, str]
    within: Feature
    faults: list[str]
    found: dict[str, Block] = field(default_factory=dict)

    def make(self) -> list[Block]:
        """All blocks in drawing order."""
        root = self.claims[0]
        self.found[root.draw] = Block(root.draw, REFERENCE, (root.claim.feature, self.within), (0,))
        for entry in list(self.claims):
            if entry.children is None or entry.routes is None:
                continue
            for child_index in entry.children:
                self._claim(entry, child_index)
            if entry.routes.others:
                self._others(entry, entry.routes)
        return list(self.found.values())

    def _claim(self, entry: TreeClaim, index: int) -> None:
        child = self.claims[index]
        before = self.found.get(child.draw)
        if before is None:
            feature: Feature = (child.claim.feature, self.within)
            members: tuple[int, ...] = (index,)
        else:
            feature = (before.feature, child.claim.feature)
            members = (*before.claims, index)
        self.found[child.draw] = Block(child.draw, entry.draw, feature, members)

    def _others(self, entry: TreeClaim, routes: Routes) -> None:
        others = entry.claim.others
        shared = self.groups.get(entry.path)
        if shared is not None and flatten_feature(others):
            self.faults.append(
                f"claim {entry.path} has others=, but its unimportant parents share the draw "
                f"{shared!r} with other claims: only parents that carry cs.anything can, since a "
                "row that fits two references need not exist. Drop others=, or take it out of the "
                "group."
            )
            others = anything
        draws: dict[str, str] = {}
        for node in routes.others:
            if node in entry.ablated:
                continue
            tail = f"/{node}" if self.unimportant == "separate" else ""
            key = shared or f"{entry.path}/~other{tail}"
            draws[node] = key
            before = self.found.get(key)
            pairs = (() if before is None else before.others) + ((entry.index, node),)
            of = REFERENCE if shared else entry.draw
            self.found[key] = Block(key, of, (others, self.within), (), pairs)
        self.claims[entry.index] = replace(self.claims[entry.index], other_draws=draws)
