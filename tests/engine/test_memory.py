"""Results do not depend on batch size, memory budget, storage or block order."""

from __future__ import annotations

import platform
import subprocess
import sys
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from engines import CPU, compiled, values, wide_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import datasets, hypotheses

from causal_scrubbing import Dataset, Graph, Hypothesis, ScrubError, claim, exact
from causal_scrubbing._engine import Executor, Settings, parse_bytes, peak_bytes, read_budget
from causal_scrubbing._expressions import Compiler, Space
from causal_scrubbing._graph import made
from causal_scrubbing._sampling import Sampler


@settings(max_examples=60, deadline=None)
@given(
    h=hypotheses(),
    data=datasets(),
    batch=st.sampled_from([None, 1, 3, 64]),
    memory=st.sampled_from([None, 300, 900, 5000]),
    store=st.sampled_from(["auto", "memory", "disk"]),
)
def test_the_way_a_run_uses_the_machine_does_not_change_it(h, data, batch, memory, store) -> None:
    space, root, rows = compiled(h, data, 40)
    plain = values(Executor(h.graph, space, [root], data, batch_size=16), root, rows)
    for budget in (memory, "8kB"):  # more where one sample does not fit
        asked = Settings(batch_size=batch, memory=budget, store=store)
        executor = Executor(h.graph, space, [root], data, asked, samples=40)
        with suppress(ScrubError):
            assert executor.layout
            break
    torch.testing.assert_close(values(executor, root, rows), plain, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(h=hypotheses(), data=datasets())
def test_some_outputs_of_a_run_are_computed_again_with_a_table_of_their_own(h, data) -> None:
    space, root, rows = compiled(h, data, 30)
    model = Compiler(h.graph, space).clean(h.graph.output, "~ref")
    run = Executor(h.graph, space, [root, model], data, Settings(), samples=30)
    want = values(run, root, rows)
    again = run.again([root], Settings(1, store="memory"), samples=30)
    assert again.batch_size == 1
    assert again.costs is run.costs
    torch.testing.assert_close(values(again, root, rows), want, rtol=1e-12, atol=1e-12)
    assert run.table is not again.table


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-4), (torch.bfloat16, 0.5)],
)
def test_a_small_budget_runs_samples_in_blocks_and_gives_equal_values(dtype, tolerance) -> None:
    h, data = wide_problem(dtype=dtype)
    space, root, rows = compiled(h, data, 3000)
    ample = Executor(h.graph, space, [root], data, Settings(memory="1GiB"))
    want = values(ample, root, rows)
    assert ample.actual.blocks == 1
    small = Executor(h.graph, space, [root], data, Settings(memory="200kB", store="memory"))
    got = values(small, root, rows)
    torch.testing.assert_close(got.double(), want.double(), rtol=tolerance, atol=tolerance)
    assert small.actual.blocks > 1
    assert small.table.bytes <= 200_000
    assert "blocks" in " ".join(small.layout.notes)
    assert small.batch_size < ample.batch_size


def test_what_is_cheap_to_make_from_fields_is_not_stored_when_room_is_short() -> None:
    h, data = wide_problem()
    space, root, _ = compiled(h, data, 10)
    ample = Executor(h.graph, space, [root], data, Settings(memory="1GiB"))
    small = Executor(h.graph, space, [root], data, Settings(memory="200kB"))
    assert "embed" in {step.node for step in ample.program.gathers}
    assert small.layout.inlined == ("embed",)
    assert "token" in {step.node for step in small.program.gathers}


def test_a_run_that_would_recompute_much_keeps_its_table_in_a_file() -> None:
    h, data = wide_problem()
    space, root, rows = compiled(h, data, 5000)
    executor = Executor(h.graph, space, [root], data, Settings(memory="200kB"), samples=5000)
    executor_values = values(executor, root, rows)
    assert executor.layout.storage.on_disk
    assert "file" in " ".join(executor.layout.notes)
    ample = Executor(h.graph, space, [root], data, Settings())
    torch.testing.assert_close(executor_values, values(ample, root, rows))


def test_rounding_what_is_stored_is_asked_for_and_said() -> None:
    h, data = wide_problem()
    space, root, rows = compiled(h, data, 200)
    exact_values = values(Executor(h.graph, space, [root], data, Settings()), root, rows)
    rounded = Executor(h.graph, space, [root], data, Settings(store_dtype=torch.bfloat16))
    got = values(rounded, root, rows)
    assert got.dtype == torch.float64
    assert not torch.equal(got, exact_values)
    torch.testing.assert_close(got, exact_values, rtol=0.1, atol=0.5)
    assert "bfloat16" in " ".join(rounded.layout.notes)


def test_the_table_is_kept_between_runs_and_filled_once() -> None:
    h, data = wide_problem()
    space, root, rows = compiled(h, data, 2000)
    executor = Executor(h.graph, space, [root], data, Settings())
    first = values(executor, root, rows)
    done = dict(executor.table.effort.rows)
    assert sum(done.values()) <= len(data)
    assert torch.equal(values(executor, root, rows), first)
    assert executor.table.effort.rows == done


def test_blocks_in_any_order_give_equal_values() -> None:
    h, data = wide_problem()
    space, root, rows = compiled(h, data, 900)
    executor = Executor(h.graph, space, [root], data, Settings(memory="300kB"))
    whole = values(executor, root, rows)
    other = Executor(h.graph, space, [root], data, Settings(memory="300kB"))
    parts = {}
    for start in (600, 0, 300):
        part = {v: r[start : start + 300] for v, r in rows.items()}
        parts[start] = values(other, root, part)
    got = torch.cat([parts[0], parts[300], parts[600]])
    torch.testing.assert_close(got, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), MemoryError("full")])
