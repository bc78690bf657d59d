"""Interrupted runs go on where they stopped, with equal results; nothing corrupts a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from resumable import METRIC, problem

import causal_scrubbing as cs

HERE = Path(__file__).parent
PATH = os.pathsep.join(map(str, (HERE.parent / "src", HERE)))


def start(folder: Path, tmp_path: Path, *, pause: float, before: str = "") -> subprocess.Popen:
    script = tmp_path / "child.py"
    script.write_text(
        "import causal_scrubbing as cs\nfrom resumable import METRIC, problem\n"
        + before
        + f"\nh, data = problem({pause})\n"
        + f"cs.scrub(h, data, METRIC, samples=3000, seed=3, out={str(folder)!r})\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": PATH,
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.PIPE, text=True
    )


def wait_for_blocks(folder: Path, count: int, child: subprocess.Popen) -> None:
    for _ in range(1200):
        if len(list((folder / "blocks").glob("*.parquet"))) >= count:
            return
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.05)
    raise AssertionError("the child wrote no blocks")


def assert_equal(one: cs.Result, other: cs.Result) -> None:
    pd_one, pd_other = one.samples, other.samples
    assert list(pd_one) == list(pd_other)
    for column in pd_one:
        assert np.array_equal(pd_one[column], pd_other[column]), column
    assert one.draws.equals(other.draws)
    assert one.recovered == other.recovered


def test_a_killed_run_resumes_to_the_same_bits(tmp_path) -> None:
    folder = tmp_path / "run"
    child = start(folder, tmp_path, pause=0.1)
    wait_for_blocks(folder, 3, child)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert not (folder / "run.json").exists()
    kept = {f.name: f.stat().st_mtime_ns for f in (folder / "blocks").glob("*.parquet")}
    h, data = problem()
    resumed = cs.scrub(h, data, METRIC, samples=3000, seed=3, out=folder)
    after = {f.name: f.stat().st_mtime_ns for f in (folder / "blocks").glob("*.parquet")}
    assert len(after) > len(kept) >= 3
    assert {name: after[name] for name in kept} == kept, "finished blocks were made again"
    whole = cs.scrub(h, data, METRIC, samples=3000, seed=3, out=tmp_path / "whole")
    assert_equal(resumed, whole)
    assert_equal(cs.load(folder, data=data), whole)
    plain = cs.scrub(h, data, METRIC, samples=3000, seed=3)
    np.testing.assert_allclose(plain.samples["scrubbed"], whole.samples["scrubbed"], rtol=1e-4)


@pytest.mark.parametrize("memory", ["1GiB", "30kB"])
def test_a_run_stopped_after_any_block_resumes_to_the_same_bits(tmp_path, memory) -> None:
    h, data = problem()
    options = {"samples": 700, "seed": 1, "memory": memory, "store": "memory"}
    whole = cs.scrub(h, data, METRIC, out=tmp_path / "whole", **options)
    for blocks in (1, 4):
        folder = tmp_path / f"{blocks}"

        def stop(done: int, of: int, last: int = 64 * blocks) -> None:
            if done >= last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cs.scrub(h, data, METRIC, out=folder, progress=stop, **options)
        assert len(list((folder / "blocks").glob("*.parquet"))) == blocks
        assert_equal(cs.scrub(h, data, METRIC, out=folder, **options), whole)


def test_a_second_run_into_one_folder_is_refused_while_the_first_is_alive(tmp_path) -> None:
    folder = tmp_path / "run"
    child = start(folder, tmp_path, pause=0.1)
    wait_for_blocks(folder, 1, child)
    h, data = problem()
    with pytest.raises(cs.ScrubError, match="another run is writing to"):
        cs.scrub(h, data, METRIC, samples=3000, seed=3, out=folder)
    child.kill()
    child.communicate()
    cs.scrub(h, data, METRIC, samples=3000, seed=3, out=folder)


def test_a_full_disk_keeps_finished_blocks_and_says_so(tmp_path) -> None:
    folder = tmp_path / "run"
    # A file size limit stands in for the disk: the write fails in the kernel.
    limit = textwrap.dedent(
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from causal_scrubbing._scrub import work
        compute, count = work.Work._compute, []

        def limited(self, rows):
            count.append(1)
            if len(count) == 4:
                resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
            return compute(self, rows)

        work.Work._compute = limited
        """
    )
    child = start(folder, tmp_path, pause=0.0, before=limit)
    _, said = child.communicate(timeout=120)
    assert child.returncode != 0
    assert "What is finished is kept" in said
    assert len(list((folder / "blocks").glob("*.parquet"))) == 3
    assert not list((folder / "blocks").glob("*.part"))
    h, data = problem()
    resumed = cs.scrub(h, data, METRIC, samples=3000, seed=3, out=folder)
    whole = cs.scrub(h, data, METRIC, samples=3000, seed=3, out=tmp_path / "whole")
    assert_equal(resumed, whole)


