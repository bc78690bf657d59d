"""The paren checker captured from a module in the style of TransformerLens, against the one built
by hand."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

import causal_scrubbing as cs
from causal_scrubbing import gallery
from causal_scrubbing._gallery import parens
from causal_scrubbing._gallery.parens import build_graph

NAMES = ("a1.h0", "a2.h0", "a2.h1")


class Weighted(nn.Module):
    """Weights of one part, by the names that the checker's file gives them."""

    W_E: torch.Tensor
    W_pos: torch.Tensor

    def __init__(self, weights: dict[str, torch.Tensor], prefix: str) -> None:
        super().__init__()
        for name, tensor in weights.items():
            if name.startswith(prefix) and "." not in name.removeprefix(prefix):
                self.register_parameter(name.removeprefix(prefix), nn.Parameter(tensor))


class Attention(Weighted):
    W_Q: torch.Tensor
    W_K: torch.Tensor
    W_V: torch.Tensor
    W_O: torch.Tensor
    b_Q: torch.Tensor
    b_K: torch.Tensor
    b_V: torch.Tensor
    b_O: torch.Tensor
    hook_q: nn.Identity
    hook_k: nn.Identity
    hook_v: nn.Identity
    hook_z: nn.Identity

    def __init__(self, weights: dict[str, torch.Tensor], prefix: str) -> None:
        super().__init__(weights, prefix)
        for name in ("hook_q", "hook_k", "hook_v", "hook_z"):
            setattr(self, name, nn.Identity())

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        q = self.hook_q(torch.einsum("bpm,hmd->bphd", x, self.W_Q) + self.b_Q)
        k = self.hook_k(torch.einsum("bpm,hmd->bphd", x, self.W_K) + self.b_K)
        v = self.hook_v(torch.einsum("bpm,hmd->bphd", x, self.W_V) + self.b_V)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        pattern = scores.masked_fill(mask[:, None, None], -torch.inf).softmax(-1)
        z = self.hook_z(torch.einsum("bhqk,bkhd->bqhd", pattern, v))
        return torch.einsum("bphd,hdm->bpm", z, self.W_O) + self.b_O


class Mlp(Weighted):
    W_in: torch.Tensor
    W_out: torch.Tensor
    b_in: torch.Tensor
    b_out: torch.Tensor

    def __init__(self, weights: dict[str, torch.Tensor], prefix: str) -> None:
        super().__init__(weights, prefix)
        self.hook_post = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.hook_post(torch.relu(x @ self.W_in + self.b_in)) @ self.W_out + self.b_out


class Norm(Weighted):
    w: torch.Tensor
    b: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, self.w.shape, self.w, self.b, 1e-5)


class Block(nn.Module):
    def __init__(self, weights: dict[str, torch.Tensor], prefix: str) -> None:
        super().__init__()
        self.ln1, self.ln2 = Norm(weights, f"{prefix}ln1."), Norm(weights, f"{prefix}ln2.")
        self.attn = Attention(weights, f"{prefix}attn.")
        self.mlp = Mlp(weights, f"{prefix}mlp.")
        self.hook_mlp_out = nn.Identity()

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln1(x), mask)
        return x + self.hook_mlp_out(self.mlp(self.ln2(x)))


class Checker(nn.Module):
    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.embed, self.pos_embed = Weighted(weights, "embed."), Weighted(weights, "pos_embed.")
        self.hook_embed, self.hook_pos_embed = nn.Identity(), nn.Identity()
        self.blocks = nn.ModuleList(Block(weights, f"blocks.{i}.") for i in range(3))
        self.ln_final, self.unembed = Norm(weights, "ln_final."), Weighted(weights, "unembed.")

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        places = self.pos_embed.W_pos[: tokens.shape[1]].expand(tokens.shape[0], -1, -1)
        x = self.hook_embed(self.embed.W_E[tokens]) + self.hook_pos_embed(places)
        for block in self.blocks:
            x = block(x, mask)
        return (self.ln_final(x) @ self.unembed.W_U + self.unembed.b_U)[:, 0]


def test_the_captured_checker_gives_the_results_of_the_one_built_by_hand() -> None:
    weights = dict(parens.load_weights(parens.HERE))
    data = parens.make_data(gallery.Options(), weights, 200)
    model = Checker(weights).eval()
    sites = cs.sites.heads_and_mlps(model)
    graph = cs.capture(model, data[:2], sites=sites, fields=["tokens", "mask"], output="logits")
    built = build_graph(weights)
    torch.testing.assert_close(graph(data), built(data), rtol=1e-4, atol=1e-4)
    graph = graph.split("a*.z", axis=-2, into={"h{}": 2})
    graph = graph.rename({f"a{i}.z.h{k}": f"a{i}.h{k}" for i in range(3) for k in range(2)})

    def say(graph: cs.Graph) -> cs.Hypothesis:
        features = ("equal_counts", "equal_counts", "never_above")
        claims = [cs.claim(n, f) for n, f in zip(NAMES, features, strict=True)]
        return cs.Hypothesis(graph, cs.claim("logits", cs.exact, *claims))

    metric = cs.metrics.cross_entropy("balanced")
    ours, theirs = (
        cs.scrub(say(one), data, metric=metric, samples=300, progress=False)
        for one in (graph, built)
    )
    assert ours.draws.equals(theirs.draws)
    np.testing.assert_allclose(ours.scrubbed.mean, theirs.scrubbed.mean, rtol=1e-3)
    assert ours.scrubbed.mean > ours.model.mean + 0.01
