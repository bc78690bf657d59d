"""Discovery and refutation on the paren checker that others trained."""

from __future__ import annotations

from pathlib import Path

import pytest

import causal_scrubbing as cs
from causal_scrubbing._gallery import parens
from causal_scrubbing._gallery.parens import build_graph, hypotheses
from causal_scrubbing.gallery import Options

FOLDER = Path(__file__).parents[3] / "shared" / "models" / "paren_checker"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the published paren checker is not at ../shared/models"
)
LOSS = cs.metrics.cross_entropy("balanced")
FEATURES = ["equal_counts", "equal_and_open", "never_above", "starts_open"]


@pytest.fixture(scope="module")
def checker() -> tuple[cs.Graph, cs.Dataset]:
    weights = parens.load_weights(FOLDER)
    options = Options(weights=FOLDER, data=FOLDER / "strings.json.gz", seed=0)
    return build_graph(weights), parens.make_data(options, weights, 1000)


def test_discovery_finds_the_three_heads(checker) -> None:
    graph, data = checker
    grown = cs.discover(graph, data, LOSS, features=FEATURES, target=94, samples=600, depth=1)
    claims = {c.node: c.feature for c in grown.hypothesis.root.children}
    assert claims["a2.h1"] == "never_above"
    assert set(claims) == {"a1.h0", "a2.h0", "a2.h1"}
    assert grown.result.recovered.mean > 90


def test_discovery_goes_on_to_where_the_counting_heads_read(checker) -> None:
    graph, data = checker
    nodes = ["a1.h0", "a1.h1", "a2.h0", "a2.h1", "a*.h0.in.*"]
    grown = cs.discover(graph, data, LOSS, features=FEATURES, nodes=nodes, target=90, samples=600)
    inner = {c.node: c.children for c in grown.hypothesis.root.children}
    assert set(inner) == {"a1.h0", "a2.h0", "a2.h1"}
    # Position 1, as published, and neither the first nor the others.
    assert [c.node for c in inner["a1.h0"]] == ["a1.h0.in.p1"]
    assert [c.node for c in inner["a2.h0"]] == ["a2.h0.in.p1"]
    assert inner["a2.h1"] is None
    assert grown.reached


def test_adding_starts_open_is_found_to_refute_equal_counts_alone(checker) -> None:
    graph, data = checker
    h = hypotheses(graph)["1a"]
    found = cs.refute(h, data, LOSS, activations=(), features=["equal_and_open"], samples=800)
    assert found.refuted
    better = cs.improve(h, data, LOSS, activations=(), samples=800)
    texts = [one.text for one in better.findings]
    assert any("starts_open" in text or "equal_and_open" in text for text in texts)
