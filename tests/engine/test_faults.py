"""Memory and disk that run out, devices that are not here: met, or said in words."""

from __future__ import annotations

import errno
import os
from typing import Any

import numpy as np
import pytest
import torch
from engines import compiled, values, wide_problem

import causal_scrubbing as cs
from causal_scrubbing import ScrubError
from causal_scrubbing._engine import (
    Executor,
    NoRoomError,
    Settings,
    Storage,
    clock,
    release,
    storage,
)
from causal_scrubbing._graph import is_out_of_memory
from causal_scrubbing._metrics import compare_all
from causal_scrubbing._simulate import Reader

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
METRIC = {"m": lambda output, rows: output}


def run(samples: int = 400, n: int = 600, **asked):
    h, data = wide_problem(n=n)
    space, root, rows = compiled(h, data, samples)
    executor = Executor(h.graph, space, [root], data, Settings(**asked), samples=samples)
    return executor, values(executor, root, rows)


# --- memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "MPS backend out of memory (MPS allocated: 1 GB)",
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes",
    ],
)
def test_running_out_of_memory_is_known_by_what_libraries_say(said) -> None:
    assert is_out_of_memory(RuntimeError(said))
    assert not is_out_of_memory(ValueError(said))


def test_other_errors_are_not_running_out_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
    assert not is_out_of_memory(RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED"))


def scarce(monkeypatch, refused) -> list[tuple[Storage, tuple[int, ...]]]:
    """Make storages that `refused` names have no room; gives what was asked for."""
    asked = []

    def allocate(where, shape, dtype):
        asked.append((where, shape))
        if refused(where, shape):
            raise NoRoomError("full")
        return real(where, shape, dtype)

    real = storage.allocate
    monkeypatch.setattr("causal_scrubbing._engine.table.allocate", allocate)
    return asked


def test_a_table_that_memory_does_not_hold_is_made_smaller(monkeypatch) -> None:
    _, want = run()
    scarce(monkeypatch, lambda where, shape: shape[0] > 100)
    executor, got = run(store="memory")
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    assert executor.table.effort.moved > 0
    assert executor.actual.blocks > 1
    assert executor.batch_size > 1, "smaller batches would not help"
    assert executor.table.batch_size > 1


def test_a_run_in_blocks_goes_on_with_a_smaller_table(monkeypatch) -> None:
    h, data = wide_problem()
    want = cs.scrub(h, data, METRIC, samples=300, check=False)
    scarce(monkeypatch, lambda where, shape: shape[0] > 150)
    got = cs.scrub(h, data, METRIC, samples=300, check=False, store="memory")
    np.testing.assert_allclose(got.samples["scrubbed"], want.samples["scrubbed"])
    assert got.settings["actual"]["tables_moved"] > 0


def test_memory_that_does_not_hold_one_sample_is_said(monkeypatch) -> None:
    scarce(monkeypatch, lambda where, shape: True)
    with pytest.raises(ScrubError, match="not even the clean activations of one sample fit main"):
        run(store="memory")


def test_a_table_moves_to_where_there_is_room(monkeypatch) -> None:
    _, want = run()
    h, data = wide_problem()
    space, root, rows = compiled(h, data, 400)
    executor = Executor(h.graph, space, [root], data, Settings(), samples=400)
    made = executor.layout.__class__
    first, other = Storage(CPU, dtype=torch.float64), Storage(CPU)
    executor.layout = made(
        **{**vars(executor.layout), "storage": first, "spare": ((other, float("inf")),)}
    )
    scarce(monkeypatch, lambda where, shape: where is first)
    torch.testing.assert_close(values(executor, root, rows), want, rtol=1e-12, atol=1e-12)
    assert executor.table.storage is other
    assert executor.table.effort.moved == 1


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("MPS backend out of memory")],
)
def test_a_metric_that_runs_out_of_memory_gets_fewer_rows(error) -> None:
    def greedy(output, rows):
        if len(output) > 7:
            raise error
        return output + rows["low"]

    h, data = wide_problem()
    want = cs.scrub(h, data, lambda o, rows: o + rows["low"], samples=100, check=False)
    got = cs.scrub(h, data, greedy, samples=100, check=False)
    assert np.array_equal(got.samples["scrubbed"], want.samples["scrubbed"])
    assert np.array_equal(got.samples["model"], want.samples["model"])


