"""From a tree of claims to paths, routes and blocks, with every fault found on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from causal_scrubbing._data import Feature, anything, flatten_feature
from causal_scrubbing._graph import Graph, nearest
from causal_scrubbing._hypothesis.claim import Claim
from causal_scrubbing._hypothesis.routes import Routes, find_routes, unmatched_via
from causal_scrubbing._hypothesis.tree import (
    CONSTANTS,
    MEAN,
    REFERENCE,
    Block,
    Tree,
    TreeClaim,
    mean_ablation,
)


def treeify(
    graph: Graph, root: Claim, unimportant: str | Mapping[str, str], within: Feature
) -> tuple[Tree, list[str]]:
    """The tree of a hypothesis and all that is wrong with it.

    A claim used in two places is copied once a path; each copy draws for itself.
    """
    faults: list[str] = []
    if root.node not in graph.names:
        return Tree((), ()), [_unknown(graph, root, root.label)]
    claims: list[TreeClaim] = []
    _grow(graph, root, root.label, None, claims, faults)
    groups = _groups(unimportant, claims, faults)
    blocks = _blocks(claims, unimportant == "separate", groups, within, faults)
    return Tree(tuple(claims), tuple(blocks)), faults


def _unknown(graph: Graph, claim: Claim, path: str) -> str:
    return f"claim {path}: there is no node {claim.node!r}. {nearest(claim.node, graph.names)}"


def _grow(
    graph: Graph,
    claim: Claim,
    path: str,
    parent: int | None,
    claims: list[TreeClaim],
    faults: list[str],
) -> int:
    index = len(claims)
    entry = TreeClaim(index, path, claim, parent, None, claim.draw or path, None, {})
    claims.append(entry)
    if claim.children is None:
        return index
    known = [child for child in claim.children if child.node in graph.names]
    faults += [
        _unknown(graph, child, f"{path}/{child.label}")
        for child in claim.children
        if child.node not in graph.names
    ]
    for child in known:
        faults += unmatched_via(graph, child, f"{path}/{child.label}")
    routes, found = find_routes(graph, claim.node, known, path)
    faults += found
    labels = [child.label for child in known]
    for label in sorted({one for one in labels if labels.count(one) > 1}):
        faults.append(
            f"claim {path}/{label} is made {labels.count(label)} times under {path}; tell the "
            "copies apart with name=, or join them into one claim."
        )
    children = tuple(
        _grow(graph, child, f"{path}/{child.label}", index, claims, faults) for child in known
    )
    ties: dict[str, str] = {}
    for child_index in children:
        child_entry = claims[child_index]
        tie = child_entry.claim.tie
        if tie is not None:
            first = ties.setdefault(tie, child_entry.draw)
            claims[child_index] = replace(child_entry, draw=first)
    claims[index] = replace(claims[index], children=children, routes=routes)
    return index


def _groups(
    unimportant: str | Mapping[str, str], claims: list[TreeClaim], faults: list[str]
) -> dict[str, str]:
    """Claim path -> key of the shared draw of its unimportant parents."""
    inner = [entry.path for entry in claims if entry.children is not None]
    if unimportant == "together":
        return dict.fromkeys(inner, "~group/together")
    if unimportant == mean_ablation:
        return dict.fromkeys(inner, MEAN)
    if isinstance(unimportant, str):
        return {}
    for path in unimportant:
        if path not in inner:
            leaf = any(entry.path == path for entry in claims)
            faults.append(
                f"unimportant= names {path!r}, which is "
                + ("a leaf: it has no unimportant parents." if leaf else "no claim's path.")
                + f" {nearest(path, inner)}"
            )
    return {
        path: group if group in CONSTANTS else f"~group/{group}"
        for path, group in unimportant.items()
    }


def _blocks(
    claims: list[TreeClaim],
    separate: bool,
    groups: Mapping[str, str],
    within: Feature,
    faults: list[str],
) -> list[Block]:
    root = claims[0]
    blocks: dict[str, Block] = {
        root.draw: Block(root.draw, REFERENCE, (root.claim.feature, within), (0,))
    }
    for entry in list(claims):
        if entry.children is None or entry.routes is None:
            continue
        own = claims[entry.index].draw
        for child_index in entry.children:
            child = claims[child_index]
            before = blocks.get(child.draw)
            feature = (child.claim.feature, within) if before is None else (
                before.feature, child.claim.feature)  # fmt: skip
            members = (child_index,) if before is None else (*before.claims, child_index)
            blocks[child.draw] = Block(child.draw, own, feature, members)
        _other_blocks(entry, own, separate, groups, within, blocks, claims, faults)
    return list(blocks.values())


def _other_blocks(
    entry: TreeClaim,
    own: str,
    separate: bool,
    groups: Mapping[str, str],
    within: Feature,
    blocks: dict[str, Block],
    claims: list[TreeClaim],
    faults: list[str],
) -> None:
    routes: Routes | None = entry.routes
    if routes is None or not routes.others:
        return
    others = entry.claim.others
    shared = groups.get(entry.path)
    if shared in CONSTANTS:
        if flatten_feature(others):
            faults.append(
                f"claim {entry.path} has others=, but under ablation its unimportant parents "
                "are not drawn: they are set to their means or to zero. Drop others=, or scrub."
            )
        fixed = dict.fromkeys(routes.others, shared)
        claims[entry.index] = replace(claims[entry.index], other_draws=fixed)
        return
    if shared is not None and flatten_feature(others):
        faults.append(
            f"claim {entry.path} has others=, but its unimportant parents share the draw "
            f"{shared!r} with other claims: only parents that carry cs.anything can, since a row "
            "that fits two references need not exist. Drop others=, or take it out of the group."
        )
        others = anything
    draws: dict[str, str] = {}
    for node in routes.others:
        key = shared or f"{entry.path}/~other" + (f"/{node}" if separate else "")
        draws[node] = key
        before = blocks.get(key)
        of = REFERENCE if shared else own
        pairs = ((entry.index, node),) if before is None else (*before.others, (entry.index, node))
        blocks[key] = Block(key, of, (others, within), (), pairs)
    claims[entry.index] = replace(claims[entry.index], other_draws=draws)
