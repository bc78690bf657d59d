"""Runs compared: their own estimates again, whatever their hypotheses are."""

from __future__ import annotations

import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._statistics import Triples

error = cs.metrics.squared_error("goal")


@pytest.fixture
def data() -> cs.Dataset:
    x = torch.arange(40.0)
    return cs.Dataset(x=x, goal=2 * x, third=x % 3)


@pytest.fixture
def h() -> cs.Hypothesis:
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "low": (lambda x: x % 3, ["x"]),
            "high": (lambda x: x // 3, ["x"]),
            "y": (lambda low, high: 2 * (3 * high + low), ["low", "high"]),
        },
        output="y",
    )
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("high", cs.exact)), name="high")


def test_a_comparison_has_each_run_s_own_intervals(h: cs.Hypothesis, data: cs.Dataset) -> None:
    other = h.with_(root=cs.claim("y", cs.exact, cs.claim("low", "third")), name="low")
    runs = cs.scrub([h, other], data, error, samples=200, seed=3)
    compared = cs.compare(runs)
    for scores, run in zip(compared.scores, runs, strict=True):
        assert scores.recovered == run.recovered
        assert scores.scrubbed == run.scrubbed
    apart = [cs.compare(cs.scrub([h, other], data, error, samples=200, seed=s)) for s in (3, 4)]
    assert apart[0].differences == compared.differences
    assert apart[1].differences != compared.differences


def test_runs_with_means_are_compared_and_said_to_swap_nothing(
    h: cs.Hypothesis, data: cs.Dataset
) -> None:
    means = h.with_(ablation="mean", name="means")
    whole = cs.Hypothesis(h.graph, cs.claim("y", cs.anything), name="whole")
    runs = cs.scrub([h, means, whole], data, error, samples=100)
    compared = cs.compare(runs)
    assert compared.differences[0].difference.mean == pytest.approx(
        float((runs[0].scrubbed_values[runs[0].metrics[0]]).mean())
        - float((runs[1].scrubbed_values[runs[1].metrics[0]]).mean())
    )
    assert [one.names for one in compared.swaps] == [("high", "means"), ("high", "whole")]
    assert "means ablates unimportant parents, which swaps nothing" in str(compared)
    assert compared.swaps[1] == cs.permits(h, whole, data)
    turned = cs.compare([runs[1], runs[0], runs[1]])
    assert [one.relation for one in turned.swaps] == ["not comparable"] * 2


def test_a_search_estimates_with_its_seed(
    h: cs.Hypothesis, data: cs.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    trios: list[Triples] = []

    class Kept(Triples):
        def __post_init__(self) -> None:
            super().__post_init__()
            trios.append(self)

    monkeypatch.setattr("causal_scrubbing._refute.answer.Triples", Kept)
    found = cs.refute(h, data, error, features=["third"], samples=200, seed=3)
    assert found.scores == trios[0].estimate(seed=3)
    assert found.scores != trios[0].estimate(seed=0)
