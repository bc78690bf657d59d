"""A run by worker processes is the run by one, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from resumable import METRIC, problem

import causal_scrubbing as cs
from causal_scrubbing._executors import load, packed

H, DATA = problem()


def assert_same(one: cs.Result, other: cs.Result) -> None:
    assert one.draws.equals(other.draws)
    for column in one.samples:
        assert np.allclose(one.samples[column], other.samples[column], rtol=1e-5, atol=1e-7)


class Flaky:
    """An executor whose workers are killed in the middle, and whose blocks come in any order."""

    def __init__(self, kills: int) -> None:
        self.kills = kills
        self.killed: list[int] = []

    @contextmanager
    def open(self, work: bytes) -> Iterator[Flaky]:
        with cs.executors.Processes(2, threads=1).open(work) as self.pool:
            yield self

    def compute(self, blocks, **asked):
        for block, found in self.pool.compute(list(reversed(blocks)), **asked):
            if len(self.killed) < self.kills:
                worker = max(self.pool.workers, key=lambda one: one.block is not None)
                os.kill(worker.process.pid, signal.SIGKILL)
                self.killed.append(worker.process.pid)
            yield block, found


def test_workers_give_the_run_of_one_process_though_some_are_killed(tmp_path) -> None:
    alone = cs.scrub(H, DATA, METRIC, samples=900, seed=3)
    flaky = Flaky(kills=2)
    done: list[int] = []
    spread = cs.scrub(
        H, DATA, METRIC, samples=900, seed=3, executor=flaky, out=tmp_path / "run",
        progress=lambda now, of: done.append(now),
    )  # fmt: skip
    assert len(flaky.killed) == 2
    assert_same(alone, spread)
    assert done[-1] == 900
    # The blocks that workers finished serve a run in this process.
    assert_same(alone, cs.scrub(H, DATA, METRIC, samples=900, seed=3, out=tmp_path / "run"))


class Watched:
    """An executor whose workers are sent what Ctrl-C sends them."""

    @contextmanager
    def open(self, work: bytes) -> Iterator[Watched]:
        with cs.executors.Processes(1, threads=1).open(work) as self.pool:
            yield self

    def compute(self, blocks, **asked):
        for block, found in self.pool.compute(blocks, **asked):
            self.processes = [worker.process for worker in self.pool.workers]
            for process in self.processes:
                process.send_signal(signal.SIGINT)
            yield block, found


def test_workers_report_inside_blocks_and_end_with_ctrl_c(tmp_path) -> None:
    h, data = problem(0.15)
    done: list[int] = []

    def progress(now: int, of: int) -> None:
        done.append(now)
        if now >= 192:
            raise KeyboardInterrupt("stopped")

    watched, out = Watched(), tmp_path / "run"
    options: dict[str, Any] = {"samples": 300, "seed": 3, "batch_size": 16, "check": False}
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        cs.scrub(h, data, METRIC, out=out, executor=watched, progress=progress, **options)
    assert done == sorted(done)
    assert any(now % 64 for now in done), "nothing was told inside a block"
    assert all(process.poll() is not None for process in watched.processes)
    assert watched.pool.started == 1, "a worker was ended by Ctrl-C"
    assert len(list((out / "blocks").glob("*.parquet"))) == 3
    assert_same(
        cs.scrub(H, DATA, METRIC, samples=300, seed=3),
        cs.scrub(H, DATA, METRIC, out=out, **options),
    )


def test_auto_stops_where_one_process_stops() -> None:
    options: dict[str, Any] = {"samples": "auto", "tolerance": 4.0, "max_samples": 4000}
    alone = cs.scrub(H, DATA, METRIC, **options)
    assert_same(
        alone, cs.scrub(H, DATA, METRIC, executor=cs.executors.Processes(1, threads=1), **options)
    )


def test_a_row_that_fails_fails_the_run_after_a_few_tries_and_is_named() -> None:
    row = int(cs.scrub(H, DATA, METRIC, samples=300).drawn["~ref"][200])
    bad = DATA["x"][row, 0]

    def metric(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        if bool((rows["x"][:, 0] == bad).any()):
            raise ValueError("no value")
        return output[:, 0]

    named = rf"samples \d+ to \d+: sample \d+, on row {row} of .*no value.*\(tried 3 times\)"
    with pytest.raises(cs.ScrubError, match=named):
        cs.scrub(
            H, DATA, metric, samples=300, batch_size=64, check=False,
            executor=cs.executors.Processes(1, threads=1),
        )  # fmt: skip


def test_a_block_that_fails_only_as_a_whole_fails_the_run_with_its_samples() -> None:
    def metric(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        if len(rows) > 16:
            raise ValueError("too many rows")
        return output[:, 0]

    class Here:
        @contextmanager
        def open(self, work: bytes) -> Iterator[Here]:
            self.block = load(work)
            yield self

        def compute(self, blocks, **asked):
            for block in blocks:
                yield block, self.block(*block)

    with pytest.raises(cs.ScrubError, match="too many rows"):
        cs.scrub(H, DATA, metric, samples=300, batch_size=64, check=False, executor=Here())


def test_workers_that_give_other_values_are_found_out() -> None:
    @contextmanager
    def open_(self, work: bytes) -> Iterator[Wrong]:
        self.compute_block = load(work)
        yield self

    class Wrong:
        open = open_

        def compute(self, blocks, **asked):
            for block in blocks:
                (measured, tensors), drawn = self.compute_block(*block)  # type: ignore[attr-defined]
                wrong = [
                    replace(one, scrubbed={name: v + 1.0 for name, v in one.scrubbed.items()})
                    for one in measured
                ]
                yield block, ((tuple(wrong), tensors), drawn)

    with pytest.raises(cs.ScrubError, match="a worker gave other values of 'squared'"):
        cs.scrub(H, DATA, METRIC, samples=300, executor=Wrong())


def test_workers_that_cannot_begin_are_an_error() -> None:
    def setup() -> None:
        os._exit(3)

    with cs.executors.Processes(1, threads=1).open(packed(setup)) as pool:  # noqa: SIM117
        with pytest.raises(cs.ScrubError, match=r"workers keep dying .*exit status 3"):
            list(pool.compute([(0, 4)]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cs.executors.Processes(0), "count=0: give at least 1"),
        (lambda: cs.executors.Processes(2.5), r"count=2\.5: give an integer"),  # type: ignore[arg-type]
        (lambda: cs.executors.Ray(cpus=0), "cpus=0"),
        (lambda: cs.scrub(H, DATA, METRIC, executor="ray"), "'ray' is not an executor"),  # type: ignore[call-overload]
        (lambda: cs.scrub(H, DATA, METRIC, executor=cs.executors.Processes), "not an executor"),  # type: ignore[call-overload]
        (lambda: packed(partial(print, threading.Lock())), "cannot be sent to other processes"),
    ],
)
def test_what_cannot_be_an_executor_or_its_work_is_told(make, message: str) -> None:
    with pytest.raises(cs.ScrubError, match=message):
        make()
