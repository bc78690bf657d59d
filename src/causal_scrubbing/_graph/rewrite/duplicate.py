"""Copies of a node, one for each group of its consumers, so that routes become nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._nodes import G, Node, check_texts, is_hidden, is_pattern


def duplicate(graph: G, name: str, copies: Mapping[str, Sequence[str] | str]) -> G:
    """See `Graph.duplicate`."""
    node = graph.node(name)
    groups = _groups(graph, name, copies)
    downstream = _wires_below(graph, name)
    draft = Draft(graph)
    for copy, consumers in groups.items():
        draft.add(replace(node, name=copy), near=name)
        _rewire(draft, graph, name, copy, consumers, downstream)
    rest = [child for child in graph.children(name) if child not in set().union(*groups.values())]
    if not rest and name != graph.output:
        # What still reads the node is read by nothing, or ignored by what reads it.
        for consumer in draft.consumers(name):
            draft.redirect(consumer, name, next(iter(groups)))
        draft.reignore(name, groups)
        draft.drop(name)
    listed = ", ".join(f"{copy} for {', '.join(found)}" for copy, found in groups.items())
    return draft.finish(f"duplicate {name}: {listed}")


def _groups(
    graph: G, name: str, copies: Mapping[str, Sequence[str] | str]
) -> dict[str, tuple[str, ...]]:
    check_texts("duplicate", copies)
    children = graph.children(name)
    groups: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    faults: list[str] = []
    for copy, wanted in copies.items():
        if is_hidden(copy) or is_pattern(copy) or not copy:
            faults.append(f"{copy!r} is no name for a copy")
        elif copy in graph:
            faults.append(f"the name {copy!r} is taken")
        found: list[str] = []
        for pattern in [wanted] if isinstance(wanted, str) else wanted:
            hits = [hit for hit in graph.find(pattern) if hit in children]
            if not hits:
                what = "no consumer matches" if is_pattern(pattern) else "no consumer is called"
                faults.append(
                    f"copy {copy!r}: {what} {pattern!r}; {name!r} is read by "
                    f"{', '.join(children) or 'nothing'}"
                )
            found += hits
        groups[copy] = tuple(dict.fromkeys(found))
        for consumer in groups[copy]:
            if owner.setdefault(consumer, copy) != copy:
                faults.append(f"{consumer!r} would read both {owner[consumer]!r} and {copy!r}")
    if not groups:
        faults.append("no copy is named")
    if faults:
        raise GraphError(f"duplicate {name!r}: " + "; ".join(faults) + ".")
    return groups


def _wires_below(graph: G, name: str) -> set[str]:
    """The hidden nodes that a node's value runs through before it comes to visible ones."""
    found: set[str] = set()
    for other, node in graph.nodes.items():
        if is_hidden(other) and any(p == name or p in found for p in node.parents):
            found.add(other)
    return found


def _rewire(
    draft: Draft[Any],
    graph: G,
    name: str,
    copy: str,
    consumers: Iterable[str],
    downstream: set[str],
) -> None:
    """Let some consumers read the copy, through wires of their own."""
    needed: set[str] = set()
    todo = list(consumers)
    while todo:
        fresh = {p for p in graph.nodes[todo.pop()].parents if p in downstream} - needed
        needed |= fresh
        todo += fresh
    new = {name: copy}
    for wire in (w for w in graph.nodes if w in needed):
        made = _reading(graph.nodes[wire], new)
        new[wire] = draft.fresh(f"{wire}@{copy}")
        draft.add(replace(made, name=new[wire]))
    for consumer in consumers:
        draft.put(_reading(draft.nodes[consumer], new))


def _reading(node: Node, new: Mapping[str, str]) -> Node:
    return replace(
        node,
        parents=tuple(new.get(p, p) for p in node.parents),
        ignores=frozenset(new.get(p, p) for p in node.ignores),
    )
