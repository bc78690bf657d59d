"""The model as a graph, and the claims about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

import causal_scrubbing as cs

from . import _fourier as fourier
from . import _model as model

HEADS = tuple(f"h{head}" for head in range(model.HEADS))
WHOLE, KEYS, QUADRATICS = "whole neurons", "key planes", "fitted quadratics"
OTHERS, RANDOM = "planes of other frequencies", "random planes"
PARTS: Final = (WHOLE, KEYS, QUADRATICS, OTHERS, RANDOM)
"""What the neurons may be split into."""


def make_data() -> cs.Dataset:
    """All pairs, their sum, their difference and the pair without its order."""
    a, b = model.pairs()
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    return cs.Dataset(
        a=a,
        b=b,
        sum=(a + b) % model.PRIME,
        difference=(a - b) % model.PRIME,
        pair=low * model.PRIME + high,
        show=lambda row: f"{row['a']} + {row['b']}",
    )


def make_graph(weights: model.Weights) -> cs.Graph:
    """Numbers a and b, the heads at the last position, the neurons, the logits."""

    def head(index: int, a: Tensor, b: Tensor) -> Tensor:
        part = {name: weights[name][index : index + 1] for name in "qkvo"}
        return model.heads({**weights, **part}, model.stream(weights, a, b))[:, 0]

    last = weights["embed"][model.PRIME] + weights["places"][2]
    outward = weights["out"] @ weights["unembed"]

    def logits(*parts: Tensor) -> Tensor:
        *written, neurons = parts
        stream = sum(written) + last + weights["out.bias"]
        return stream @ weights["unembed"] + neurons @ outward

    return cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            **{
                name: (lambda a, b, index=index: head(index, a, b), ["a", "b"])
                for index, name in enumerate(HEADS)
            },
            "neurons": (lambda *parts: model.neurons(weights, sum(parts) + last), list(HEADS)),
            "logits": (logits, [*HEADS, "neurons"]),
        },
        output="logits",
    )


def with_planes(
    graph: cs.Graph, names: Sequence[str], directions: Tensor, data: cs.Dataset
) -> cs.Graph:
    """The neurons as the sum of their parts in planes, and the rest.

    Args:
        graph: from `make_graph`.
        names: of the planes.
        directions: [neurons, 2 * planes].
        data: on which the graphs are compared.
    """
    matrices = fourier.joint_projections(directions)
    pieces = dict(zip(names, matrices, strict=True))
    return graph.split_sum("neurons", pieces, rest="rest", data=data[:64])


def with_quadratics(
    graph: cs.Graph, frequencies: Sequence[int], data: cs.Dataset
) -> tuple[cs.Graph, dict[int, float]]:
    """Each plane as the fitted quadratic of cosines and sines, phi, and what it leaves.

    Returns:
        The graph, and by frequency the share of the plane's variance that phi leaves.
    """
    left = {}
    parts = graph.values(data, [f"neurons.w{f}" for f in frequencies])
    for frequency in frequencies:
        fitted, left[frequency] = fourier.fit_quadratic(frequency, parts[f"neurons.w{frequency}"])

        def phi(a: Tensor, b: Tensor, of: int = frequency, fitted: Tensor = fitted) -> Tensor:
            return fourier.products(of, a, b).to(fitted.dtype) @ fitted

        graph = graph.split_sum(
            f"neurons.w{frequency}", {"phi": (phi, ["a", "b"])}, rest="rest", data=data[:64]
        )
    return graph, left


def make_graphs(
    weights: model.Weights, data: cs.Dataset, parts: Sequence[str] = PARTS
) -> dict[str, cs.Graph]:
    """The model with its neurons whole, and in planes: `PARTS` to graphs.

    Args:
        weights: the model.
        data: on which the graphs are compared.
        parts: which graphs to make.
    """
    graph, keys = make_graph(weights), fourier.key_frequencies(weights)
    names = [f"w{frequency}" for frequency in keys]

    def planes(directions: Tensor) -> cs.Graph:
        return with_planes(graph, names, directions, data)

    def make(part: str) -> cs.Graph:
        if part == WHOLE:
            return graph
        if part == OTHERS:
            weakest = (fourier.spectrum(weights).argsort() + 1).tolist()[: len(keys)]
            return planes(fourier.read_directions(weights, weakest))
        if part == RANDOM:
            source = torch.Generator().manual_seed(0)
            drawn = torch.randn(model.NEURONS, 2 * len(keys), generator=source, dtype=torch.float64)
            return planes(drawn)
        split = planes(fourier.read_directions(weights, keys))
        return split if part == KEYS else with_quadratics(split, keys, data)[0]

    return {part: make(part) for part in parts}


def planes_carry(
    graph: cs.Graph,
    planes: Sequence[str],
    feature: str,
    *,
    tie: str | None = None,
    below: Sequence[cs.Claim] = (),
) -> cs.Hypothesis:
    """Parts of the neurons each carry a feature; nothing else matters to the logits.

    Args:
        graph: with planes or quadratics.
        planes: the nodes.
        feature: what each carries.
        tie: draw all from one row.
        below: what each is computed from.
    """
    claims = [cs.claim(name, feature, *below, tie=tie) for name in planes]
    return cs.Hypothesis(graph, cs.claim("logits", cs.exact, *claims))
