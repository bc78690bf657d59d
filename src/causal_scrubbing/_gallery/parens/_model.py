"""The paren checker itself in plain PyTorch: a small bidirectional transformer."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ._strings import PAD, POSITIONS

LAYERS, HEADS, WIDTH, HEAD_WIDTH, MLP_WIDTH = 3, 2, 56, 28, 56
EPSILON = 1e-5

Weights = Mapping[str, Tensor]


def shapes() -> dict[str, tuple[int, ...]]:
    """The name and shape of every weight, named as in TransformerLens."""
    table: dict[str, tuple[int, ...]] = {
        "embed.W_E": (5, WIDTH),
        "pos_embed.W_pos": (POSITIONS, WIDTH),
        "ln_final.w": (WIDTH,),
        "ln_final.b": (WIDTH,),
        "unembed.W_U": (WIDTH, 2),
        "unembed.b_U": (2,),
    }
    for layer in range(LAYERS):
        block = f"blocks.{layer}"
        for norm in ("ln1", "ln2"):
            table |= {f"{block}.{norm}.w": (WIDTH,), f"{block}.{norm}.b": (WIDTH,)}
        for part in "QKV":
            table[f"{block}.attn.W_{part}"] = (HEADS, WIDTH, HEAD_WIDTH)
            table[f"{block}.attn.b_{part}"] = (HEADS, HEAD_WIDTH)
        table |= {
            f"{block}.attn.W_O": (HEADS, HEAD_WIDTH, WIDTH),
            f"{block}.attn.b_O": (WIDTH,),
            f"{block}.mlp.W_in": (WIDTH, MLP_WIDTH),
            f"{block}.mlp.b_in": (MLP_WIDTH,),
            f"{block}.mlp.W_out": (MLP_WIDTH, WIDTH),
            f"{block}.mlp.b_out": (WIDTH,),
        }
    return table


def norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    """LayerNorm over the last axis."""
    scale, shift = weights[f"{name}.w"], weights[f"{name}.b"]
    return functional.layer_norm(x, scale.shape, scale, shift, EPSILON)


def embed(weights: Weights, tokens: Tensor) -> Tensor:
    """Token and position embeddings [n, positions, width]."""
    positions = weights["pos_embed.W_pos"][: tokens.shape[1]]
    return weights["embed.W_E"][tokens] + positions


def attention_pattern(
    weights: Weights, layer: int, head: int, x: Tensor, mask: Tensor, at: slice = slice(None)
) -> Tensor:
    """How much a head attends from some positions to each.

    Args:
        weights: the model.
        layer: which layer.
        head: which head.
        x: the residual stream [n, positions, width], before the norm.
        mask: which keys are pads [n, positions].
        at: the query positions.

    Returns:
        [n, queries, positions], each row summing to one.
    """
    block = f"blocks.{layer}.attn"
    normed = norm(weights, f"blocks.{layer}.ln1", x)
    query = normed[:, at] @ weights[f"{block}.W_Q"][head] + weights[f"{block}.b_Q"][head]
    key = normed @ weights[f"{block}.W_K"][head] + weights[f"{block}.b_K"][head]
    scores = query @ key.transpose(1, 2) / math.sqrt(HEAD_WIDTH)
    return scores.masked_fill(mask[:, None, :], -torch.inf).softmax(dim=-1)


def head(
    weights: Weights, layer: int, head: int, x: Tensor, mask: Tensor, at: slice = slice(None)
) -> Tensor:
    """What a head adds at some positions [n, queries, width], without the layer's output bias."""
    block = f"blocks.{layer}.attn"
    pattern = attention_pattern(weights, layer, head, x, mask, at)
    normed = norm(weights, f"blocks.{layer}.ln1", x)
    value = normed @ weights[f"{block}.W_V"][head] + weights[f"{block}.b_V"][head]
    return pattern @ value @ weights[f"{block}.W_O"][head]


def mlp(weights: Weights, layer: int, x: Tensor) -> Tensor:
    """What the MLP of a layer adds."""
    block = f"blocks.{layer}.mlp"
    normed = norm(weights, f"blocks.{layer}.ln2", x)
    hidden = torch.relu(normed @ weights[f"{block}.W_in"] + weights[f"{block}.b_in"])
    return hidden @ weights[f"{block}.W_out"] + weights[f"{block}.b_out"]


def read_out(weights: Weights, x: Tensor) -> Tensor:
    """The two logits from the residual stream at the first position [n, width]."""
    return norm(weights, "ln_final", x) @ weights["unembed.W_U"] + weights["unembed.b_U"]


def contributions(weights: Weights, tokens: Tensor) -> dict[str, Tensor]:
    """What each component adds to the residual stream at the first position, [n, width] each.

    Named as in the graph: an MLP includes its layer's attention bias. The last layer is computed
    at the first position alone, as nothing else of it is read.
    """
    mask = tokens == PAD
    x = embed(weights, tokens)
    found = {"embed": x[:, 0]}
    for layer in range(LAYERS):
        at = slice(0, 1) if layer == LAYERS - 1 else slice(None)
        heads = [head(weights, layer, index, x, mask, at) for index in range(HEADS)]
        bias = weights[f"blocks.{layer}.attn.b_O"]
        x = x[:, at] + heads[0] + heads[1] + bias
        written = mlp(weights, layer, x)
        x = x + written
        found |= {f"a{layer}.h{index}": added[:, 0] for index, added in enumerate(heads)}
        found[f"m{layer}"] = written[:, 0] + bias
    return found


def logits(weights: Weights, tokens: Tensor) -> Tensor:
    """The model: two logits a string (unbalanced, balanced), read at the first position."""
    return read_out(weights, torch.stack(list(contributions(weights, tokens).values())).sum(dim=0))
