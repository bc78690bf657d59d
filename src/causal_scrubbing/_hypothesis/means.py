"""Ablation of unimportant parents: their means over D, or zeros, as constants of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._graph import Graph, Node, dataset_means
from causal_scrubbing._hypothesis.hypothesis import Hypothesis
from causal_scrubbing._hypothesis.tree import CONSTANTS, MEAN, ZERO, mean_ablation


@dataclass(frozen=True, eq=False)
class _Mean:
    """A node's mean, once for each row of what it is given.

    Attributes:
        value: the mean, without batch dimension.
    """

    value: torch.Tensor

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self.value.to(rows.device).expand(len(rows), *self.value.shape)


def ablated_node(kind: str, name: str) -> str:
    """The hidden node that holds what a node is ablated to, its `MEAN` or `ZERO`."""
    return f"{kind}/{name}"


def mean_node(name: str) -> str:
    """The hidden node that holds a node's mean."""
    return ablated_node(MEAN, name)


def ablated_nodes(hypothesis: Hypothesis, kind: str = MEAN) -> tuple[str, ...]:
    """The nodes that a hypothesis ablates; a constant one is its own mean already."""
    graph = hypothesis.graph
    found = {
        node
        for entry in hypothesis.tree.claims
        for node, key in entry.other_draws.items()
        if key == kind and not (kind == MEAN and graph.is_constant[node])
    }
    return tuple(name for name in graph.names if name in found)


def with_means(
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    *,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> list[Hypothesis]:
    """The hypotheses on graphs that hold the means over D, and the zeros, that ablation needs.

    Hypotheses without it stay as they are; graphs that were one object stay one.

    Raises:
        HypothesisError: a node to be set to its mean holds no real numbers.
    """
    needed: dict[int, dict[tuple[str, str], None]] = {}
    graphs: dict[int, Graph] = {}
    for one in hypotheses:
        graphs[id(one.graph)] = one.graph
        found = needed.setdefault(id(one.graph), {})
        for kind in CONSTANTS:
            found.update(dict.fromkeys((kind, name) for name in ablated_nodes(one, kind)))
    made: dict[int, Graph] = {}
    for key, wanted in needed.items():
        if wanted:
            means = [name for kind, name in wanted if kind == MEAN]
            zeros = [name for kind, name in wanted if kind == ZERO]
            made[key] = _grounded(graphs[key], means, zeros, data, batch_size, device)
    return [
        one.with_(graph=made[id(one.graph)]) if id(one.graph) in made else one for one in hypotheses
    ]


def _grounded(
    graph: Graph,
    names: list[str],
    zeros: list[str],
    data: Dataset,
    batch_size: int,
    device: torch.device | str | None,
) -> Graph:
    means = dataset_means(graph, data, names, batch_size, device) if names else {}
    faults = [
        f"{name} holds {str(mean).removeprefix('torch.')}, of which no mean is a value; claim it, "
        "or draw unimportant parents from other rows (unimportant='per-claim')."
        for name, mean in means.items()
        if not isinstance(mean, torch.Tensor)
    ]
    if faults:
        raise HypothesisError(faults)
    # A mean is as long as the batch, which it reads off an input's shape. It is moved to where it
    # will be used now, not with every batch.
    home = device or graph.device
    made = [
        Node(
            name=mean_node(name),
            parents=(graph.inputs[0],),
            fn=_Mean(mean if home is None else mean.to(home)),
            shapes=frozenset({0}),
        )
        for name, mean in means.items()
        if isinstance(mean, torch.Tensor)
    ]
    made += [
        Node(
            name=ablated_node(ZERO, name),
            parents=(name,),
            fn=torch.zeros_like,
            shapes=frozenset({0}),
        )
        for name in zeros
    ]
    return graph.remake([*graph.nodes.values(), *made], "means or zeros of unimportant parents")


def ablates(hypothesis: Hypothesis) -> bool:
    """Whether a hypothesis sets unimportant parents to their means, which swaps nothing."""
    return hypothesis.unimportant == mean_ablation or hypothesis.tree.ablates


def check_scrubs(hypothesis: Hypothesis, what: str) -> None:
    """Refuse mean ablation where only swaps make sense.

    Raises:
        HypothesisError: it is mean ablation.
    """
    if ablates(hypothesis):
        fault = (
            f"{what} a hypothesis that swaps activations, which mean ablation does not; take "
            "another unimportant=."
        )
        raise HypothesisError([fault], name=hypothesis.name)
