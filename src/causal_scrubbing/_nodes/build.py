"""Nodes from what a user wrote, and their topological order, with what is wrong in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from causal_scrubbing._errors import GraphError
from causal_scrubbing._format import is_printable, printable
from causal_scrubbing._nodes.node import Node, is_hidden
from causal_scrubbing._nodes.ops import OfSum, add, recognise
from causal_scrubbing._nodes.patterns import nearest

if TYPE_CHECKING:
    import networkx as nx


def make_nodes(written: Mapping[str, tuple[Callable[..., Any], Sequence[str]]]) -> list[Node]:
    """Nodes written as name -> (function, parents).

    Raises:
        GraphError: an entry is not of that form, or a name is reserved.
    """
    made = []
    totals: dict[tuple[str, ...], str] = {}
    for name, entry in written.items():
        if not (isinstance(entry, tuple) and len(entry) == 2 and callable(entry[0])):
            raise GraphError(
                f"node {name!r} must be given as (function, [parents]), not {entry!r}."
            )
        fn, parents = entry
        if isinstance(parents, str):
            raise GraphError(
                f"node {name!r}: its parents are the string {parents!r}; "
                f"write a list, [{parents!r}]."
            )
        if isinstance(name, str) and is_hidden(name):
            raise GraphError(f"node {name!r}: names that begin with ~ are reserved.")
        if isinstance(fn, OfSum):
            made += _of_sum(name, fn, tuple(parents), totals)
        else:
            made.append(Node(name=name, parents=tuple(parents), fn=recognise(fn, len(parents))))
    return made


def _of_sum(
    name: str, fn: OfSum, parents: tuple[str, ...], totals: dict[tuple[str, ...], str]
) -> list[Node]:
    """A function of a sum as a node that reads a hidden sum, which nodes of equal sums share."""
    if not parents:
        raise GraphError(f"node {name!r}: cs.of_sum adds its parents, and it has none.")
    terms = parents
    made: list[Node] = []
    if fn.each is not None:
        terms = tuple(f"~each:{name}:{parent}" for parent in parents)
        one = dict(zip(terms, parents, strict=True))
        made += [Node(name=term, parents=(parent,), fn=fn.each) for term, parent in one.items()]
    if fn.then is None:
        return [*made, Node(name=name, parents=terms, fn=add)]
    if terms not in totals:
        totals[terms] = f"~sum:{name}"
        made.append(Node(name=totals[terms], parents=terms, fn=add))
    return [*made, Node(name=name, parents=(totals[terms],), fn=fn.then)]


def sort_nodes(nodes: list[Node], output: str) -> dict[str, Node]:
    """Nodes by name, parents first, otherwise in the order given.

    Raises:
        GraphError: a repeated, unknown or unprintable name, a cycle.
    """
    by_name: dict[str, Node] = {}
    for node in nodes:
        if not isinstance(node.name, str) or not node.name or not is_printable(node.name):
            raise GraphError(
                f"'{printable(str(node.name))}' cannot name a node: give it a string without line "
                "breaks and control characters."
            )
        if node.name in by_name:
            raise GraphError(f"two nodes are called {node.name!r}; names are unique in a graph.")
        by_name[node.name] = node
    visible = [name for name in by_name if not is_hidden(name)]
    for node in nodes:
        for parent in node.parents:
            if parent not in by_name:
                raise GraphError(
                    f"node {node.name!r} has the parent {parent!r}, which is neither an input nor "
                    f"a node. {nearest(parent, visible)}"
                )
    if output not in by_name:
        raise GraphError(f"the output {output!r} is no node. {nearest(output, visible)}")
    # Depth-first over parents keeps the order that was written wherever it already fits.
    done: dict[str, Node] = {}
    open_: set[str] = set()
    for start in by_name:
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, index = stack.pop()
            if name in done:
                continue
            parents = by_name[name].parents
            if index == 0:
                open_.add(name)
            if index < len(parents):
                stack.append((name, index + 1))
                parent = parents[index]
                if parent in open_ and parent not in done:
                    raise GraphError(_cycle(by_name, parent))
                if parent not in done:
                    stack.append((parent, 0))
            else:
                done[name] = by_name[name]
    return done


def _cycle(nodes: Mapping[str, Node], start: str) -> str:
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((p, n.name) for n in nodes.values() for p in n.parents)
    cycle = [edge[0] for edge in nx.find_cycle(graph, start, orientation="reverse")]
    loop = " <- ".join([*cycle, cycle[0]])
    return f"the graph has a cycle, {loop}: a node cannot be computed from itself."
