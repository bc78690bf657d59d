"""One visible node's function spelled out: the calls on hidden wires between it and its parents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from causal_scrubbing._nodes.core import BaseGraph
from causal_scrubbing._nodes.node import is_hidden


@dataclass(frozen=True)
class AnyValue:
    """An argument of which any datum's value will do: a constant, a shape, what cannot reach."""

    node: str


Argument: TypeAlias = str | int | AnyValue
"""What a step reads: a visible parent by name, an earlier step by number, or a `AnyValue` value."""


@dataclass(frozen=True)
class Step:
    """One call: the function of a node, hidden or the visible one itself, on its arguments."""

    node: str
    arguments: tuple[Argument, ...]


def program(graph: BaseGraph, name: str) -> tuple[Step, ...]:
    """The calls that compute a visible node from its visible parents, the node's own last.

    Empty for an input and for a node that reads no input, whose value needs no parents.
    """
    if graph.nodes[name].is_input or graph.is_constant[name]:
        return ()
    steps: list[Step] = []
    known: dict[tuple[str, frozenset[str]], int | AnyValue] = {}
    start = (name, frozenset[str]())
    # An explicit stack: a chain of hidden nodes can be longer than Python's recursion.
    stack = [start]
    while stack:
        key = stack[-1]
        node = graph.nodes[key[0]]
        stop = key[1] | node.ignores
        hidden = [
            (p, stop)
            for p in node.read
            if p not in stop and is_hidden(p) and not graph.is_constant[p]
        ]
        waiting = [one for one in hidden if one not in known]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        if key in known:
            continue
        arguments: list[Argument] = []
        for i, parent in enumerate(node.parents):
            if i in node.shapes or parent in stop or graph.is_constant[parent]:
                arguments.append(AnyValue(parent))
            else:
                arguments.append(known[(parent, stop)] if is_hidden(parent) else parent)
        if key != start and all(isinstance(one, AnyValue) for one in arguments):
            known[key] = AnyValue(key[0])
        else:
            known[key] = len(steps)
            steps.append(Step(key[0], tuple(arguments)))
    return tuple(steps)
