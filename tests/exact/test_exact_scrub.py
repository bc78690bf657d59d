from __future__ import annotations

from typing import Any

import brute
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from problems import datasets, hypotheses

import causal_scrubbing as cs

# Shrinking such problems takes minutes and seldom makes them easier to read.
QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}


def scored(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows["x0"]) ** 2 + rows["b"] * output


@settings(max_examples=40, deadline=None, **QUICK)
@given(h=hypotheses(), data=datasets(most=4), outside=st.booleans())
def test_exact_equals_enumeration_on_tiny_problems(h, data, outside) -> None:
    if brute.count(h, data) > 2000:
        return
    metric = scored if outside else None
    got = cs.exact_scrub(h, data, metric=metric)
    want = brute.brute_force(h, data, metric)
    assert got.expectation == pytest.approx(want, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None, **QUICK)
@given(h=hypotheses(), data=datasets(), which=st.integers(0, 100))
def test_model_and_randomized_equal_their_definitions(h, data, which) -> None:
    """E_randomized over all pairs of rows, x' = x included, x' within the hypothesis's `within`."""
    names = [name for name in h.graph.names if h.graph.reaches(name)]
    node = names[which % len(names)]
    root = cs.claim(h.graph.output, cs.exact)
    got = cs.exact_scrub(h.with_(root=root, unimportant="separate"), data, scored, randomize=node)
    within = data.classes(h.within).ids
    clean = h.graph.values(data, [node])[node]
    model = scored(h.graph(data), data)
    want = 0.0
    for row in range(len(data)):
        agree = np.flatnonzero(within == within[row])
        shares = data.weights[agree] / data.weights[agree].sum()
        for other, share in zip(agree, shares, strict=True):
            one = data[row : row + 1]
            output = h.graph.values(one, given={node: clean[other : other + 1]})[h.graph.output]
            want += data.weights[row] * share * float(scored(output, one))
    assert got.randomized == pytest.approx(want, rel=1e-9, abs=1e-9)
    assert got.model == pytest.approx(float(data.weights @ model.numpy()), rel=1e-9, abs=1e-9)
    assert got.expectation == pytest.approx(got.model, rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None, **QUICK)
@given(h=hypotheses(), data=datasets(), seed=st.integers(0, 10**6))
def test_sampler_and_engine_agree_with_exact(h, data, seed) -> None:
    try:
        exact = cs.exact_scrub(h, data, metric=scored, budget=100_000)
    except cs.ExactError:
        return  # too large for a fast test; the test below counts how few are
    sampled = cs.scrub(h, data, metric=scored, samples=400, seed=seed, check=False, progress=False)
    for what in ("scrubbed", "model", "randomized"):
        estimate, truth = getattr(sampled, what), getattr(exact, what)
        bound = _bernstein(exact.distribution(what), 400)
        assert abs(estimate.mean - truth) <= bound + 1e-9 * max(1.0, abs(truth)), what


def _bernstein(table, samples: int) -> float:
    """How far a mean of bounded samples may stray but for one time in 10^9 (Bernstein)."""
    mean = (table["value"] * table["probability"]).sum()
    reach = float((table["value"] - mean).abs().max())
    log = np.log(2e9)
    rare = reach * log / (3 * samples)
    return rare + np.sqrt(rare**2 + 2 * _sd(table) ** 2 * log / samples)


def _sd(table) -> float:
    mean = (table["value"] * table["probability"]).sum()
    return float(np.sqrt((table["probability"] * (table["value"] - mean) ** 2).sum()))


def test_hundreds_of_random_problems_show_no_bias() -> None:
    """Over many problems (sampled - exact) / se has mean 0 and variance 1, within noise."""
    scores: list[float] = []
    tried: list[int] = []

    @settings(max_examples=120, deadline=None, database=None, derandomize=True,
              **QUICK)  # fmt: skip
    @given(h=hypotheses(), data=datasets(), seed=st.integers(0, 10**6))
    def collect(h, data, seed) -> None:
        tried.append(1)
        try:
            exact = cs.exact_scrub(h, data, budget=100_000)
        except cs.ExactError:
            tried[-1] = 0
            return
        spread = _sd(exact.distribution()) / 20
        if spread > 1e-9:
            run = cs.scrub(h, data, samples=400, seed=seed, check=False, progress=False)
            scores.append((run.scrubbed.mean - exact.expectation) / spread)

    collect()
    z = np.array(scores)
    assert len(z) > 50
    assert np.mean(tried) > 0.9
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert 0.5 < z.var() < 1.7


def small() -> tuple[cs.Graph, cs.Dataset]:
    graph = cs.Graph.build(
        inputs=["x1", "x2"], nodes={"s": (cs.add, ["x1", "x2"]), "y": (torch.relu, ["s"])},
        output="y",
    )  # fmt: skip
    data = cs.Dataset(x1=torch.tensor([-1.0, 1.0, 2.0, -3.0]), x2=torch.tensor([0.5, 0, -1, 1]))
    return graph, data.with_fields(target=lambda d: torch.relu(d["x1"] + d["x2"]))


def test_trivial_recovers_0_and_exact_100() -> None:
    graph, data = small()
    metric = cs.metrics.squared_error("target")
    trivial = cs.exact_scrub(cs.Hypothesis(graph, cs.claim("y", cs.anything)), data, metric)
    exact = cs.exact_scrub(cs.Hypothesis(graph, cs.claim("y", cs.exact)), data, metric)
    assert trivial.recovered == pytest.approx(0, abs=1e-9)
    assert exact.recovered == pytest.approx(100)
    assert exact.gap == 0.0
    assert exact.scrubbed == exact.expectation
    assert trivial.expectation == pytest.approx(trivial.randomized)


