"""Claims, draws and the model's graph, from a result that is at hand or was loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causal_scrubbing._hypothesis import REFERENCE, Hypothesis, draw_label
from causal_scrubbing._page import BlockData, ClaimData, NodeData
from causal_scrubbing._result.claims import PlainClaim, plain_claims
from causal_scrubbing._result.views import RunViews

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Trees:
    """The claims and draws of a result, numbered as the page numbers them."""

    claims: tuple[ClaimData, ...]
    blocks: tuple[BlockData, ...]


def trees(result: RunViews) -> Trees:
    """Claims and blocks, from the plain data that a saved run has too."""
    table = [row for row in result.agreement["table"] if row["draw"] in result.drawn]
    numbers = {row["draw"]: i for i, row in enumerate(table)}
    by_path = {
        path: numbers[row["draw"]] for row in table for path in (row.get("claims") or [row["draw"]])
    }
    claims = tuple(_claim(one, by_path) for one in plain_claims(result.readable))
    places = {claim.path: i for i, claim in enumerate(claims)}
    parts = _parts(result.hypothesis)
    blocks = []
    for row in table:
        key = row["draw"]
        paths = row.get("claims") or ([key] if key in places else [])
        owner, of = _above(key, paths, claims, places)
        drawn = result.drawn[key]
        above = REFERENCE if of is None else table[of]["draw"]
        blocks.append(
            BlockData(
                key=key,
                label=draw_label(key, row.get("claims") or (), row.get("tie")),
                feature=row["feature"],
                of=of,
                claims=tuple(places[path] for path in paths if path in places),
                owner=owner,
                parts=parts.get(key, ()),
                classes=row["classes"],
                smallest=row["smallest"],
                one_row=row["one_row"],
                self_draw=row["self_draw"],
                swapped=float(np.mean(drawn != result.drawn[above])),
            )
        )
    return Trees(claims, tuple(blocks))


def _claim(claim: PlainClaim, by_path: Mapping[str, int]) -> ClaimData:
    # A claim that is drawn as another is found by the draw's own key.
    block = by_path.get(claim.path, by_path.get(claim.draw or "", 0))
    return ClaimData(
        path=claim.path,
        label=claim.label,
        node=claim.node,
        feature=claim.feature,
        parent=claim.parent,
        block=block,
        extras=claim.extras,
        fold=(claim.family or _NUMBER.sub("#", f"{claim.label}|{claim.feature}"))
        if claim.is_leaf
        else "",
    )


def _above(
    key: str, paths: list[str], claims: tuple[ClaimData, ...], places: Mapping[str, int]
) -> tuple[int | None, int | None]:
    """For unimportant parents the claim they belong to; for any the block it must agree with."""
    if paths and paths[0] in places:
        parent = claims[places[paths[0]]].parent
        return None, None if parent is None else claims[parent].block
    path = key.split("/~other")[0]
    if "/~other" in key and path in places:
        return places[path], claims[places[path]].block
    return None, None


def _parts(hypothesis: Hypothesis | None) -> dict[str, tuple[str, ...]]:
    if hypothesis is None:
        return {}
    return {
        block.key: tuple(dict.fromkeys(node for _, node in block.others))
        for block in hypothesis.tree.blocks
    }


def nodes(hypothesis: Hypothesis | None, claims: tuple[ClaimData, ...]) -> tuple[NodeData, ...]:
    """The model's graph, unclaimed nodes with the same claims above and below drawn as one.

    Nodes folded so cannot make a circle: along an edge the claimed nodes upstream only grow and
    those downstream only shrink. Edges that a longer path implies are left out.
    """
    if hypothesis is None:
        return ()
    import networkx as nx

    graph = hypothesis.graph
    about: dict[str, list[int]] = {}
    for i, claim in enumerate(claims):
        about.setdefault(claim.node, []).append(i)
    up: dict[str, frozenset[str]] = {}
    for name in graph.names:
        parents = graph.parents(name)
        up[name] = frozenset(p for p in parents if p in about).union(*(up[p] for p in parents))
    down: dict[str, frozenset[str]] = {}
    for name in reversed(graph.names):
        children = graph.children(name)
        down[name] = frozenset(c for c in children if c in about).union(
            *(down[c] for c in children)
        )
    groups: dict[Any, list[str]] = {}
    for name in graph.names:
        alone = name in about or name == graph.output
        fed = graph.nodes[name].is_input
        groups.setdefault(name if alone else (up[name], down[name], fed), []).append(name)
    group_of = {name: i for i, names in enumerate(groups.values()) for name in names}
    folded: nx.DiGraph[int] = nx.DiGraph()
    folded.add_nodes_from(range(len(groups)))
    folded.add_edges_from(
        (group_of[parent], group_of[name])
        for name in graph.names
        for parent in graph.parents(name)
        if group_of[parent] != group_of[name]
    )
    folded = nx.transitive_reduction(folded)
    found = []
    for i, names in enumerate(groups.values()):
        first = names[0]
        kind = "claimed" if first in about else "other"
        if first == graph.output:
            kind = "output"
        elif graph.nodes[first].is_input:
            kind = "input"
        found.append(
            NodeData(
                names=tuple(names),
                parents=tuple(sorted(folded.predecessors(i))),
                claims=tuple(about.get(first, ())),
                kind=kind,
            )
        )
    return tuple(found)
