"""What a run refuses, and what it says where a number could be misread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import causal_scrubbing as cs

C = cs.claim


@pytest.fixture
def data() -> cs.Dataset:
    x = torch.arange(40.0, dtype=torch.float64)
    return cs.Dataset(x=x, half=x > 20, third=x % 3, goal=2 * x)


@pytest.fixture
def graph() -> cs.Graph:
    return cs.Graph.build(
        inputs=["x"],
        nodes={
            "low": (lambda x: x % 3, ["x"]),
            "high": (lambda x: x // 3, ["x"]),
            "y": (lambda low, high: 2 * (3 * high + low), ["low", "high"]),
        },
        output="y",
    )


@pytest.fixture
def h(graph: cs.Graph) -> cs.Hypothesis:
    return cs.Hypothesis(graph, C("y", cs.exact, C("low", "third")), name="low")


error = cs.metrics.squared_error("goal")
Make = Callable[[cs.Hypothesis, cs.Dataset], object]
FAULTS: dict[str, tuple[Make, str]] = {
    "no samples": (lambda h, d: cs.scrub(h, d, error, samples=0), "samples=0: give the number"),
    "no hypothesis": (lambda h, d: cs.scrub([], d, error), "no hypothesis was given"),
    "a graph": (lambda h, d: cs.scrub(h.graph, d, error), "is no hypothesis; make one with"),  # type: ignore[call-overload]
    "a list of graphs": (lambda h, d: cs.scrub([h.graph], d, error), "is no hypothesis"),  # type: ignore[list-item]
    "a dict": (lambda h, d: cs.scrub(h, {"x": d["x"]}, error), "data is dict; wrap it"),  # type: ignore[call-overload]
    "a metric's name": (lambda h, d: cs.scrub(h, d, "loss"), "a metric is a function"),  # type: ignore[call-overload]
    "a metric not called": (
        lambda h, d: cs.scrub(h, d, cs.metrics.cross_entropy),  # type: ignore[arg-type]
        r"metric 'cross_entropy' is cs.metrics.cross_entropy itself.*cross_entropy\('label'\)",
    ),
    "a named metric not called": (
        lambda h, d: cs.scrub(h, d, {"kl": cs.metrics.to_model}),  # type: ignore[dict-item]
        r"metric 'kl' is cs.metrics.to_model itself.*to_model\('kl'\)",
    ),
    "no metric": (lambda h, d: cs.scrub(h, d, {}), "names no metric"),
    "a metric's field": (
        lambda h, d: cs.scrub(h, d, cs.metrics.squared_error("gaol")),
        r"squared_error\('gaol'\): the dataset has no field 'gaol'.* Did you mean 'goal'",
    ),
    "an averaged metric": (
        lambda h, d: cs.scrub(h, d, lambda out, rows: out.mean()),
        "do not average over the batch",
    ),
    "a NaN metric": (
        lambda h, d: cs.scrub(h, d, lambda out, rows: out * float("nan")).scores,
        "values are not finite",
    ),
    "a failing metric": (
        lambda h, d: cs.scrub(h, d, lambda out, rows: out.foo),  # type: ignore[attr-defined]
        "metric 'lambda' failed on outputs of shape .*AttributeError",
    ),
    "randomize": (lambda h, d: cs.scrub(h, d, error, randomize="yy"), "no node matches 'yy'"),
    "two baselines": (
        lambda h, d: cs.scrub(h, d, error, randomize="y", baseline=h),
        "randomize= or baseline=, not both",
    ),
    "device": (lambda h, d: cs.scrub(h, d, error, device="abacus"), "device='abacus' cannot be"),
    "subset": (
        lambda h, d: cs.scrub(h, d, error).on("third"),
        "subset 'third' is not true or false on every row",
    ),
    "mask of samples": (
        lambda h, d: cs.scrub(h, d, error).on(torch.ones(7, dtype=torch.bool)),
        "a mask of 7 entries for 40 rows of data",
    ),
    "mask of numbers": (
        lambda h, d: cs.scrub(h, d, error).on(d["third"]),
        "subset 'a mask' is not true or false on every row",
    ),
    "no mask": (
        lambda h, d: cs.scrub(h, d, error).on(None),  # type: ignore[arg-type]
        r"on\(None\): give a boolean field",
    ),
    "empty subset": (
        lambda h, d: cs.scrub(h, d, error).on(lambda rows: rows["x"] > 99),
        "samples has its reference row in",
    ),
    "metric name": (lambda h, d: cs.scrub(h, d, error)["kl"], "no metric is called 'kl'"),
    "nothing saved": (lambda h, d: cs.load("nowhere"), "nowhere holds no finished run"),
}


@pytest.mark.parametrize(("run", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named(run: Make, message: str, h: cs.Hypothesis, data: cs.Dataset) -> None:
    with pytest.raises(cs.CausalScrubbingError, match=message):
        run(h, data)


GRAPH_FAULTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "random": (lambda x: x + torch.rand(len(x)), "self-check: .* random"),
    "mean of the batch": (lambda x: x - x.mean(), "one row never reads another"),
    "failing": (lambda x: x.foo, "node 'y' failed on its parents' values"),
    "one number": (
        lambda x: x.sum(),
        r"node 'y' returned shape \[\], one number, for a batch of 5",
    ),
    "short": (lambda x: x[:1], "node 'y' returned shape .* for a batch of 5 rows"),
}


@pytest.mark.parametrize(("fn", "message"), GRAPH_FAULTS.values(), ids=GRAPH_FAULTS.keys())
def test_a_graph_that_is_no_graph_is_found_out(
    fn: Callable[[torch.Tensor], torch.Tensor], message: str, data: cs.Dataset
) -> None:
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (fn, ["x"])}, output="y")
    with pytest.raises(cs.CausalScrubbingError, match=message):
        cs.scrub(cs.Hypothesis(graph, C("y", cs.exact)), data, error, samples=10)


def test_a_run_is_not_overwritten_unasked(
    h: cs.Hypothesis, data: cs.Dataset, tmp_path: Path
) -> None:
    result = cs.scrub(h, data, error, samples=20)
    result.save(tmp_path / "run")
    with pytest.raises(cs.ScrubError, match=r"is not empty; .* overwrite=True"):
        result.save(tmp_path / "run")
    result.save(tmp_path / "run", overwrite=True)
    loaded = cs.load(tmp_path / "run")
    with pytest.raises(cs.ScrubError, match="loaded without its dataset"):
        loaded.on("half")
    with pytest.raises(cs.ScrubError, match="their hashes differ"):
        cs.load(tmp_path / "run", data=data[:5])


def test_a_lone_metric_is_called_what_it_is(h: cs.Hypothesis, data: cs.Dataset) -> None:
    assert cs.scrub(h, data, error, samples=20).metrics == ("squared_error(goal)",)
    assert cs.scrub(h, data, lambda out, rows: out, samples=20).metrics == ("lambda",)

    def margin(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return output - rows["goal"]

    assert cs.scrub(h, data, margin, samples=20).metrics == ("margin",)


@pytest.mark.parametrize(
    ("root", "stuck"),
    [
        (C("y", cs.exact), 1.0),
        (C("y", cs.exact, C("low", cs.exact), C("high", cs.exact)), 1.0),
        (C("y", cs.exact, C("low", cs.exact)), 1.0),
        (C("y", cs.exact, C("low", "third")), 0.0),
        (C("y", cs.exact, cs.nothing), 0.0),
        (C("y", cs.anything), 0.0),
    ],
    ids=["whole", "all exact", "one exact", "tested", "nothing", "trivial"],
)
def test_the_share_of_samples_in_which_nothing_claimed_can_move(
    graph: cs.Graph, data: cs.Dataset, root: cs.Claim, stuck: float
) -> None:
    result = cs.scrub(cs.Hypothesis(graph, root), data, error, samples=50)
    assert result.stuck == stuck


def test_leaving_0_to_100_by_chance_is_called_noise(graph: cs.Graph, data: cs.Dataset) -> None:
    notes = {
        cs.scrub(cs.Hypothesis(graph, C("y", cs.anything)), data, error, seed=seed).recovered.note
        for seed in range(8)
    }
    assert len(notes) == 2
    assert any(note is not None and "no more than sampling noise" in note for note in notes)


def test_hypotheses_of_graphs_with_different_outputs_each_randomize_their_own(
    h: cs.Hypothesis, data: cs.Dataset
) -> None:
    other = cs.Graph.build(inputs=["x"], nodes={"twice": (lambda x: 2 * x, ["x"])}, output="twice")
    both = [h, cs.Hypothesis(other, C("twice", cs.exact))]
    first, second = cs.scrub(both, data, error, samples=50)
    assert first.randomized == second.randomized
    assert [r.settings["randomize"] for r in (first, second)] == ["y", "twice"]


def test_better_and_worse_are_read_off_the_run(h: cs.Hypothesis, data: cs.Dataset) -> None:
    metrics: dict[str, Any] = {
        "loss": error,
        "score": lambda out, rows: -((out - rows["goal"]) ** 2),
    }
    result = cs.scrub(h, data, metrics, samples=100)
    loss, score = result.compare_functions("loss"), result.compare_functions("score")
    assert loss.worse.mean > 50
    assert score.worse == loss.worse
    assert score.better == loss.better
    told = result.compare_functions("loss", lower_is_better=False)
    assert told.better.mean == loss.worse.mean