def test_many_separate_parents_of_a_sum_are_convolved() -> None:
    """2^40 combinations of 40 bits have 41 distinct sums."""
    names = [f"b{i}" for i in range(40)]
    graph = cs.Graph.build(
        inputs=names, nodes={"total": (cs.add, names), "y": (torch.square, ["total"])}, output="y"
    )
    bits = torch.as_tensor([0.0, 1.0])
    data = cs.Dataset(**dict.fromkeys(names, bits), bit=bits)
    h = cs.Hypothesis(
        graph,
        cs.claim("y", cs.exact, cs.claim("total", cs.exact, cs.claim("b0", "bit"))),
        unimportant="separate",
    )
    got = cs.exact_scrub(h, data)
    # b0 is kept, the other 39 are independent: E[(b + Binomial(39, 1/2))^2]
    want = np.mean([(39 / 2 + b) ** 2 + 39 / 4 for b in (0, 1)])
    assert got.expectation == pytest.approx(want)
    assert got.largest < 200


def test_a_problem_over_budget_says_where_and_what_to_do() -> None:
    names = [f"x{i}" for i in range(6)]
    graph = cs.Graph.build(
        inputs=names,
        nodes={"y": (lambda *v: torch.stack(v).prod(0) + v[0], names)},
        output="y",
    )
    rng = np.random.default_rng(0)
    data = cs.Dataset(**{name: rng.normal(size=20) for name in names})
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.nothing), unimportant="separate")
    with pytest.raises(
        cs.ExactError, match=r"claim y.*\(1 class\).*160,000 comb.*budget of 10,000.*per-claim"
    ):
        cs.exact_scrub(h, data, budget=10_000)
    eased = cs.exact_scrub(h.with_(unimportant="per-claim"), data, budget=10_000)
    assert eased.expectation == pytest.approx(float(graph(data).mean()))


def test_in_graph_metric_without_randomize_has_no_baseline() -> None:
    graph, data = small()
    got = cs.exact_scrub(cs.Hypothesis(graph, cs.claim("y", cs.exact)), data)
    assert not got.randomized.defined
    assert not got.recovered.defined
    assert np.isnan(got.recovered)
    assert "randomize" in str(got.recovered)
    assert "undefined" in str(got)


def test_equal_model_and_randomized_leave_recovered_undefined() -> None:
    graph, data = small()
    h = cs.Hypothesis(graph, cs.claim("y", cs.anything))
    got = cs.exact_scrub(h, data, metric=lambda out, rows: out * 0 + 1)
    assert got.gap == 0.0
    with pytest.raises(AttributeError, match="no setter"):
        got.expectation.mean = 3  # type: ignore[misc]
    assert "nothing to recover" in (got.recovered.reason or "")


def test_several_metrics_vectors_and_tables() -> None:
    graph, data = small()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.nothing), name="nothing matters")
    got = cs.exact_scrub(
        h,
        data,
        metric={
            "error": cs.metrics.squared_error("target"),
            "both": lambda out, rows: torch.stack([out, rows["target"]], 1),
            "to model": lambda out, rows: (out - rows.model_output).abs(),
        },
    )
    assert list(got) == ["error", "both", "to model"]
    assert not got["both"].expectation.defined
    means = got["both"].means
    assert means["scrubbed"] == pytest.approx(means["model"])
    assert got["both"].gap == pytest.approx(0)
    table = got.distribution("scrubbed", "error")
    assert table["probability"].sum() == pytest.approx(1)
    assert (table["value"] * table["probability"]).sum() == pytest.approx(got.expectation)
    rows = got.by_row("to model")
    assert (rows["weight"] * rows["scrubbed"]).sum() == pytest.approx(got["to model"].expectation)
    assert rows["model"].abs().max() == 0
    assert got.distribution("model", "both").shape == (2, 3)
    plain = got.to_dict()
    assert plain["scores"]["error"]["recovered"]["mean"] == pytest.approx(float(got.recovered))
    assert "nothing matters" in str(got)
    with pytest.raises(cs.ScrubError, match="no metric is called 'kl'"):
        got["kl"]
    with pytest.raises(cs.ScrubError, match="no law 'other'"):
        got.distribution("other")


def test_baseline_stands_in_for_randomized() -> None:
    graph, data = small()
    metric = cs.metrics.squared_error("target")
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.nothing))
    trivial = cs.Hypothesis(graph, cs.claim("y", cs.anything))
    plain = cs.exact_scrub(h, data, metric)
    stood_in = cs.exact_scrub(h, data, metric, baseline=trivial)
    assert stood_in.recovered == pytest.approx(float(plain.recovered))
    own = cs.exact_scrub(h, data, metric, baseline=h)
    assert own.recovered == pytest.approx(0, abs=1e-9)


def test_infinite_losses_are_refused() -> None:
    graph, data = small()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact))
    with pytest.raises(cs.MetricError, match="not finite"):
        cs.exact_scrub(h, data, metric=lambda out, rows: 1 / (out * 0))
    with pytest.raises(cs.ScrubError, match="budget=0"):
        cs.exact_scrub(h, data, budget=0)
