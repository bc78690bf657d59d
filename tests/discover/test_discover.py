"""Discovery: planted mechanisms of one, two and three levels are found, and nothing beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from refutable import hash_game

import causal_scrubbing as cs
from causal_scrubbing._data import feature_name
from causal_scrubbing._gallery import parens
from causal_scrubbing._gallery.parens import build_graph
from causal_scrubbing.gallery import Options

Nest = dict[str, tuple[str, "Nest | None"]]
"""Node -> the feature it carries and what it is computed from; None for a leaf."""


def found(claim: cs.Claim) -> Nest | None:
    """What a claim is said to be computed from, as a nest of nodes."""
    if claim.children is None:
        return None
    return {one.node: (feature_name(one.feature), found(one)) for one in claim.children}


def to_model(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows.model_output) ** 2


def both(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x * y


def differ(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x - y) ** 2


def bits(seed: int, names: str, rows: int = 400) -> dict[str, torch.Tensor]:
    """Random bits by name; one of two letters agrees with its first letter's in 85% of rows."""
    rng = np.random.default_rng(seed)
    made: dict[str, np.ndarray] = {}
    for one in names.split():
        fresh = rng.integers(0, 2, rows)
        like = made.get(one[0], fresh)
        made[one] = np.where(rng.uniform(size=rows) < 0.7, like, fresh) if len(one) > 1 else fresh
    return {one: torch.as_tensor(values) for one, values in made.items()}


def xor_of_ands(seed: int) -> tuple[cs.Graph, cs.Dataset, dict[str, cs.Feature]]:
    """y = (a and b) xor (c and d), with nodes beside them that are about correlated fields."""
    fields = bits(seed, "a b c d e ax cx")
    data = cs.Dataset(**fields)
    double = torch.Tensor.double
    # The order in which nodes are made, and so their names' places, changes with the seed.
    order = np.random.default_rng(seed).permutation(9)
    nodes: list[tuple[str, tuple[Callable[..., torch.Tensor], list[str]]]] = [
        *((f"n{one}", (double, [one])) for one in "abcd"),
        ("decoy", (both, ["ax", "cx"])),
        ("stray", (differ, ["e", "a"])),
        ("u", (lambda x, y, z: x * y + 0.01 * z, ["na", "nb", "decoy"])),
        ("v", (lambda x, y, z: x * y + 0.01 * z, ["nc", "nd", "stray"])),
        ("y", (lambda u, v, w: (u - v) ** 2 + 0.01 * w, ["u", "v", "decoy"])),
    ]
    graph = cs.Graph.build(inputs=list(fields), nodes=dict(nodes[i] for i in order), output="y")
    return graph, data, {**{one: one for one in fields}, "a_and_b": a_and_b, "c_and_d": c_and_d,
                         "b_or_d": b_or_d}  # fmt: skip


def a_and_b(rows: cs.Dataset) -> torch.Tensor:
    return rows["a"] * rows["b"]


def c_and_d(rows: cs.Dataset) -> torch.Tensor:
    return rows["c"] * rows["d"]


def b_or_d(rows: cs.Dataset) -> torch.Tensor:
    return rows["b"] | rows["d"]


@pytest.mark.parametrize("seed", range(5))
def test_two_levels_are_found_and_no_more(seed: int) -> None:
    graph, data, pool = xor_of_ands(seed)
    nodes = ["n*", "u", "v", "decoy", "stray"]
    grown = cs.discover(graph, data, to_model, features=pool, nodes=nodes, seed=seed)
    assert found(grown.hypothesis.root) == {
        "u": ("a_and_b", {"na": ("a", None), "nb": ("b", None)}),
        "v": ("c_and_d", {"nc": ("c", None), "nd": ("d", None)}),
    }
    assert grown.reached
    by_claim = {one.claim: one for one in grown.explained}
    assert by_claim["y"].by == ("u", "v")
    assert by_claim["y/u"].by == ("na", "nb")
    assert by_claim["y/u/na"].by is None
    assert by_claim["y/u/na"].why == "no node of the pool feeds it"
    assert all(one.tried > 0 for one in grown.explained if one.by is not None)


@pytest.mark.parametrize("policy", ["separate", "together"])
def test_the_policy_for_unimportant_parents_is_kept(policy: str) -> None:
    graph, data, pool = xor_of_ands(3)
    nodes = ["n*", "u", "v", "decoy", "stray"]
    grown = cs.discover(
        graph, data, to_model, features=pool, nodes=nodes, unimportant=policy, within="e"
    )
    assert grown.hypothesis.unimportant == policy
    assert grown.hypothesis.within == "e"
    assert found(grown.hypothesis.root) == {
        "u": ("a_and_b", {"na": ("a", None), "nb": ("b", None)}),
        "v": ("c_and_d", {"nc": ("c", None), "nd": ("d", None)}),
    }


