"""The modular-addition model in plain PyTorch: one layer, no norms, read at the last position.

The input is "a b =", three tokens; the output the logits of a + b modulo 59.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

PRIME, HEADS, WIDTH, HEAD_WIDTH, NEURONS = 59, 4, 64, 16, 256

Weights = Mapping[str, Tensor]


def shapes() -> dict[str, tuple[int, ...]]:
    """The name and shape of every weight; a matrix maps its last axis but one to its last."""
    return {
        "embed": (PRIME + 1, WIDTH),
        "places": (3, WIDTH),
        **dict.fromkeys("qkv", (HEADS, WIDTH, HEAD_WIDTH)),
        "o": (HEADS, HEAD_WIDTH, WIDTH),
        "in": (WIDTH, NEURONS),
        "in.bias": (NEURONS,),
        "out": (NEURONS, WIDTH),
        "out.bias": (WIDTH,),
        "unembed": (WIDTH, PRIME),
    }


def pairs() -> tuple[Tensor, Tensor]:
    """All inputs a and b, in order, [59 * 59] each."""
    number = torch.arange(PRIME)
    return number.repeat_interleave(PRIME), number.repeat(PRIME)


def stream(weights: Weights, a: Tensor, b: Tensor) -> Tensor:
    """The residual stream before attention, [n, 3, width]."""
    tokens = torch.stack([a, b, torch.full_like(a, PRIME)], dim=1)
    return weights["embed"][tokens] + weights["places"]


def heads(weights: Weights, x: Tensor) -> Tensor:
    """What each head adds at the last position, [n, heads, width]."""
    query = torch.einsum("nw,hwd->nhd", x[:, -1], weights["q"])
    key, value = (torch.einsum("npw,hwd->nphd", x, weights[part]) for part in "kv")
    scores = torch.einsum("nhd,nphd->nhp", query, key) / math.sqrt(HEAD_WIDTH)
    mixed = torch.einsum("nhp,nphd->nhd", scores.softmax(dim=-1), value)
    return torch.einsum("nhd,hdw->nhw", mixed, weights["o"])


def neurons(weights: Weights, x: Tensor) -> Tensor:
    """The MLP's activations [n, neurons] from the stream at the last position [n, width]."""
    return torch.relu(x @ weights["in"] + weights["in.bias"])


def logits(weights: Weights, a: Tensor, b: Tensor) -> Tensor:
    """The model: [n, 59]."""
    x = stream(weights, a, b)
    last = x[:, -1] + heads(weights, x).sum(dim=1)
    last = last + neurons(weights, last) @ weights["out"] + weights["out.bias"]
    return last @ weights["unembed"]
