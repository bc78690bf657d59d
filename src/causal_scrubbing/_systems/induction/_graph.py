"""The induction model as a graph, read at the last position, with layer 1's inputs by position.

Names: ``embed``, ``prev`` and ``other`` are what the embedding, the previous-token heads and the
other heads of layer 0 put into the residual stream; ``prev.fixed`` is the part of ``prev`` whose
attention does not depend on the tokens, ``prev.rest`` what that leaves. ``embed.p3`` and so on are
these at one position. ``k.p3`` and ``v.p3`` are the induction heads' keys and values there, ``q``
their queries at the last position, ``ind`` what they write there, ``layer1`` what the other heads
of layer 1 write there. ``loss`` is the cross-entropy of the next token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

import causal_scrubbing as cs

from . import _model as model

STREAM = ("embed", "prev.fixed", "prev.rest", "other")
Nodes = dict[str, tuple[Callable[..., object], list[str]]]


@dataclass(frozen=True)
class Heads:
    """Which heads do what, as measured.

    Attributes:
        previous: heads of layer 0 that attend to the previous token.
        induction: heads of layer 1 that attend to what followed the same token.
        attention: share of attention each head of layer 0 gives to the previous token, and each of
            layer 1 to what followed the same token, [2, 8].
    """

    previous: list[int]
    induction: list[int]
    attention: Tensor


@torch.no_grad()
def find_heads(weights: model.Weights, seed: int = 0) -> Heads:
    """Find both kinds on 200 rows of a random block that comes twice.

    A head of layer 0 counts with a sixth of its attention on the previous token, one of layer 1
    with a third on what followed the same token.
    """
    source = torch.Generator().manual_seed(seed)
    half = model.CONTEXT // 2
    block = torch.randint(model.TOKENS, (200, half), generator=source)
    x = weights["embed"][torch.cat([block, block], dim=1)]
    shares = []
    for layer, back in ((0, 1), (1, half - 1)):
        attention = patterns(weights, layer, x).mean(dim=0)
        shares.append(attention.diagonal(-back, dim1=1, dim2=2)[:, 1 - half :].mean(dim=1))
        x = x + model.attention(weights, layer, x).sum(dim=1)
    previous = [head for head in range(model.HEADS) if shares[0][head] >= 1 / 6]
    induction = [head for head in range(model.HEADS) if shares[1][head] >= 1 / 3]
    return Heads(previous, induction, torch.stack(shares))


def patterns(weights: model.Weights, layer: int, x: Tensor) -> Tensor:
    """The attention of a layer's heads, [n, heads, positions, positions]."""
    normed = model.norm(weights, f"norm{layer}", x)[:, None]
    return model.attend(
        model.pattern(normed @ weights[f"a{layer}.q"], normed @ weights[f"a{layer}.k"])
    )


@torch.no_grad()
def mean_patterns(weights: model.Weights, tokens: Tensor) -> Tensor:
    """Layer 0's attention averaged over rows, [heads, positions, positions]."""
    total = torch.zeros(model.HEADS, tokens.shape[1], tokens.shape[1])
    for rows in torch.split(tokens, 250):
        total += patterns(weights, 0, weights["embed"][rows]).sum(dim=0)
    return total / len(tokens)


def build_graph(weights: model.Weights, heads: Heads, tokens: Tensor) -> cs.Graph:
    """The graph, from fields `tokens` [n, positions] and `next`.

    Args:
        weights: the model.
        heads: which are which.
        tokens: rows over which the token-independent attention is averaged.
    """
    places, last = range(tokens.shape[1]), tokens.shape[1] - 1
    fixed = mean_patterns(weights, tokens)[heads.previous]
    others = [head for head in range(model.HEADS) if head not in heads.previous]
    rest = [head for head in range(model.HEADS) if head not in heads.induction]

    def layer0(chosen: Sequence[int], x: Tensor, attention: Tensor | None = None) -> Tensor:
        normed = model.norm(weights, "norm0", x)[:, None]
        q, k, v = (normed @ weights[f"a0.{part}"][list(chosen)] for part in "qkv")
        if attention is None:
            attention = model.attend(model.pattern(q, k), list(chosen))
        return (attention @ v @ weights["a0.o"][list(chosen)]).sum(dim=1)

    def project(part: str, chosen: Sequence[int]) -> Callable[[Tensor], Tensor]:
        matrix = weights[f"a1.{part}"][list(chosen)]
        return lambda x: torch.einsum("nw,hwd->nhd", model.norm(weights, "norm1", x), matrix)

    def induction(query: Tensor, *pieces: Tensor) -> Tensor:
        keys, values = (
            torch.stack(part, dim=2) for part in (pieces[: len(places)], pieces[len(places) :])
        )
        scores = model.pattern(query[:, :, None], keys)
        mixed = model.attend(scores, heads.induction) @ values
        return torch.einsum("nhd,hdw->nw", mixed[:, :, 0], weights["a1.o"][heads.induction])

    def others_of_layer1(x: Tensor) -> Tensor:
        normed = model.norm(weights, "norm1", x)[:, None]
        q, k, v = (normed @ weights[f"a1.{part}"][rest] for part in "qkv")
        attention = model.attend(model.pattern(q[:, :, -1:], k), rest)
        return (attention @ v @ weights["a1.o"][rest])[:, :, 0].sum(dim=1)

    def loss(logits: Tensor, following: Tensor) -> Tensor:
        return functional.cross_entropy(logits, following, reduction="none")

    nodes: Nodes = {
        "embed": (lambda tokens: weights["embed"][tokens], ["tokens"]),
        "prev.fixed": (lambda x: layer0(heads.previous, x, fixed), ["embed"]),
        "prev.rest": (
            lambda x: layer0(heads.previous, x) - layer0(heads.previous, x, fixed),
            ["embed"],
        ),
        "other": (lambda x: layer0(others, x), ["embed"]),
    }
    for place in places:
        for name in STREAM:
            nodes[f"{name}.p{place}"] = (lambda x, place=place: x[:, place], [name])
        read = [f"{name}.p{place}" for name in STREAM]
        nodes[f"k.p{place}"] = (cs.of_sum(project("k", heads.induction)), read)
        nodes[f"v.p{place}"] = (cs.of_sum(project("v", heads.induction)), read)
    at_last = [f"{name}.p{last}" for name in STREAM]
    nodes["q"] = (cs.of_sum(project("q", heads.induction)), at_last)
    pieces = [f"{part}.p{place}" for part in "kv" for place in places]
    nodes["ind"] = (induction, ["q", *pieces])
    nodes["layer1"] = (cs.of_sum(others_of_layer1), list(STREAM))
    nodes["logits"] = (
        cs.of_sum(lambda x: model.norm(weights, "norm", x) @ weights["unembed"]),
        [*at_last, "layer1", "ind"],
    )
    nodes["loss"] = (loss, ["logits", "next"])
    return cs.Graph.build(inputs=["tokens", "next"], nodes=nodes, output="loss")
