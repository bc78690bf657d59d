"""The rows the induction heads are measured on: places of held-out text where they should help."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

import causal_scrubbing as cs

from . import _model as model
from ._graph import Heads, build_graph

POSITIONS = 48
LEAST_GAIN, LEAST_WINDOWS = 0.1, 4


def load_weights(folder: Path) -> model.Weights:
    """The model, in single precision."""
    return {k: v.float() for k, v in load_file(folder / "weights.safetensors").items()}


def load_text(folder: Path) -> tuple[Tensor, list[str]]:
    """Held-out tokens [200,000], and how each of the 768 tokens reads."""
    tokens = load_file(folder / "held_out.safetensors")["tokens"].long()
    return tokens, json.loads((folder / "tokens.json").read_text(encoding="utf-8"))


def windows(stream: Tensor, count: int, seed: int) -> Tensor:
    """Random rows of POSITIONS + 1 tokens whose last but one stood in the row before."""
    source = torch.Generator().manual_seed(seed)
    starts = torch.randperm(len(stream) - POSITIONS - 1, generator=source)[: 4 * count]
    rows = stream[starts[:, None] + torch.arange(POSITIONS + 1)]
    return rows[(rows[:, :-2] == rows[:, -2:-1]).any(dim=1)][:count]


def gains(graph: cs.Graph, rows: Tensor) -> Tensor:
    """By how many nats the loss rises with the induction heads' output of another row, [n]."""
    data = cs.Dataset(tokens=rows[:, :-1], next=rows[:, -1])
    values = graph.values(data, ["ind", "loss"])
    other = values["ind"].roll(len(rows) // 2, dims=0)
    swapped: Tensor = graph.values(data, ["loss"], given={"ind": other})["loss"]
    return swapped - values["loss"]


def helped_tokens(rows: Tensor, gain: Tensor) -> Tensor:
    """The last tokens A after which induction heads help by a tenth of a nat on average."""
    last = rows[:, -2]
    total = torch.zeros(model.TOKENS).index_add_(0, last, gain)
    count = torch.zeros(model.TOKENS).index_add_(0, last, torch.ones(len(rows)))
    return ((count >= LEAST_WINDOWS) & (total / count.clamp(min=1) >= LEAST_GAIN)).nonzero()[:, 0]


def make_data(
    weights: model.Weights, heads: Heads, folder: Path, count: int, seed: int
) -> tuple[cs.Dataset, Tensor]:
    """Windows that end in a token after which induction helps on other windows.

    Args:
        weights: the model.
        heads: which are the induction heads.
        folder: of the text.
        count: windows looked at; the tokens are chosen on half of them, the rows are of the other.
        seed: of the windows.

    Returns:
        The dataset, with fields `tokens`, `next`, `earlier`, how often each token came before in
        its row (2 for more often), and `repeats`, whether what follows is what followed the same
        token before; and the tokens chosen.
    """
    stream, pieces = load_text(folder)
    rows = windows(stream, count, seed)
    chosen_on, kept = rows.chunk(2)
    graph = build_graph(weights, heads, chosen_on[:500, :-1])
    gain = torch.cat([gains(graph, part) for part in torch.split(chosen_on, 1000)])
    helped = helped_tokens(chosen_on, gain)
    kept = kept[torch.isin(kept[:, -2], helped)]
    tokens, following = kept[:, :-1], kept[:, -1]
    followed = tokens[:, :-1] == tokens[:, -1:]
    before = torch.arange(POSITIONS - 1).where(followed, -1).amax(dim=1)
    repeats = tokens.gather(1, before[:, None] + 1)[:, 0] == following
    return (
        cs.Dataset(
            tokens=tokens,
            next=following,
            earlier=earlier(tokens),
            repeats=repeats,
            show=lambda row: f"{text(row['tokens'], pieces)} -> {text([row['next']], pieces)}",
        ),
        helped,
    )


def earlier(tokens: Tensor) -> Tensor:
    """How often each token came before in its row, at most 2, [n, positions]."""
    same = tokens[:, :, None] == tokens[:, None, :]
    return same.tril(diagonal=-1).sum(dim=2).clamp(max=2)


def text(tokens: Sequence[int] | Tensor, pieces: list[str]) -> str:
    """Tokens as text."""
    return "".join(pieces[int(token)] for token in tokens)
