from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from naive import naive_sample
from problems import datasets, hypotheses

import causal_scrubbing as cs


def either(n: int = 300, seed: int = 0) -> tuple[cs.Graph, cs.Dataset]:
    z = torch.randint(1, 7, (n, 3), generator=torch.Generator().manual_seed(seed))
    label = ((z[:, 0] > 3) | (z[:, 1] > 3)).double()
    data = cs.Dataset(z1=z[:, 0], z2=z[:, 1], z3=z[:, 2], y=label)
    graph = cs.Graph.build(
        inputs=["z1", "z2", "z3"],
        nodes={
            "A": (lambda z1, z3: (z1 > 3).double() + 0 * z3, ["z1", "z3"]),
            "B": (lambda z2: (z2 > 3).double(), ["z2"]),
            "D": (lambda a, b: torch.maximum(a, b) * 0.9 + 0.02 * a, ["A", "B"]),
        },
        output="D",
    )
    return graph, data


def claims(at: int = 3) -> cs.Claim:
    return cs.claim(
        "D", cs.exact, cs.claim("A", lambda d: d["z1"] > at), cs.claim("B", lambda d: d["z2"] > 3)
    )


def test_a_true_hypothesis_recovers_all_and_a_false_one_less() -> None:
    graph, data = either()
    metric = cs.metrics.squared_error("y")
    true, false = cs.scrub(
        [cs.Hypothesis(graph, claims(3)), cs.Hypothesis(graph, claims(4))],
        data,
        metric=metric,
        samples=4000,
    )
    assert true.gap.mean == pytest.approx(0, abs=1e-12)
    assert true.recovered.mean == pytest.approx(100)
    assert false.recovered.interval[1] < 90
    assert false.model.mean == true.model.mean


def test_estimates_are_the_means_of_the_samples_table_less_the_noise_that_is_known() -> None:
    graph, data = either()
    result = cs.scrub(
        cs.Hypothesis(graph, claims(4)), data, metric=cs.metrics.squared_error("y"), samples=500
    )
    table = result.samples
    s, m, r = (table[c].mean() for c in ("scrubbed", "model", "randomized"))
    scores = result["squared_error(y)"]
    assert scores.exact == ("model", "randomized")
    error = (graph(data) - data["y"]) ** 2
    assert result.model.mean == pytest.approx(error.mean().item())
    pairs = (graph(data)[None] - data["y"][:, None]) ** 2
    assert result.randomized.mean == pytest.approx(pairs.mean().item())
    slope = np.polyfit(table["model"], table["scrubbed"], 1)[0]
    by_hand = s - slope * (m - result.model.mean)
    assert result.scrubbed.mean == pytest.approx(by_hand, abs=0.01 * result.scrubbed.se * 10)
    assert result.gap.mean == pytest.approx(result.scrubbed.mean - result.model.mean)
    span = result.model.mean - result.randomized.mean
    ratio = 100 * (result.scrubbed.mean - result.randomized.mean) / span
    assert result.recovered.mean == pytest.approx(ratio)
    assert abs(r - result.randomized.mean) < 5 * table["randomized"].std() / 500**0.5
    assert "E_model and E_randomized are exact" in str(result)
    rows = table["reference"].to_numpy(copy=True)
    own = graph(data)[rows]
    torch.testing.assert_close(torch.tensor(table["model"]), (own - data["y"][rows]) ** 2)
    random = graph(data)[result.draws["randomized"].to_numpy(copy=True)]
    torch.testing.assert_close(
        torch.tensor(table["randomized"]),
        (random - data["y"][rows]) ** 2,
    )


