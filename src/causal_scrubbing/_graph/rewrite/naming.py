"""Rename nodes, and fuse those one does not want to speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._nodes import (
    BaseGraph,
    G,
    Node,
    check_texts,
    ignores_some,
    is_hidden,
    is_pattern,
    substitute,
)


def renaming(graph: G, names: Mapping[str, str]) -> dict[str, str]:
    """Old name -> new name, of all nodes whose name matches.

    Raises:
        GraphError: nothing matches, or a node would have two names.
    """
    new: dict[str, str] = {}
    check_texts("rename", [*names, *names.values()])
    for pattern, template in names.items():
        for name in graph.find(pattern):
            made = substitute(pattern, name, template)
            if made is None or is_pattern(made):
                raise GraphError(
                    f"rename: {template!r} has a wildcard that {pattern!r} has not; both sides "
                    "have the same ones."
                )
            if is_hidden(made) or not made:
                raise GraphError(f"rename: {made!r} is no name; names that begin with ~ are taken.")
            if new.setdefault(name, made) != made:
                raise GraphError(f"rename: {name!r} would be both {new[name]!r} and {made!r}.")
    return new


def rename(graph: G, names: Mapping[str, str]) -> G:
    """See `Graph.rename`."""
    new = renaming(graph, names)
    after = [new.get(name, name) for name in graph.names]
    twice = sorted({name for name in after if after.count(name) > 1})
    if twice:
        raise GraphError(f"rename: several nodes would be called {', '.join(twice)}.")
    note = "rename " + ", ".join(f"{a} to {b}" for a, b in names.items())
    return graph.remake(_renamed(graph, new), note, output=new.get(graph.output, graph.output))


def _renamed(graph: G, new: Mapping[str, str]) -> list[Node]:
    return [
        replace(
            node,
            name=new.get(node.name, node.name),
            parents=tuple(new.get(p, p) for p in node.parents),
            ignores=frozenset(new.get(p, p) for p in node.ignores),
        )
        for node in graph.nodes.values()
    ]


def coarsen(graph: G, keep: Sequence[str]) -> G:
    """See `Graph.coarsen`."""
    kept = {*graph.find(keep), graph.output, *graph.inputs}
    gone = [name for name in graph.names if name not in kept]
    if not gone:
        return graph.remake(graph.nodes.values(), f"coarsen to all {len(graph.names)} nodes")
    draft = Draft(graph)
    for name in graph.names:
        untouched = kept.issuperset({name, *graph.parents(name), *graph.nodes[name].ignores})
        if not untouched and ignores_some(graph.nodes, name):
            draft.put(_own_wires(draft, graph, name))
    hidden = {name: draft.fresh(f"~{name}") for name in gone}
    fine = draft.finish(f"coarsen to {len(kept)} of {len(graph.names)} nodes")
    return fine.remake(_renamed(fine, hidden))


def _own_wires(draft: Draft[Any], graph: BaseGraph, name: str) -> Node:
    """The node with wires of its own, which read no more than the shape of what it ignores.

    A node ignores others on all wires that lead to it. Where nodes in between become wires too,
    that would also block what reaches it by way of them, so it is written into the wires.
    """
    copies: dict[tuple[str, frozenset[str]], str] = {}

    def wire(at: str, blocked: frozenset[str]) -> Node:
        old = graph.nodes[at]
        stop = blocked | old.ignores
        parents, shapes = list(old.parents), set(old.shapes)
        for i, parent in enumerate(old.parents):
            if parent in stop:
                shapes.add(i)
            elif is_hidden(parent) and i not in shapes:
                key = (parent, stop)
                if key not in copies:
                    made = wire(parent, stop)
                    copies[key] = draft.fresh(f"{parent}:{name}")
                    draft.add(replace(made, name=copies[key]))
                parents[i] = copies[key]
        return replace(old, parents=tuple(parents), shapes=frozenset(shapes), ignores=frozenset())

    return wire(name, frozenset())
