"""Train the small network of the curve-detector entry: one core, about two minutes, seeded.

    python scripts/train_curve_cnn.py --out src/causal_scrubbing/_systems/curve_detector

It tells the angle of a curve anywhere in a noisy image in twelve parts of the circle, or that it is
a straight line. Nothing tells its units to be curve detectors.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from causal_scrubbing._systems.curve_detector import _curves as curves
from causal_scrubbing._systems.curve_detector import _model as model

STRAIGHT = 1 / 6
"""Share of straight lines among the images."""


def batch(count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy images [n, 1, 43, 43] and their classes."""
    chosen = curves.choose(count, source, jitter=1.5)
    straight = torch.rand(count, generator=source) < STRAIGHT
    chosen = replace(chosen, radius=torch.where(straight, torch.tensor(200.0), chosen.radius))
    images = curves.draw(chosen, 43, 4)[:, None]
    images = images + 0.15 * torch.randn(images.shape, generator=source)
    part = torch.round(chosen.theta / (360 / model.ANGLES)).long() % model.ANGLES
    return images, torch.where(straight, torch.tensor(model.ANGLES), part)


def train(seed: int, steps: int, size: int) -> model.Small:
    """Train from scratch, with a rate that falls to zero in a straight line."""
    torch.manual_seed(seed)
    source = torch.Generator().manual_seed(seed)
    network = model.Small()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    started = time.process_time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 50, 1.25 * (1 - step / steps))
        images, part = batch(size, source)
        logits = network(images)
        loss = functional.cross_entropy(logits, part)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 200 == 0 or step == steps - 1:
            right = (logits.argmax(dim=1) == part).double().mean()
            spent = time.process_time() - started
            print(f"step {step}: loss {loss:.3f}, right {right:.3f}, {spent:.0f} s", flush=True)
    return network


def main() -> None:
    """Train, and write weights.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for weights.safetensors")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    network = train(options.seed, options.steps, options.batch)
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), options.out / "weights.safetensors")


if __name__ == "__main__":
    main()
