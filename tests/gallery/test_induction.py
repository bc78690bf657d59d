"""The induction entry: its graph, its heads, and which claims hold on a few windows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch.nn import functional

import causal_scrubbing as cs
from causal_scrubbing import gallery
from causal_scrubbing._systems import induction as entry

PAGE = Path(__file__).parents[2] / "docs" / "gallery" / "induction.md"


@cache
def parts() -> tuple[cs.Graph, cs.Dataset]:
    weights = entry.windows.load_weights(entry.HERE)
    stream, _ = entry.windows.load_text(entry.HERE)
    rows = entry.windows.windows(stream, 300, seed=1)
    tokens = rows[:, :-1]
    data = cs.Dataset(tokens=tokens, next=rows[:, -1], earlier=entry.windows.earlier(tokens))
    return entry.build_graph(weights, entry.find_heads(weights), data["tokens"]), data


def test_the_graph_is_the_model() -> None:
    graph, data = parts()
    weights = entry.windows.load_weights(entry.HERE)
    said = entry.logits(weights, data["tokens"])[:, -1]
    want = functional.cross_entropy(said, data["next"], reduction="none")
    torch.testing.assert_close(graph(data), want, atol=1e-4, rtol=1e-4)


def test_heads_are_found_by_what_they_attend_to() -> None:
    found = entry.find_heads(entry.windows.load_weights(entry.HERE))
    assert found.previous == [1, 2]
    assert found.induction == [4, 5, 6, 7]


def test_windows_end_in_a_token_seen_before() -> None:
    _, data = parts()
    tokens = data["tokens"]
    assert (tokens[:, :-1] == tokens[:, -1:]).any(dim=1).all()


def test_exact_queries_keys_and_values_are_the_model() -> None:
    graph, data = parts()
    own = entry.claims.hypothesis(graph, entry.windows.POSITIONS)
    result = cs.scrub(own, data, samples=50, randomize="ind", progress=False)
    assert abs(result.gap.mean) < 1e-4


def test_earlier_counts_how_often_a_token_came_before() -> None:
    tokens = torch.tensor([[5, 5, 7, 5, 5, 7]])
    assert entry.windows.earlier(tokens).tolist() == [[0, 1, 0, 2, 2, 1]]


def test_with_repeats_draws_agree_on_them() -> None:
    graph, data = parts()
    hypothesis = entry.claims.rungs(graph, entry.windows.POSITIONS)[
        "all three, 1 token and its repeats"
    ]
    result = cs.scrub(hypothesis, data, samples=20, randomize="ind", progress=False)
    last = entry.windows.POSITIONS - 1
    drawn = result.draws[f"loss/logits/ind/q/embed.p{last}"].tolist()
    own = result.draws["reference"].tolist()
    for field in ("tokens", "earlier"):
        assert (data[field][drawn, last] == data[field][own, last]).all()


def test_the_page_shows_every_rung() -> None:
    graph, _ = parts()
    page = PAGE.read_text()
    for name in entry.claims.rungs(graph, entry.windows.POSITIONS):
        assert f"| {name} " in page
    assert gallery.load("induction").page == "gallery/induction.md"
    assert PAGE.with_suffix(".png").is_file()
