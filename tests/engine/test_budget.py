"""A memory budget is kept, or refused with the least that would do."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from engines import compiled, values, wide_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import datasets, hypotheses

import causal_scrubbing as cs
from causal_scrubbing import Dataset, Graph, Hypothesis, ScrubError, claim, exact
from causal_scrubbing._engine import (
    Budget,
    Choice,
    Column,
    Executor,
    Need,
    Settings,
    enough,
    lay_out,
    parse_bytes,
    peak_bytes,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
BUDGETS = st.floats(2, 7).map(lambda power: int(10**power))


def named(error: ScrubError) -> str:
    """The size that a refusal says would do."""
    found = re.search(r"Raise memory= to '([^']+)'", str(error))
    assert found is not None
    return found[1]


def peak(executor: Executor, rows) -> int:
    def run() -> None:
        for _ in executor.run(rows):
            pass

    return peak_bytes(run)


def keeps(h: Hypothesis, data: Dataset, samples: int, budget: int, **asked) -> bool:
    """Run within a budget, else within the one that the refusal names; whether it was kept."""
    space, root, rows = compiled(h, data, samples)

    def executor(memory: int) -> Executor:
        engine = Settings(memory=memory, **asked)
        return Executor(h.graph, space, [root], data, engine, samples=samples)

    try:
        made = executor(budget)
        assert made.layout.working_bytes > 0
    except ScrubError as error:
        least = parse_bytes(named(error))
        assert least > budget
        made, budget = executor(least), least
    taken = peak(made, rows)
    if made.layout.storage.on_disk:
        taken -= made.table.bytes - int(made.layout.index_bytes)
    assert taken <= budget
    assert made.table.bytes <= made.layout.table_bytes + made.layout.index_bytes
    return made.actual.samples == samples


@settings(max_examples=25, deadline=None)
@given(
    budget=BUDGETS,
    n=st.sampled_from([3, 300, 4000]),
    width=st.sampled_from([2, 16, 64]),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
    stored=st.sampled_from([None, torch.bfloat16]),
    batch=st.sampled_from([None, 1, 100]),
    samples=st.sampled_from([7, 300]),
)
def test_no_more_bytes_are_alive_than_the_budget_says(
    budget, n, width, dtype, stored, batch, samples
) -> None:
    h, data = wide_problem(n=n, width=width, dtype=dtype)
    asked: dict[str, Any] = {"store": "memory", "store_dtype": stored, "batch_size": batch}
    assert keeps(h, data, samples, budget, **asked)


@settings(max_examples=40, deadline=None)
@given(h=hypotheses(), data=datasets(), budget=BUDGETS)
def test_a_budget_is_kept_whatever_the_hypothesis(h, data, budget) -> None:
    assert keeps(h, data, 40, budget, store="memory")


@pytest.mark.parametrize("budget", [100_000, 300_000, 3_000_000])
def test_a_budget_is_kept_besides_a_table_in_a_file(budget) -> None:
    h, data = wide_problem(n=4000)
    assert keeps(h, data, 500, budget, store="disk")


def test_the_least_that_is_named_is_near_what_is_taken() -> None:
    h, data = wide_problem(n=4000)
    space, root, rows = compiled(h, data, 50)
    with pytest.raises(ScrubError, match="Raise memory=") as refused:
        _ = Executor(h.graph, space, [root], data, Settings(memory="1kB", store="memory")).layout
    least = parse_bytes(named(refused.value))
    made = Executor(
        h.graph, space, [root], data, Settings(memory=least, store="memory"), samples=50
    )
    assert peak(made, rows) > 0.6 * least
    less = Settings(memory=int(0.95 * least), store="memory")
    with pytest.raises(ScrubError, match="Raise memory="):
        _ = Executor(h.graph, space, [root], data, less, samples=50).layout


def test_a_budget_changes_no_value() -> None:
    h, data = wide_problem(n=4000)
    space, root, rows = compiled(h, data, 400)
    want = values(Executor(h.graph, space, [root], data, Settings(), samples=400), root, rows)
    tight = Settings(memory="60kB", store="memory")
    made = Executor(h.graph, space, [root], data, tight, samples=400)
    torch.testing.assert_close(values(made, root, rows), want, rtol=1e-12, atol=1e-12)
    assert made.actual.blocks > 3


def vocabulary(size: int = 2000, rows: int = 100):
    """Outputs so wide that measuring them takes most memory."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 8, generator=generator)
    w = torch.randn(8, size, generator=generator)
    graph = Graph.build(
        inputs=["x"],
        nodes={"a": (torch.tanh, ["x"]), "logits": (lambda a: a @ w, ["a"])},
        output="logits",
    )
    label = torch.randint(0, size, (rows,), generator=generator)
    h = Hypothesis(graph, claim("logits", exact, claim("a", "sign")))
    return h, Dataset(x=x, sign=x[:, 0] > 0, label=label)


