"""The paren checker as ordinary PyTorch modules: what the libraries are given to wrap."""

from __future__ import annotations

import types
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from causal_scrubbing._gallery.parens import _model as model
from causal_scrubbing._gallery.parens._strings import PAD, POSITIONS


class Attention(nn.Module):
    """Attention in both directions, pads masked as keys; `z` is there to be read.

    The fused attention of PyTorch is faster than the product and softmax written out.
    """

    def __init__(self) -> None:
        super().__init__()
        inner = model.HEADS * model.HEAD_WIDTH
        self.q, self.k, self.v = (nn.Linear(model.WIDTH, inner) for _ in range(3))
        self.z = nn.Identity()
        self.o = nn.Linear(inner, model.WIDTH)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (model.HEADS, model.HEAD_WIDTH)).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        z = functional.scaled_dot_product_attention(q, k, v, attn_mask=~mask[:, None, None])
        return self.o(self.z(z.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """One layer."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = (nn.LayerNorm(model.WIDTH, model.EPSILON) for _ in range(2))
        self.attn = Attention()
        self.mlp = nn.Sequential(
            nn.Linear(model.WIDTH, model.MLP_WIDTH),
            nn.ReLU(),
            nn.Linear(model.MLP_WIDTH, model.WIDTH),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x), mask)
        return x + self.mlp(self.ln2(x))


class Checker(nn.Module):
    """Two logits a string, read at the first position."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(weights["embed.W_E"]), model.WIDTH)
        self.pos_embed = nn.Embedding(POSITIONS, model.WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(model.LAYERS)])
        self.ln_final = nn.LayerNorm(model.WIDTH, model.EPSILON)
        self.unembed = nn.Linear(model.WIDTH, 2)
        self.config = types.SimpleNamespace(to_dict=dict)  # pyvene asks for one
        mlp = {"in": "mlp.0", "out": "mlp.2"}
        self.load_state_dict(modules_state(weights, mlp))
        self.eval().requires_grad_(False)

    def forward(self, input_ids: Tensor) -> Tensor:
        mask = input_ids == PAD
        x = self.embed(input_ids) + self.pos_embed.weight[: input_ids.shape[1]]
        for block in self.blocks:
            x = block(x, mask)
        return self.read_out(x[:, 0])

    def read_out(self, x: Tensor) -> Tensor:
        """The logits of the residual stream at the first position [n, 56]."""
        return self.unembed(self.ln_final(x))


def modules_state(weights: Mapping[str, Tensor], mlp: Mapping[str, str]) -> dict[str, Tensor]:
    """The shipped weights, which are named and shaped as in TransformerLens, for linear modules.

    Args:
        weights: the shipped weights.
        mlp: what the two linear modules of an MLP are called.
    """
    found = {
        "embed.weight": weights["embed.W_E"],
        "pos_embed.weight": weights["pos_embed.W_pos"],
        "ln_final.weight": weights["ln_final.w"],
        "ln_final.bias": weights["ln_final.b"],
        "unembed.weight": weights["unembed.W_U"].T,
        "unembed.bias": weights["unembed.b_U"],
    }
    for layer in range(model.LAYERS):
        block = f"blocks.{layer}"
        for norm in ("ln1", "ln2"):
            found[f"{block}.{norm}.weight"] = weights[f"{block}.{norm}.w"]
            found[f"{block}.{norm}.bias"] = weights[f"{block}.{norm}.b"]
        for part in "QKV":
            name = f"{block}.attn.{part.lower()}"
            matrix = weights[f"{block}.attn.W_{part}"]  # [heads, width, head width]
            found[f"{name}.weight"] = matrix.transpose(1, 2).flatten(0, 1)
            found[f"{name}.bias"] = weights[f"{block}.attn.b_{part}"].flatten()
        found[f"{block}.attn.o.weight"] = weights[f"{block}.attn.W_O"].flatten(0, 1).T
        found[f"{block}.attn.o.bias"] = weights[f"{block}.attn.b_O"]
        for part, name in mlp.items():
            found[f"{block}.{name}.weight"] = weights[f"{block}.mlp.W_{part}"].T
            found[f"{block}.{name}.bias"] = weights[f"{block}.mlp.b_{part}"]
    return found