def three_levels(seed: int) -> tuple[cs.Graph, cs.Dataset, dict[str, cs.Feature]]:
    """y = (a xor b) and (c or d), times e: the xor is made two nodes below the output."""
    fields = bits(seed, "a b c d e ax dx")
    data = cs.Dataset(**fields)
    double = torch.Tensor.double
    graph = cs.Graph.build(
        inputs=list(fields),
        nodes={
            **{f"n{one}": (double, [one]) for one in "abcd"},
            "beside": (both, ["ax", "dx"]),
            "x": (lambda p, q, r: (p - q) ** 2 + 0.01 * r, ["na", "nb", "beside"]),
            "o": (lambda p, q, r: p + q - p * q + 0.01 * r, ["nc", "nd", "beside"]),
            "g": (both, ["x", "o"]),
            "h": (differ, ["e", "beside"]),
            "y": (lambda g, h, b: g + 0.02 * h + 0.02 * b, ["g", "h", "beside"]),
        },
        output="y",
    )
    return graph, data, {**{one: one for one in fields}, "a_xor_b": a_xor_b, "c_or_d": c_or_d,
                         "all_of_it": all_of_it}  # fmt: skip


def a_xor_b(rows: cs.Dataset) -> torch.Tensor:
    return rows["a"] ^ rows["b"]


def c_or_d(rows: cs.Dataset) -> torch.Tensor:
    return rows["c"] | rows["d"]


def all_of_it(rows: cs.Dataset) -> torch.Tensor:
    return a_xor_b(rows) * c_or_d(rows)


@pytest.mark.parametrize("seed", range(3))
def test_three_levels_are_found_down_to_the_depth_asked_for(seed: int) -> None:
    graph, data, pool = three_levels(seed)
    nodes = ["n*", "x", "o", "g", "h", "beside"]
    deep = cs.discover(
        graph, data, to_model, features=pool, nodes=nodes, depth=None, target=97, seed=seed
    )
    xor = {"na": ("a", None), "nb": ("b", None)}
    either = {"nc": ("c", None), "nd": ("d", None)}
    assert found(deep.hypothesis.root) == {
        "g": ("all_of_it", {"x": ("a_xor_b", xor), "o": ("c_or_d", either)})
    }
    assert deep.reached
    shallow = cs.discover(
        graph, data, to_model, features=pool, nodes=nodes, depth=1, target=97, seed=seed
    )
    assert found(shallow.hypothesis.root) == {"g": ("all_of_it", None)}
    assert shallow.explained[1].why == "depth=1: not tried"
    # Deeper claims permit more swaps of the same kind: what they recover is no more.
    assert deep.result.recovered.mean <= shallow.result.recovered.mean + 0.5


def test_three_that_matter_only_together_are_found_among_many() -> None:
    fields = bits(0, "a b c d e f g h i j")
    data = cs.Dataset(**fields)
    nodes: dict[str, Any] = {f"n{one}": (lambda x: 2.0 * x - 1, [one]) for one in fields}
    nodes["y"] = (
        lambda *n: n[1] * n[4] * n[8] + 0.01 * sum(n),
        list(nodes),
    )
    graph = cs.Graph.build(inputs=list(fields), nodes=nodes, output="y")
    grown = cs.discover(graph, data, to_model, features=list(fields), depth=1)
    assert found(grown.hypothesis.root) == {
        "nb": ("b", None), "ne": ("e", None), "ni": ("i", None)
    }  # fmt: skip
    assert "least of everything" in [step.move for step in grown.steps]


def test_parents_that_cancel_on_one_datum_are_left_alone() -> None:
    data = cs.Dataset(**bits(1, "a b"))
    sign = lambda x: 2.0 * x - 1  # noqa: E731
    graph = cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            "p": (sign, ["a"]), "q": (sign, ["a"]), "r": (sign, ["b"]),
            "u": (lambda p, q, r: p * q * r, ["p", "q", "r"]),
            "y": (torch.Tensor.double, ["u"]),
        },
        output="y",
    )  # fmt: skip
    grown = cs.discover(graph, data, to_model, features=["b"])
    assert found(grown.hypothesis.root) == {"u": ("b", {"r": ("b", None)})}


def test_many_small_parts_are_said_to_agree() -> None:
    fields = bits(2, "a b")
    data = cs.Dataset(**fields)
    nodes: dict[str, Any] = {f"n{i}": (lambda x: 2.0 * x - 1, ["a"]) for i in range(16)}
    nodes["other"] = (lambda x: 2.0 * x - 1, ["b"])
    nodes["y"] = (lambda *n: sum(n[:-1]) + 4 * n[-1], list(nodes))
    graph = cs.Graph.build(inputs=list(fields), nodes=nodes, output="y")
    grown = cs.discover(graph, data, to_model, features=["a", "b"], most=4, depth=1, nodes="*")
    assert grown.hypothesis.root.others == "a"
    assert found(grown.hypothesis.root) == {"other": ("b", None)}
    assert grown.reached


