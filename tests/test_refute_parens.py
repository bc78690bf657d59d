"""Discovery and refutation on the paren checker that others trained."""

from __future__ import annotations

from pathlib import Path

import pytest

import causal_scrubbing as cs
from causal_scrubbing._gallery import parens
from causal_scrubbing._gallery.parens._experiments import hypotheses
from causal_scrubbing._gallery.parens._graph import build_graph
from causal_scrubbing.gallery import Options

FOLDER = Path(__file__).parents[2] / "shared" / "models" / "paren_checker"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the published paren checker is not at ../shared/models"
)
LOSS = cs.metrics.cross_entropy("balanced")


@pytest.fixture(scope="module")
def checker() -> tuple[cs.Graph, cs.Dataset]:
    weights = parens.load_weights(FOLDER)
    options = Options(weights=FOLDER, data=FOLDER / "strings.json.gz", seed=0)
    return build_graph(weights), parens.make_data(options, weights, 1000)


def test_discovery_finds_the_three_heads(checker) -> None:
    graph, data = checker
    features = ["equal_counts", "equal_and_open", "never_above", "starts_open"]
    grown = cs.discover(graph, data, LOSS, features=features, target=94, samples=600)
    claims = {c.node: c.feature for c in grown.hypothesis.root.children}
    assert claims["a2.h1"] == "never_above"
    assert set(claims) == {"a1.h0", "a2.h0", "a2.h1"}
    assert grown.result.recovered.mean > 90


def test_adding_starts_open_is_found_to_refute_equal_counts_alone(checker) -> None:
    graph, data = checker
    h = hypotheses(graph)["1a"]
    found = cs.refute(h, data, LOSS, activations=(), features=["equal_and_open"], samples=800)
    assert found.refuted
    better = cs.improve(h, data, LOSS, activations=(), samples=800)
    texts = [one.text for one in better.findings]
    assert any("starts_open" in text or "equal_and_open" in text for text in texts)
