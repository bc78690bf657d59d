from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import datasets, hypotheses

import causal_scrubbing as cs
from causal_scrubbing._hypothesis.tree import REFERENCE
from causal_scrubbing._sampling import Sampler

QUICK = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}


@settings(max_examples=60, **QUICK)
@given(h=hypotheses(), data=datasets(most=5), seed=st.integers(0, 100))
def test_engine_and_exact_agree_with_the_naive_evaluator_under_mean_ablation(h, data, seed) -> None:
    try:
        ablated = h.with_(unimportant=cs.mean_ablation)
    except cs.HypothesisError:
        return  # others= says how parents are drawn, and here they are not
    run = cs.scrub(ablated, data, samples=5, seed=seed)
    draw = Sampler(ablated, data, seed).draw(0, 5)
    want = [
        float(naive_sample(ablated, data, {k: int(v[i]) for k, v in draw.rows.items()}))
        for i in range(5)
    ]
    np.testing.assert_allclose(run.samples["scrubbed"], want, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        run.samples["model"], h.graph(data)[draw.rows[REFERENCE]], rtol=1e-9, atol=1e-9
    )
    try:
        exact = cs.exact_scrub(ablated, data, budget=20_000)
    except cs.ExactError:
        return
    law = exact.distribution()
    nearest = np.abs(law["value"].to_numpy()[:, None] - np.array(want)).min(0)
    assert (nearest <= 1e-9 * np.maximum(1, np.abs(want))).all()
    assert exact.entropy >= -1e-9


def problem() -> tuple[cs.Graph, cs.Dataset]:
    graph = cs.Graph.build(
        inputs=["tokens", "x"],
        nodes={
            "e": (lambda t: torch.nn.functional.one_hot(t, 3).double(), ["tokens"]),
            "s": (lambda e, x: e.sum(1) * x, ["e", "x"]),
            "y": (cs.add, ["s", "x"]),
        },
        output="y",
    )
    return graph, cs.Dataset(
        tokens=[0, 1, 2, 1], x=torch.tensor([1.0, 2.0, 3.0, 6.0]).double(), weights=[1, 1, 1, 3]
    )


def test_mean_ablation_is_the_weighted_mean_and_says_that_it_is_no_scrubbing() -> None:
    graph, data = problem()
    h = cs.Hypothesis(
        graph, cs.claim("y", cs.exact, cs.claim("s", cs.exact)), unimportant=cs.mean_ablation
    )
    mean = (1 + 2 + 3 + 3 * 6) / 6
    run = cs.scrub([h, h.with_(unimportant="per-claim")], data, samples=50)
    rows = run[0].draws["reference"].to_numpy()
    np.testing.assert_allclose(run[0].samples["scrubbed"], data["x"].numpy()[rows] + mean)
    assert "not causal scrubbing" in str(run[0])
    assert any("mean ablation" in note for note in run[0].notes)
    assert "not causal scrubbing" not in str(run[1])
    assert "not causal scrubbing" in h.policy
    exact = cs.exact_scrub(h, data)
    assert exact.expectation == pytest.approx(2 * mean)
    assert cs.explain(h, data, samples=10).flops.total >= 0


def test_mean_ablation_as_a_baseline() -> None:
    graph, data = problem()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("s", cs.exact)))
    metric = lambda out, rows: (out - rows.model_output) ** 2  # noqa: E731
    base = h.with_(unimportant=cs.mean_ablation)
    run = cs.scrub(h, data, metric=metric, samples=20, baseline=base)
    alone = cs.scrub(base, data, metric=metric, samples=20)
    np.testing.assert_allclose(run.samples["randomized"], alone.samples["scrubbed"])


def test_what_mean_ablation_cannot_do_is_refused() -> None:
    graph, data = problem()
    h = cs.Hypothesis(
        graph,
        cs.claim("y", cs.exact, cs.claim("s", cs.exact, cs.claim("e", cs.exact, cs.nothing))),
        unimportant=cs.mean_ablation,
    )
    with pytest.raises(cs.HypothesisError, match=r"tokens holds int64, of which no mean"):
        cs.scrub(h, data)
    with pytest.raises(cs.HypothesisError, match="isomorphic form needs a hypothesis that swaps"):
        cs.isomorphic(h)
    with pytest.raises(cs.HypothesisError, match="comparisons of swaps need"):
        cs.permits(h, h, data)
    with pytest.raises(cs.HypothesisError, match=r"others=.*set to their means"):
        h.with_(root=cs.claim("y", cs.exact, cs.nothing, others="x"))
