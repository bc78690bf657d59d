"""The plan says what is gathered, computed and shared, and its figures are counted."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from test_engine_memory import wide_problem

import causal_scrubbing as cs
from causal_scrubbing._engine.cost import measure_costs
from causal_scrubbing._graph.evaluate import call


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

    monkeypatch.setattr("causal_scrubbing._graph.evaluate.call", counting)
    monkeypatch.setattr("causal_scrubbing._engine.program.call", counting)
    return calls


def test_the_plan_counts_the_rows_and_operations_that_are_then_done(monkeypatch) -> None:
    h, data = wide_problem(n=300)
    plan = cs.explain(h, data, samples=500, timed=False, batch_size=64)
    calls = count_calls(h.graph, monkeypatch)
    cs.scrub(
        h, data, {"m": lambda o, r: o}, samples=500, check=False, batch_size=64, keep_outputs=True
    )
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
    # Besides: choosing the batch by two rows of every node, and one row to size the outputs.
    extra = 3 * (3 * product + 4 * width)
    assert plan.flops.total == pytest.approx(counted + sums, abs=2 * extra)
    assert plan.flops.floor <= plan.flops.total <= 1.25 * plan.flops.floor
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
    for words in ("2,000 samples of 600 rows", "of the floor", "naive method", "expected time"):
        assert words in text
    body = json.loads(json.dumps(plan.to_dict()))
    assert body["flops"]["total"] == plan.flops.total
    assert {o["kind"] for o in body["operations"]} <= {"gather", "compute", "sum"}
    assert body["actual"] is None
    assert plan.expected_seconds > 0
    assert sum(one.rows > 0 for one in plan.stored) == len(plan.stored)


def test_a_result_tells_what_its_run_took() -> None:
    h, data = wide_problem()
    result = cs.scrub(h, data, {"m": lambda o, r: o}, samples=2000)
    plan = result.explain()
    assert plan.actual["samples"] == 2000
    assert 0 < plan.actual["rows"] <= 2 * len(data)
    assert plan.actual["seconds"] <= result.settings["seconds"]
    assert "actual time" in str(plan)
    before = cs.explain(h, data, samples=2000, timed=False)
    assert before.flops == plan.flops


def test_a_loaded_result_has_no_plan(tmp_path) -> None:
    h, data = wide_problem()
    cs.scrub(h, data, {"m": lambda o, r: o}, samples=20).save(tmp_path)
    with pytest.raises(cs.ScrubError, match="a loaded result has no plan any more"):
        cs.load(tmp_path, data=data).explain()


def test_the_plan_of_a_small_budget_shows_its_blocks_and_repeated_rows() -> None:
    h, data = wide_problem()
    plan = cs.explain(h, data, samples=3000, memory="200kB", store="memory", timed=False)
    assert plan.blocks > 1
    assert plan.flops.total > plan.flops.floor
    assert plan.table_bytes + plan.working_bytes <= 200_000
    assert "recomputed from the fields" in str(plan)


def test_the_plan_of_a_pool_says_what_it_saves() -> None:
    h, data = wide_problem(n=5000)
    pooled = cs.explain(h, data, samples=800, pool=100, timed=False)
    plain = cs.explain(h, data, samples=800, timed=False)
    saved = 1 - pooled.flops.total / plain.flops.total
    assert saved > 0.05
    assert f"the pools save {saved:.0%} of the work" in str(pooled)


def test_hypotheses_about_several_graphs_are_explained_apart() -> None:
    (one, data), (other, _) = wide_problem(), wide_problem()
    with pytest.raises(cs.ScrubError, match="about one graph object"):
        cs.explain([one, other], data)
    with pytest.raises(cs.ScrubError, match="samples=0"):
        cs.explain(one, data, samples=0)


def test_compiled_batches_give_equal_values() -> None:
    h, data = wide_problem(n=100, dtype=torch.float32)
    options = {"samples": 300, "batch_size": 128, "check": False}
    plain = cs.scrub(h, data, {"m": lambda o, r: o}, **options)
    compiled = cs.scrub(h, data, {"m": lambda o, r: o}, compile="eager", **options)
    np.testing.assert_allclose(
        plain.samples["scrubbed"], compiled.samples["scrubbed"], rtol=1e-3, atol=1e-3
    )
