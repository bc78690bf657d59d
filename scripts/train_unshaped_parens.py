"""Train paren checkers that nobody shaped, several seeds in one batch: hours on one core, seeded.

    python scripts/train_unshaped_parens.py --out checkers

Nothing is written into a head, nothing is exchanged at the read-out. Positions are fixed sinusoids,
every parameter decays (norms and biases included), and the rate is constant after a warm-up, long
after accuracy has saturated: the published weights look like the outcome of such a training. Each
seed's weights are kept every so many steps as SEED-STEP/weights.safetensors, with its accuracy on
strings never trained on and how large each MLP's weights still are.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from train_paren_checker import batches, is_held_out, parts

from causal_scrubbing._gallery.parens import _model as model
from causal_scrubbing._gallery.parens._features import is_balanced
from causal_scrubbing._gallery.parens._strings import PAD, POSITIONS, generate, tokenize

FIXED = "pos_embed.W_pos"


def sinusoids() -> Tensor:
    """Sines and cosines of the position at falling frequencies, [42, 56]."""
    place = torch.arange(POSITIONS)[:, None]
    rates = torch.exp(torch.arange(0, model.WIDTH, 2) * (-math.log(10_000.0) / model.WIDTH))
    table = torch.zeros(POSITIONS, model.WIDTH)
    table[:, 0::2], table[:, 1::2] = torch.sin(place * rates), torch.cos(place * rates)
    return table


def initial(seed: int) -> dict[str, Tensor]:
    """Random weights: matrices of spread 0.02, the token embedding of spread 0.4."""
    source = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in model.shapes().items():
        leaf = name.split(".")[-1]
        if leaf == "w":
            weights[name] = torch.ones(shape)
        elif leaf.startswith("W"):
            spread = 0.4 if leaf == "W_E" else 0.02
            weights[name] = spread * torch.randn(shape, generator=source)
        else:
            weights[name] = torch.zeros(shape)
    weights[FIXED] = sinusoids()
    return weights


def all_logits(stacked: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """`model.logits` of every seed at once, with what is shared between heads computed once.

    Args:
        stacked: the weights, [seeds, ...] each.
        tokens: [rows, positions], the same for all seeds.

    Returns:
        [seeds, rows, 2].
    """
    seeds, (rows, places) = len(stacked[FIXED]), tokens.shape
    heads, inner = model.HEADS, model.HEAD_WIDTH

    def norm(name: str, x: Tensor) -> Tensor:
        scale, shift = stacked[f"{name}.w"], stacked[f"{name}.b"]
        plain = functional.layer_norm(x, x.shape[-1:], eps=model.EPSILON)
        return torch.addcmul(shift[:, None], plain, scale[:, None])

    x = (stacked["embed.W_E"][:, tokens] + stacked[FIXED][:, None, :places]).flatten(1, 2)
    unseen = (tokens == PAD)[:, None, None, :]
    for layer in range(model.LAYERS):
        block, last = f"blocks.{layer}", layer == model.LAYERS - 1
        normed = norm(f"{block}.ln1", x)
        asking = normed.unflatten(1, (rows, places))[:, :, 0] if last else normed
        q, k, v = (
            torch.baddbmm(
                stacked[f"{block}.attn.b_{part}"].flatten(1)[:, None],
                asking if part == "Q" else normed,
                stacked[f"{block}.attn.W_{part}"].transpose(1, 2).flatten(2),
            )
            .view(seeds, rows, -1, heads, inner)
            .transpose(2, 3)
            for part in "QKV"
        )
        scores = q @ k.transpose(3, 4) / math.sqrt(inner)
        mixed = scores.masked_fill(unseen, -torch.inf).softmax(dim=-1) @ v
        mixed = mixed.transpose(2, 3).flatten(3).flatten(1, 2)
        out, bias = stacked[f"{block}.attn.W_O"].flatten(1, 2), stacked[f"{block}.attn.b_O"]
        if last:
            x = x.unflatten(1, (rows, places))[:, :, 0]
        x = x + torch.baddbmm(bias[:, None], mixed, out)
        read = norm(f"{block}.ln2", x)
        mlp = f"{block}.mlp"
        hidden = torch.baddbmm(stacked[f"{mlp}.b_in"][:, None], read, stacked[f"{mlp}.W_in"])
        x = x + torch.baddbmm(
            stacked[f"{mlp}.b_out"][:, None], hidden.relu(), stacked[f"{mlp}.W_out"]
        )
    bias = stacked["unembed.b_U"][:, None]
    return torch.baddbmm(bias, norm("ln_final", x), stacked["unembed.W_U"])


@torch.no_grad()
def report(
    stacked: dict[str, Tensor], seeds: list[int], step: int, tokens: Tensor, labels: Tensor
) -> None:
    """Print each seed's accuracy on held-out strings and the size of its MLPs' input weights."""
    for place, seed in enumerate(seeds):
        weights = {name: value[place] for name, value in stacked.items()}
        said = torch.cat([model.logits(weights, rows).argmax(dim=1) for rows in tokens.split(1000)])
        right = (said == labels).double().mean()
        sizes = " ".join(
            f"{weights[f'blocks.{layer}.mlp.W_in'].norm():.2f}" for layer in range(model.LAYERS)
        )
        print(f"  seed {seed}, step {step}: held out {right:.5f}, MLPs {sizes}", flush=True)


def main() -> None:
    """Train all seeds on the same strings, write and report as it goes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.3)
    parser.add_argument("--keep", type=int, default=1000, help="steps between weights kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    singles = [initial(seed) for seed in options.seeds]
    stacked = {name: torch.stack([one[name] for one in singles]) for name in singles[0]}
    trained = [value.requires_grad_() for name, value in stacked.items() if name != FIXED]
    optimizer = torch.optim.AdamW(
        trained, lr=options.rate, betas=(0.9, 0.99), weight_decay=options.decay
    )
    source = batches(np.random.default_rng(options.seeds[0]), options.batch)
    rng = np.random.default_rng([options.seeds[0], 1])
    held_out = sorted({s for s in generate(30_000, rng) if is_held_out(s)})
    checked, wanted = tokenize(held_out), is_balanced(held_out).long()
    started, total = time.monotonic(), torch.zeros(len(singles))
    for step in range(1, options.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(1.0, step / 300)
        optimizer.zero_grad()
        for tokens, labels in parts(*next(source), count=2):
            said = all_logits(stacked, tokens)
            losses = functional.cross_entropy(
                said.flatten(0, 1), labels.repeat(len(singles)), reduction="none"
            )
            loss = losses.view(len(singles), -1).sum(dim=1) / options.batch
            loss.sum().backward()
            total += loss.detach()
        gradients = [value.grad for value in trained if value.grad is not None]
        sizes = torch.stack([one.flatten(1).norm(dim=1) for one in gradients]).norm(dim=0)
        for one in gradients:  # each seed's gradient is at most 1 long
            one /= sizes.clamp(min=1.0).view(-1, *[1] * (one.ndim - 1))
        optimizer.step()
        if step % 100 == 0:
            means = " ".join(f"{mean:.4f}" for mean in total / 100)
            print(f"step {step}: loss {means}, {time.monotonic() - started:.0f} s", flush=True)
            total.zero_()
        if step % options.keep == 0:
            report(stacked, options.seeds, step, checked, wanted)
            for place, seed in enumerate(options.seeds):
                folder = options.out / f"{seed}-{step}"
                folder.mkdir(parents=True, exist_ok=True)
                weights = {n: v.detach()[place].contiguous() for n, v in stacked.items()}
                save_file(weights, folder / "weights.safetensors")


if __name__ == "__main__":
    main()
