"""The paren checker's graph against its forward pass in plain PyTorch."""

import numpy as np
import pytest
import torch
from torch import Tensor

import causal_scrubbing as cs
from causal_scrubbing._gallery import parens
from causal_scrubbing._gallery.parens import PAD, generate, model, tokenize

STRINGS = generate(60, np.random.default_rng(3))


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(0)
    return {
        name: 0.4 * torch.randn(shape, generator=source, dtype=torch.float64)
        for name, shape in model.shapes().items()
    }


@pytest.fixture(scope="module")
def data() -> cs.Dataset:
    tokens = tokenize(STRINGS)
    return cs.Dataset(tokens=tokens, mask=tokens == PAD)


def test_the_graph_computes_the_model(weights: dict[str, Tensor], data: cs.Dataset) -> None:
    found = parens.build_graph(weights)(data)
    torch.testing.assert_close(found, model.logits(weights, data["tokens"]))


def test_the_pieces_of_head_0_0_make_the_head(weights: dict[str, Tensor], data: cs.Dataset) -> None:
    graph = parens.build_graph(weights)
    found = graph.values(data, ["a0.h0.*", "embed"])
    whole = model.head(weights, 0, 0, found["embed"], data["mask"])
    pieces = [found["a0.h0.p0"][:, None], found["a0.h0.p1"][:, None], found["a0.h0.rest"]]
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    direction = parens.open_direction(weights)
    for row, string in enumerate(STRINGS):
        share = string.count("(") / len(string)
        torch.testing.assert_close(found["a0.h0.p1.phi"][row], direction * (2 * share - 1))


def test_pads_change_nothing(weights: dict[str, Tensor]) -> None:
    short = [s for s in STRINGS if len(s) <= 20]
    tokens = tokenize(short)
    trimmed = tokens[:, : int((tokens != PAD).sum(dim=1).max())]
    assert trimmed.shape[1] < 42
    torch.testing.assert_close(
        model.logits(weights, tokens), model.logits(weights, trimmed), rtol=1e-9, atol=1e-9
    )


def test_side_weights_against_loops(weights: dict[str, Tensor]) -> None:
    tokens = tokenize(STRINGS)
    found = parens.side_weights(weights, tokens)
    embed = model.embed(weights, tokens)
    pattern = model.attention_pattern(weights, 0, 0, embed, tokens == PAD)
    torch.testing.assert_close(pattern.sum(dim=-1), torch.ones_like(pattern[..., 0]))
    length = len(STRINGS[0])
    rows = [row for row, string in enumerate(STRINGS) if len(string) == length]
    for position in (0, 1, length, length + 1):
        before = [k for k in range(1, length + 1) if k < position]
        later = [k for k in range(1, length + 1) if k >= position]
        for side, keys in enumerate((before, later)):
            expected = pattern[rows][:, position, keys].mean() if keys else torch.tensor(0.0)
            assert found[length, position, side].item() == pytest.approx(expected.item(), rel=1e-5)
