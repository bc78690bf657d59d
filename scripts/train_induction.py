"""Train the induction model of the gallery: one core, about six minutes, seeded.

    python scripts/train_induction.py --out src/causal_scrubbing/_systems/induction

The text is the docstrings of Python's standard library (PSF licence) and of NumPy, SciPy, pandas
and NetworkX (BSD 3-clause), read from the installed source. One file in ten, by checksum of its
name, is never trained on; its first 200,000 tokens are what the entry is measured on. For the first
steps the model sees random tokens in repeated blocks alone; then six of 32 rows of each batch are
such, the others text. Nothing asks a particular head for anything.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import sysconfig
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional

from causal_scrubbing._systems.induction import _model as model

PACKAGES = ("numpy", "scipy", "pandas", "networkx")
SYNTHETIC_STEPS = 250
ROWS, SYNTHETIC_ROWS = 32, 6
HELD_OUT_TOKENS = 200_000


def sources() -> Iterator[tuple[str, Path]]:
    """The Python files read, sorted by name: (name without the folder it is installed in, path)."""
    standard, site = (Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib"))
    for path in sorted(standard.rglob("*.py")):
        parts = path.relative_to(standard).parts
        if not {"site-packages", "dist-packages", "test", "tests", "idlelib"} & set(parts):
            yield "/".join(parts), path
    for package in PACKAGES:
        for path in sorted((site / package).rglob("*.py")):
            if "tests" not in path.parts:
                yield "/".join(path.relative_to(site).parts), path


def docstrings(path: Path) -> str:
    """The docstrings of a file of 200 characters and more, one after the other."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return ""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]
    return "\n\n".join(text for text in found if len(text) >= 200)


def read_text(limit: int) -> tuple[str, str]:
    """Text to train on and text held out, of at most so many characters together."""
    texts = {name: text for name, path in sources() if (text := docstrings(path))}
    scale = min(1.0, limit / sum(map(len, texts.values())))
    kept: dict[bool, list[str]] = {True: [], False: []}
    for name, text in texts.items():
        checksum = zlib.crc32(name.encode())
        if checksum // 10 % 1000 < 1000 * scale:
            kept[checksum % 10 == 0].append(text)
    return "\n\n".join(kept[False]), "\n\n".join(kept[True])


def make_tokenizer(text: str) -> Tokenizer:
    """Byte-level byte-pair encoding with the model's number of tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=model.TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def repeated_blocks(
    count: int, source: torch.Generator, longest: int = 32
) -> tuple[Tensor, Tensor]:
    """Rows of CONTEXT + 1 tokens, a random block over and over, and the block's length."""
    low, high = math.log(4), math.log(longest + 1)
    periods = torch.exp(low + (high - low) * torch.rand(count, generator=source)).long()
    blocks = torch.randint(model.TOKENS, (count, longest), generator=source)
    places = torch.arange(model.CONTEXT + 1) % periods[:, None]
    return blocks.gather(1, places), periods


def initial(seed: int) -> dict[str, Tensor]:
    """Random weights; the unembedding starts near the embedding."""
    source = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in model.shapes().items():
        if name.endswith("scale"):
            weights[name] = torch.ones(shape)
        elif name.endswith("shift"):
            weights[name] = torch.zeros(shape)
        else:
            spread = 0.2 if name == "embed" else 1 / math.sqrt(shape[-2])
            weights[name] = spread * torch.randn(shape, generator=source)
    weights["unembed"] = (0.15 * weights["embed"].T).contiguous()
    for layer in range(model.LAYERS):
        weights[f"a{layer}.o"] = weights[f"a{layer}.o"] / math.sqrt(model.HEADS)
    return weights


def fast_logits(weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """`model.logits`, with all heads' queries, keys and values from one product."""
    far = model.distances(tokens.shape[1], tokens.shape[1])
    slopes = 2.0 ** -torch.arange(model.HEADS)
    bias = (-slopes[:, None, None] * far).masked_fill(far < 0, -torch.inf)
    x = weights["embed"][tokens]
    for layer in range(model.LAYERS):
        joined = torch.stack([weights[f"a{layer}.{part}"] for part in "qkv"])
        read = joined.permute(2, 0, 1, 3).flatten(1)
        made = (model.norm(weights, f"norm{layer}", x) @ read).unflatten(
            2, (3, model.HEADS, model.HEAD_WIDTH)
        )
        q, k, v = made.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + mixed.transpose(1, 2).flatten(2) @ weights[f"a{layer}.o"].flatten(0, 1)
    return model.norm(weights, "norm", x) @ weights["unembed"]


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 50 steps, constant to three fifths, then linearly down to 5%."""
    left = (steps - step) / (0.4 * steps)
    return peak * min(1.0, (step + 1) / 50, max(0.05, left))


def save(weights: dict[str, Tensor], folder: Path) -> None:
    """Write the weights in half precision into a folder, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: value.detach().half().contiguous() for name, value in weights.items()}
    save_file(halves, folder / "weights.safetensors")