def test_what_recovers_too_much_does_not_count() -> None:
    h, data, reward = hash_game()
    told = h.root.feature
    graph = h.graph.append("said", lambda answer: answer, parents=["answer"])
    pool = {"told": told, "guess": "guess", "mode": "mode"}
    false = cs.Hypothesis(graph, cs.claim("said", cs.exact, cs.claim("answer", told)))
    assert cs.scrub(false, data, reward, samples=2000).recovered.mean > 150
    grown = cs.discover(graph, data, reward, features=pool)
    assert found(grown.hypothesis.root) == {"answer": ("mode", {"mode": ("mode", None)})}
    assert grown.result.recovered.mean == pytest.approx(100, abs=5)


def test_a_pool_that_lacks_a_feature_is_said_to_fall_short() -> None:
    graph, data, pool = xor_of_ands(0)
    nodes = ["n*", "u", "v", "decoy", "stray"]
    less = {key: one for key, one in pool.items() if key not in ("d", "c_and_d", "b_or_d")}
    outer = cs.discover(graph, data, to_model, features=less, nodes=nodes)
    assert not outer.reached
    assert outer.explained[0].why.startswith("the pool falls short")
    assert "the pool falls short" in str(outer)
    assert "not reached" in str(outer)
    # What can be explained still is: u is, down to its parents; nothing is claimed of a decoy.
    nest = found(outer.hypothesis.root)
    assert nest is not None
    assert nest["u"] == ("a_and_b", {"na": ("a", None), "nb": ("b", None)})
    assert "decoy" not in nest


def test_a_claim_that_the_pool_cannot_explain_stays_a_leaf() -> None:
    graph, data, pool = xor_of_ands(0)
    nodes = ["n*", "u", "v", "decoy", "stray"]
    less = {key: one for key, one in pool.items() if key not in ("a", "b", "b_or_d")}
    grown = cs.discover(graph, data, to_model, features=less, nodes=nodes)
    assert grown.reached
    assert found(grown.hypothesis.root) == {
        "u": ("a_and_b", None),
        "v": ("c_and_d", {"nc": ("c", None), "nd": ("d", None)}),
    }
    by_claim = {one.claim: one for one in grown.explained}
    assert by_claim["y/u"].why.startswith("the pool falls short")
    assert by_claim["y/u"].by is None
    assert by_claim["y/u"].tried > 10
    assert any(step.claim == "y/u" and step.tried > 10 for step in grown.steps)


def test_equal_seeds_grow_alike_whatever_the_batch() -> None:
    graph, data, pool = xor_of_ands(1)
    nodes = ["n*", "u", "v", "decoy", "stray"]
    one, two = (
        cs.discover(
            graph, data, to_model, features=pool, nodes=nodes, seed=5, samples=300, batch_size=size
        ).to_dict()
        for size in (1024, 64)
    )
    assert json.dumps(one) == json.dumps(two)
    other = cs.discover(graph, data, to_model, features=pool, nodes=nodes, seed=6, samples=300)
    assert other.to_dict() != one


def test_claims_may_reach_through_nodes_given_as_via() -> None:
    graph, data, pool = xor_of_ands(2)
    grown = cs.discover(
        graph,
        data,
        to_model,
        features=pool,
        nodes=["na", "nb", "nc", "nd", "decoy"],
        via=["u", "v"],
    )
    assert found(grown.hypothesis.root) == {f"n{one}": (one, None) for one in "abcd"}
    assert all(claim.via == ("u", "v") for claim in grown.hypothesis.root.children)


def planted(seed: int) -> tuple[cs.Graph, cs.Dataset, set[str]]:
    """Twelve components that add up, of which three matter, each for a field of its own."""
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {f"f{i}": torch.as_tensor(rng.integers(0, 2, 400)) for i in range(4)}
    data = cs.Dataset(**fields, junk=torch.as_tensor(rng.normal(size=400)))
    chosen = rng.choice(12, 3, replace=False)
    nodes: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    for i in range(12):
        if i in chosen:
            field = f"f{list(chosen).index(i)}"
            size = float(rng.uniform(1, 2))
            nodes[f"c{i}"] = (lambda x, s=size: s * (2.0 * x - 1), [field])
        else:
            small = 0.02 * float(rng.normal())
            nodes[f"c{i}"] = (lambda x, s=small: s * x, ["junk"])
    nodes["y"] = (cs.add, [f"c{i}" for i in range(12)])
    graph = cs.Graph.build(inputs=[*fields, "junk"], nodes=nodes, output="y")
    return graph, data, {f"c{i}" for i in chosen}


