"""Paths of claims whose nodes have a "/" in their names, and `free` in place of a hypothesis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import causal_scrubbing as cs


def graph(sibling: str = "a/b") -> cs.Graph:
    """Node b feeds a, and beside a stands a node whose name is the path of b below a."""
    return cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "b": (lambda x: x % 5, ["x"]),
            "a": (cs.add, ["b", "z"]),
            sibling: (lambda x: 3 * x, ["x"]),
            "y": (cs.add, ["a", sibling]),
        },
        output="y",
    )


def hypothesis(sibling: str = "a/b") -> cs.Hypothesis:
    claims = cs.claim("a", "f", cs.claim("b", "g")), cs.claim(sibling, "f")
    return cs.Hypothesis(graph(sibling), cs.claim("y", cs.exact, *claims))


@pytest.fixture
def data() -> cs.Dataset:
    x = torch.arange(12.0)
    return cs.Dataset(x=x, z=(x * x) % 7, f=x % 3, g=x % 2)


def metric(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows.model_output) ** 2


def test_a_slash_in_a_name_ties_no_claims(data: cs.Dataset) -> None:
    h, plain = hypothesis(), hypothesis("c")
    assert [one.path for one in h.tree.claims] == ["y", "y/a", "y/a/b", "y/a%2Fb"]
    assert len(h.tree.blocks) == len(plain.tree.blocks)
    one, other = cs.exact_scrub(h, data, metric), cs.exact_scrub(plain, data, metric)
    assert one.scrubbed == pytest.approx(other.scrubbed)
    sampled = cs.scrub(h, data, metric, samples=4000)
    assert abs(sampled.scrubbed.mean - one.scrubbed) < 4 * sampled.scrubbed.se
    assert cs.entropy(h, data).total == pytest.approx(cs.entropy(plain, data).total)


def test_rewritten_hypotheses_keep_the_draws_of_such_names(data: cs.Dataset) -> None:
    h = hypothesis()
    drawn = cs.scrub(h, data, metric, samples=50).draws
    for same in (cs.isomorphic(h), cs.isomorphic(cs.isomorphic(h)), cs.restate(h, h.graph)):
        again = cs.scrub(same, data, metric, samples=50).draws
        for path in ("y/a", "y/a/b", "y/a%2Fb"):
            assert np.array_equal(again[path], drawn[path])
    assert cs.restate(h, h.graph).to_dict() == h.to_dict()


def test_two_names_written_alike_in_paths_are_told_apart() -> None:
    twins = cs.Graph.build(
        inputs=["x"],
        nodes={
            "a/b": (torch.abs, ["x"]),
            "a%2Fb": (torch.neg, ["x"]),
            "y": (cs.add, ["a/b", "a%2Fb"]),
        },
        output="y",
    )
    claims = [cs.claim(node, "f") for node in ("a/b", "a%2Fb")]
    with pytest.raises(cs.HypothesisError, match=r"y/a%2Fb is made 2 times under y.*with name="):
        cs.Hypothesis(twins, cs.claim("y", cs.exact, *claims))


def test_discovery_goes_through_such_names(data: cs.Dataset) -> None:
    g = cs.Graph.build(
        inputs=["x", "z"],
        nodes={"a/f": (lambda x: x % 3, ["x"]), "y": (lambda a, z: a * 1.0, ["a/f", "z"])},
        output="y",
    )
    found = cs.discover(g, data, metric, features=["f", "g"], samples=200)
    assert [one.path for one in found.hypothesis.tree.claims][:2] == ["y", "y/a%2Ff"]


def test_free_stands_for_a_hypothesis(data: cs.Dataset) -> None:
    h = hypothesis()
    free = cs.free(h.graph)
    written = free.hypothesis()
    assert cs.permits(h, free, data).relation == "second permits more"
    assert str(cs.permits(free, h, data)).startswith("free permits every swap")
    assert cs.entropy(free, data) == cs.entropy(written, data)
    assert free.agreement(data) == written.agreement(data)
    assert cs.isomorphic(free).to_dict()["claims"] == cs.isomorphic(written).to_dict()["claims"]
    assert cs.restate(free, h.graph).tree.claims == cs.restate(written, h.graph).tree.claims


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda h, d: cs.isomorphic("h"), "isomorphic takes a hypothesis, not str"),  # type: ignore[arg-type]
        (lambda h, d: cs.entropy(d, h), "entropy takes a hypothesis, not Dataset"),
        (lambda h, d: cs.permits(h, "h", d), "permits takes a hypothesis, not str"),  # type: ignore[arg-type]
        (lambda h, d: cs.restate("h", h.graph), "restate takes a hypothesis, not str"),  # type: ignore[arg-type]
        (lambda h, d: cs.free("g"), "cs.free takes a cs.Graph, not str"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_hypothesis_is_told(
    use: Callable[[cs.Hypothesis, cs.Dataset], object], what: str, data: cs.Dataset
) -> None:
    with pytest.raises(cs.HypothesisError, match=what):
        use(hypothesis(), data)
