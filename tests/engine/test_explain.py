"""The plan says what is gathered, computed and shared, and its figures are counted."""

from __future__ import annotations

import inspect
import json
import sys
import time
from dataclasses import replace

import pytest
import torch
from engines import wide_problem
from seals import reseal

import causal_scrubbing as cs
from causal_scrubbing._engine import measure_costs
from causal_scrubbing._graph import call


def test_costs_are_those_of_the_operations() -> None:
    w = torch.randn(8, 32)
    data = cs.Dataset(x=torch.randn(10, 4, 8))
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "m": (lambda x: torch.relu(x @ w) @ w.T, ["x"]),
            "s": (cs.add, ["x", "m"]),
            "a": (lambda x: torch.nn.functional.scaled_dot_product_attention(x, x, x), ["s"]),
        },
        output="a",
    )
    costs = measure_costs(graph, data, ["a"], None)
    assert costs["x"].flops == 0
    # Two products of 4 x 8 by 32, two operations for each multiplication, and a relu.
    assert costs["m"].flops == 2 * (2 * 4 * 8 * 32) + 4 * 32
    assert costs["s"].flops == 4 * 8
    assert costs["a"].flops >= 2 * (2 * 4 * 4 * 8)
    assert costs["m"].bytes == costs["s"].bytes == 4 * 8 * 4
    assert costs["m"].peak >= 2 * 4 * 32 * 4  # both hidden layers are alive at once
    assert costs["m"].shape == (4, 8)


def count_calls(graph: cs.Graph, monkeypatch) -> dict[str, int]:
    calls: dict[str, int] = {}

    def counting(node, arguments):
        value = call(node, arguments)
        calls[node.name] = calls.get(node.name, 0) + len(value)
        return value

    monkeypatch.setattr(sys.modules["causal_scrubbing._nodes.evaluate"], "call", counting)
    monkeypatch.setattr("causal_scrubbing._engine.program.call", counting)
    return calls


def test_the_plan_counts_the_rows_and_operations_that_are_then_done(monkeypatch) -> None:
    h, data = wide_problem(n=300)
    metric = {"m": lambda o, r: o}
    plan = cs.explain(h, data, metric, samples=500, timed=False, batch_size=64)
    calls = count_calls(h.graph, monkeypatch)
    cs.scrub(h, data, metric, samples=500, check=False, batch_size=64, keep_outputs=True)
    width = 64
    product = 2 * width * width + width  # a product and its tanh
    sample_steps = [o for o in plan.operations if o.kind == "compute"]
    assert sample_steps
    for step in sample_steps:
        if step.node == "c":
            assert step.flops == product
    done = {"a": product, "b": product, "c": product, "out": 2 * width}
    counted = sum(calls.get(node, 0) * flops for node, flops in done.items())
    counted += calls.get("r", 0) * 2 * width
    sums = sum(o.flops for o in plan.operations if o.kind == "sum") * 500
    # Besides: two rows to try the metric.
    row = 3 * product + 4 * width
    assert plan.flops.total == pytest.approx(counted + sums - 2 * row, abs=1.5 * row)
    assert plan.flops.known > 0  # some rows are drawn by no sample
    assert plan.flops.floor <= plan.flops.sampling <= 1.25 * plan.flops.floor
    assert plan.flops.naive > plan.flops.total


def test_work_is_shared_between_hypotheses() -> None:
    h, data = wide_problem()
    one = cs.explain(h, data, samples=2000, timed=False)
    two = cs.explain([h, h.with_(name="again")], data, samples=2000, timed=False)
    assert two.flops.total == one.flops.total
    assert two.tree_nodes == 2 * one.tree_nodes
    assert two.flops.naive > 1.4 * one.flops.naive


def test_the_plan_reads_as_text_and_as_data() -> None:
    h, data = wide_problem()
    plan = cs.explain(h, data, samples=2000)
    text = str(plan)
    for words in ("2,000 samples of 600 rows", "at the floor", "naive method", "expected time"):
        assert words in text
    body = json.loads(json.dumps(plan.to_dict()))
    assert body["flops"]["total"] == plan.flops.total
    assert {o["kind"] for o in body["operations"]} <= {"gather", "compute", "sum"}
    assert body["actual"] is None
    assert plan.expected_seconds is not None
    assert plan.expected_seconds > 0
    assert sum(one.rows > 0 for one in plan.stored) == len(plan.stored)


OWN = {"m": lambda output, rows: output}


def test_a_result_tells_what_its_run_took_beside_what_was_expected() -> None:
    h, data = wide_problem()
    result = cs.scrub(h, data, OWN, samples=2000)
    plan = result.explain()
    assert plan.actual is not None
    assert plan.actual["samples"] == 2000
    assert 0 < plan.actual["rows"] <= 2 * len(data)
    assert plan.actual["seconds"] <= result.settings["seconds"]
    assert plan.expected_seconds is not None
    assert plan.expected_seconds > 0
    assert "expected time" in str(plan)
    assert "actual time" in str(plan)
    before = cs.explain(h, data, OWN, samples=2000, timed=False)
    assert before.flops == plan.flops
    assert before.expected_seconds is None


