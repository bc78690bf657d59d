"""docs/method.md followed literally, one sample at a time: the oracle of the engine.

No table, no sharing, no rewriting: routes are followed by recursion over the graph's visible
edges, every function is called on one row.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Graph, matches
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._hypothesis.claim import Claim
from causal_scrubbing._hypothesis.tree import mean_ablation


def clean(graph: Graph, data: Dataset, node: str, row: int) -> torch.Tensor:
    return graph.values(data[row : row + 1], [node])[node]


def apply(graph: Graph, data: Dataset, node: str, parents: Mapping[str, torch.Tensor], row: int):
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
                elif h.unimportant == mean_ablation:
                    every = graph.values(data, [q])[q]
                    every = every.expand(len(data), *every.shape[1:])
                    weights = torch.as_tensor(data.weights)
                    parents[q] = torch.tensordot(weights, every.double(), 1)[None].to(every)
                else:
                    parents[q] = clean(graph, data, q, rows[other_key(path, q)])
            return apply(graph, data, node, parents, rows[key])

        return copy(claim.node, list(claim.children))

    return value(h.root, h.root.label, h.root.label)
