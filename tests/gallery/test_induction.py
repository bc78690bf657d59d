"""The induction entry: its graph, its heads, and which claims hold on a few windows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch.nn import functional

import causal_scrubbing as cs
from causal_scrubbing import gallery
from causal_scrubbing._systems import induction as entry
from causal_scrubbing._systems.induction import _model as model

PAGE = Path(__file__).parents[2] / "docs" / "gallery" / "induction.md"


@cache
def parts() -> tuple[cs.Graph, cs.Dataset]:
    weights = entry.windows.load_weights(entry.HERE)
    stream, _ = entry.windows.load_text(entry.HERE)
    rows = entry.windows.windows(stream, 300, seed=1)
    data = cs.Dataset(tokens=rows[:, :-1], next=rows[:, -1])
    return entry.build_graph(weights, entry.find_heads(weights), data["tokens"]), data


def test_the_graph_is_the_model() -> None:
    graph, data = parts()
    weights = entry.windows.load_weights(entry.HERE)
    said = model.logits(weights, data["tokens"])[:, -1]
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


def test_the_page_shows_every_rung() -> None:
    graph, _ = parts()
    page = PAGE.read_text()
    for name in entry.claims.rungs(graph, entry.windows.POSITIONS):
        assert f"| {name} " in page
    assert gallery.load("induction").page == "gallery/induction.md"
    assert PAGE.with_suffix(".png").is_file()
