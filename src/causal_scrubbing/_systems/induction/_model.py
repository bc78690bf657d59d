"""The induction model in plain PyTorch: two layers of eight attention heads, nothing else.

Positions enter through the attention scores alone: head h of either layer adds -2^-h times the
distance to each score (ALiBi). There are no biases in the attention and no MLPs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

LAYERS, HEADS, WIDTH, HEAD_WIDTH = 2, 8, 128, 16
TOKENS, CONTEXT = 768, 64
EPSILON = 1e-5

Weights = Mapping[str, Tensor]


def shapes() -> dict[str, tuple[int, ...]]:
    """The name and shape of every weight."""
    table: dict[str, tuple[int, ...]] = {"embed": (TOKENS, WIDTH), "unembed": (WIDTH, TOKENS)}
    for name in ("norm0", "norm1", "norm"):
        table |= {f"{name}.scale": (WIDTH,), f"{name}.shift": (WIDTH,)}
    for layer in range(LAYERS):
        table |= {f"a{layer}.{part}": (HEADS, WIDTH, HEAD_WIDTH) for part in "qkv"}
        table[f"a{layer}.o"] = (HEADS, HEAD_WIDTH, WIDTH)
    return table


def norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    """LayerNorm over the last axis."""
    scale, shift = weights[f"{name}.scale"], weights[f"{name}.shift"]
    return functional.layer_norm(x, scale.shape, scale, shift, EPSILON)


def distances(queries: int, keys: int) -> Tensor:
    """How far each key lies before each of the last queries, [queries, keys]; negative: after."""
    return torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)


def pattern(query: Tensor, key: Tensor) -> Tensor:
    """The attention of some or all heads.

    Args:
        query: [..., heads, queries, head width], the last positions.
        key: [..., heads, keys, head width].

    Returns:
        [..., heads, queries, keys], without the heads' own distances.
    """
    return query @ key.transpose(-1, -2) / math.sqrt(HEAD_WIDTH)


def attend(scores: Tensor, heads: slice | list[int] = slice(None)) -> Tensor:
    """Scores [..., heads, queries, keys] with distances and the causal mask, as attention."""
    far = distances(*scores.shape[-2:])
    slopes = 2.0 ** -torch.arange(HEADS)[heads]
    biased = scores - slopes[:, None, None].to(scores.dtype) * far
    return biased.masked_fill(far < 0, -torch.inf).softmax(dim=-1)


def attention(weights: Weights, layer: int, x: Tensor) -> Tensor:
    """What each head of a layer adds to the stream x, [n, heads, positions, width]."""
    normed = norm(weights, f"norm{layer}", x)[:, None]
    q, k, v = (normed @ weights[f"a{layer}.{part}"] for part in "qkv")
    return attend(pattern(q, k)) @ v @ weights[f"a{layer}.o"]


def logits(weights: Weights, tokens: Tensor) -> Tensor:
    """The model: logits of the next token at every position, [n, positions, tokens]."""
    x = weights["embed"][tokens]
    for layer in range(LAYERS):
        x = x + attention(weights, layer, x).sum(dim=1)
    return norm(weights, "norm", x) @ weights["unembed"]
