"""Train the modular-addition models of the gallery: one core, half a minute a seed, seeded.

    python scripts/train_modular_addition.py --out src/causal_scrubbing/_systems/modular_addition

40% of the 59 * 59 pairs are trained on, all of them at each step. Of the first seed the weights are
kept at several steps, of the others at the last.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from causal_scrubbing._systems.modular_addition import _model as model

SHARE = 0.4


def initial(source: torch.Generator) -> dict[str, Tensor]:
    """Random weights of variance 1 / (the width of what they read)."""
    weights = {}
    for name, shape in model.shapes().items():
        fan = model.WIDTH if name in ("embed", "places") else shape[-2] if len(shape) > 1 else 1
        spread = 0.0 if name.endswith("bias") else 1 / math.sqrt(fan)
        weights[name] = spread * torch.randn(shape, generator=source)
    return weights


def is_trained_on(seed: int) -> Tensor:
    """Which of the pairs are trained on, bool [59 * 59]."""
    source = torch.Generator().manual_seed(seed + 1000)
    return torch.rand(model.PRIME**2, generator=source) < SHARE


def scores(weights: dict[str, Tensor], seed: int) -> dict[str, float]:
    """Loss and accuracy on the pairs trained on and on the others."""
    (a, b), trained = model.pairs(), is_trained_on(seed)
    said, target = model.logits(weights, a, b).double(), (a + b) % model.PRIME
    losses = functional.cross_entropy(said, target, reduction="none")
    right = (said.argmax(dim=1) == target).double()
    return {
        "train loss": losses[trained].mean().item(),
        "test loss": losses[~trained].mean().item(),
        "train accuracy": right[trained].mean().item(),
        "test accuracy": right[~trained].mean().item(),
    }


def fast_logits(weights: dict[str, Tensor], a: Tensor, b: Tensor) -> Tensor:
    """`model.logits`, with keys and values computed once a number and not once a pair."""
    numbers = weights["embed"][: model.PRIME]
    last = weights["embed"][model.PRIME] + weights["places"][2]
    query = last @ weights["q"]  # [heads, 1, inner], the same for all pairs
    scores, written = [], []
    for place, rows in ((0, a), (1, b), (2, torch.zeros_like(a))):
        x = numbers + weights["places"][place] if place < 2 else last[None]
        key, value = x @ weights["k"], x @ weights["v"]
        score = (key * query[:, None]).sum(dim=2) / math.sqrt(model.HEAD_WIDTH)
        scores.append(score[:, rows])
        written.append((value @ weights["o"])[:, rows])
    attention = torch.stack(scores).softmax(dim=0)[..., None]
    x = last + sum((attention[place] * written[place]).sum(dim=0) for place in range(3))
    x = x + model.neurons(weights, x) @ weights["out"] + weights["out.bias"]
    return x @ weights["unembed"]


def train(
    seed: int, steps: int, peak: float, decay: float, keep: list[int]
) -> dict[int, dict[str, Tensor]]:
    """Train from scratch; the weights after each of the steps to keep, and after the last."""
    weights = initial(torch.Generator().manual_seed(seed))
    weights = {name: value.requires_grad_() for name, value in weights.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=peak, betas=(0.9, 0.98), weight_decay=decay)
    trained = is_trained_on(seed)
    a, b = (side[trained] for side in model.pairs())
    target = (a + b) % model.PRIME
    kept: dict[int, dict[str, Tensor]] = {}
    started = time.monotonic()
    for step in range(steps + 1):
        if step in keep or step == steps:
            kept[step] = {name: value.detach().half() for name, value in weights.items()}
        if step % 100 == 0:
            with torch.no_grad():
                line = ", ".join(f"{k} {v:.3g}" for k, v in scores(weights, seed).items())
            print(
                f"seed {seed}, step {step}: {line}, {time.monotonic() - started:.0f} s", flush=True
            )
        if step == steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = peak * min(1.0, (step + 1) / 10)
        loss = functional.cross_entropy(fast_logits(weights, a, b).double(), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return kept


def main() -> None:
    """Train each seed and write all weights into one file, names ending in seed and step."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for weights.safetensors")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=3.0)
    parser.add_argument("--keep", type=int, nargs="*", default=[0, 200, 400, 500, 600])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    tensors = {}
    for place, seed in enumerate(options.seeds):
        keep = options.keep if place == 0 else []
        for step, weights in train(seed, options.steps, options.rate, options.decay, keep).items():
            with torch.no_grad():
                found = scores({name: value.float() for name, value in weights.items()}, seed)
            print(f"kept seed {seed}, step {step}: {found}")
            tensors |= {f"{seed}/{step}/{name}": value for name, value in weights.items()}
        options.out.mkdir(parents=True, exist_ok=True)
        save_file(tensors, options.out / "weights.safetensors")


if __name__ == "__main__":
    main()
