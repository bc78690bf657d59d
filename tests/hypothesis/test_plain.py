from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from problems import datasets, hypotheses, random_ablation, without_self_draws

import causal_scrubbing as cs
from causal_scrubbing._hypothesis import families

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}


def is_code(plain: dict) -> bool:
    return '"function"' in json.dumps(plain)


@settings(max_examples=60, **QUICK)
@given(h=hypotheses(), data=datasets(), seed=st.integers(0, 100))
def test_a_hypothesis_is_read_back_from_its_plain_data(h, data, seed) -> None:
    h = random_ablation(h.with_(name="h"), np.random.default_rng(seed))
    if data.is_uniform and seed % 3 == 0:
        h = without_self_draws(h)
    plain = json.loads(json.dumps(h.to_dict()))
    if is_code(plain):
        with pytest.raises(cs.HypothesisError, match="which is code"):
            cs.Hypothesis.from_dict(h.graph, plain)
        return
    again = cs.Hypothesis.from_dict(h.graph, plain)
    assert json.loads(json.dumps(again.to_dict())) == plain
    assert str(again) == str(h)
    assert [c.path for c in again.tree.claims] == [c.path for c in h.tree.claims]
    one, two = (cs.scrub(x, data, samples=20, seed=seed, check=False) for x in (h, again))
    np.testing.assert_array_equal(one.samples["scrubbed"], two.samples["scrubbed"])


def graph() -> cs.Graph:
    return cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "a": (torch.sin, ["x"]),
            "b": (torch.cos, ["x"]),
            "c": (torch.add, ["a", "z"]),
            "y": (lambda a, b, c: a + b * c, ["a", "b", "c"]),
        },
        output="y",
    )


def test_every_option_is_saved(tmp_path: Path) -> None:
    shared = cs.claim("c", cs.rounded("x", decimals=2), cs.claim("a", ("x", "z")))
    root = cs.claim(
        "y",
        cs.exact,
        shared,
        cs.claim("a", cs.bins("x", count=4), tie="t", name="part", others="z"),
        cs.claim("x", cs.quantiles("x", 3), via=["b"], tie="t"),
    )
    h = cs.Hypothesis(
        graph(),
        root,
        within=cs.distinct("z"),
        name="all options",
        self_draws=False,
        ablation={"z": cs.mean(where="real")},
    )
    h.save(tmp_path / "h.json")
    again = cs.Hypothesis.load(h.graph, tmp_path / "h.json")
    assert again.to_dict() == h.to_dict()
    assert str(again) == str(h)
    grouped = h.with_(unimportant={"y/c": "g"}, self_draws=True, ablation="resample")
    read = cs.Hypothesis.from_dict(h.graph, grouped.to_dict())
    assert read.unimportant == {"y/c": "g"}
    assert read.self_draws


def test_a_feature_that_is_code_is_named_with_its_claim(tmp_path: Path) -> None:
    h = cs.Hypothesis(graph(), cs.claim("y", cs.exact, cs.claim("a", lambda d: d["x"] > 0)))
    with pytest.raises(cs.HypothesisError, match=r"claim 1 \(a\): its feature is the function"):
        h.save(tmp_path / "h.json")
    assert not (tmp_path / "h.json").exists()


WRONG: dict[str, Any] = {
    "not a dict": [],
    "has no entry extra": {"claims": [{"node": "y", "feature": "x"}], "extra": 1},
    "not a list of claims": {"claims": {}},
    "lacks its node's name": {"claims": [{"feature": "x"}]},
    "lacks its feature": {"claims": [{"node": "y"}]},
    "not numbers of later claims": {"claims": [{"node": "y", "feature": "x", "children": [0]}]},
    "not a list of names": {"claims": [{"node": "y", "feature": "x", "via": "a"}]},
    "not a list of edges": {"claims": [{"node": "y", "feature": "x", "cut": [1]}]},
    "tie is 3, not a text": {"claims": [{"node": "y", "feature": "x", "tie": 3}]},
    "not three texts": {"claims": [{"node": "y", "feature": "x", "family": "f"}]},
    "is not an ablation": {"claims": [{"node": "y", "feature": "x"}], "ablation": "avg"},
    "the kinds are": {"claims": [{"node": "y", "feature": {"kind": "sorted"}}]},
    "name is 3, not a text": {"claims": [{"node": "y", "feature": "x"}], "name": 3},
    "not a policy or a mapping": {"claims": [{"node": "y", "feature": "x"}], "unimportant": 1},
    "there is no node 'q'": {"claims": [{"node": "q", "feature": "x"}]},
    "give True or False": {"claims": [{"node": "y", "feature": "x"}], "self_draws": "no"},
}


