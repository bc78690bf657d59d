"""Train paren checkers that nobody shaped, several in one batch: hours on one core, seeded.

    python scripts/train_unshaped_parens.py --out checkers --minutes 90

Nothing is written into a head and nothing is exchanged at the read-out. Positions are fixed
sinusoids, weights start as PyTorch's own layers do, every parameter decays (norms and biases
included), and the rate is constant after a warm-up, long after accuracy has saturated: the
published weights look like the outcome of such a training. All models see the same strings, in the
same order. What is kept as it goes, so that it can be stopped at any time: a line of
training.jsonl and the weights of every model, as step-STEP.safetensors ("MODEL/name" each), every
so many steps. `--start` goes on from such a file (AdamW's moments start afresh, and other strings
follow), with those models that are named. `scripts/measure_unshaped_parens.py` then tests the
published claims on them.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from train_paren_checker import batches, is_held_out, parts

from causal_scrubbing._gallery.parens import _model as model
from causal_scrubbing._gallery.parens._features import is_balanced
from causal_scrubbing._gallery.parens._strings import PAD, POSITIONS, generate, tokenize

FIXED = "pos_embed.W_pos"
WARM_UP = 300


def sinusoids() -> Tensor:
    """Sines and cosines of the position at falling frequencies, [42, 56]."""
    place = torch.arange(POSITIONS)[:, None]
    rates = torch.exp(torch.arange(0, model.WIDTH, 2) * (-math.log(10_000.0) / model.WIDTH))
    table = torch.zeros(POSITIONS, model.WIDTH)
    table[:, 0::2], table[:, 1::2] = torch.sin(place * rates), torch.cos(place * rates)
    return table


def initial(seed: int) -> dict[str, Tensor]:
    """Weights as PyTorch's layers start: uniform, of bound one over the root of what is read."""
    source = torch.Generator().manual_seed(seed)
    bound = 1 / math.sqrt(model.WIDTH)
    weights = {}
    for name, shape in model.shapes().items():
        leaf = name.split(".")[-1]
        if leaf == "w":
            weights[name] = torch.ones(shape)
        elif leaf == "W_E":
            weights[name] = torch.randn(shape, generator=source)
        elif leaf in ("b", "b_Q", "b_K", "b_V", "b_O"):
            weights[name] = torch.zeros(shape)
        else:
            weights[name] = bound * (2 * torch.rand(shape, generator=source) - 1)
    weights[FIXED] = sinusoids()
    return weights


