"""Train the paren checker of the gallery: one core, about ten minutes, seeded.

    python scripts/train_paren_checker.py --out src/causal_scrubbing/_gallery/parens

The loss is plain cross-entropy: nothing in it asks for any mechanism. Long strings whose checksum
says so are never trained on; accuracy is measured on them. The names of the heads within a layer
mean nothing to the model, and are exchanged in the end (an exact symmetry) where that makes the
roles fit the names that the published experiments use.
"""

from __future__ import annotations

import argparse
import math
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from causal_scrubbing._gallery.parens import _model as model
from causal_scrubbing._gallery.parens._features import is_balanced
from causal_scrubbing._gallery.parens._strings import PAD, generate, tokenize

READ = ("a1.h0", "a2.h0", "a2.h1")


def is_held_out(string: str) -> bool:
    """One in ten of the strings of at least ten parentheses, by checksum."""
    return len(string) >= 10 and zlib.crc32(string.encode()) % 10 == 0


def initial(seed: int) -> dict[str, Tensor]:
    """Random weights; three heads start with an attention pattern.

    Positions and tokens start orthogonal to one another, so that a pattern over positions can be
    written into a head's queries and keys: head 0.0 looks from each position to the right, heads
    1.0 and 2.0 from the start to the first parenthesis. Nothing keeps them there.
    """
    source = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in model.shapes().items():
        leaf = name.split(".")[-1]
        if leaf == "w":
            weights[name] = torch.ones(shape)
        elif leaf.startswith("W"):
            weights[name] = torch.randn(shape, generator=source) / math.sqrt(shape[-2])
        else:
            weights[name] = torch.zeros(shape)
    basis, _ = torch.linalg.qr(torch.randn(model.WIDTH, model.WIDTH, generator=source))
    basis = basis.contiguous()
    weights["pos_embed.W_pos"], weights["embed.W_E"] = basis[:42].clone(), basis[42:47].clone()
    rightwards = torch.ones(42, 42).triu()
    first = torch.zeros(42, 42)
    first[0, 1] = 1.0
    for layer, scores in ((0, rightwards), (1, first), (2, first)):
        point_head(weights, layer, 3.0 * scores)
    return weights


def point_head(weights: dict[str, Tensor], layer: int, scores: Tensor) -> None:
    """Give head 0 of a layer queries and keys with about these scores [42, 42] by position."""
    left, size, right = torch.linalg.svd(scores * math.sqrt(model.HEAD_WIDTH))
    # The norm makes position plus token, two unit vectors, about sqrt(width / 2) of each.
    positions = weights["pos_embed.W_pos"] / math.sqrt(model.WIDTH / 2)
    root = size[: model.HEAD_WIDTH].sqrt()
    block = f"blocks.{layer}.attn"
    weights[f"{block}.W_Q"][0] = positions.T @ left[:, : model.HEAD_WIDTH] * root
    weights[f"{block}.W_K"][0] = positions.T @ right[: model.HEAD_WIDTH].T * root