@settings(max_examples=40, deadline=None)
@given(h=hypotheses(), data=datasets())
def test_results_do_not_depend_on_batch_size_and_follow_the_naive_evaluator(h, data) -> None:
    first = cs.scrub(h, data, samples=7, batch_size=7, seed=5)
    second = cs.scrub(h, data, samples=7, batch_size=2, seed=5)
    assert first.draws.equals(second.draws)
    np.testing.assert_allclose(
        first.scrubbed_values["output"], second.scrubbed_values["output"], rtol=1e-9, atol=1e-9
    )
    for i in range(7):
        want = naive_sample(h, data, {key: int(rows[i]) for key, rows in first.drawn.items()})
        np.testing.assert_allclose(
            first.scrubbed_values["output"][i], want.item(), rtol=1e-9, atol=1e-9
        )


def test_metric_outside_and_metric_appended_give_equal_numbers() -> None:
    graph, data = either()
    outside = cs.scrub(
        cs.Hypothesis(graph, claims(4)),
        data,
        metric=lambda output, rows: (output - rows["y"]) ** 2,
        samples=400,
    )
    inside = graph.append("loss", lambda d, y: (d - y) ** 2, parents=["D", "y"])
    below = claims(4)
    root = cs.claim("loss", cs.exact, below, cs.claim("y", cs.exact))
    appended = cs.scrub(cs.Hypothesis(inside, root), data, samples=400, randomize="D")
    # The claims' paths differ, and so do their draws; the laws, and with them the exact numbers,
    # and what is not drawn are equal.
    few = data[:12]
    exact = cs.exact_scrub(
        cs.Hypothesis(graph, claims(4)), few, metric=lambda output, rows: (output - rows["y"]) ** 2
    )
    exact_inside = cs.exact_scrub(cs.Hypothesis(inside, root), few, randomize="D")
    for what in ("model", "expectation", "randomized", "recovered"):
        assert getattr(exact, what) == pytest.approx(getattr(exact_inside, what), abs=1e-12)
    assert np.array_equal(outside.model_values["lambda"], appended.model_values["output"])
    assert np.array_equal(outside.randomized_values["lambda"], appended.randomized_values["output"])
    same_paths = cs.scrub(
        cs.Hypothesis(graph.append("loss", lambda d, y: d, parents=["D", "y"]), root),
        data,
        metric=lambda output, rows: (output - rows["y"]) ** 2,
        samples=400,
    )
    assert np.array_equal(same_paths.scrubbed_values["lambda"], appended.scrubbed_values["output"])
    assert appended.recovered.mean == pytest.approx(same_paths.recovered.mean)


def test_recovered_is_undefined_without_a_baseline_and_takes_another_hypothesis_as_one() -> None:
    graph, data = either()
    inside = graph.append("loss", lambda d, y: (d - y) ** 2, parents=["D", "y"])
    h = cs.Hypothesis(inside, cs.claim("loss", cs.exact, claims(4), cs.claim("y", cs.exact)))
    result = cs.scrub(h, data, samples=300)
    assert not result.recovered.defined
    assert "randomize='NODE'" in str(result.recovered.reason)
    trivial = cs.Hypothesis(
        inside,
        cs.claim("loss", cs.exact, cs.claim("D", cs.anything), cs.claim("y", cs.exact)),
    )
    against = cs.scrub(h, data, samples=300, baseline=trivial)
    alone = cs.scrub(trivial, data, samples=300)
    assert against.randomized.mean == pytest.approx(alone.scrubbed.mean)
    assert against.recovered.defined
    empty = cs.scrub(
        cs.Hypothesis(inside, cs.claim("loss", cs.exact, cs.claim("D", cs.exact))),
        data,
        samples=50,
    )
    assert "no claim reaches the inputs y" in str(empty)


def test_the_trivial_hypothesis_recovers_nothing_and_exact_everything() -> None:
    graph, data = either()
    trivial, exact = cs.scrub(
        [
            cs.Hypothesis(graph, cs.claim("D", cs.anything)),
            cs.Hypothesis(graph, cs.claim("D", cs.exact)),
        ],
        data,
        metric=cs.metrics.squared_error("y"),
        samples=3000,
    )
    low, high = trivial.recovered.interval
    assert low < 0 < high
    assert exact.recovered.mean == 100
    assert exact.stuck == 1.0
    assert "own row: 100.0%" in str(exact)
    assert "not tested" in str(exact)