def test_blocks_of_another_run_are_refused(tmp_path) -> None:
    h, data = problem()
    cs.scrub(h, data, METRIC, samples=100, seed=3, out=tmp_path)
    with pytest.raises(cs.ScrubError, match=r"differs in seed\. Give another folder"):
        cs.scrub(h, data, METRIC, samples=100, seed=4, out=tmp_path)
    other = cs.Hypothesis(h.graph, cs.claim("out", cs.exact, cs.claim("b", cs.anything)))
    with pytest.raises(cs.ScrubError, match="differs in features, hypotheses"):
        cs.scrub(other, data, METRIC, samples=100, seed=3, out=tmp_path)


def test_a_saved_result_is_not_written_over(tmp_path) -> None:
    h, data = problem()
    cs.scrub(h, data, METRIC, samples=50).save(tmp_path / "saved")
    with pytest.raises(cs.ScrubError, match="holds a finished run that was not made with out="):
        cs.scrub(h, data, METRIC, samples=50, out=tmp_path / "saved")


def test_several_hypotheses_are_kept_side_by_side(tmp_path) -> None:
    h, data = problem()
    many = [h, h.with_(root=cs.claim("out", cs.exact, cs.claim("b", cs.exact)), name="a/b")]
    results = cs.scrub(many, data, METRIC, samples=200, out=tmp_path)
    again = cs.scrub(many, data, METRIC, samples=200, out=tmp_path)
    for number, (name, one, two) in enumerate(zip(["resumed", "a-b"], results, again, strict=True)):
        assert_equal(one, two)
        assert_equal(cs.load(tmp_path / f"{number}-{name}", data=data), one)


def test_kept_outputs_come_back(tmp_path) -> None:
    h, data = problem(dtype=torch.bfloat16)
    metric = {"own": lambda output, rows: output[:, 0].float()}
    first = cs.scrub(h, data, metric, samples=130, out=tmp_path, keep_outputs=True)
    second = cs.scrub(h, data, metric, samples=130, out=tmp_path, keep_outputs=True)
    for one, two in zip(first.outputs, second.outputs, strict=True):
        assert one.dtype == torch.bfloat16
        assert torch.equal(one, two)


def test_auto_stops_when_recovered_is_known(tmp_path) -> None:
    h, data = problem()
    result = cs.scrub(h, data, METRIC, samples="auto", tolerance=6.0, out=tmp_path / "auto")
    low, high = result.recovered.interval
    assert (high - low) / 2 <= 6.0
    assert result.settings["samples"] == len(result) < 200_000
    assert any("recovered is known to ±" in note for note in result.notes)
    again = cs.scrub(h, data, METRIC, samples="auto", tolerance=6.0, out=tmp_path / "auto")
    assert_equal(result, again)
    fixed = cs.scrub(h, data, METRIC, samples=len(result))
    np.testing.assert_allclose(fixed.recovered.mean, result.recovered.mean, rtol=1e-5)
    json.dumps(result.to_dict())


def test_auto_stops_at_the_cap_and_says_so() -> None:
    h, data = problem()
    result = cs.scrub(h, data, METRIC, samples="auto", tolerance=0.01, max_samples=1500)
    assert len(result) == 1500
    assert any("Raise max_samples=" in note for note in result.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0}, "tolerance=0: give the half-width"),
        ({"max_samples": 0}, "max_samples=0: give the most samples"),
        ({"pool": 20}, "cannot be joined with pool="),
    ],
)
def test_auto_needs_a_tolerance_and_a_cap(options, message) -> None:
    h, data = problem()
    with pytest.raises(cs.ScrubError, match=message):
        cs.scrub(h, data, METRIC, samples="auto", **options)


def test_auto_without_a_baseline_is_refused() -> None:
    h, data = problem()
    with pytest.raises(cs.ScrubError, match="recovered is undefined here: pass randomize="):
        cs.scrub(h, data, samples="auto")


def wide() -> tuple[cs.Hypothesis, cs.Dataset]:
    """A claim on each of several nodes that one dear node feeds."""
    x = torch.randn(300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = cs.Dataset(x=x, up=x > 0)
    parts = {f"p{i}": (lambda d, i=i: d[:, i], ["dear"]) for i in range(4)}
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "dear": (lambda x: (x[:, None] * torch.arange(4)).sin(), ["x"]),
            **parts,
            "y": (lambda *p: sum(p).square(), list(parts)),
        },
        output="y",
    )
    claims = [cs.claim(name, "up") for name in parts]
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, *claims)), data


@pytest.mark.parametrize("how", ["kept", "auto"])
def test_clean_rows_are_run_once_however_many_blocks_there_are(how, tmp_path) -> None:
    h, data = wide()
    options = {"randomize": "y"}
    if how == "auto":
        options |= {"tolerance": 4.0, "max_samples": 4096}
    plain = cs.scrub(h, data, samples=4096, randomize="y")
    many = cs.scrub(
        h, data, samples=4096 if how == "kept" else "auto", out=tmp_path / "run", **options
    )
    assert many.settings["actual"]["blocks"] > 1
    assert many.settings["actual"]["rows"] <= 1.5 * plain.settings["actual"]["rows"]
    assert plain.settings["actual"]["rows"] <= 300
