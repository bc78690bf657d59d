from __future__ import annotations

from typing import Any

import brute
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import datasets, hypotheses, random_ablation, without_self_draws

import causal_scrubbing as cs
from causal_scrubbing._exact import Joint
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE
from causal_scrubbing._sampling import Sampler

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}


@settings(max_examples=60, **QUICK)
@given(h=hypotheses(), data=datasets(most=6, weighted=False), seed=st.integers(0, 100))
def test_a_row_is_drawn_again_only_where_it_is_alone(h, data, seed) -> None:
    h = without_self_draws(h)
    run = cs.scrub(h, data, samples=40, seed=seed)
    rows = Sampler(h, data, seed).draw(0, 40).rows
    classes = h.classes(data)
    for block in h.tree.blocks:
        one, of, got = classes[block.key], rows[block.of], rows[block.key]
        assert (one.ids[of] == one.ids[got]).all()
        assert ((of == got) == (one.sizes[one.ids[of]] == 1)).all()
    assert (rows[REFERENCE] != rows[RANDOMIZED]).all() or h.within == "a"
    want = [float(naive_sample(h, data, {k: int(v[i]) for k, v in rows.items()})) for i in range(5)]
    np.testing.assert_allclose(run.samples["scrubbed"][:5], want, rtol=1e-9, atol=1e-9)
    assert "no self-draws" in str(run)
    for row in h.agreement(data).table:
        assert row.self_draw == pytest.approx(row.one_row)


@settings(max_examples=50, **QUICK)
@given(h=hypotheses(), data=datasets(most=3, weighted=False), seed=st.integers(0, 100))
def test_exact_answers_without_self_draws_equal_enumeration(h, data, seed) -> None:
    h = without_self_draws(h)
    if brute.count(h, data) > 1500:
        return
    if seed % 2:
        h = random_ablation(h, np.random.default_rng(seed))
    exact = cs.exact_scrub(h, data)
    assert exact.expectation == pytest.approx(brute.brute_force(h, data), rel=1e-9, abs=1e-9)
    every = Joint(h, data, tuple(b.key for b in h.tree.blocks))
    want: dict[tuple[int, ...], float] = {}
    names = list(dict.fromkeys(every.variables.values()))
    for rows, prob in brute.assignments(h, data):
        chosen = tuple(rows[name] for name in names)
        want[chosen] = want.get(chosen, 0.0) + prob
    got = every.table()
    assert len(got) == len(want)
    for *key, prob in got[[*names, "probability"]].itertuples(index=False):
        assert prob == pytest.approx(want[tuple(int(k) for k in key)])
    report = cs.entropy(h, data)
    assert report.all_data == pytest.approx(every.entropy, abs=1e-9)
    assert report.total == pytest.approx(exact.entropy, abs=1e-9)
    assert cs.theory.lemma_1(h, data).holds
    assert cs.theory.theorem_2(h, data).holds


def pairs() -> tuple[cs.Graph, cs.Dataset, cs.Hypothesis]:
    x = torch.arange(8.0).double() ** 2
    data = cs.Dataset(x=x, pair=torch.arange(8) // 2)
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (torch.sin, ["x"]), "y": (lambda x, a: x * a, ["x", "a"])},
        output="y",
    )
    root = cs.claim("y", cs.exact, cs.claim("x", cs.exact))
    return graph, data, cs.Hypothesis(graph, root, within="pair", self_draws=False)


def test_two_rows_of_a_pair_take_each_others_place() -> None:
    _, data, h = pairs()
    x = data["x"]
    swapped = x * torch.sin(x[torch.arange(8) ^ 1])
    run = cs.scrub(h, data, samples=50)
    np.testing.assert_allclose(run.samples["scrubbed"], swapped[run.draws["reference"]])
    assert cs.exact_scrub(h, data).expectation == pytest.approx(float(swapped.mean()))
    metric = lambda out, rows: out * 1.0  # noqa: E731
    partner = (x * torch.sin(x))[torch.arange(8) ^ 1]
    exact = cs.exact_scrub(h, data, metric=metric)
    assert exact.randomized == pytest.approx(float(partner.mean()))
    agreement = h.agreement(data)
    assert [row.self_draw for row in agreement.table] == [1.0, 1.0, 0.0]


def test_weights_that_differ_in_a_class_and_shared_data_are_refused() -> None:
    _, data, h = pairs()
    weighted = cs.Dataset(x=data["x"], pair=data["pair"], weights=torch.arange(1, 9))
    with pytest.raises(cs.HypothesisError, match="rows of equal weight in every class"):
        cs.scrub(h, weighted)
    by_pair = cs.Dataset(x=data["x"], pair=data["pair"], weights=1 + torch.arange(8) // 2)
    assert cs.scrub(h, by_pair, samples=10).scrubbed.defined
    assert cs.exact_scrub(h, by_pair).expectation == pytest.approx(brute.brute_force(h, by_pair))
    for policy in ("together", {"y": "g"}):
        with pytest.raises(cs.HypothesisError, match="a row shared by several claims"):
            h.with_(unimportant=policy)
    with pytest.raises(cs.HypothesisError, match="give True or False"):
        h.with_(self_draws=1)
    other = h.with_(self_draws=True)
    with pytest.raises(cs.HypothesisError, match="Give both the same self_draws="):
        cs.join(h, other)


def test_what_self_draws_permit() -> None:
    graph, data, h = pairs()
    again = h.with_(self_draws=True, name="again")
    others = h.with_(name="others")
    found = cs.permits(others, again, data)
    assert found.relation == "second permits more"
    assert "may keep its row in again, not in others" in str(found)
    assert cs.permits(others, h, data).relation == "equal"
    coarser = others.with_(within=cs.anything, name="coarser")
    assert cs.permits(others, coarser, data).relation == "second permits more"
    model = h.with_(root=cs.claim("y", cs.exact), name="model")
    assert cs.permits(model, others, data).relation == "not comparable"
    joined = cs.join(others, coarser)
    assert not joined.self_draws
    assert cs.permits(joined, others, data).relation == "equal"
    assert not cs.isomorphic(h).self_draws
    finer = graph.split_sum("a", {"half": (lambda x: x / 2, ["x"])}, rest="rest")
    assert not cs.restate(h, finer).self_draws
