"""The paren checker as a PyTorch module, as its author would write it, and its captured graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

import causal_scrubbing as cs

from . import _model as model
from ._strings import POSITIONS


class Attention(nn.Module):
    """Multi-head attention in both directions that never looks at pads."""

    def __init__(self) -> None:
        """Linear layers of the right sizes, to be loaded."""
        super().__init__()
        inner = model.HEADS * model.HEAD_WIDTH
        self.query, self.key, self.value = (nn.Linear(model.WIDTH, inner) for _ in range(3))
        self.out = nn.Linear(inner, model.WIDTH)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """What attention adds to the residual stream [n, positions, width]."""
        query, key, value = (
            layer(x).unflatten(-1, (model.HEADS, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        read = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=~mask[:, None, None, :]
        )
        written: Tensor = self.out(read.transpose(1, 2).flatten(2))
        return written


class Block(nn.Module):
    """Attention, then an MLP, each on the normed residual stream."""

    def __init__(self) -> None:
        """Layers of the right sizes, to be loaded."""
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(model.WIDTH), nn.LayerNorm(model.WIDTH)
        self.attn = Attention()
        self.mlp = nn.Sequential(
            nn.Linear(model.WIDTH, model.MLP_WIDTH),
            nn.ReLU(),
            nn.Linear(model.MLP_WIDTH, model.WIDTH),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The residual stream after the block."""
        x = x + self.attn(self.ln1(x), mask)
        after: Tensor = x + self.mlp(self.ln2(x))
        return after


class ParenChecker(nn.Module):
    """Two logits for each string: unbalanced and balanced, read at the first position."""

    def __init__(self) -> None:
        """Layers of the right sizes, to be loaded."""
        super().__init__()
        self.tokens = nn.Embedding(5, model.WIDTH)
        self.positions = nn.Parameter(torch.zeros(POSITIONS, model.WIDTH))
        self.embed = nn.Identity()
        self.blocks = nn.ModuleList(Block() for _ in range(model.LAYERS))
        self.norm = nn.LayerNorm(model.WIDTH)
        self.unembed = nn.Linear(model.WIDTH, 2)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits [n, 2] of token ids and of a mask of the pads, both [n, 42]."""
        x = self.embed(self.tokens(tokens) + self.positions)
        for block in self.blocks:
            x = block(x, mask)
        logits: Tensor = self.unembed(self.norm(x[:, 0]))
        return logits


def module(weights: model.Weights) -> ParenChecker:
    """The module with weights that are named as in TransformerLens."""
    state = {
        "tokens.weight": weights["embed.W_E"],
        "positions": weights["pos_embed.W_pos"],
        "norm.weight": weights["ln_final.w"],
        "norm.bias": weights["ln_final.b"],
        "unembed.weight": weights["unembed.W_U"].T,
        "unembed.bias": weights["unembed.b_U"],
    }
    for layer in range(model.LAYERS):
        old, new = f"blocks.{layer}", f"blocks.{layer}"
        for norm in ("ln1", "ln2"):
            state[f"{new}.{norm}.weight"] = weights[f"{old}.{norm}.w"]
            state[f"{new}.{norm}.bias"] = weights[f"{old}.{norm}.b"]
        for part, name in (("Q", "query"), ("K", "key"), ("V", "value")):
            by_head = weights[f"{old}.attn.W_{part}"]
            state[f"{new}.attn.{name}.weight"] = by_head.transpose(1, 2).flatten(0, 1)
            state[f"{new}.attn.{name}.bias"] = weights[f"{old}.attn.b_{part}"].flatten()
        state[f"{new}.attn.out.weight"] = weights[f"{old}.attn.W_O"].flatten(0, 1).T
        state[f"{new}.attn.out.bias"] = weights[f"{old}.attn.b_O"]
        for index, part in ((0, "in"), (2, "out")):
            state[f"{new}.mlp.{index}.weight"] = weights[f"{old}.mlp.W_{part}"].T
            state[f"{new}.mlp.{index}.bias"] = weights[f"{old}.mlp.b_{part}"]
    checker = ParenChecker().to(weights["unembed.W_U"].dtype)
    checker.load_state_dict({name: value.contiguous() for name, value in state.items()})
    return checker.eval()


def capture(checker: nn.Module, example: cs.Dataset) -> cs.Graph:
    """The module's graph, from fields `tokens` and `mask`, with each head a node: ``a1.h0``.

    A head's node is what it reads from the values, before the output projection.
    """
    graph = cs.capture(
        checker,
        example,
        fields=["tokens", "mask"],
        sites={"embed": "embed", "a{i}": "blocks.{i}.attn.out:input", "m{i}": "blocks.{i}.mlp"},
        output="logits",
    )
    return graph.split("a*", axis=-1, into={"h{}": model.HEADS})