@pytest.mark.parametrize("seed", range(4))
def test_discovery_grows_the_planted_truth(seed: int) -> None:
    graph, data, truth = planted(seed)
    grown = cs.discover(graph, data, to_model, nodes="c*", samples=400, seed=seed)
    claims = {c.node: c.feature for c in grown.hypothesis.root.children}
    assert set(claims) == truth
    # The field each carries, and not exact, which would do as well and claim more.
    assert all(isinstance(f, str) for f in claims.values())
    assert grown.reached
    assert grown.result.recovered.mean > 95
    assert "held out" in str(grown)
    json.dumps(grown.to_dict())


def test_discovery_sees_what_helps_only_in_pairs() -> None:
    bits = torch.cartesian_prod(*[torch.arange(2)] * 3).repeat(8, 1)
    p, q, r = bits.T
    data = cs.Dataset(p=p, q=q, r=r)
    graph = cs.Graph.build(
        inputs=["p", "q", "r"],
        nodes={
            "u": (lambda x: 2.0 * x - 1, ["p"]),
            "v": (lambda x: 2.0 * x - 1, ["q"]),
            "w": (lambda x: 0.01 * x, ["r"]),
            "y": (lambda u, v, w: u * v + w, ["u", "v", "w"]),
        },
        output="y",
    )
    grown = cs.discover(graph, data, to_model, features=["p", "q", "r"], samples=600)
    assert {c.node for c in grown.hypothesis.root.children} == {"u", "v"}


def test_discovery_says_when_no_target_can_be_reached() -> None:
    graph, data, _ = planted(0)
    with pytest.raises(cs.ScrubError, match="percent recovered is undefined"):
        cs.discover(graph, data, nodes="c*")
    with pytest.raises(cs.GraphError, match="no node matches"):
        cs.discover(graph, data, to_model, nodes="d*")
    with pytest.raises(cs.ScrubError, match="features= is empty"):
        cs.discover(graph, data, to_model, features=[])
    poor = cs.discover(graph, data, to_model, nodes="c*", features=["f3"], samples=200)
    assert not poor.reached
    assert "not reached" in str(poor)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth": 0}, "depth=0: .* at least 1"),
        ({"depth": 1.5}, r"depth=1\.5: .* at least 1"),
        ({"most": "3"}, "most='3': .* at least 1"),
        ({"beam": 0}, "beam=0: .* at least 1"),
        ({"samples": "100"}, "samples='100': .* at least 2"),
        ({"samples": 100.5}, r"samples=100\.5: .* at least 2"),
        ({"target": "high"}, "target='high': give the percent"),
        ({"target": float("nan")}, "target=nan: give the percent"),
        ({"unimportant": "bogus"}, "unimportant='bogus' is not a policy"),
        ({"within": 3}, "within"),
        ({"randomize": "nope"}, "no node matches 'nope'"),
        ({"via": ["nope"]}, "no node matches 'nope'"),
        ({"via": 3}, "via=3: give a node's name"),
        ({"nodes": 5}, "nodes=5: give a node's name"),
        ({"graph": torch.nn.Linear(2, 2)}, r"graph is Linear; make one with cs\.Graph\.build or"),
        ({"data": {"x": [1]}}, r"data is dict; wrap it: cs\.Dataset"),
        ({"data": torch.ones(3), "features": None}, r"data is Tensor; wrap it: cs\.Dataset"),
    ],
)
def test_arguments_that_make_no_sense_are_told(wrong: dict[str, Any], message: str) -> None:
    graph, data, _ = planted(0)
    usual: dict[str, Any] = {
        "graph": graph,
        "data": data,
        "nodes": "c*",
        "features": ["f3"],
        "samples": 50,
    }
    with pytest.raises(cs.CausalScrubbingError, match=message):
        cs.discover(metric=to_model, **usual | wrong)


def test_the_last_scrub_keeps_to_the_batch_size_too() -> None:
    graph, data, _ = planted(0)
    most: list[int] = []

    def watched(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        most.append(len(output))
        return to_model(output, rows)

    cs.discover(graph, data, watched, nodes="c*", features=["f3"], samples=200, batch_size=60)
    assert max(most) <= 60


def test_discovery_finds_heads_of_layer_2_of_the_shipped_checker() -> None:
    weights = parens.load_weights(parens.HERE)
    data = parens.make_data(Options(seed=0), weights, 500)
    features = ["equal_counts", "equal_and_open", "never_above", "starts_open"]
    grown = cs.discover(
        build_graph(weights), data, cs.metrics.cross_entropy("balanced"),
        features=features, target=90, samples=300, depth=1,
    )  # fmt: skip
    nodes = {claim.node for claim in grown.hypothesis.root.children}
    assert nodes & {"a2.h0", "a2.h1"}