def test_comparisons_that_run_out_of_memory_get_fewer_rows(monkeypatch) -> None:
    def greedy(found, own, **asked):
        if len(own) > 5:
            raise torch.OutOfMemoryError("full")
        return compare_all(found, own, **asked)

    h, data = wide_problem()
    want = cs.scrub(h, data, METRIC, samples=50, check=False)
    monkeypatch.setattr("causal_scrubbing._simulate.evaluation.compare_all", greedy)
    got = cs.scrub(h, data, METRIC, samples=50, check=False)
    assert str(got.compare_functions()) == str(want.compare_functions())


def test_a_metric_that_runs_out_of_memory_on_one_row_says_what_to_do() -> None:
    def greedy(output, rows):
        raise MemoryError("full")

    h, data = wide_problem()
    with pytest.raises(ScrubError, match=r"memory ran out while one output .* was measured"):
        cs.scrub(h, data, greedy, samples=100, check=False)


# --- disk --------------------------------------------------------------------------------------


def full_disk(monkeypatch, name: str = "posix_fallocate") -> None:
    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, name, fail, raising=False)


def test_a_full_disk_under_the_table_is_an_error_and_not_a_crash(monkeypatch) -> None:
    full_disk(monkeypatch)
    with pytest.raises(ScrubError, match=r"does not fit a file in .*No space left.*set TMPDIR"):
        run(store="disk")


def test_a_run_that_chose_a_file_goes_on_in_memory_when_the_disk_is_full(monkeypatch) -> None:
    _, want = run(samples=5000)
    full_disk(monkeypatch)
    executor, got = run(samples=5000, memory="200kB")
    assert executor.layout.storage.on_disk
    assert not executor.table.storage.on_disk
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def test_disk_space_is_taken_beforehand_where_the_system_has_no_call_for_it(monkeypatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    _, want = run()
    _, got = run(store="disk")
    torch.testing.assert_close(got, want)
    full_disk(monkeypatch, "write")
    with pytest.raises(ScrubError, match="No space left"):
        run(store="disk")


def test_a_file_takes_its_space_before_it_is_written(tmp_path) -> None:
    with open(tmp_path / "table", "wb") as file:
        storage._claim(file.fileno(), 3_000_000)
        found = os.fstat(file.fileno())
    assert found.st_size == 3_000_000
    assert found.st_blocks * 512 >= 3_000_000


@pytest.mark.parametrize("samples", [None, 5000])
def test_a_table_that_grows_is_not_written_many_times(monkeypatch, samples) -> None:
    asked = scarce(monkeypatch, lambda where, shape: False)
    h, data = wide_problem(n=5000)
    space, root, rows = compiled(h, data, 5000)
    executor = Executor(h.graph, space, [root], data, Settings(store="disk"), samples=samples)
    for start in range(0, 5000, 100):
        values(executor, root, {v: r[start : start + 100] for v, r in rows.items()})
    written = sum(shape[0] for _, shape in asked)
    held = sum(len(v) for n, v in executor.table._values.items() if n in executor.table._dtypes)
    assert held <= len(executor.table._dtypes) * 5000
    assert written <= (2.1 if samples is None else 1) * held


# --- devices that are not here -----------------------------------------------------------------


def test_time_is_told_once_a_device_has_done_its_work(monkeypatch) -> None:
    waited: list[Any] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    before = clock(CPU)
    assert waited == []
    assert clock(CUDA) >= before
    assert waited == [CUDA]


def test_cached_memory_is_given_back_to_a_gpu_alone(monkeypatch) -> None:
    given = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given.append(1))
    release(CPU)
    release(None)
    assert given == []
    release(CUDA)
    assert given == [1]