@pytest.mark.parametrize("text", list(WRONG))
def test_wrong_plain_data_is_one_error(text, tmp_path: Path) -> None:
    given = WRONG[text]
    match = "is a dict, not list" if text == "not a dict" else text
    with pytest.raises(cs.HypothesisError, match=match):
        cs.Hypothesis.from_dict(graph(), given)
    file = tmp_path / "h.json"
    file.write_text(json.dumps(given))
    with pytest.raises(cs.HypothesisError, match=match):
        cs.Hypothesis.load(graph(), file)


def test_a_file_that_is_not_json_is_one_error(tmp_path: Path) -> None:
    file = tmp_path / "h.json"
    with pytest.raises(cs.HypothesisError, match="cannot be read as a hypothesis"):
        cs.Hypothesis.load(graph(), file)
    file.write_text("[" * 100_000)
    with pytest.raises(cs.HypothesisError, match="cannot be read as a hypothesis"):
        cs.Hypothesis.load(graph(), file)


def positions(count: int) -> cs.Graph:
    names = [f"q.p{i}" for i in range(count)]
    return cs.Graph.build(
        inputs=["tokens"],
        nodes={
            **{n: (lambda t, i=i: t[:, i] * 2.0, ["tokens"]) for i, n in enumerate(names)},
            "y": (lambda *parts: sum(parts), names),
        },
        output="y",
    )


def test_each_makes_one_claim_a_position_and_one_line_of_all() -> None:
    data = cs.Dataset(tokens=torch.randint(0, 3, (30, 64), generator=torch.Generator()))
    g = positions(64)
    h = cs.Hypothesis(g, cs.claim("y", cs.exact, cs.each("q.p{i}", "tokens[{i}]", range(64))))
    written = cs.Hypothesis(
        g,
        cs.claim("y", cs.exact, *(cs.claim(f"q.p{i}", f"tokens[{i}]") for i in range(64))),
    )
    assert str(h).splitlines()[-1] == "    q.p{i} carries tokens[{i}]  [64 claims]"
    assert len(str(written).splitlines()) == 66
    assert list(families(h.tree)) == ["y/q.p{i}"]
    assert len(families(h.tree)["y/q.p{i}"]) == 64
    assert families(written.tree) == {}
    one, two = (cs.scrub(x, data, samples=20) for x in (h, written))
    np.testing.assert_array_equal(one.samples["scrubbed"], two.samples["scrubbed"])
    again = cs.Hypothesis.from_dict(g, json.loads(json.dumps(h.to_dict())))
    assert str(again) == str(h)
    with pytest.raises(cs.HypothesisError, match="where the value stands"):
        cs.each("q.p0", "tokens[{i}]", range(3))
    with pytest.raises(cs.HypothesisError, match="at least one value"):
        cs.each("q.p{i}", "tokens[{i}]", [])