def test_subsets_of_reference_rows() -> None:
    graph, data = either()
    data = data.with_fields(high=data["z1"] > 3)
    result = cs.scrub(
        cs.Hypothesis(graph, claims(4)), data, metric=cs.metrics.squared_error("y"), samples=900
    )
    yes, no = result.on("high"), result.on(lambda rows: ~rows["high"])
    assert len(yes) + len(no) == 900
    share = data["high"].double().mean().item()
    for name in ("model", "randomized"):
        parts = [getattr(one, name) for one in (yes, no)]
        assert [part.se for part in parts] == [0, 0]
        both = share * parts[0].mean + (1 - share) * parts[1].mean
        assert both == pytest.approx(getattr(result, name).mean)
    assert yes.model.mean == pytest.approx(
        ((graph(data) - data["y"]) ** 2)[data["high"]].mean().item()
    )
    assert "on high" in str(yes)
    for mask in (data["high"], data["high"].numpy(), pd.Series(data["high"].numpy())):
        assert result.on(mask).scrubbed == yes.scrubbed
        assert "on a mask" in str(result.on(mask))
    with pytest.raises(cs.ScrubError, match="none of the 900 samples"):
        result.on(lambda rows: rows["z1"] > 9)


def test_several_metrics_and_to_model_without_labels(tmp_path) -> None:
    graph, data = either()
    metric: dict[str, Any] = {
        "loss": cs.metrics.squared_error("y"),
        "own": cs.metrics.to_model("distance"),
    }
    result = cs.scrub(cs.Hypothesis(graph, claims(4)), data, metric=metric, samples=200)
    assert result["own"].model.mean == 0
    assert result["own"].scrubbed.mean > 0
    assert list(result.samples.columns) == [
        "reference", "scrubbed", "model", "randomized",
        "own.scrubbed", "own.model", "own.randomized",
    ]  # fmt: skip
    with pytest.raises(cs.ScrubError, match="no metric is called 'kl'; there is loss, own"):
        result["kl"]


def test_save_and_load_reload_every_estimate_equal(tmp_path) -> None:
    graph, data = either()
    metric: dict[str, Any] = {
        "loss": cs.metrics.squared_error("y"),
        "vector": lambda o, r: torch.stack([o, -o], 1),
    }
    h = cs.Hypothesis(graph, claims(4), name="saved")
    result = cs.scrub(h, data, metric=metric, samples=150, seed=3)
    result.save(tmp_path / "run")
    again = cs.load(tmp_path / "run", data=data)
    assert again.scores == result.scores
    assert {n: again.triples(n).estimate(seed=3) for n in again.metrics} == result.scores
    assert again.draws.equals(result.draws)
    assert again.samples.equals(result.samples)
    assert again.on("y").scrubbed == result.on("y").scrubbed
    assert str(again) == str(result)
    body = json.loads((tmp_path / "run" / "run.json").read_text())
    assert body["hypothesis"]["claims"][0]["node"] == "D"
    assert body["settings"]["seed"] == 3
    assert body["fingerprints"]["data"] == data.fingerprint
    assert body["settings"]["versions"]["torch"] == torch.__version__
    with pytest.raises(cs.ScrubError, match="is not empty"):
        result.save(tmp_path / "run")
    with pytest.raises(cs.ScrubError, match="their hashes differ"):
        cs.load(tmp_path / "run", data=data[:10])
    with pytest.raises(cs.ScrubError, match="holds no finished run"):
        cs.load(tmp_path)
    with pytest.raises(cs.ScrubError, match="loaded without its dataset"):
        cs.load(tmp_path / "run").on("y")


