from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import datasets, hypotheses, random_ablation

import causal_scrubbing as cs
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._sampling import Sampler

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}


@settings(max_examples=50, **QUICK)
@given(h=hypotheses(), data=datasets(most=6), seed=st.integers(0, 100))
def test_engine_and_exact_agree_with_the_naive_evaluator_under_ablation(h, data, seed) -> None:
    ablated = random_ablation(h, np.random.default_rng(seed))
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
    assert ("not causal scrubbing" in str(run)) == ablated.tree.ablates
    try:
        exact = cs.exact_scrub(ablated, data, budget=20_000)
    except cs.ExactError:
        return
    values = exact.distribution()["value"].to_numpy()
    nearest = np.abs(values[:, None] - np.array(want)).min(0)
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
        tokens=[0, 1, 2, 1],
        x=torch.tensor([1.0, 2.0, 3.0, 6.0]).double(),
        half=[0, 0, 1, 1],
        weights=[1, 1, 1, 3],
    )


def test_mean_ablation_is_the_weighted_mean_and_says_that_it_is_not_scrubbing() -> None:
    graph, data = problem()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("s", cs.exact)), ablation="mean")
    mean = (1 + 2 + 3 + 3 * 6) / 6
    run = cs.scrub([h, h.with_(ablation="resample")], data, samples=50)
    rows = run[0].draws["reference"].to_numpy()
    np.testing.assert_allclose(run[0].samples["scrubbed"], data["x"].numpy()[rows] + mean)
    assert "ablation mean (not causal scrubbing)" in str(run[0])
    assert any("not causal scrubbing: x set to its mean over the data" in n for n in run[0].notes)
    assert "not causal scrubbing" not in str(run[1])
    assert "not causal scrubbing" in h.policy
    exact = cs.exact_scrub(h, data)
    assert exact.expectation == pytest.approx(2 * mean)
    assert cs.explain(h, data, samples=10).flops.total >= 0


@pytest.mark.parametrize("how", ["within", "others"])
def test_a_mean_is_over_the_rows_that_must_agree(how) -> None:
    graph, data = problem()
    others = {"others": "half"} if how == "others" else {}
    root = cs.claim("y", cs.exact, cs.claim("s", cs.exact), **others)
    within = "half" if how == "within" else cs.anything
    h = cs.Hypothesis(graph, root, ablation="mean", within=within)
    run = cs.scrub(h, data, samples=40)
    means = np.array([1.5, 1.5, 21 / 4, 21 / 4])
    rows = run.draws["reference"].to_numpy()
    np.testing.assert_allclose(run.samples["scrubbed"], data["x"].numpy()[rows] + means[rows])
    assert any("its mean over the rows that agree on half" in note for note in run.notes)


def test_a_mean_where_a_field_marks_counts_marked_places_only() -> None:
    real = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 0, 0]]).bool()
    x = torch.where(real, torch.arange(12.0).reshape(4, 3), torch.tensor(float("nan")))
    x[:, 2] = torch.tensor([1.0, 2.0, 3.0, 6.0])
    data = cs.Dataset(x=x, real=real, last=torch.tensor([0, 1, 1, 2]))
    graph = cs.Graph.build(
        inputs=["x", "last"],
        nodes={
            "h": (lambda x: 2 * x, ["x"]),
            "y": (lambda h, i: h.gather(1, i[:, None])[:, 0], ["h", "last"]),
        },
        output="y",
    )
    root = cs.claim("y", cs.exact, cs.claim("last", cs.exact))
    h = cs.Hypothesis(graph, root, ablation={"h": cs.mean(where="real")})
    run = cs.scrub(h, data, samples=30, metric=lambda out, rows: out, check=False)
    want = 2 * np.array([4.5, (4 + 7) / 2, (4 + 7) / 2, 3.0])  # no row marks the last place
    np.testing.assert_allclose(run.samples["scrubbed"], want[run.draws["reference"]])


def test_mean_ablation_as_a_baseline() -> None:
    graph, data = problem()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("s", cs.exact)))
    metric = lambda out, rows: (out - rows.model_output) ** 2  # noqa: E731
    base = h.with_(ablation="mean")
    run = cs.scrub(h, data, metric=metric, samples=20, baseline=base)
    alone = cs.scrub(base, data, metric=metric, samples=20)
    np.testing.assert_allclose(run.samples["randomized"], alone.samples["scrubbed"])


def test_what_ablation_cannot_do_is_refused() -> None:
    graph, data = problem()
    h = cs.Hypothesis(
        graph,
        cs.claim("y", cs.exact, cs.claim("s", cs.exact, cs.claim("e", cs.exact, cs.nothing))),
        ablation="mean",
    )
    with pytest.raises(cs.HypothesisError, match=r"tokens holds int64, of which no mean"):
        cs.scrub(h, data)
    with pytest.raises(cs.HypothesisError, match="isomorphic form needs a hypothesis that swaps"):
        cs.isomorphic(h)
    with pytest.raises(cs.HypothesisError, match="comparisons of swaps need"):
        cs.permits(h, h, data)


REFUSED: dict[str, Any] = {
    "is not an ablation": {"ablation": "meen"},
    "Did you mean 'mean'": {"ablation": "meen"},
    "'q' matches no node": {"ablation": {"q": "mean"}},
    "'s' is not used: it is the last match of no unimportant parent": {"ablation": {"s": "mean"}},
    "'*' is not used": {"ablation": {"*": "zero", "x": "mean"}},
    "unimportant='together' says how unimportant parents are drawn, but ablation=": {
        "ablation": "zero",
        "unimportant": "together",
    },
    "puts 'y' in a group that shares a draw, but ablation=": {
        "ablation": "mean",
        "unimportant": {"y": "g"},
    },
    "a group is any other name": {"unimportant": {"y": "mean"}},
    "give ablation='mean'": {"unimportant": "mean"},
    "give the name of a boolean field": {"ablation": cs.mean(where=3)},  # type: ignore[arg-type]
    r"ablation=\{\} is empty": {"ablation": {}},
}


@pytest.mark.parametrize("text", list(REFUSED))
def test_options_that_an_ablation_does_not_use_are_refused(text) -> None:
    graph, _ = problem()
    root = cs.claim("y", cs.exact, cs.claim("s", cs.exact))
    with pytest.raises(cs.HypothesisError, match=text if "\\" in text else re.escape(text)):
        cs.Hypothesis(graph, root, **REFUSED[text])


def test_ablation_without_effect_is_said_and_zero_with_others_is_refused() -> None:
    graph, data = problem()
    bare = cs.Hypothesis(graph, cs.claim("y", cs.exact), ablation="mean")
    assert "ablation='mean' has no effect" in str(bare.agreement(data))
    root = cs.claim("y", cs.exact, cs.claim("s", cs.exact), others="half")
    with pytest.raises(cs.HypothesisError, match=r"has others=, but all .* set to zero"):
        cs.Hypothesis(graph, root, ablation="zero")
    h = cs.Hypothesis(graph, root, ablation=cs.mean(where="half"))
    with pytest.raises(cs.HypothesisError, match="field 'half' is not boolean"):
        cs.scrub(h, data)
    with pytest.raises(cs.HypothesisError, match="no field 'none'"):
        cs.scrub(h.with_(ablation=cs.mean(where="none")), data)
