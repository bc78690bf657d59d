"""Replace a node by a subgraph that computes the same, checked on data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._nodes import BaseGraph, G, compare_outputs, make_nodes, nearest


def replace(
    graph: G,
    name: str,
    nodes: Mapping[str, tuple[Callable[..., Any], Sequence[str]]],
    output: str,
    data: Dataset | None,
    tolerance: float | None,
) -> G:
    """See `Graph.replace`."""
    if tolerance is not None and not 0 <= tolerance < 1:
        raise GraphError(f"replace {name!r}: tolerance={tolerance!r} is not a share from 0 to 1.")
    old = graph.node(name)
    if old.is_input:
        raise GraphError(f"replace {name!r}: it is an input; rows of data give its value.")
    if output not in nodes:
        raise GraphError(
            f"replace {name!r}: output={output!r} is none of the new nodes. "
            f"{nearest(output, nodes)}"
        )
    draft = Draft(graph, data)
    consumers = draft.consumers(name)
    draft.drop(name)
    made = make_nodes(nodes)
    for node in made:
        draft.add(node, near=name)
    source = graph.example if data is None else data
    for node in made:
        draft.put(
            dataclasses.replace(
                node,
                parents=tuple(
                    _read(draft, graph, name, node.name, parent, source) for parent in node.parents
                ),
            )
        )
    for consumer in consumers:
        draft.redirect(consumer, name, output)
    draft.reignore(name, [output])
    if draft.output == name:
        draft.output = output
    draft.drop_unread(old.parents)
    note = f"replace {name} by {', '.join(nodes)}"
    try:
        new = draft.finish(note, verify=data is None, tolerance=tolerance)
    except GraphError as error:
        raise GraphError(f"replace {name!r}: {error}") from error
    if source is None:
        return new
    try:
        found = compare_outputs(graph, new, source, tolerance=tolerance, rewritten=True)
    except GraphError as error:
        raise GraphError(
            f"replace {name!r}: the new subgraph is not equal to it: {error}"
        ) from error
    return draft.finish(f"{note} ({found})", verify=data is None, tolerance=tolerance)


def _read(
    draft: Draft[Any], graph: BaseGraph, name: str, reader: str, parent: str, data: Dataset | None
) -> str:
    """The node that a new node reads, or the dataset field, made an input."""
    if parent in draft.nodes or f"~{parent}" in draft.nodes:
        return draft.wire(parent)
    what = f"replace {name!r}: the new node {reader!r} reads {parent!r}, "
    if parent == name:
        parents = ", ".join(graph.parents(name))
        raise GraphError(f"{what}the node that goes. Read its parents: {parents}.")
    if data is not None and parent not in data:
        raise GraphError(
            f"{what}which is neither a node nor a field. {nearest(parent, graph.names)}"
        )
    return draft.field(parent)


def verify(graph: G, data: Dataset) -> G:
    """See `Graph.verify`."""
    if not graph.unverified:
        return graph
    found = [
        compare_outputs(earlier, graph, data, tolerance=tolerance, rewritten=True)
        for earlier, tolerance in graph.unverified
    ]
    checked = graph.remake(graph.nodes.values(), f"checked: {found[-1]}", verified=True)
    checked.rewrite = graph.rewrite
    return checked
