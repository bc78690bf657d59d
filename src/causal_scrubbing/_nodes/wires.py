"""Which nodes a node's value depends on directly, seen through hidden wires."""

from __future__ import annotations

from collections.abc import Mapping

from causal_scrubbing._nodes.node import Node, is_hidden


def visible_parents(nodes: Mapping[str, Node], name: str) -> frozenset[str]:
    """The nearest visible nodes upstream of a node, those it ignores left out.

    What a node ignores is blocked on all wires that lead to it, hidden nodes' own lists included.
    """
    found: set[str] = set()
    todo = [(name, frozenset[str]())]
    seen = set(todo)
    while todo:
        at, blocked = todo.pop()
        node = nodes[at]
        stop = blocked | node.ignores if node.ignores else blocked
        for parent in node.read:
            if parent in stop:
                continue
            if not is_hidden(parent):
                found.add(parent)
            elif (parent, stop) not in seen:
                seen.add((parent, stop))
                todo.append((parent, stop))
    return frozenset(found)


def ignores_some(nodes: Mapping[str, Node], name: str) -> bool:
    """Whether a node, or a wire that leads to it, ignores anything."""
    todo, seen = [name], {name}
    while todo:
        node = nodes[todo.pop()]
        if node.ignores:
            return True
        fresh = {p for p in node.parents if is_hidden(p)} - seen
        seen |= fresh
        todo += fresh
    return False