def train(seed: int, steps: int, peak: float, tokens: Tensor, out: Path) -> dict[str, Tensor]:
    """Train from scratch on a text's tokens; prints its progress and keeps the weights so far."""
    weights = {name: value.requires_grad_() for name, value in initial(seed).items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=peak, betas=(0.9, 0.98), weight_decay=0.1)
    source = torch.Generator().manual_seed(seed + 1)
    started = time.monotonic()
    places = torch.arange(model.CONTEXT + 1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        synthetic = ROWS if step < SYNTHETIC_STEPS else SYNTHETIC_ROWS
        rows, periods = repeated_blocks(synthetic, source)
        counted = places[1:] >= periods[:, None]
        if synthetic < ROWS:
            starts = torch.randint(len(tokens) - len(places), (ROWS - synthetic,), generator=source)
            rows = torch.cat([rows, tokens[starts[:, None] + places]])
            counted = torch.cat([counted, torch.ones(len(starts), model.CONTEXT, dtype=torch.bool)])
        said = fast_logits(weights, rows[:, :-1]).flatten(0, 1)
        losses = functional.cross_entropy(said, rows[:, 1:].flatten(), reduction="none")
        losses = losses.view(ROWS, model.CONTEXT)
        loss = (losses * counted).sum() / counted.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0:
            repeats = (losses * counted)[:synthetic].sum() / counted[:synthetic].sum()
            text = losses[synthetic:].mean() if synthetic < ROWS else torch.tensor(float("nan"))
            print(
                f"step {step + 1}: repeats {repeats:.3f}, text {text:.3f}, "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
            save(weights, out)
    return {name: value.detach() for name, value in weights.items()}


@torch.no_grad()
def report(weights: dict[str, Tensor], tokens: Tensor, seed: int) -> None:
    """Print losses on held-out text and on repeats, and what each head attends to."""
    source = torch.Generator().manual_seed(seed + 2)
    starts = torch.randint(len(tokens) - model.CONTEXT - 1, (500,), generator=source)
    rows = tokens[starts[:, None] + torch.arange(model.CONTEXT + 1)]
    said = model.logits(weights, rows[:, :-1]).transpose(1, 2)
    print(f"held-out text: {functional.cross_entropy(said, rows[:, 1:]):.4f} nats a token")
    half = model.CONTEXT // 2
    block = torch.randint(model.TOKENS, (500, half), generator=source)
    rows = torch.cat([block, block], dim=1)
    said = model.logits(weights, rows[:, :-1]).transpose(1, 2)
    losses = functional.cross_entropy(said, rows[:, 1:], reduction="none").mean(dim=0)
    print(f"repeats: first half {losses[: half - 1].mean():.3f}, second {losses[half:].mean():.3f}")
    x = weights["embed"][rows]
    for layer in range(model.LAYERS):
        normed = model.norm(weights, f"norm{layer}", x)[:, None]
        q, k = (normed @ weights[f"a{layer}.{part}"] for part in "qk")
        attention = model.attend(model.pattern(q, k)).mean(dim=0)
        for name, back in (("previous token", 1), ("after the same token", half - 1)):
            shares = attention.diagonal(-back, dim1=1, dim2=2)[:, -half + 1 :].mean(dim=1)
            print(f"layer {layer}, {name}: {' '.join(f'{share:.2f}' for share in shares)}")
        x = x + model.attention(weights, layer, x).sum(dim=1)


def main() -> None:
    """Train, report, write the weights, the vocabulary and the text to measure on."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--characters", type=int, default=5_000_000, help="of text, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trained_on, held_out = read_text(options.characters)
    tokenizer = make_tokenizer(trained_on[:1_500_000])
    tokens, others = (torch.tensor(tokenizer.encode(text).ids) for text in (trained_on, held_out))
    print(f"{len(tokens)} tokens to train on, {len(others)} held out", flush=True)
    weights = train(options.seed, options.steps, options.rate, tokens, options.out)
    save(weights, options.out)
    kept = others[:HELD_OUT_TOKENS].to(torch.uint16)
    save_file({"tokens": kept}, options.out / "held_out.safetensors")
    pieces = [tokenizer.decode([token]) for token in range(model.TOKENS)]
    (options.out / "tokens.json").write_text(json.dumps(pieces, ensure_ascii=True))
    report({name: value.half().float() for name, value in weights.items()}, others, options.seed)


if __name__ == "__main__":
    main()
