"""How F(u) is made: the graph between a claim and the claims it is computed from, treeified."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakKeyDictionary

from causal_scrubbing._graph import Graph, matches, nearest
from causal_scrubbing._hypothesis.claim import Claim

Copy: TypeAlias = tuple[str, frozenset[int]]
"""A node and the child claims alive at this copy of it."""


@dataclass(frozen=True)
class ChildSource:
    """A parent's value is that of a child claim, by its position among the siblings."""

    child: int


@dataclass(frozen=True)
class CopySource:
    """A parent's value is computed anew, in a copy that routes pass."""

    copy: Copy


@dataclass(frozen=True)
class OtherSource:
    """A parent is unimportant: its clean value on the datum drawn for it."""

    node: str


Source: TypeAlias = ChildSource | CopySource | OtherSource


@dataclass(frozen=True)
class Routes:
    """F(u): the top copy is g(u) itself; each copy's parents have one source each.

    Attributes:
        top: the copy that is g(u), all child claims alive.
        copies: for every copy, the source of each of its parents in graph order.
        others: the unimportant parents of F(u), in graph order, each once.
    """

    top: Copy
    copies: Mapping[Copy, Mapping[str, Source]]
    others: tuple[str, ...]


def find_routes(
    graph: Graph, node: str, children: Sequence[Claim], path: str
) -> tuple[Routes, list[str]]:
    """Treeify the graph between a claim's node and its child claims.

    Args:
        graph: the graph.
        node: g(u).
        children: the claims u is said to be computed from; their nodes exist.
        path: path of u, for the faults.

    Returns:
        The routes, and what is wrong with them, in words.
    """
    faults: list[str] = []
    passable = [_passable(graph, child) for child in children]
    copies: dict[Copy, dict[str, Source]] = {}
    clashes: set[tuple[int, int]] = set()
    top: Copy = (node, frozenset(range(len(children))))
    todo = [top]
    while todo:
        copy = todo.pop()
        if copy in copies:
            continue
        sources: dict[str, Source] = {}
        for parent in graph.parents(copy[0]):
            open_ = [i for i in copy[1] if (parent, copy[0]) not in children[i].cut]
            naming = sorted(i for i in open_ if children[i].node == parent)
            passing = frozenset(i for i in open_ if parent in passable[i])
            if naming:
                if len(naming) > 1:
                    clashes.add((naming[0], naming[1]))
                sources[parent] = ChildSource(naming[0])
            elif passing:
                sources[parent] = CopySource((parent, passing))
                todo.append((parent, passing))
            else:
                sources[parent] = OtherSource(parent)
        copies[copy] = sources
    for one, two in sorted(clashes):
        faults.append(
            f"claims {path}/{children[one].label} and {path}/{children[two].label} both name node "
            f"{children[one].node!r} on one route into {path}: keep one of them, join their "
            "features in a tuple, or give them disjoint via= routes."
        )
    reached = {s.child for sources in copies.values() for s in sources.values()
               if isinstance(s, ChildSource)}  # fmt: skip
    for i, child in enumerate(children):
        if i not in reached and not any(i in pair for pair in clashes):
            faults.append(_unreached(graph, node, child, path, children))
    used = {s.node for sources in copies.values() for s in sources.values()
            if isinstance(s, OtherSource)}  # fmt: skip
    others = tuple(name for name in graph.names if name in used)
    return Routes(top, copies, others), faults


_KNOWN: WeakKeyDictionary[Graph, dict[Hashable, frozenset[str]]] = WeakKeyDictionary()
"""What patterns match in a graph, and which nodes routes pass: asked for by every hypothesis."""


def _matching(graph: Graph, pattern: str) -> frozenset[str]:
    """The nodes that a pattern matches."""
    known = _KNOWN.setdefault(graph, {})
    if pattern not in known:
        known[pattern] = frozenset(name for name in graph.names if matches(pattern, name))
    return known[pattern]


def _passable(graph: Graph, child: Claim) -> frozenset[str]:
    """The nodes that routes of a claim may pass: matched by its via, reached through such."""
    if not child.via:
        return frozenset()
    known, key = _KNOWN.setdefault(graph, {}), (child.node, child.via, child.cut)
    if key not in known:
        known[key] = _find_passable(graph, child)
    return known[key]


def _find_passable(graph: Graph, child: Claim) -> frozenset[str]:
    allowed = frozenset[str]().union(*(_matching(graph, pattern) for pattern in child.via))
    found: set[str] = set()
    todo = [child.node]
    while todo:
        here = todo.pop()
        for after in graph.children(here):
            if after in allowed and after not in found and (here, after) not in child.cut:
                found.add(after)
                todo.append(after)
    return frozenset(found)


def unmatched_via(graph: Graph, child: Claim, path: str) -> list[str]:
    """Faults of via patterns that match no node."""
    return [
        f"claim {path}: via {pattern!r} matches no node. {nearest(pattern, graph.names)}"
        for pattern in child.via
        if not _matching(graph, pattern)
    ]


def _unreached(graph: Graph, node: str, child: Claim, path: str, siblings: Sequence[Claim]) -> str:
    what = f"claim {path}/{child.label}"
    if child.node == node:
        return f"{what}: node {child.node!r} cannot be computed from itself; claim its parents."
    if child.node not in graph.ancestors(node):
        parents = ", ".join(graph.parents(node)[:8])
        return (
            f"{what}: node {child.node!r} is not upstream of {node!r}, so it cannot matter there. "
            f"Parents of {node!r}: {parents or 'none'}."
        )
    between = [n for n in graph.names if n in graph.ancestors(node)
               and child.node in graph.ancestors(n)]  # fmt: skip
    named = [s.node for s in siblings if s.node in between]
    if child.node in graph.parents(node):
        return f"{what}: another claim stands on its only route into {node!r}."
    shown = ", ".join(between[:6]) + (", ..." if len(between) > 6 else "")
    if not child.via:
        return (
            f"{what}: {child.node!r} reaches {node!r} only through other nodes ({shown}). Give "
            "via=[...] naming those its routes may pass, or claim the nodes in between."
        )
    blocked = (
        f" {', '.join(named)} on the way is claimed itself: claim {child.node!r} below it."
        if named
        else ""
    )
    return (
        f"{what}: no route from {child.node!r} to {node!r} passes only nodes matching "
        f"via={list(child.via)}. In between lie {shown}.{blocked}"
    )
