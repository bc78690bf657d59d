from __future__ import annotations

from collections import defaultdict
from typing import Any

import brute
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from problems import datasets, hypotheses
from scipy.optimize import minimize

import causal_scrubbing as cs
from causal_scrubbing._exact import Joint
from causal_scrubbing._hypothesis import REFERENCE

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}


def enumerated(h, data, law) -> dict[tuple[int, ...], float]:
    names = list(dict.fromkeys(law.variables.values()))
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for rows, prob in brute.assignments(h, data):
        found[tuple(rows[name] for name in names)] += prob
    return found


def bits(prob) -> float:
    prob = np.array([p for p in prob if p > 0])
    return float(-(prob * np.log2(prob)).sum())


@settings(max_examples=40, **QUICK)
@given(h=hypotheses(), data=datasets(most=3))
def test_joint_law_and_its_entropy_equal_enumeration(h, data) -> None:
    if brute.count(h, data) > 3000:
        return
    result = cs.exact_scrub(h, data)
    for law in (
        result.joint,
        result.cut([h.tree.claims[0].path]),
        Joint(h, data, tuple(b.key for b in h.tree.blocks)),
    ):
        want = enumerated(h, data, law)
        table = law.table()
        names = [c for c in table.columns if c != "probability"]
        got = {
            tuple(int(v) for v in row[:-1]): row[-1]
            for row in table[[*names, "probability"]].itertuples(index=False)
        }
        assert {k for k, p in want.items() if p > 0} == set(got)
        for key, prob in got.items():
            assert prob == pytest.approx(want[key], rel=1e-9)
        assert law.entropy == pytest.approx(bits(want.values()), abs=1e-9)
    assert result.entropy == pytest.approx(result.joint.entropy)


@settings(max_examples=40, **QUICK)
@given(h=hypotheses(), data=datasets(most=5))
def test_lemma_and_theorems_hold_and_entropy_adds_up(h, data) -> None:
    try:
        lemma = cs.theory.lemma_1(h, data, budget=50_000)
        general = cs.theory.theorem_2(h, data, budget=50_000)
        leaves = cs.theory.theorem_2_on_leaves(h, data, budget=50_000)
        report = cs.entropy(h, data, budget=50_000)
        found = cs.exact_scrub(h, data, budget=50_000).entropy
    except cs.ExactError:
        return
    assert lemma.holds, str(lemma)
    assert general.holds, str(general)
    assert leaves.holds or not leaves.applies, str(leaves)
    assert report.total == pytest.approx(found, abs=1e-9)
    assert report.formula <= report.total + 1e-9
    assert report.total <= report.all_data + 1e-9
    assert "bits" in str(report)


def bit_problem() -> tuple[cs.Hypothesis, cs.Dataset]:
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "c": (torch.neg, ["x"]),
            "a": (torch.clone, ["x"]),
            "b": (torch.neg, ["c"]),
            "y": (cs.add, ["a", "b"]),
        },
        output="y",
    )
    root = cs.claim(
        "y", cs.exact, cs.claim("a", "bit"), cs.claim("b", "bit", cs.claim("c", cs.anything))
    )
    data = cs.Dataset(x=torch.tensor([0.0, 1.0]), bit=torch.tensor([0, 1]))
    return cs.Hypothesis(graph, root), data


def test_a_claim_that_is_no_program_is_named_and_its_excess_reported() -> None:
    """The formula gives 1 bit; c is free, so that the truth is 2."""
    h, data = bit_problem()
    report = cs.entropy(h, data)
    assert report.formula == pytest.approx(1)
    assert report.excess == pytest.approx(1)
    assert report.total == pytest.approx(2)
    assert report.no_programs == ("y/b",)
    assert cs.exact_scrub(h, data).entropy == pytest.approx(2)
    statement = cs.theory.theorem_2_on_leaves(h, data)
    assert not statement.applies
    assert "y/b" in str(statement)
    assert "y/b is no program" in str(report)
    lost = {term.draw: term.lost for term in report.terms}
    assert lost == pytest.approx({"y": 1, "y/a": 0, "y/b": -1, "y/b/c": 1})
    assert report.to_frame().shape == (4, 7)
    assert report.to_dict()["total"] == pytest.approx(2)


def test_cuts_are_checked() -> None:
    h, data = bit_problem()
    result = cs.exact_scrub(h, data)
    assert result.cut(["y/a", "y/b"]).entropy == pytest.approx(1)
    assert result.cut(["y"]).entropy == pytest.approx(1)
    with pytest.raises(cs.HypothesisError, match="misses the leaf 'y/b/c'"):
        result.cut(["y/a"])
    with pytest.raises(cs.HypothesisError, match="'y/b/c' and a claim above it"):
        result.cut(["y/a", "y/b", "y/b/c"])
    with pytest.raises(cs.HypothesisError, match="'y/d', which is no claim"):
        result.cut(["y/a", "y/b", "y/d"])