def batches(rng: np.random.Generator, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of new strings that are not held out, as (tokens, is it balanced)."""
    while True:
        strings = [s for s in generate(200 * size, rng) if not is_held_out(s)]
        tokens, labels = tokenize(strings).to(torch.uint8), is_balanced(strings)
        for start in range(0, len(strings) - size + 1, size):
            rows = slice(start, start + size)
            yield tokens[rows].long(), labels[rows].long()


def parts(tokens: Tensor, labels: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """A batch in parts of like length, without the pads no string of the part needs."""
    lengths = (tokens != PAD).sum(dim=1)
    for rows in torch.argsort(lengths).chunk(count):
        yield tokens[rows, : int(lengths[rows].max())], labels[rows]


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over the first twentieth, then half a cosine down to zero."""
    warm = max(1, steps // 20)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def noisy_logits(
    weights: dict[str, Tensor], tokens: Tensor, share: float, source: torch.Generator
) -> Tensor:
    """The logits, what minor components write for a share of the strings taken from others.

    Minor is all but heads 1.0, 2.0 and 2.1, and only what the read-out takes from them directly is
    exchanged. It makes the model rely on three heads at the read-out, as the published one did,
    without saying what any of them should compute or read.
    """
    written = model.contributions(weights, tokens)
    minor = sum(added for name, added in written.items() if name not in READ)
    assert isinstance(minor, Tensor)
    other = torch.randperm(len(tokens), generator=source)
    swapped = torch.rand(len(tokens), generator=source) < share
    minor = torch.where(swapped[:, None], minor[other], minor)
    return model.read_out(weights, minor + sum(written[name] for name in READ))


def train(
    seed: int, steps: int, size: int, peak: float, decay: float, noise: float, out: Path
) -> dict[str, Tensor]:
    """Train from scratch; prints its progress and keeps the weights so far in a folder."""
    weights = {name: value.requires_grad_() for name, value in initial(seed).items()}
    matrices = [w for name, w in weights.items() if w.ndim > 1]
    others = [w for name, w in weights.items() if w.ndim == 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.99))
    source = batches(np.random.default_rng(seed), size)
    exchange = torch.Generator().manual_seed(seed)
    started, seen, right, total = time.monotonic(), 0, 0, 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        optimizer.zero_grad()
        for tokens, labels in parts(*next(source), count=3):
            said = noisy_logits(weights, tokens, noise, exchange)
            loss = functional.cross_entropy(said, labels, reduction="sum") / size
            loss.backward()
            seen += len(labels)
            right += int((said.argmax(dim=1) == labels).sum())
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        if (step + 1) % 250 == 0:
            print(
                f"step {step + 1}: loss {total / 250:.4f}, accuracy {right / seen:.4f}, "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
            seen, right, total = 0, 0, 0.0
            save(weights, out)
    return {name: value.detach() for name, value in weights.items()}


def save(weights: dict[str, Tensor], folder: Path) -> None:
    """Write weights.safetensors into a folder, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().contiguous() for name, value in weights.items()}
    save_file(tensors, folder / "weights.safetensors")


def exchange_heads(weights: dict[str, Tensor], layers: list[int]) -> dict[str, Tensor]:
    """The same model with the two heads of each given layer exchanged."""
    return {
        name: value.flip(0).contiguous()
        if any(name.startswith(f"blocks.{layer}.attn.") for layer in layers) and value.ndim > 1
        else value
        for name, value in weights.items()
    }


@torch.no_grad()
def held_out_accuracy(weights: dict[str, Tensor], seed: int, count: int) -> tuple[int, float]:
    """How many held-out strings were tried, and the share that the model gets right."""
    rng = np.random.default_rng([seed, 1])
    strings = list({s for s in generate(count, rng) if is_held_out(s)})
    labels, tokens = is_balanced(strings), tokenize(strings)
    said = torch.cat([model.logits(weights, rows).argmax(dim=1) for rows in tokens.split(2000)])
    return len(strings), float((said == labels.long()).double().mean())


def main() -> None:
    """Train, report held-out accuracy, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for weights.safetensors")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--decay", type=float, default=0.01, help="weight decay of matrices")
    parser.add_argument("--noise", type=float, default=0.25, help="share of exchanged read-outs")
    parser.add_argument("--exchange", type=int, nargs="*", default=[2], metavar="LAYER")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    weights = train(
        options.seed,
        options.steps,
        options.batch,
        options.rate,
        options.decay,
        options.noise,
        options.out,
    )
    weights = exchange_heads(weights, options.exchange)
    count, accuracy = held_out_accuracy(weights, options.seed, 400_000)
    print(f"held out: {accuracy:.5f} of {count} strings never trained on")
    save(weights, options.out)


if __name__ == "__main__":
    main()