def test_running_out_of_memory_is_met_by_smaller_batches(error) -> None:
    def greedy(x: torch.Tensor) -> torch.Tensor:
        if len(x) > 7:
            raise error
        return 2 * x

    graph = Graph.build(
        inputs=["x", "y"],
        nodes={"d": (greedy, ["x"]), "e": (lambda d, y: greedy(d) + y, ["d", "y"])},
        output="e",
    )
    data = Dataset(x=torch.arange(50.0), y=torch.arange(50.0))
    h = Hypothesis(graph, claim("e", exact, claim("d", exact)))
    space, root, rows = compiled(h, data, 100)
    executor = Executor(graph, space, [root], data, Settings(batch_size=64))
    got = values(executor, root, rows)
    d, y = (torch.as_tensor(rows[v]).double() for v in (rows_of(space, n) for n in ("d", "y")))
    torch.testing.assert_close(got.double(), 4 * d + y)
    assert executor.actual.shrunk > 0
    assert executor.table.effort.shrunk > 0


def rows_of(space: Space, node: str) -> str:
    found = {e.variable for e in space.exprs if getattr(e, "variable", None) and e.node == node}
    assert len(found) == 1
    return found.pop()


def test_a_sample_that_cannot_fit_says_so() -> None:
    h, data = wide_problem()
    space, root, _ = compiled(h, data, 10)
    executor = Executor(h.graph, space, [root], data, Settings(memory=200))
    with pytest.raises(ScrubError, match=r"one sample needs .* Raise memory="):
        _ = executor.layout


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 << 30), ("1.5 MB", 1_500_000), ("64k", 64_000), (12, 12), ("7", 7)],
)
def test_sizes_are_read(text, size) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("wrong", ["4 gigs", "-3MB", 0, "0", 1.5, None, True])
def test_a_wrong_size_is_refused(wrong) -> None:
    with pytest.raises(ScrubError, match="memory="):
        parse_bytes(wrong)


def test_a_budget_names_kinds_of_devices_whether_there_are_any() -> None:
    with pytest.raises(ScrubError, match="names 'gpu', which is no kind of device"):
        read_budget({"gpu": "1GiB"}, CPU)
    assert read_budget({"cuda": "2GiB", "cpu": "1GiB"}, CPU).device == 1 << 30
    assert read_budget({"cpu": "1GiB"}, CPU).device == 1 << 30
    assert np.isclose(read_budget("1GiB", CPU).device, 1 << 30)


def test_an_unknown_store_is_refused() -> None:
    h, data = wide_problem()
    space, root, _ = compiled(h, data, 10)
    with pytest.raises(ScrubError, match="store='tape'; it is one of 'auto', 'memory', 'disk'"):
        _ = Executor(h.graph, space, [root], data, Settings(store="tape")).layout


def test_a_clean_value_is_freed_once_it_is_moved() -> None:
    names = [f"n{i}" for i in range(20)]
    nodes = {
        one: (torch.sin, [before]) for one, before in zip(names, ["x", *names[:-1]], strict=True)
    }
    graph = Graph.build(inputs=["x"], nodes=nodes, output=names[-1])
    data = Dataset(x=torch.ones(100, 50, dtype=torch.float64))
    seen = []

    def run() -> None:
        for name, value in made(graph, data, names):
            seen.append(name)
            del value

    assert peak_bytes(run) <= 3 * 100 * 50 * 8
    assert seen == names


CHURN = """
import resource
import torch
from causal_scrubbing._engine import keep_freed

def batch():
    kept = [torch.ones(1 << 18) for _ in range(40)]

keep_freed()
for _ in range(3):
    batch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    batch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that gives memory back")
def test_memory_freed_by_a_batch_is_there_for_the_next() -> None:
    # Where the heap lies, and so whether its end would be given back, differs by process.
    runs = [
        subprocess.Popen([sys.executable, "-c", CHURN], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    faults = [int(run.communicate(timeout=120)[0]) for run in runs]
    assert max(faults) < 10_000, "of 102,400 were each batch given back"


def test_outputs_of_many_hypotheses_do_not_make_batches_small() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(8, 4000, generator=generator)
    graph = Graph.build(
        inputs=["x"],
        nodes={"a": (torch.sin, ["x"]), "y": (lambda x, a: (x + a) @ weight, ["x", "a"])},
        output="y",
    )
    classes: dict[str, Any] = {f"k{i}": torch.arange(50) % (i + 2) for i in range(30)}
    data = Dataset(x=torch.randn(50, 8, generator=generator), **classes)

    def batch(count: int, memory: str) -> int:
        space = Space()
        compiler = Compiler(graph, space)
        hs = [Hypothesis(graph, claim("y", exact, claim("a", f"k{i}"))) for i in range(count)]
        samplers = [Sampler(h, data, 0) for h in hs]
        roots = [compiler.tree(s.hypothesis.tree, s.variables) for s in samplers]
        assert len(set(roots)) == count
        settings = Settings(memory=memory)
        return Executor(graph, space, roots, data, settings, samples=10_000).batch_size

    assert batch(30, "4GiB") >= batch(1, "4GiB") / 4 >= 256
    assert batch(30, "40MB") < 16, "the budget covers them"