def test_a_joint_law_over_budget_says_so() -> None:
    names = ["x0", "x1", "x2", "x3"]
    graph = cs.Graph.build(inputs=names, nodes={"y": (cs.add, names)}, output="y")
    data = cs.Dataset(**{name: np.arange(30.0) for name in names})
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.nothing), unimportant="separate")
    result = cs.exact_scrub(h, data, budget=100_000)
    assert result.entropy == pytest.approx(4 * np.log2(30))
    with pytest.raises(cs.ExactError, match=r"table of the joint distribution.*810,000"):
        result.joint.table()


def largest_entropy(h: cs.Hypothesis, data: cs.Dataset) -> float:
    """Maximise entropy over laws of all data with D's marginals that agree, by convex programming.

    The support is every assignment in which children agree with their parents.
    """
    names = [block.key for block in h.tree.blocks]
    root = h.tree.claims[0].draw
    support = sorted({
        tuple(rows[name] for name in names)
        for rows, prob in brute.assignments(h, data)
        if rows[root] == rows[REFERENCE] and prob > 0
    })  # fmt: skip
    constraints, right = [], []
    for i in range(len(names)):
        for row in range(len(data)):
            constraints.append([float(point[i] == row) for point in support])
            right.append(data.weights[row])
    return max_entropy(np.array(constraints), np.array(right))


def max_entropy(matrix: np.ndarray, right: np.ndarray) -> float:
    """The largest entropy, in bits, of a law p with matrix @ p = right.

    Solved in the dual, which is smooth and unconstrained: a log-sum-exp.
    """

    def dual(lagrange):
        powers = lagrange @ matrix
        top = powers.max()
        log = top + np.log(np.exp(powers - top).sum())
        prob = np.exp(powers - log)
        return log - lagrange @ right, matrix @ prob - right

    best = minimize(dual, np.zeros(len(right)), jac=True, method="BFGS", options={"gtol": 1e-9})
    return float(best.fun / np.log(2))


@settings(max_examples=15, **QUICK)
@given(h=hypotheses(), data=datasets(most=3))
def test_no_law_with_these_marginals_has_more_entropy(h, data) -> None:
    if brute.count(h, data) > 500 or h.classes(data)[h.tree.claims[0].draw].count < len(data):
        return
    statement = cs.theory.theorem_2(h, data)
    assert largest_entropy(h, data) == pytest.approx(statement.value, abs=1e-5)


def test_the_convex_bound_on_a_case_done_by_hand() -> None:
    """Root exact on two bits, one leaf keeping the first: H = 2 + (2 - 1) bits."""
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.clone, ["x"])}, output="y")
    data = cs.Dataset(x=np.arange(4.0), first=[0, 0, 1, 1])
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("x", "first")))
    assert cs.theory.theorem_2(h, data).value == pytest.approx(3)
    assert largest_entropy(h, data) == pytest.approx(3, abs=1e-6)
    assert cs.exact_scrub(h, data).entropy == pytest.approx(2)


def test_no_law_of_the_leaves_that_satisfies_lemma_1_has_more_entropy() -> None:
    """A program, xor of two bits, beside a leaf whose feature goes with it, on weighted data.

    Lemma 1 constrains the leaves' rows one by one, the two bits together, and at the root the xor,
    computed from the two bits, together with the other leaf's feature.
    """
    graph = cs.Graph.build(
        inputs=["p", "q", "r"],
        nodes={"u": (lambda p, q: (p - q).abs(), ["p", "q"]), "y": (cs.add, ["u", "r"])},
        output="y",
    )
    p, q, r = np.array([[0, 0, 1, 1, 0, 1], [0, 1, 0, 1, 1, 1], [0, 1, 1, 1, 0, 0]], dtype=float)
    weights = np.array([1, 2, 3, 1, 2, 4]) / 13
    xor = (p != q).astype(int)
    data = cs.Dataset(p=p, q=q, r=r, xor=xor, weights=weights)
    h = cs.Hypothesis(
        graph,
        cs.claim(
            "y", cs.exact, cs.claim("u", "xor", cs.claim("p", "p"), cs.claim("q", "q")),
            cs.claim("r", "r"),
        ),
    )  # fmt: skip
    statement = cs.theory.theorem_2_on_leaves(h, data)
    assert statement.applies
    assert statement.holds
    rows = np.array(np.meshgrid(*[range(6)] * 3, indexing="ij")).reshape(3, -1)
    constraints, right = [], []
    for drawn in rows:
        for row in range(6):
            constraints.append(drawn == row)
            right.append(weights[row])
    pairs = [
        (p[rows[0]], q[rows[1]], p, q),
        (p[rows[0]] != q[rows[1]], r[rows[2]], xor, r),
    ]
    for one, two, own_one, own_two in pairs:
        for a in (0, 1):
            for b in (0, 1):
                constraints.append((one == a) & (two == b))
                right.append(weights[(own_one == a) & (own_two == b)].sum())
    bound = max_entropy(np.array(constraints, dtype=float), np.array(right))
    assert bound == pytest.approx(statement.value, abs=1e-6)