def test_activations_go_from_main_memory_to_a_gpu_by_pinned_memory(monkeypatch) -> None:
    made, moved = [], []

    def pinned(shape, dtype):
        made.append(torch.empty(shape, dtype=dtype))
        return made[-1]

    def to(self, device, **asked):
        moved.append((self, device, asked))
        return self

    monkeypatch.setattr(storage, "_pinned", pinned)
    monkeypatch.setattr(torch.Tensor, "to", to)
    table = torch.arange(12.0).reshape(6, 2)
    got = storage.gather(table, torch.tensor([4, 1], dtype=torch.int32), CUDA)
    assert got.tolist() == [[8.0, 9.0], [2.0, 3.0]]
    assert got is made[0]
    assert moved[-1][0] is made[0]
    assert moved[-1][1:] == (CUDA, {"non_blocking": True})


def test_rows_that_a_metric_reads_are_where_the_outputs_are(monkeypatch) -> None:
    seen = []

    def metric(output, rows):
        seen.append((output.device.type, rows["low"].device.type, rows.model_output.device.type))
        return torch.zeros(len(rows))

    _, data = wide_problem()
    reader = Reader(data, {"m": metric}, 0, [1], [None], compare=False)
    outputs = {number: torch.zeros(5, device="meta") for number in (0, 1)}
    found = reader.read(outputs, np.arange(5), None)
    assert found[0].scrubbed["m"].shape == (5,)
    assert set(seen) == {("meta", "meta", "meta")}


# --- arguments ---------------------------------------------------------------------------------

VERBS = {
    "scrub": lambda h, data, **asked: cs.scrub(h, data, METRIC, **asked),
    "explain": lambda h, data, **asked: cs.explain(h, data, **asked),
    "exact_scrub": lambda h, data, **asked: cs.exact_scrub(h, data, METRIC, **asked),
    "refute": lambda h, data, **asked: cs.refute(h, data, METRIC, **asked),
    "improve": lambda h, data, **asked: cs.improve(h, data, METRIC, **asked),
    "controls": lambda h, data, **asked: cs.controls(h, data, METRIC, **asked),
    "discover": lambda h, data, **asked: cs.discover(h.graph, data, METRIC, **asked),
    "interchange": lambda h, data, **asked: cs.interchange(
        h, data, output="low", read=lambda out: out > 0, **asked
    ),
    "ablate": lambda h, data, **asked: cs.ablate(h.graph, "r", data, metric=METRIC, **asked),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("wrong", [-3, 0, 2.5, True, "many"])
def test_every_verb_refuses_a_wrong_batch_size_at_once(verb, wrong) -> None:
    h, data = wide_problem(n=20)
    with pytest.raises(ScrubError, match=rf"batch_size={wrong!r}: give"):
        VERBS[verb](h, data, batch_size=wrong)


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in ("scrub", "explain")])
def test_every_verb_refuses_a_device_that_is_not_here(verb) -> None:
    h, data = wide_problem(n=20)
    with pytest.raises(ScrubError, match="device='meta' cannot be used here"):
        VERBS[verb](h, data, device="meta")


@pytest.mark.parametrize("verb", ["refute", "improve", "controls", "interchange", "ablate"])
def test_every_verb_refuses_samples_and_seeds_that_are_no_numbers(verb) -> None:
    h, data = wide_problem(n=20)
    with pytest.raises(ScrubError, match=r"samples=2\.5: give the number of (held-out )?samples"):
        VERBS[verb](h, data, samples=2.5)
    with pytest.raises(ScrubError, match=r"seed=1\.5: give (a|the) seed"):
        VERBS[verb](h, data, seed=1.5)
