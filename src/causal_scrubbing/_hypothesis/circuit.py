"""The hypothesis of a circuit: a list of edges that matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from causal_scrubbing._data import Feature, exact
from causal_scrubbing._errors import GraphError, HypothesisError
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis.claim import Claim, claim
from causal_scrubbing._hypothesis.hypothesis import Hypothesis


def circuit(
    graph: Graph,
    edges: Iterable[tuple[str, str]],
    *,
    feature: Feature = exact,
    limit: int = 10_000,
    **options: Any,
) -> Hypothesis:
    """The hypothesis that only the edges of a circuit matter.

    Each node of the circuit is a claim, computed from the nodes whose edges into it are listed.
    What comes into it by other edges is unimportant. A node with no listed edge into it is a leaf:
    its value on its own datum. A node is claimed once for each path from it to the output, so that
    each copy draws its unimportant parents for itself (take ``unimportant="together"`` for one
    datum for all, as in a single corrupted run).

    Example:
        >>> import causal_scrubbing as cs
        >>> graph = cs.Graph.build(
        ...     inputs=["x"],
        ...     nodes={
        ...         "a": (lambda x: 2 * x, ["x"]),
        ...         "b": (lambda x: 3 * x, ["x"]),
        ...         "y": (cs.add, ["a", "b"]),
        ...     },
        ...     output="y",
        ... )
        >>> print(cs.circuit(graph, [("a", "y")], name="a alone"))
        hypothesis a alone; unimportant: per-claim
          y carries exact
            a carries exact

    Args:
        graph: the graph.
        edges: pairs (from, to), names or patterns; a pair of patterns stands for all edges between
            nodes that match.
        feature: what every node of the circuit carries; the root carries `exact`.
        limit: the most claims to write.
        **options: of `Hypothesis`: unimportant, within, ablation, self_draws, name.

    Returns:
        The hypothesis.

    Raises:
        HypothesisError: an edge is not in the graph, does not lead to the output by listed edges,
            or there are more paths than `limit`.
    """
    parents, faults = _parents(graph, edges)
    if not faults:
        reached = _reached(graph.output, parents)
        lost = [f"{p} -> {c}" for c in parents for p in parents[c] if c not in reached]
        if not parents.get(graph.output):
            faults.append(f"no edge leads into the output {graph.output!r}; add one.")
        elif lost:
            faults.append(
                f"no listed edges lead from {', '.join(lost[:6])} to the output {graph.output!r}; "
                "add them or remove these."
            )
    if not faults:
        paths: dict[str, int] = {}
        for node in graph.names:
            paths[node] = 1 + sum(paths[p] for p in parents.get(node, ()))
        total = paths[graph.output]
        if total > limit:
            faults.append(
                f"the circuit has {total:,} claims, one for each path to the output, more than the "
                f"limit of {limit:,}. Take fewer edges, or raise limit=."
            )
    if faults:
        raise HypothesisError(faults, name=options.get("name"))
    claims: dict[str, Claim] = {}
    for node in graph.names:
        carried = exact if node == graph.output else feature
        claims[node] = claim(node, carried, *(claims[p] for p in parents.get(node, ())))
    return Hypothesis(graph, claims[graph.output], **options)


def _parents(
    graph: Graph, edges: Iterable[tuple[str, str]]
) -> tuple[dict[str, list[str]], list[str]]:
    """The listed parents of each node, in graph order, and what is wrong with the list."""
    if not isinstance(graph, Graph):
        return {}, [f"cs.circuit takes a cs.Graph, not {type(graph).__name__}."]
    chosen: dict[str, set[str]] = {}
    faults: list[str] = []
    for edge in edges:
        if not (isinstance(edge, tuple | list) and len(edge) == 2):
            faults.append(f"{edge!r} is not an edge; give pairs (from, to).")
            continue
        try:
            above, below = graph.find(edge[0]), graph.find(edge[1])
        except GraphError as error:
            faults.append(f"edge {edge[0]} -> {edge[1]}: {error}")
            continue
        found = [(p, c) for c in below for p in above if p in graph.parents(c)]
        if not found:
            known = ", ".join(graph.parents(below[0])[:8]) or "none"
            faults.append(
                f"edge {edge[0]} -> {edge[1]}: the graph has no such edge. Parents of "
                f"{below[0]!r}: {known}."
            )
        for p, c in found:
            chosen.setdefault(c, set()).add(p)
    return {c: [p for p in graph.parents(c) if p in ps] for c, ps in chosen.items()}, faults


def _reached(output: str, parents: dict[str, list[str]]) -> set[str]:
    found, todo = {output}, [output]
    while todo:
        for parent in parents.get(todo.pop(), ()):
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found