def test_a_circuit_claims_the_nodes_of_its_edges_on_the_paths_to_the_output() -> None:
    data = cs.Dataset(x=torch.randn(40).double(), z=torch.randn(40).double())
    h = cs.circuit(graph(), [("a", "c"), ("c", "y"), ("b", "y")], name="circuit")
    assert [c.path for c in h.tree.claims] == ["y", "y/b", "y/c", "y/c/a"]
    by_hand = cs.Hypothesis(
        graph(),
        cs.claim(
            "y",
            cs.exact,
            cs.claim("b", cs.exact),
            cs.claim("c", cs.exact, cs.claim("a", cs.exact)),
        ),
    )
    metric = cs.metrics.to_model("squared_error")
    assert cs.exact_scrub(h, data, metric).expectation == pytest.approx(
        cs.exact_scrub(by_hand, data, metric).expectation
    )
    every = cs.circuit(graph(), [("*", "*")])
    assert cs.exact_scrub(every, data, metric).expectation == pytest.approx(0)
    refused: list[tuple[str, Any, dict[str, Any]]] = [
        ("the graph has no such edge. Parents of 'c'", [("b", "c")], {}),
        ("no edge leads into the output", [("a", "c")], {}),
        ("no listed edges lead from a -> c", [("a", "c"), ("b", "y")], {}),
        ("is not an edge; give pairs", ["ay"[:1]], {}),
        ("no node matches 'q'", [("q", "y")], {}),
        ("one for each path to the output, more than the limit of 3", [("*", "*")], {"limit": 3}),
    ]
    for text, edges, options in refused:
        with pytest.raises(cs.HypothesisError, match=text):
            cs.circuit(graph(), edges, **options)


@pytest.mark.parametrize("name", [3, "a\nb", "a\x1b[31m", "", "a/b", "~a"])
def test_names_are_printable_texts(name) -> None:
    with pytest.raises(cs.HypothesisError, match=r"name=.* (is not|may not)"):
        cs.claim("y", cs.exact, name=name)
    if name not in ("", "a/b", "~a"):
        with pytest.raises(cs.HypothesisError, match="is not a printable text"):
            cs.Hypothesis(graph(), cs.claim("y", cs.exact), name=name)
        with pytest.raises(cs.HypothesisError, match="is not a printable text"):
            cs.claim("y", cs.exact, tie=name)


def test_a_tree_of_six_hundred_levels_works() -> None:
    nodes = {"n0": (lambda x: x, ["x"])}
    nodes |= {f"n{i}": (lambda v: v, [f"n{i - 1}"]) for i in range(1, 600)}
    g = cs.Graph.build(inputs=["x"], nodes=nodes, output="n599")
    data = cs.Dataset(x=torch.randint(0, 5, (30,)))
    one = cs.claim("n0", "x")
    for i in range(1, 600):
        one = cs.claim(f"n{i}", "x", one)
    h = cs.Hypothesis(g, one)
    assert len(str(h).splitlines()) == 601
    again = cs.Hypothesis.from_dict(g, json.loads(json.dumps(h.to_dict())))
    metric = lambda out, rows: out.double()  # noqa: E731
    run = cs.scrub(again, data, metric, samples=20)
    exact = cs.exact_scrub(h, data, metric)
    assert exact.expectation == pytest.approx(float(data["x"].double().mean()))
    assert run.gap.mean == 0
    assert len(h.agreement(data).table) == 600
    assert "600" in repr(h)
    for call in (lambda: cs.permits(h, h, data), lambda: cs.join(h, h), lambda: cs.isomorphic(h)):
        with pytest.raises(cs.HypothesisError, match="at most 200 levels of claims"):
            call()


def test_trees_of_two_hundred_levels_are_joined_and_compared() -> None:
    nodes = {"n0": (lambda x: x, ["x"])}
    nodes |= {f"n{i}": (lambda v: v, [f"n{i - 1}"]) for i in range(1, 200)}
    g = cs.Graph.build(inputs=["x"], nodes=nodes, output="n199")
    data = cs.Dataset(x=torch.randint(0, 5, (30,)))
    one = cs.claim("n0", "x")
    for i in range(1, 200):
        one = cs.claim(f"n{i}", "x", one)
    h = cs.Hypothesis(g, one)
    assert cs.permits(h, h, data).relation == "equal"
    assert len(cs.join(h, h).tree.claims) == 200
    assert len(cs.isomorphic(h).tree.claims) == 200
