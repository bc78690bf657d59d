"""What is wrong with a hypothesis is said at once, all of it, each fault with its path."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import causal_scrubbing as cs

C = cs.claim


@pytest.fixture
def data() -> cs.Dataset:
    return cs.Dataset(x=torch.arange(6.0), z=torch.arange(6.0), y=["a", "b", "a", "c", "c", "a"])


@pytest.fixture
def graph() -> cs.Graph:
    """c of a and b, each of x; a reads the mask z too."""
    return cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "a": (lambda x, z: x * z, ["x", "z"]),
            "b": (lambda x: x + 1, ["x"]),
            "c": (cs.add, ["a", "b"]),
        },
        output="c",
    )


CLAIM_FAULTS: dict[str, tuple[Callable[[cs.Graph], object], str]] = {
    "root": (
        lambda g: cs.Hypothesis(g, C("a", cs.exact)),
        "root claim is about 'a', but the graph's output is 'c'",
    ),
    "no ancestor": (
        lambda g: cs.Hypothesis(g, C("c", cs.exact, C("a", "x", C("b", "x")))),
        "claim c/a/b: node 'b' is not upstream of 'a'",
    ),
    "indirect": (
        lambda g: cs.Hypothesis(g, C("c", cs.exact, C("x", "x"))),
        r"claim c/x: 'x' reaches 'c' only through other nodes \(a, b\). Give via=",
    ),
    "repeated": (
        lambda g: cs.Hypothesis(g, C("c", cs.exact, C("a", "x"), C("a", "y"))),
        "both name node 'a' on one route into c",
    ),
    "unknown node": (
        lambda g: cs.Hypothesis(g, C("c", cs.exact, C("aa", "x"))),
        "claim c/aa: there is no node 'aa'. Did you mean 'a'",
    ),
    "itself": (
        lambda g: cs.Hypothesis(g, C("c", cs.exact, C("c", "x"))),
        "'c' cannot be computed from itself",
    ),
    "via": (
        lambda g: cs.Hypothesis(g, C("c", cs.exact, C("x", "x", via="q*"))),
        r"via 'q\*' matches no node",
    ),
    "blocked": (
        lambda g: cs.Hypothesis(
            g, C("c", cs.exact, C("z", "x", via="a"), C("a", "x"), C("b", "x"))
        ),
        "claim 'z' below it",
    ),
    "policy": (
        lambda g: cs.Hypothesis(g, C("c", cs.exact), unimportant="seperate"),
        "'seperate' is not a policy; there is 'per-claim', 'together', 'separate' and a mapping "
        r"\{claim path: group\}. Did you mean 'separate'",
    ),
    "group": (
        lambda g: cs.Hypothesis(g, C("c", cs.exact, C("a", "x")), unimportant={"c/q": "g"}),
        "'c/q', which is not a claim's path",
    ),
    "shared with feature": (
        lambda g: cs.Hypothesis(
            g, C("c", cs.exact, C("a", "x"), others="y"), unimportant="together"
        ),
        "a row that fits two references need not exist",
    ),
    "feature": (lambda g: C("c", 3), "its feature is 3; give a field name"),  # type: ignore[arg-type]
    "list of features": (lambda g: C("c", ["x", "y"]), "or a tuple of these"),  # type: ignore[arg-type]
    "nothing and more": (lambda g: C("c", "x", cs.nothing, C("a", "x")), "cs.nothing stands alone"),
    "no claim": (lambda g: C("c", "x", "a"), "'a' is not a claim"),  # type: ignore[arg-type]
    "name": (lambda g: C("c", "x", name="a/b"), "may not be empty, hold '/'"),
}


@pytest.mark.parametrize(("make", "message"), CLAIM_FAULTS.values(), ids=CLAIM_FAULTS.keys())
def test_a_wrong_claim_is_named(
    make: Callable[[cs.Graph], object], message: str, graph: cs.Graph
) -> None:
    with pytest.raises(cs.HypothesisError, match=message):
        make(graph)


def test_all_faults_come_in_one_error_under_the_hypothesis_name(graph: cs.Graph) -> None:
    with pytest.raises(cs.HypothesisError, match="hypothesis 'mine' has 3 faults") as caught:
        cs.Hypothesis(
            graph,
            C("c", cs.exact, C("aa", "x"), C("b", "x", C("z", "x")), C("x", "x")),
            name="mine",
        )
    assert len(caught.value.faults) == 3
    assert [path in str(caught.value) for path in ("c/aa", "c/b/z", "c/x")] == [True] * 3


FEATURE_FAULTS: dict[str, tuple[cs.Claim, str]] = {
    "length": (C("a", lambda r: r["x"][:3]), "claim c/a: feature .* gave 3 values for 6 rows"),
    "NaN": (C("a", lambda r: r["x"] * float("nan")), "claim c/a: feature .* is NaN at row 0"),
    "unknown field": (C("a", "yy"), "claim c/a: the dataset has no field 'yy'.*'y'"),
    "no classes": (C("a", lambda r: [object()] * 6), "claim c/a: feature .* has dtype object"),
}


@pytest.mark.parametrize(("claim", "message"), FEATURE_FAULTS.values(), ids=FEATURE_FAULTS.keys())
def test_a_wrong_feature_is_named_with_its_claim(
    claim: cs.Claim, message: str, graph: cs.Graph, data: cs.Dataset
) -> None:
    with pytest.raises(cs.HypothesisError, match=message):
        cs.Hypothesis(graph, C("c", cs.exact, claim)).agreement(data)


def test_an_input_the_data_lacks_is_named(graph: cs.Graph, data: cs.Dataset) -> None:
    bare = cs.Dataset(x=data["x"])
    with pytest.raises(cs.HypothesisError, match="input 'z' of the graph reads the field 'z'"):
        cs.Hypothesis(graph, C("c", cs.exact)).agreement(bare)


def test_agreement_tells_an_input_read_directly_that_nobody_holds(
    graph: cs.Graph, data: cs.Dataset
) -> None:
    loose = cs.Hypothesis(graph, C("c", cs.exact, C("a", "y", C("x", "y"))))
    assert loose.agreement(data).unclaimed == (("c/a", "z"),)
    held = cs.Hypothesis(graph, C("c", cs.exact, C("a", "y", C("x", "y"), others="z")))
    assert held.agreement(data).unclaimed == ()


def test_agreement_calls_a_hypothesis_void_that_can_swap_nothing(
    graph: cs.Graph, data: cs.Dataset
) -> None:
    void = cs.Hypothesis(graph, C("c", cs.exact, C("a", "x"), C("b", cs.exact))).agreement(data)
    assert void.void
    assert "the hypothesis is not tested" in str(void)
    assert not cs.Hypothesis(graph, C("c", cs.exact, C("a", "x"))).agreement(data).void