def test_compare_pairs_runs_on_common_reference_rows(tmp_path) -> None:
    graph, data = either()
    metric = cs.metrics.squared_error("y")
    true, false = cs.scrub(
        [cs.Hypothesis(graph, claims(3), name="t"), cs.Hypothesis(graph, claims(4), name="f")],
        data, metric=metric, samples=800,
    )  # fmt: skip
    short = cs.scrub(cs.Hypothesis(graph, claims(4)), data, metric=metric, samples=300)
    short.save(tmp_path / "short")
    found = cs.compare([true, false, cs.load(tmp_path / "short")])
    assert found.samples == 300
    want = found.scores[0].scrubbed.mean - found.scores[1].scrubbed.mean
    assert found.differences[0].difference.mean == pytest.approx(want)
    plain = (true.samples["scrubbed"] - false.samples["scrubbed"])[:300]
    assert abs(want - plain.mean()) < 5 * plain.std() / 300**0.5
    assert found.scores[0].model.se == 0
    assert found.differences[0].p_value < 0.05
    assert "300 common samples" in str(found)
    other_seed = cs.scrub(cs.Hypothesis(graph, claims(4)), data, metric=metric, samples=300, seed=1)
    with pytest.raises(cs.ScrubError, match="other reference rows"):
        cs.compare([true, other_seed])
    elsewhere = cs.scrub(cs.Hypothesis(graph, claims(4)), data[:50], metric=metric, samples=9)
    with pytest.raises(cs.ScrubError, match="is on other data"):
        cs.compare([true, elsewhere])
    with pytest.raises(cs.ScrubError, match="at least two"):
        cs.compare([true])


def sine(target) -> tuple[cs.Hypothesis, cs.Dataset, Any]:
    x = 2 * torch.pi * (torch.arange(16, dtype=torch.float64) + 0.5) / 16
    data = cs.Dataset(x=x, y=target(x))
    graph = cs.Graph.build(inputs=["x"], nodes={"s": (torch.sin, ["x"])}, output="s")

    def class_of(rows: cs.Dataset) -> torch.Tensor:
        j = torch.arange(16)
        return torch.minimum(j, (3 - j) % 16)  # x and pi/2 - x

    return cs.Hypothesis(graph, cs.claim("s", class_of)), data, cs.metrics.squared_error("y")


def test_functions_are_told_apart_where_means_and_laws_are_not(tmp_path) -> None:
    h, data, metric = sine(lambda x: torch.sin(x + torch.pi / 4))
    result = cs.scrub(h, data, metric=metric, samples=20_000)
    for estimate, want in (
        (result.model, 1 - 0.5**0.5), (result.scrubbed, 1 - 0.5**0.5), (result.randomized, 1.0)
    ):  # fmt: skip
        assert abs(estimate.mean - want) < max(5 * estimate.se, 1e-6)
    low, high = result.recovered.interval
    assert low < 100 < high
    functions = result.compare_functions()
    moved = {m.name: m for m in functions.measures}["squared_error"]
    assert abs(moved.scrubbed.mean - 0.5) < 5 * moved.scrubbed.se
    assert abs(moved.randomized.mean - 1.0) < 5 * moved.randomized.se
    laws = result.compare_distributions()
    assert "equals that under D by construction" in str(laws)
    assert laws.output is not None
    assert laws.output.distance < 0.05
    result.save(tmp_path / "run")
    again = cs.load(tmp_path / "run")
    assert again.compare_functions().to_dict() == functions.to_dict()
    assert again.compare_distributions().to_dict() == laws.to_dict()
    assert again.split_variance().to_dict() == result.split_variance().to_dict()
    assert again.worst_cases().to_dict() == result.worst_cases().to_dict()


def test_recovered_is_undefined_where_model_and_randomized_are_equal() -> None:
    h, data, metric = sine(torch.zeros_like)
    result = cs.scrub(h, data, metric=metric, samples=5000)
    assert abs(result.gap.mean) < 5 * result.gap.se
    assert not result.recovered.defined
    assert "undefined" in str(result)


