from __future__ import annotations

from typing import Any

import brute
import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from problems import FEATURES, datasets, hypotheses

import causal_scrubbing as cs
from causal_scrubbing._hypothesis import REFERENCE, Claim

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}


@pytest.fixture
def problem() -> tuple[cs.Graph, cs.Dataset]:
    graph = cs.Graph.build(
        inputs=["x1", "x2", "x3"],
        nodes={
            "a": (lambda p, q: p * q, ["x1", "x2"]),
            "b": (lambda p, q: p - q, ["x2", "x3"]),
            "y": (lambda a, b, r: a + b * r, ["a", "b", "x3"]),
        },
        output="y",
    )
    data = cs.Dataset(
        **{f"x{i}": torch.arange(6.0) * i for i in (1, 2, 3)},
        bit=[0, 1, 0, 1, 0, 1],
        third=[0, 1, 2, 0, 1, 2],
    )
    return graph, data


def test_policies_are_ordered(problem) -> None:
    graph, data = problem
    root = cs.claim("y", cs.exact, cs.claim("a", "bit", cs.claim("x1", "third")))
    hs = [cs.Hypothesis(graph, root, unimportant=p) for p in ("together", "per-claim", "separate")]
    for i, one in enumerate(hs):
        assert cs.permits(one, one, data).relation == "equal"
        for other in hs[i + 1 :]:
            assert cs.permits(one, other, data).relation == "second permits more"
            assert cs.permits(other, one, data).relation == "first permits more"


def test_coarser_features_and_expanded_leaves_permit_more(problem) -> None:
    graph, data = problem
    fine = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", ("bit", "third"))), name="f")
    coarse = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "bit")), name="c")
    other = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "third")), name="o")
    opened = cs.Hypothesis(
        graph, cs.claim("y", cs.exact, cs.claim("a", "bit", cs.claim("x1", cs.exact))), name="op"
    )
    leaf = cs.Hypothesis(graph, cs.claim("y", cs.exact))
    assert cs.permits(fine, coarse, data).relation == "second permits more"
    assert "c permits every swap that f permits, and more" in str(cs.permits(fine, coarse, data))
    assert cs.permits(coarse, opened, data).relation == "second permits more"
    assert cs.permits(opened, coarse, data).relation == "first permits more"
    assert "whole" in cs.permits(opened, coarse, data).obstacles[0]
    assert cs.permits(coarse, other, data).relation == "not comparable"
    assert "not comparable" in str(cs.permits(coarse, other, data))
    # A function of features on this data, though not by name: third and bit tell rows apart.
    assert cs.permits(leaf, coarse, data).relation == "second permits more"
    exact = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", cs.exact)))
    assert cs.permits(fine, exact, data).relation == "equal"
    assert str(cs.permits(fine, exact, data)).endswith("permit the same swaps")


def test_ties_permit_fewer_and_other_graphs_do_not_compare(problem) -> None:
    graph, data = problem

    def both(tie) -> cs.Hypothesis:
        return cs.Hypothesis(
            graph,
            cs.claim(
                "y", cs.exact, cs.claim("a", cs.anything, tie=tie), cs.claim("b", "bit", tie=tie)
            ),
        )

    assert cs.permits(both("t"), both(None), data).relation == "second permits more"
    changed = graph.append("loss", torch.square, parents=["y"])
    h = cs.Hypothesis(changed, cs.claim("loss", cs.exact))
    assert "append is not spliced" in cs.permits(both(None), h, data).obstacles[0]


def test_comparing_runs_tells_which_permits_more(problem) -> None:
    graph, data = problem
    coarse = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "bit")), name="coarse")
    leaf = cs.Hypothesis(graph, cs.claim("y", cs.exact), name="leaf")
    runs = cs.scrub([leaf, coarse], data, samples=20)
    table = cs.compare(runs)
    assert table.swaps[0].relation == "second permits more"
    assert "coarse permits every swap that leaf permits" in str(table)
    assert table.to_dict()["swaps"][0]["relation"] == "second permits more"


def values_by_row(h: cs.Hypothesis, data: cs.Dataset) -> dict[tuple[int, tuple], float]:
    """Every scrubbed value that can occur on each reference row."""
    from naive import naive_sample

    found = {}
    for rows, prob in brute.assignments(h, data):
        if prob > 0:
            value = tuple(naive_sample(h, data, rows).reshape(-1).round(decimals=6).tolist())
            found[rows[REFERENCE], value] = 1.0
    return found


def varied(claim: Claim, number: int) -> Claim:
    """A nearby claim: another feature, no children, or another sharing of draws, at one place."""
    children = claim.children
    if children and number % 3:
        i = number % len(children)
        changed = varied(children[i], number // 3)
        return Claim(
            claim.node, claim.feature, (*children[:i], changed, *children[i + 1 :]),
            claim.via, claim.others, claim.tie, claim.name,
        )  # fmt: skip
    if number % 2 or not children:
        feature = FEATURES[number % len(FEATURES)]
        return Claim(claim.node, feature, children, claim.via, claim.others, claim.tie, claim.name)
    return Claim(claim.node, claim.feature, None, claim.via, cs.anything, claim.tie, claim.name)


@settings(max_examples=60, **QUICK)
@given(h=hypotheses(), data=datasets(most=3), number=st.integers(0, 10**6))
def test_what_permits_more_reaches_every_value(h, data, number) -> None:
    """If h2 permits all of h1's swaps, each value h1 can give on a reference row h2 can give."""
    policy = ("together", "per-claim", "separate", h.unimportant)[number % 4]
    try:
        other = h.with_(root=varied(h.root, number), unimportant=policy)
    except cs.HypothesisError:
        assume(False)
    if max(brute.count(h, data), brute.count(other, data)) > 300:
        return
    relation = cs.permits(h, other, data).relation
    mine, theirs = values_by_row(h, data), values_by_row(other, data)
    if relation in ("second permits more", "equal"):
        assert set(mine) <= set(theirs)
    if relation in ("first permits more", "equal"):
        assert set(theirs) <= set(mine)


def test_an_exact_claim_is_told_from_a_coarser_one_by_its_feature(problem) -> None:
    graph, data = problem

    def made(name: str, feature: cs.Feature) -> cs.Hypothesis:
        return cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", feature)), name=name)

    found = cs.permits(made("E", cs.exact), made("F", "bit"), data)
    assert found.relation == "second permits more"
    assert found.obstacles == ("", "y/a must agree on exact in E, on bit in F")
    either = cs.permits(made("T", "bit"), made("U", "third"), data)
    assert str(either) == "T and U are not comparable: y/a must agree on bit in T, on third in U"
    passed = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("x1", cs.exact, via="a")))
    assert cs.permits(made("F", "bit"), passed, data).obstacles[0] == (
        "x1 has the reference row in the second"
    )
