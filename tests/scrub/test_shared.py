"""Several processes work on one run: a block is computed by one, all get the whole result."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from resumable import METRIC, PATH, assert_equal, problem, wait_for_blocks

import causal_scrubbing as cs
from causal_scrubbing._engine import Checkpoint, locks

WORKER = """
import json, sys
import causal_scrubbing as cs
from resumable import METRIC, problem
h, data = problem({pause})
print("ready", flush=True)
sys.stdin.readline()
found = cs.scrub(h, data, METRIC, seed=3, out={folder!r}, shared=True, **{options!r})
print(json.dumps([found.settings["actual"]["samples"], found.samples["scrubbed"].tolist()]))
"""


def start(folder: Path, pause: float, **options) -> subprocess.Popen:
    script = WORKER.format(pause=pause, folder=str(folder), options=options)
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": PATH, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def go(*workers: subprocess.Popen) -> None:
    """Let workers begin, once all of them can."""
    for worker in workers:
        assert worker.stdout.readline() == "ready\n", worker.communicate()[1]
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()


def told(child: subprocess.Popen) -> tuple[int, list[float]]:
    out, err = child.communicate(timeout=240)
    assert child.returncode == 0, err
    own, values = json.loads(out)
    return own, values


def assert_close(one: cs.Result, other: cs.Result) -> None:
    assert one.draws.equals(other.draws)
    np.testing.assert_allclose(one.samples, other.samples, rtol=1e-5, atol=1e-6)


def test_workers_share_a_run_and_take_over_from_one_that_is_killed(tmp_path) -> None:
    folder = tmp_path / "run"
    workers = [start(folder, 0.2, samples=3000) for _ in range(3)]
    go(workers[0])
    wait_for_blocks(folder, 2, workers[0])
    go(*workers[1:])
    wait_for_blocks(folder, 6, workers[0])
    workers[0].send_signal(signal.SIGKILL)
    workers[0].communicate()
    (one, values), (two, same) = told(workers[1]), told(workers[2])
    assert values == same
    assert min(one, two) > 0
    assert one + two <= 3000 - 2 * 128, "what the killed one finished is not computed again"
    h, data = problem()
    alone = cs.scrub(h, data, METRIC, samples=3000, seed=3)
    assert_close(cs.load(folder, data=data), alone)
    assert not list(folder.rglob(".*"))
    assert {f.name for f in (folder / "blocks").glob("*lock")} <= {"lock"}
    again = cs.scrub(h, data, METRIC, samples=3000, seed=3, out=folder)
    assert again.samples["scrubbed"].tolist() == values


def test_workers_share_a_run_that_stops_by_itself(tmp_path) -> None:
    options = {"samples": "auto", "tolerance": 4.0}
    workers = [start(tmp_path / "run", 0.05, **options) for _ in range(2)]
    go(*workers)
    (_, one), (_, two) = map(told, workers)
    assert one == two
    h, data = problem()
    alone = cs.scrub(h, data, METRIC, seed=3, **options)
    assert len(alone) == len(one)
    assert_close(cs.load(tmp_path / "run", data=data), alone)


def test_threads_share_a_run(tmp_path) -> None:
    h, data = problem()
    many = [h, h.with_(root=cs.claim("out", cs.exact, cs.claim("b", cs.exact)), name="other")]
    found: dict[int, list[cs.Result]] = {}

    def work(number: int) -> None:
        found[number] = cs.scrub(
            many, data, METRIC, samples=2000, out=tmp_path, shared=True, progress=False
        )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = cs.scrub(many, data, METRIC, samples=2000)
    computed = [found[i][0].settings["actual"]["samples"] for i in range(3)]
    assert sum(computed) == 2000
    for i in range(2):
        assert_equal(found[0][i], found[1][i])
        assert_equal(found[0][i], found[2][i])
        assert_close(found[0][i], alone[i])
        name = f"{i}-{many[i].name}"
        assert_equal(cs.load(tmp_path / name, data=data), found[0][i])


def test_a_run_for_one_process_and_a_shared_one_keep_out_of_each_others_way(tmp_path) -> None:
    h, data = problem()
    cs.scrub(h, data, METRIC, samples=100, out=tmp_path)
    what = json.loads((tmp_path / "blocks/run.json").read_text())
    for alone, beside in ((False, True), (True, False)):
        refused = pytest.raises(cs.ScrubError, match=r"another run is writing to .*shared=True")
        with Checkpoint(tmp_path / "blocks", what, shared=alone), refused:
            cs.scrub(h, data, METRIC, samples=100, out=tmp_path, shared=beside)
    with Checkpoint(tmp_path / "blocks", what, shared=True):
        cs.scrub(h, data, METRIC, samples=100, out=tmp_path, shared=True)


def test_parts_of_a_block_that_another_worker_is_writing_are_left_alone(tmp_path) -> None:
    h, data = problem()
    cs.scrub(h, data, METRIC, samples=100, out=tmp_path)
    what = json.loads((tmp_path / "blocks/run.json").read_text())
    part = tmp_path / "blocks" / ".x.parquet.1.causal-scrubbing"
    with Checkpoint(tmp_path / "blocks", what, shared=True):
        part.write_bytes(b"half")
        with Checkpoint(tmp_path / "blocks", what, shared=True):
            assert part.exists()
    with Checkpoint(tmp_path / "blocks", what, shared=True):
        assert not part.exists()


def test_locks_are_those_that_network_file_systems_grant(tmp_path, monkeypatch) -> None:
    flock, modes = locks.fcntl.flock, set()

    def strict(handle, kind: int) -> None:
        # As flock(2) says of NFS: a shared lock needs reading, an exclusive one writing.
        wanted = "readable" if kind & locks.fcntl.LOCK_SH else "writable"
        modes.add(wanted)
        if not getattr(handle, wanted)():
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(handle, kind)

    monkeypatch.setattr(locks.fcntl, "flock", strict)
    h, data = problem()
    result = cs.scrub(h, data, METRIC, samples=100, out=tmp_path, shared=True)
    assert len(result) == 100
    assert modes == {"readable", "writable"}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.EIO])
def test_a_file_system_without_locks_is_told_as_that(tmp_path, monkeypatch, code, shared) -> None:
    def without(handle, kind: int) -> None:
        raise OSError(code, os.strerror(code))

    h, data = problem()
    monkeypatch.setattr(locks.fcntl, "flock", without)
    reason = re.escape(os.strerror(code))
    with pytest.raises(cs.ScrubError, match=rf"cannot lock .*: {reason}.*file system that has"):
        cs.scrub(h, data, METRIC, samples=100, out=tmp_path, shared=shared)


def test_a_turn_that_cannot_be_had_is_not_taken(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(locks.Lock, "take", lambda self, **how: "wait" not in how)
    with (
        pytest.raises(cs.ScrubError, match=r"cannot wait for .*turn, which another process holds"),
        Checkpoint(tmp_path, {}, shared=True),
    ):
        pass


def test_a_worker_of_another_run_is_refused(tmp_path) -> None:
    h, data = problem()
    cs.scrub(h, data, METRIC, samples=100, out=tmp_path, shared=True)
    with pytest.raises(cs.ScrubError, match=r"differs in seed\. Give another folder"):
        cs.scrub(h, data, METRIC, samples=100, seed=4, out=tmp_path, shared=True)


def test_sharing_needs_a_folder_and_locks(tmp_path, monkeypatch) -> None:
    h, data = problem()
    with pytest.raises(cs.ScrubError, match="name it with out="):
        cs.scrub(h, data, METRIC, shared=True)
    assert locks.CAN_SHARE
    monkeypatch.setattr("causal_scrubbing._simulate.arguments.CAN_SHARE", False)
    with pytest.raises(cs.ScrubError, match="locks on files that several processes can hold"):
        cs.scrub(h, data, METRIC, out=tmp_path / "run", shared=True)
    assert not (tmp_path / "run").exists()