def test_metrics_and_comparisons_are_timed_and_expected() -> None:
    h, data = wide_problem()

    def slow(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        time.sleep(0.0005 * len(output))
        return torch.tensor(output.tolist())  # outside torch, as what takes long mostly is

    result = cs.scrub(h, data, {"m": slow}, samples=600, check=False)
    # Scrubbed, model's own and random rows' outputs.
    taken = 3 * 600 * 0.0005
    plan = result.explain()
    assert plan.actual is not None
    assert plan.expected_seconds is not None
    assert plan.expected_measuring is not None
    assert taken <= plan.actual["metrics_seconds"] <= plan.actual["seconds"]
    assert 0 < plan.actual["comparing_seconds"] < taken
    assert taken <= plan.expected_measuring <= plan.expected_seconds
    assert "s on metrics" in str(plan)
    assert "comparing outputs" in str(plan)
    parts = [v for k, v in plan.actual.items() if k.endswith("_seconds")]
    assert sum(parts) == pytest.approx(plan.actual["seconds"])


def test_outputs_need_not_be_compared() -> None:
    h, data = wide_problem()
    result = cs.scrub(h, data, OWN, samples=200, compare=False)
    assert result.samples.equals(cs.scrub(h, data, OWN, samples=200).samples)
    actual = result.explain().actual
    assert actual is not None
    assert actual["comparing_seconds"] == 0
    with pytest.raises(cs.ScrubError, match=r"not compared .* compare=True"):
        result.compare_functions()
    assert "Estimates" in result.report()


def test_a_loaded_result_keeps_its_plan(tmp_path) -> None:
    h, data = wide_problem()
    result = cs.scrub(h, data, OWN, samples=20)
    before = result.explain()
    result.save(tmp_path / "one")
    for folder in ("one", "two"):
        loaded = cs.load(tmp_path / folder)
        assert loaded.explain() == before
        assert "What was gathered, computed and shared" in loaded.report()
        loaded.save(tmp_path / "two", overwrite=True)
    reseal(tmp_path / "one", lambda body: body.pop("plan"))
    with pytest.raises(cs.ScrubError, match="holds no plan"):
        cs.load(tmp_path / "one").explain()


def test_a_plan_says_what_was_asked_for() -> None:
    h, data = wide_problem()
    plan = cs.explain(
        h, data, OWN, samples="auto", tolerance=2.5, max_samples=3000, out="folder",
        timed=False,
    )  # fmt: skip
    assert plan.samples == 3000
    text = " ".join(plan.notes)
    for words in ("the most samples, 3,000", "±2.5 percentage points", "kept in folder"):
        assert words in text
    given = set(inspect.signature(cs.scrub).parameters)
    assert given - set(inspect.signature(cs.explain).parameters) == {
        "keep_outputs", "check", "progress"
    }  # fmt: skip


def test_the_blocks_of_a_kept_run_are_those_that_are_run(tmp_path) -> None:
    h, data = wide_problem()
    options = {"samples": 900, "memory": "200kB", "store": "memory", "out": tmp_path}
    plan = cs.explain(h, data, OWN, timed=False, **options)
    result = cs.scrub(h, data, OWN, **options)
    assert plan.blocks == result.settings["actual"]["blocks"]


def test_nothing_is_randomized_where_the_metric_is_in_the_graph() -> None:
    h, data = wide_problem(n=300)
    alone = cs.explain(h, data, samples=500, timed=False)
    ran = cs.scrub(h, data, samples=500, check=False)
    assert alone.flops == ran.explain().flops
    outside = cs.explain(h, data, OWN, samples=500, timed=False)
    assert outside.flops == cs.scrub(h, data, OWN, samples=500, check=False).explain().flops
    assert outside.flops.sampling > alone.flops.sampling
    assert outside.flops.naive > alone.flops.naive


def test_sums_and_hidden_wires_are_told_in_words() -> None:
    h, data = wide_problem()
    plan = cs.explain(h, data, OWN, samples=100, timed=False)
    assert ("sum", "r") in {(one.kind, one.node) for one in plan.operations}
    part = h.with_(root=cs.claim("out", cs.exact, cs.claim("r", "low", cs.claim("a", "parity"))))
    told = cs.explain(part, data, OWN, samples=100, timed=False)
    names = {one.node for one in told.operations} | {n for s in told.stored for n in s.nodes}
    assert "embed + b" in names
    assert not any("~" in name for name in names)


def test_a_plan_at_the_floor_says_so() -> None:
    h, data = wide_problem()
    at = cs.explain(h, data, OWN, samples=100, timed=False)
    at = replace(at, flops=replace(at.flops, floor=at.flops.sampling))
    assert "\n  at the floor (" in str(at)
    above = replace(at, flops=replace(at.flops, floor=at.flops.sampling / 1.3))
    assert "\n  1.3 times the floor (" in str(above)


def test_the_plan_of_a_small_budget_shows_its_blocks_and_repeated_rows() -> None:
    h, data = wide_problem()
    plan = cs.explain(h, data, samples=3000, memory="200kB", store="memory", timed=False)
    assert plan.blocks > 1
    assert plan.flops.sampling > plan.flops.floor
    assert plan.table_bytes + plan.working_bytes <= 200_000
    assert "recomputed from the fields" in str(plan)


def test_hypotheses_about_several_graphs_are_explained_apart() -> None:
    (one, data), (other, _) = wide_problem(), wide_problem()
    with pytest.raises(cs.ScrubError, match="about one graph object"):
        cs.explain([one, other], data)
    with pytest.raises(cs.ScrubError, match="samples=0"):
        cs.explain(one, data, samples=0)