def counting_graph() -> cs.Graph:
    calls = []

    def drifting(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x + 0.1 * len(calls)

    return cs.Graph.build(
        inputs=["x"],
        nodes={"a": (drifting, ["x"]), "y": (lambda a: a, ["a"])},
        output="y",
    )


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            cs.Graph.build(
                inputs=["x"], nodes={"y": (lambda x: x - x.mean(), ["x"])}, output="y"
            ),
            "differs when the row is run alone",
        ),
        (counting_graph(), "differs when the row is run alone"),
        (
            cs.Graph.build(
                inputs=["x"],
                nodes={"a": (lambda x: x * 1, ["x"]), "y": (lambda a: a.mul_(2), ["a"]),
                       "z": (lambda a, y: a + y, ["a", "y"])},
                output="z",
            ),
            "does not reproduce the model's own output",
        ),
    ],
)  # fmt: skip
def test_self_checks_find_graphs_that_are_no_functions(graph, message) -> None:
    data = cs.Dataset(x=[1.0, 2.0, 4.0, 8.0])
    last = graph.output
    parents = graph.parents(last)
    below = [cs.claim(p, cs.exact, *(cs.claim(q, cs.exact) for q in graph.parents(p)))
             for p in parents if p != "x"]  # fmt: skip
    h = cs.Hypothesis(graph, cs.claim(last, cs.exact, *below))
    with pytest.raises(cs.ScrubError, match=message):
        cs.scrub(h, data, samples=10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples=0: give the number of samples"),
        ({"randomize": "q"}, "no node matches 'q'"),
        ({"metric": {}}, "names no metric"),
        ({"metric": 3}, "is 3; a metric is a function"),
        ({"metric": lambda o, r: o.mean()}, "gave values of shape"),
        ({"metric": lambda o, r: r["nope"]}, "no field 'nope'"),
        ({"metric": lambda o, r: o @ o.T @ o[0]}, "failed on outputs of shape"),
        ({"metric": lambda o, r: o * float("inf")}, "not finite"),
        ({"data": "rows"}, "data is str; wrap it"),
        ({"hypothesis": []}, "no hypothesis was given"),
        ({"hypothesis": ["h"]}, "is no hypothesis"),
    ],
)
def test_bad_arguments(options, message) -> None:
    graph, data = either(20)
    arguments: dict[str, Any] = {
        "hypothesis": cs.Hypothesis(graph, claims()),
        "data": data,
        "metric": cs.metrics.squared_error("y"),
        "samples": 5,
    }
    arguments |= options
    with pytest.raises(cs.CausalScrubbingError, match=message):
        cs.scrub(**arguments).scores  # noqa: B018


def test_metric_none_needs_one_number_a_row() -> None:
    graph = cs.Graph.build(
        inputs=["x"], nodes={"y": (lambda x: torch.stack([x, x], 1), ["x"])}, output="y"
    )
    data = cs.Dataset(x=[1.0, 2.0])
    with pytest.raises(cs.ScrubError, match=r"not one number\. Give metric="):
        cs.scrub(cs.Hypothesis(graph, cs.claim("y", cs.exact)), data, samples=3)


def test_progress_is_told() -> None:
    graph, data = either(20)
    seen = []
    cs.scrub(
        cs.Hypothesis(graph, claims()),
        data,
        metric=cs.metrics.squared_error("y"),
        samples=50,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert seen[-1] == (50, 50)


def test_a_rewrite_made_without_data_is_checked_on_the_data_of_the_run() -> None:
    graph, data = either(40)
    wrong = {"b": (lambda z2: (z2 > 2).double(), ["z2"])}
    right = {"b": (lambda z2: (z2 >= 4).double(), ["z2"])}
    metric = cs.metrics.squared_error("y")
    replaced = graph.replace("B", nodes=right, output="b")
    result = cs.scrub(
        cs.Hypothesis(replaced, cs.claim("D", cs.exact)), data, metric=metric, samples=20
    )
    assert result.gap.mean == 0
    replaced = graph.replace("B", nodes=wrong, output="b")
    with pytest.raises(cs.GraphError, match="differ"):
        cs.scrub(cs.Hypothesis(replaced, cs.claim("D", cs.exact)), data, metric=metric, samples=20)