def all_logits(stacked: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """`model.logits` of every model at once, with what is shared between heads computed once.

    Args:
        stacked: the weights, [models, ...] each.
        tokens: [rows, positions], the same for all models.

    Returns:
        [models, rows, 2].
    """
    models, (rows, places) = len(stacked[FIXED]), tokens.shape
    heads, inner = model.HEADS, model.HEAD_WIDTH

    def affine(norm: str, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """A norm and the linear layer after it, the norm's scale and shift folded into that."""
        scale, shift = stacked[f"{norm}.w"], stacked[f"{norm}.b"]
        plain = functional.layer_norm(x, x.shape[-1:], eps=model.EPSILON)
        bias = bias[:, None] + shift[:, None] @ weight
        return torch.baddbmm(bias, plain, scale[:, :, None] * weight)

    def projection(block: str, letters: str) -> tuple[Tensor, Tensor]:
        weight = [stacked[f"{block}.attn.W_{x}"].transpose(1, 2).flatten(2) for x in letters]
        return torch.cat(weight, dim=2), torch.cat(
            [stacked[f"{block}.attn.b_{x}"].flatten(1) for x in letters], dim=1
        )

    def by_head(x: Tensor) -> Tensor:
        return x.view(models, rows, -1, heads, inner).transpose(2, 3)

    x = (stacked["embed.W_E"][:, tokens] + stacked[FIXED][:, None, :places]).flatten(1, 2)
    unseen = torch.zeros(rows, 1, 1, places).masked_fill((tokens == PAD)[:, None, None], -torch.inf)
    for layer in range(model.LAYERS):
        block, last = f"blocks.{layer}", layer == model.LAYERS - 1
        if last:
            start = x.unflatten(1, (rows, places))[:, :, 0]
            query = affine(f"{block}.ln1", start, *projection(block, "Q"))
            key, value = affine(f"{block}.ln1", x, *projection(block, "KV")).chunk(2, dim=2)
            x = start
        else:
            joined = affine(f"{block}.ln1", x, *projection(block, "QKV"))
            query, key, value = joined.chunk(3, dim=2)
        query, key, value = by_head(query), by_head(key), by_head(value)
        scores = query @ key.transpose(3, 4) / math.sqrt(inner) + unseen
        mixed = (scores.softmax(dim=-1) @ value).transpose(2, 3).flatten(3).flatten(1, 2)
        out, bias = stacked[f"{block}.attn.W_O"].flatten(1, 2), stacked[f"{block}.attn.b_O"]
        x = x + torch.baddbmm(bias[:, None], mixed, out)
        mlp = f"{block}.mlp"
        hidden = affine(f"{block}.ln2", x, stacked[f"{mlp}.W_in"], stacked[f"{mlp}.b_in"])
        bias = stacked[f"{mlp}.b_out"]
        x = x + torch.baddbmm(bias[:, None], hidden.relu(), stacked[f"{mlp}.W_out"])
    return affine("ln_final", x, stacked["unembed.W_U"], stacked["unembed.b_U"])


@torch.no_grad()
def held_out_right(stacked: dict[str, Tensor], tokens: Tensor, labels: Tensor) -> list[float]:
    """Each model's share of right answers on strings never trained on."""
    said = torch.cat([all_logits(stacked, rows).argmax(dim=2) for rows in tokens.split(250)], dim=1)
    return [round(share, 5) for share in (said == labels).double().mean(dim=1).tolist()]


def norms(stacked: dict[str, Tensor], name: str) -> list[float]:
    """The size of one weight in every model."""
    return [round(size, 4) for size in stacked[name].detach().flatten(1).norm(dim=1).tolist()]


class Log:
    """What is kept of the training, in a folder."""

    def __init__(self, folder: Path, names: list[str], seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.names = folder, names
        rng = np.random.default_rng([seed, 1])
        strings = sorted({s for s in generate(20_000, rng) if is_held_out(s)})
        self.tokens, self.labels = tokenize(strings), is_balanced(strings).long()

    def write(
        self, step: int, seconds: float, rate: float, loss: Tensor, stacked: dict[str, Tensor]
    ) -> None:
        """One line of training.jsonl; the line is printed too."""
        line = {
            "step": step,
            "seconds": round(seconds),
            "rate": rate,
            "models": self.names,
            "loss": [float(f"{mean:.3g}") for mean in loss.tolist()],
            "held_out_right": held_out_right(stacked, self.tokens, self.labels),
        }
        for layer in range(model.LAYERS):
            line[f"mlp{layer}_in"] = norms(stacked, f"blocks.{layer}.mlp.W_in")
            line[f"mlp{layer}_norm_scale"] = norms(stacked, f"blocks.{layer}.ln2.w")
        with (self.folder / "training.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    def keep(self, step: int, stacked: dict[str, Tensor]) -> None:
        """The weights of every model, in one file that is whole as soon as it has its name."""
        weights = {
            f"{name}/{key}": value.detach()[place].contiguous()
            for place, name in enumerate(self.names)
            for key, value in stacked.items()
        }
        file = self.folder / f"step-{step}.safetensors"
        save_file(weights, file.with_suffix(".part"))
        file.with_suffix(".part").rename(file)


def kept(file: Path, names: list[str]) -> list[dict[str, Tensor]]:
    """The weights of some models in a file of an earlier run."""
    held = load_file(file)
    return [{key: held[f"{name}/{key}"] for key in model.shapes()} for name in names]


def main() -> None:
    """Train all models on the same strings, write and report as it goes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 0])
    parser.add_argument("--decays", type=float, nargs="+", default=[0.2, 0.2, 0.2, 0.0])
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--log", type=int, default=250, help="steps between lines of the log")
    parser.add_argument("--keep", type=int, default=500, help="steps between weights kept")
    parser.add_argument("--minutes", type=float, default=math.inf, help="the longest it may take")
    parser.add_argument("--start", type=Path, metavar="step-STEP.safetensors", help="go on from it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    pairs = list(zip(options.seeds, options.decays, strict=True))
    names = [f"seed{seed}-decay{decay:g}" for seed, decay in pairs]
    before = int(options.start.stem.split("-")[1]) if options.start else 0
    if options.start:
        singles = kept(options.start, names)
    else:
        singles = [initial(seed) for seed in options.seeds]
    stacked = {name: torch.stack([one[name] for one in singles]) for name in singles[0]}
    trained = [value.requires_grad_() for name, value in stacked.items() if name != FIXED]
    decays = torch.tensor(options.decays)
    shrink = [decays.view(-1, *[1] * (one.ndim - 1)) for one in trained]
    optimizer = torch.optim.AdamW(
        trained, lr=options.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
    )
    source = batches(np.random.default_rng([options.seeds[0], before]), options.batch)
    log = Log(options.out, names, options.seeds[0])
    started, total = time.monotonic(), torch.zeros(len(singles))
    for step in range(before + 1, options.steps + 1):
        rate = options.rate * min(1.0, (step - before) / WARM_UP)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        for tokens, labels in parts(*next(source), count=3):
            said = all_logits(stacked, tokens)
            losses = functional.cross_entropy(
                said.flatten(0, 1), labels.repeat(len(singles)), reduction="none"
            )
            loss = losses.view(len(singles), -1).sum(dim=1) / options.batch
            loss.sum().backward()
            total += loss.detach()
        gradients = [value.grad for value in trained if value.grad is not None]
        sizes = torch.stack([one.flatten(1).norm(dim=1) for one in gradients]).norm(dim=0)
        for one in gradients:  # each model's gradient is at most 1 long
            one /= sizes.clamp(min=1.0).view(-1, *[1] * (one.ndim - 1))
        with torch.no_grad():  # each model has its own decay
            torch._foreach_mul_(trained, [1 - rate * share for share in shrink])
        optimizer.step()
        seconds = time.monotonic() - started
        last = step == options.steps or seconds > 60 * options.minutes
        if step % options.log == 0 or last:
            log.write(step, seconds, rate, total / (step % options.log or options.log), stacked)
            total.zero_()
        if step % options.keep == 0 or last:
            log.keep(step, stacked)
        if last:
            break


if __name__ == "__main__":
    main()
