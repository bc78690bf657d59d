"""docs/method.md followed literally, one sample at a time: the oracle of the engine.

No table, no sharing, no rewriting: routes are followed by recursion over the graph's visible
edges, every function is called on one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Graph, matches
from causal_scrubbing._hypothesis import Claim, Hypothesis


def clean(graph: Graph, data: Dataset, node: str, row: int) -> torch.Tensor:
    return graph.values(data[row : row + 1], [node])[node]


def apply(
    graph: Graph, data: Dataset, node: str, parents: Mapping[str, torch.Tensor], row: int
) -> Any:
    """A node's function on given parents' values (through plumbing, if it has any)."""
    own = graph.nodes[node]
    if set(own.parents) <= set(parents) and not own.is_input and own.fn is not None:
        return own.fn(*(parents[p] for p in own.parents))
    return graph.values(data[row : row + 1], [node], given=parents)[node]


def routes_through(graph: Graph, claim: Claim, node: str) -> bool:
    """Whether a path claim.node -> ... -> node exists whose inner nodes and node match via."""
    if not any(matches(p, node) for p in claim.via):
        return False
    return any(
        parent == claim.node or routes_through(graph, claim, parent)
        for parent in graph.parents(node)
    )


def kind_of(h: Hypothesis, node: str) -> Any:
    """What an unimportant parent is: drawn, or set to something."""
    if not isinstance(h.ablation, Mapping):
        return h.ablation
    found = [kind for pattern, kind in h.ablation.items() if matches(pattern, node)]
    return found[-1] if found else "resample"


def ablated(h: Hypothesis, data: Dataset, claim: Claim, node: str, row: int) -> torch.Tensor | None:
    """What an unimportant parent of a claim on a row is set to; None where it is drawn."""
    kind = kind_of(h, node)
    if kind == "resample":
        return None
    every = h.graph.values(data, [node])[node]
    every = every.expand(len(data), *every.shape[1:])
    if kind == "zero":
        return torch.zeros_like(every[:1])
    ids = data.classes((claim.others, h.within)).ids
    counted = torch.as_tensor(ids == ids[row])
    weights = torch.as_tensor(data.weights)
    where = None if kind == "mean" else kind.where
    total = torch.zeros_like(every[0], dtype=torch.float64)
    for place in np.ndindex(*every.shape[1:]):
        here = counted
        if where is not None:
            marks = data[where]
            marked = counted & marks[(slice(None), *place[: marks.ndim - 1])]
            here = marked if bool(marked.any()) else counted
        column = every[(slice(None), *place)].double()
        total[place] = (weights * column)[here].sum() / weights[here].sum()
    return total[None].to(every)


def naive_sample(h: Hypothesis, data: Dataset, rows: Mapping[str, int]) -> torch.Tensor:
    """The root's value for one sample, given the row drawn for each block."""
    graph = h.graph
    separate = h.unimportant == "separate"

    def other_key(path: str, node: str) -> str:
        if isinstance(h.unimportant, Mapping):
            if path in h.unimportant:
                return f"~group/{h.unimportant[path]}"
        elif h.unimportant == "together":
            return "~group/together"
        return f"{path}/~other" + (f"/{node}" if separate else "")

    def value(claim: Claim, path: str, key: str) -> torch.Tensor:
        if claim.children is None:
            return clean(graph, data, claim.node, rows[key])
        ties: dict[str, str] = {}
        keys = {}
        for child in claim.children:
            child_path = f"{path}/{child.label}"
            own = child.draw or child_path
            keys[child.label] = own if child.tie is None else ties.setdefault(child.tie, own)
        assert claim.children is not None

        def copy(node: str, alive: list[Claim]) -> torch.Tensor:
            parents = {}
            for q in graph.parents(node):
                naming = [c for c in alive if c.node == q]
                passing = [c for c in alive if routes_through(graph, c, q)]
                if naming:
                    assert len(naming) == 1
                    child = naming[0]
                    parents[q] = value(child, f"{path}/{child.label}", keys[child.label])
                elif passing:
                    parents[q] = copy(q, passing)
                elif (fixed := ablated(h, data, claim, q, rows[key])) is not None:
                    parents[q] = fixed
                else:
                    parents[q] = clean(graph, data, q, rows[other_key(path, q)])
            found: torch.Tensor = apply(graph, data, node, parents, rows[key])
            return found

        return copy(claim.node, list(claim.children))

    return value(h.root, h.root.label, h.root.label)