@pytest.mark.parametrize("budget", ["350kB", "2MB"])
def test_metrics_and_comparisons_stay_within_the_budget(budget) -> None:
    h, data = vocabulary()
    metric: dict[str, Any] = {
        "loss": cs.metrics.cross_entropy("label"),
        "kl": cs.metrics.to_model("kl"),
    }
    asked: dict[str, Any] = {
        "samples": 60,
        "check": False,
        "keep_outputs": False,
        "store": "memory",
    }
    want = cs.scrub(h, data, metric, **asked)
    found = []
    taken = peak_bytes(lambda: found.append(cs.scrub(h, data, metric, memory=budget, **asked)))
    # What is measured is kept: of 60 samples 3 outputs by 2 metrics, 2 outputs in 5 ways.
    assert taken <= parse_bytes(budget) + 8 * 60 * (3 * 2 + 2 * 5)
    assert np.allclose(found[0].samples["scrubbed"], want.samples["scrubbed"], atol=1e-5)


def test_a_budget_that_no_output_can_be_measured_in_is_refused() -> None:
    h, data = vocabulary()
    metric = cs.metrics.to_model("kl")
    with pytest.raises(ScrubError, match="Raise memory=") as refused:
        cs.scrub(h, data, metric, samples=10, memory="100kB", store="memory", check=False)
    cs.scrub(h, data, metric, samples=10, memory=named(refused.value), store="memory", check=False)


def test_fields_that_nothing_reads_are_not_copied() -> None:
    h, data = wide_problem(n=2000)
    fat = data.with_fields(cache=torch.zeros(2000, 5000))
    asked: dict[str, Any] = {
        "samples": 2000,
        "metric": {"m": lambda out, rows: out + rows["low"]},
        "check": False,
    }
    plain = peak_bytes(lambda: cs.scrub(h, data, **asked))
    assert peak_bytes(lambda: cs.scrub(h, fat, **asked)) < plain + 1_000_000


def test_a_field_of_lazy_rows_is_copied_when_it_is_first_read() -> None:
    data = Dataset(x=torch.arange(10.0), words=list("abcdefghij"), y=torch.arange(10))
    rows = data.lazy(np.array([3, 3, 1]))
    made = rows._fields._made  # type: ignore[attr-defined]
    assert len(rows) == 3
    assert rows.field_names == ("x", "words", "y")
    assert "x" in rows
    assert made == {}
    assert rows["y"].tolist() == [3, 3, 1]
    assert list(made) == ["y"]
    assert rows["y"] is rows["y"]
    assert rows.with_model_output(torch.zeros(3))["words"].tolist() == ["d", "d", "b"]
    assert rows.with_fields(z=torch.ones(3))["x"].tolist() == [3.0, 3.0, 1.0]
    assert data.lazy(np.array([0]), "meta")["x"].device.type == "meta"
    with pytest.raises(cs.DataError, match="no field 'xx'"):
        rows["xx"]


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 B"), (1023.2, "1024 B"), (1025, "1.1 KiB"), (2 << 30, "2 GiB")]
)
def test_a_size_that_is_enough_is_never_rounded_down(count, text) -> None:
    assert enough(count) == text
    assert parse_bytes(text) >= count


# --- where the table goes, told without the device --------------------------------------------

NEED = Need(sample=100.0, active=90.0, row=50.0, put=10.0, kept=8.0)
COLUMNS = (Column(("a",), frozenset({"u", "v"}), 1000.0, largest=1000.0),)


def choose(device: int, host: int, **asked):
    choice = Choice(
        rows=1000,
        budget=Budget(device, host, True),
        device=CUDA,
        store_dtype=None,
        samples=asked.pop("samples", 5000),
        store=asked.pop("store", "auto"),
    )
    return choice.place(COLUMNS, choice.settle(COLUMNS, NEED))


def test_a_table_stays_on_a_device_that_holds_it_and_may_go_to_main_memory() -> None:
    place = choose(2_000_000, 3_000_000)
    assert place.storage.device == CUDA
    assert place.index_bytes == 0
    assert [(s.device, most) for s, most in place.spare] == [(CPU, 3_000_000 - 4000)]


def test_a_table_that_a_device_does_not_hold_is_in_main_memory() -> None:
    place = choose(100_000, 3_000_000)
    assert place.storage.device == CPU
    assert not place.storage.on_disk
    assert "main memory" in place.notes[0]
    # Not even one sample's activations, with the index, fit beside a batch: still no error.
    assert choose(1000, 500_000, samples=2).storage.device == CPU


def test_a_device_too_small_for_a_batch_is_refused() -> None:
    with pytest.raises(ScrubError, match="Raise memory="):
        choose(200, 3_000_000)
    with pytest.raises(ScrubError, match="Raise memory="):
        choose(1000, 1000)


def test_layouts_are_made_for_a_device_that_is_not_here() -> None:
    h, data = wide_problem()
    space, root, _ = compiled(h, data, 100)
    executor = Executor(h.graph, space, [root], data, Settings(), samples=100)
    made = lay_out(
        executor.graph, space, [root], data, executor.costs, Budget(150_000, 1 << 30, True), CUDA,
        batch_size=None, store="auto", store_dtype=None, samples=5000,
    )  # fmt: skip
    assert made.storage.device == CPU
    assert made.working_bytes <= 150_000
    assert all(column.bytes for column in made.columns), "no field lies on that device"
