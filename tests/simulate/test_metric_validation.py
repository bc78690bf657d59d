"""Metrics must be functions of a row; their faults are found before the work is paid for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import l1_loss

import causal_scrubbing as cs

Metric = Callable[[torch.Tensor, cs.Dataset], Any]
error = cs.metrics.squared_error("goal")


@pytest.fixture
def data() -> cs.Dataset:
    x = torch.arange(40.0)
    return cs.Dataset(x=x, third=x % 3, goal=2 * x, word=[f"w{i}" for i in range(40)])


def hypothesis(seen: list[int] | None = None) -> cs.Hypothesis:
    """y = 2 x by way of its remainder and quotient; `seen` gathers the rows of each call."""

    def low(x: torch.Tensor) -> torch.Tensor:
        if seen is not None:
            seen.append(len(x))
        return x % 3

    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "low": (low, ["x"]),
            "high": (lambda x: x // 3, ["x"]),
            "y": (lambda low, high: 2 * (3 * high + low), ["low", "high"]),
        },
        output="y",
    )
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("low", "third")))


def subtracting(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    output -= rows["goal"]
    return output


def labelling(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    rows["goal"][:1] = 0
    return output


def own(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return rows.model_output.mul_(2)


def by_numpy(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    output.cpu().numpy()[:] = 7
    return output


def texts(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    rows["word"][:] = "w"
    return output


WRITING: dict[str, tuple[Metric, str]] = {
    "output": (subtracting, "the output"),
    "field": (labelling, "field 'goal'"),
    "model's own": (own, "rows.model_output"),
    "by numpy": (by_numpy, "the output"),
    "text": (texts, "field 'word'"),
}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("metric", "what"), WRITING.values(), ids=WRITING.keys())
def test_a_metric_does_not_write_into_what_others_read(
    metric: Metric, what: str, check: bool, data: cs.Dataset
) -> None:
    message = rf"metric 'bad' writes into its arguments \({what}\).*output.clone\(\)"
    table: dict[str, Any] = {"bad": metric, "good": error}
    h = hypothesis()
    for run in (
        lambda: cs.scrub(h, data, table, samples=20, check=check),
        lambda: cs.exact_scrub(h, data, table, check=check),
        lambda: cs.ablate(h.graph, "low", data, metric=table),
        lambda: cs.explain(h, data, table),
    ):
        with pytest.raises(cs.ScrubError, match=message):
            run()


def test_a_write_that_begins_later_is_found_then(data: cs.Dataset) -> None:
    def late(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return output if len(output) < 10 else output.mul_(2)

    with pytest.raises(cs.ScrubError, match=r"'late' writes into its arguments \(the output"):
        cs.scrub(hypothesis(), data, late, samples=200)


def test_a_metric_that_copies_first_is_any_metric(data: cs.Dataset) -> None:
    def copying(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return subtracting(output.clone(), rows) ** 2

    result = cs.scrub(hypothesis(), data, {"copying": copying, "good": error}, samples=50)
    np.testing.assert_array_equal(result.scrubbed_values["copying"], result.scrubbed_values["good"])


IMPURE: dict[str, tuple[Metric, str]] = {
    "standardised": (lambda o, r: (o - o.mean()) / o.std(), "other rows are beside it"),
    "expanded": (lambda o, r: l1_loss(o, r["goal"]).expand(len(o)), "other rows are beside it"),
    "share right": (
        lambda o, r: (o == r["goal"]).float().mean().expand(len(o)),
        "other rows are beside it",
    ),
    "ranks": (lambda o, r: o.argsort().argsort(), "other rows are beside it"),
    "to the model": (lambda o, r: (o - r.model_output).norm().expand(len(o)), "beside it"),
    "a matrix": (lambda o, r: o[:, None] - o[None], "other rows are beside it"),
    "random": (lambda o, r: torch.rand(len(o)), "called on the same rows again"),
}


@pytest.mark.parametrize(("metric", "why"), IMPURE.values(), ids=IMPURE.keys())
def test_a_metric_that_is_no_function_of_a_row_is_refused(
    metric: Metric, why: str, data: cs.Dataset
) -> None:
    h, message = hypothesis(), f"self-check: metric 'm' gives .*{why}"
    for run in (
        lambda: cs.scrub(h, data, {"m": metric}, samples=20),
        lambda: cs.exact_scrub(h, data, {"m": metric}),
        lambda: cs.ablate(h.graph, "low", data, metric={"m": metric}),
    ):
        with pytest.raises(cs.ScrubError, match=message):
            run()
    cs.scrub(h, data, {"m": metric}, samples=20, check=False)


def test_searches_and_controls_refuse_it_too(data: cs.Dataset) -> None:
    h, metric = hypothesis(), {"m": IMPURE["standardised"][0]}
    for run in (
        lambda: cs.refute(h, data, metric, features=["third"], samples=200),
        lambda: cs.controls(h, data, metric, samples=20, random=0),
        lambda: cs.discover(h.graph, data, metric, features=["third"], samples=20),
    ):
        with pytest.raises(cs.ScrubError, match="self-check: metric 'm' gives a row another value"):
            run()


def test_memory_that_runs_out_in_the_trial_is_left_to_the_run(data: cs.Dataset) -> None:
    def greedy(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        if len(output) > 1:
            raise torch.OutOfMemoryError("full")
        return output

    table: dict[str, Any] = {"greedy": greedy, "plain": lambda o, r: o}
    result = cs.scrub(hypothesis(), data, table, samples=20)
    assert result["greedy"].scrubbed == result["plain"].scrubbed
    with pytest.raises(cs.ScrubError, match="metric 'm' gives a row another value"):
        cs.scrub(hypothesis(), data, {"greedy": greedy, "m": IMPURE["expanded"][0]}, samples=20)


def test_complex_values_are_refused(data: cs.Dataset) -> None:
    for make in (lambda o, r: o * 1j, lambda o, r: (o * 1j).numpy()):
        with pytest.raises(cs.MetricError, match=r"'m' gave complex values.*values\.abs\(\)"):
            cs.scrub(hypothesis(), data, {"m": make}, samples=20, check=False)


PURE: dict[str, Metric] = {
    "constant": lambda o, r: torch.ones(len(o)),
    "without axes": lambda o, r: o[:, None].squeeze(),
    "with infinities": lambda o, r: torch.where(o > 1e9, -torch.inf, o),
    "vector": lambda o, r: torch.stack([o, o**2], 1),
    "integers": lambda o, r: (o > 20).long(),
    "another precision": lambda o, r: torch.log1p(o.half()),
}


@pytest.mark.parametrize("metric", PURE.values(), ids=PURE.keys())
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_functions_of_a_row_pass(metric: Metric, rows: int, data: cs.Dataset) -> None:
    assert len(cs.scrub(hypothesis(), data[:rows], metric, samples=5)) == 5


FAULTY: dict[str, tuple[Metric, str]] = {
    "field": (cs.metrics.squared_error("gaol"), "no field 'gaol'.* Did you mean 'goal'"),
    "own field": (lambda o, r: r["gaol"], "no field 'gaol'"),
    "one number": (lambda o, r: (o - r["goal"]).mean(), "do not average over the batch"),
}


@pytest.mark.parametrize(("metric", "message"), FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_is_told_before_the_work_is_done(
    metric: Metric, message: str, data: cs.Dataset
) -> None:
    seen: list[int] = []
    h = hypothesis(seen)
    for run in (
        lambda: cs.scrub(h, data, metric, samples=5000),
        lambda: cs.scrub(h, data, metric, samples=5000, check=False),
        lambda: cs.exact_scrub(h, data, metric),
        lambda: cs.ablate(h.graph, "low", data, metric=metric),
        lambda: cs.explain(h, data, metric),
    ):
        with pytest.raises(cs.CausalScrubbingError, match=message):
            run()
    assert max(seen) < len(data) / 4
