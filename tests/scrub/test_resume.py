"""Interrupted runs go on where they stopped, with equal results; nothing corrupts a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines import wide_problem
from resumable import METRIC, PATH, assert_equal, problem, wait_for_blocks

import causal_scrubbing as cs
from causal_scrubbing._files import remove_parts, write_whole
from causal_scrubbing._simulate import auto_spans


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
    computed = 3000 - resumed.settings["actual"]["samples"]
    assert f"{computed:,} samples were finished before" in str(resumed.explain())
    assert "were finished before" not in str(whole.explain())
    plain = cs.scrub(h, data, METRIC, samples=3000, seed=3)
    np.testing.assert_allclose(plain.samples["scrubbed"], whole.samples["scrubbed"], rtol=1e-4)


@pytest.mark.parametrize("memory", ["1GiB", "30kB"])
def test_a_run_stopped_after_any_block_resumes_to_the_same_bits(tmp_path, memory) -> None:
    h, data = problem()
    options: dict[str, Any] = {"samples": 700, "seed": 1, "memory": memory, "store": "memory"}
    whole = cs.scrub(h, data, METRIC, out=tmp_path / "whole", **options)
    for blocks in (1, 4):
        folder = tmp_path / f"{blocks}"

        def stop(done: int, of: int, last: int = 64 * blocks) -> None:
            if done >= last:
                raise KeyboardInterrupt("stopped")

        with pytest.raises(KeyboardInterrupt, match="stopped"):
            cs.scrub(h, data, METRIC, out=folder, progress=stop, **options)
        assert len(list((folder / "blocks").glob("*.parquet"))) == blocks
        assert_equal(cs.scrub(h, data, METRIC, out=folder, **options), whole)


def test_two_runs_into_one_folder_are_one_run(tmp_path) -> None:
    folder = tmp_path / "run"
    child = start(folder, tmp_path, pause=0.1)
    wait_for_blocks(folder, 1, child)
    h, data = problem()
    beside = cs.scrub(h, data, METRIC, samples=3000, seed=3, out=folder)
    child.kill()
    child.communicate()
    assert beside.settings["actual"]["samples"] < 3000, "finished blocks were made again"
    again = cs.scrub(h, data, METRIC, samples=3000, seed=3, out=folder)
    assert_equal(beside, again)
    assert cs.verify(folder, data=data)


def test_a_full_disk_keeps_finished_blocks_and_says_so(tmp_path) -> None:
    folder = tmp_path / "run"
    # A file size limit stands in for the disk: the write fails in the kernel.
    limit = textwrap.dedent(
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from causal_scrubbing._simulate import Simulation
        compute, count = Simulation.compute, []

        def limited(self, start, rows):
            count.append(1)
            if len(count) == 4:
                resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
            return compute(self, start, rows)

        Simulation.compute = limited
        """
    )
    child = start(folder, tmp_path, pause=0.0, before=limit)
    _, said = child.communicate(timeout=120)
    assert child.returncode != 0
    assert "What is finished is kept" in said
    assert len(list((folder / "blocks").glob("*.parquet"))) == 3
    assert not list((folder / "blocks").glob(".*"))
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
    metric: dict[str, Any] = {"own": lambda output, rows: output[:, 0].float()}
    first = cs.scrub(h, data, metric, samples=130, out=tmp_path, keep_outputs=True)
    second = cs.scrub(h, data, metric, samples=130, out=tmp_path, keep_outputs=True)
    for one, two in zip(first.outputs or (), second.outputs or (), strict=True):
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
    options: dict[str, Any] = {"randomize": "y"}
    if how == "auto":
        options |= {"tolerance": 4.0, "max_samples": 4096}
    plain = cs.scrub(h, data, samples=4096, randomize="y")
    many = cs.scrub(
        h, data, samples="auto" if how == "auto" else 4096, out=tmp_path / "run", **options
    )
    assert many.settings["actual"]["blocks"] > 1
    assert many.settings["actual"]["rows"] <= 1.5 * plain.settings["actual"]["rows"]
    assert plain.settings["actual"]["rows"] <= 300


def test_a_tighter_tolerance_goes_on_from_the_blocks_of_a_looser_one(tmp_path) -> None:
    h, data = problem()
    loose = cs.scrub(h, data, METRIC, samples="auto", tolerance=6.0, out=tmp_path / "run")
    kept = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "run/blocks").glob("*.parquet")}
    tight = cs.scrub(h, data, METRIC, samples="auto", tolerance=2.0, out=tmp_path / "run")
    after = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "run/blocks").glob("*.parquet")}
    assert len(tight) > len(loose)
    assert {name: after[name] for name in kept} == kept, "finished blocks were made again"
    alone = cs.scrub(h, data, METRIC, samples="auto", tolerance=2.0, out=tmp_path / "alone")
    assert tight.draws.equals(alone.draws)
    # Clean rows are run in other batches where looks end elsewhere.
    np.testing.assert_allclose(tight.samples, alone.samples, rtol=1e-5, atol=1e-6)
    again = cs.scrub(h, data, METRIC, samples="auto", tolerance=2.0, out=tmp_path / "run")
    assert_equal(again, tight)


def test_blocks_of_auto_grow_and_end_where_any_tolerance_needs_them() -> None:
    whole = list(auto_spans(0, 1_000_000))
    assert len(whole) < 60
    assert [low for low, _ in whole[1:]] == [high for _, high in whole[:-1]]
    assert (whole[0], whole[-1][1]) == ((0, 1024), 1_000_000)
    assert max(high - low for low, high in whole) == 65536
    for low, _ in whole:
        assert list(auto_spans(low, 1_000_000)) == [s for s in whole if s[0] >= low]


def scaled(factor: float):
    """A problem whose graph looks the same, by all but its weights."""
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (lambda x: factor * x, ["x"]), "out": (lambda a: a.sum(1), ["a"])},
        output="out",
    )
    x = torch.arange(400.0).reshape(100, 4) / 100
    data = cs.Dataset(x=x, k=torch.arange(100) % 3)
    return cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "k"))), data


def test_blocks_of_another_model_are_refused(tmp_path) -> None:
    own = {"m": lambda output, rows: output}
    h, data = scaled(1.0)
    cs.scrub(h, data, own, samples=100, out=tmp_path)
    other, _ = scaled(1.01)
    with pytest.raises(cs.ScrubError, match=r"of another model: .* node 'out' gave other"):
        cs.scrub(other, data, own, samples=100, out=tmp_path)
    same, _ = scaled(1.0)
    cs.scrub(same, data, own, samples=100, out=tmp_path)
    with pytest.warns(cs.Notice, match="differ .* by rounding"):
        cs.scrub(scaled(1.0 + 2e-7)[0], data, own, samples=100, out=tmp_path)


def test_blocks_of_another_captured_model_are_refused(tmp_path) -> None:
    def captured(seed: int) -> cs.Hypothesis:
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
        graph = cs.capture(
            model.eval(), data[:2], fields=["x"], output="logits", sites={"first": "0"}
        )
        return cs.Hypothesis(graph, cs.claim("logits", cs.exact, cs.claim("first", "k")))

    _, data = scaled(1.0)
    metric: dict[str, Any] = {"m": lambda output, rows: output[:, 0]}
    cs.scrub(captured(0), data, metric, samples=50, out=tmp_path)
    cs.scrub(captured(0), data, metric, samples=50, out=tmp_path)
    with pytest.raises(cs.ScrubError, match="blocks of another model"):
        cs.scrub(captured(1), data, metric, samples=50, out=tmp_path)


def test_blocks_of_another_metric_of_the_same_name_are_refused(tmp_path) -> None:
    h, data = scaled(1.0)

    def squared(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return (output - rows.model_output) ** 2

    def absolute(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return (output - rows.model_output).abs()

    cs.scrub(h, data, {"m": squared}, samples=100, out=tmp_path)
    # Both are 0 on a row's own output.
    with pytest.raises(cs.ScrubError, match=r"blocks of another metric: .* metric 'm' gave other"):
        cs.scrub(h, data, {"m": absolute}, samples=100, out=tmp_path)


def test_blocks_of_another_version_are_refused(tmp_path, monkeypatch) -> None:
    h, data = scaled(1.0)
    own = {"m": lambda output, rows: output}
    cs.scrub(h, data, own, samples=100, out=tmp_path)
    monkeypatch.setattr(torch, "__version__", "1.0")
    with pytest.raises(cs.ScrubError, match="it differs in versions"):
        cs.scrub(h, data, own, samples=100, out=tmp_path)


@pytest.mark.parametrize("damage", ["cut", "bits", "tensors", "no tensors"])
def test_a_damaged_block_is_computed_again(tmp_path, damage) -> None:
    h, data = problem()
    options: dict[str, Any] = {"samples": 300, "out": tmp_path, "keep_outputs": True}
    whole = cs.scrub(h, data, METRIC, **options)
    (tmp_path / "run.json").unlink()
    block = sorted((tmp_path / "blocks").glob("*.parquet"))[1]
    content = block.read_bytes()
    if damage == "cut":
        block.write_bytes(content[:100])
    elif damage == "bits":
        middle = len(content) // 8
        flipped = bytes([content[middle] ^ 1])
        block.write_bytes(content[:middle] + flipped + content[middle + 1 :])
    elif damage == "tensors":
        beside = next(block.parent.glob(f"{block.name}.*.safetensors"))
        beside.write_bytes(beside.read_bytes()[:50])
    else:
        next(block.parent.glob(f"{block.name}.*.safetensors")).unlink()
    with pytest.warns(cs.Notice, match=f"{block.name} cannot be read .* computed again"):
        again = cs.scrub(h, data, METRIC, **options)
    assert_equal(again, whole)
    assert_equal(cs.scrub(h, data, METRIC, **options), whole)


def test_a_damaged_identity_is_named(tmp_path) -> None:
    h, data = problem()
    cs.scrub(h, data, METRIC, samples=100, out=tmp_path)
    (tmp_path / "blocks" / "run.json").write_text("{")
    with pytest.raises(cs.ScrubError, match=r"run\.json cannot be read.*another one as out="):
        cs.scrub(h, data, METRIC, samples=100, out=tmp_path)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path) -> None:
    h, data = problem()
    cs.scrub(h, data, METRIC, samples=100, out=tmp_path)
    names = ["run.json", "blocks/0-64.parquet"]
    left = [(tmp_path / f).with_name(f".{Path(f).name}.1.causal-scrubbing") for f in names]
    for file in left:
        file.write_bytes(b"half")
    cs.scrub(h, data, METRIC, samples=100, out=tmp_path)
    assert all(file.exists() for file in left), "another process may be writing them"
    for file in left:
        os.utime(file, (0, 0))
    cs.scrub(h, data, METRIC, samples=100, out=tmp_path)
    assert not any(file.exists() for file in left)


def test_files_of_the_users_own_are_left_alone(tmp_path) -> None:
    h, data = problem()
    own = [tmp_path / "thesis.part", tmp_path / ".notes", tmp_path / "x.1.part"]
    for file in own:
        file.write_text("mine")
    result = cs.scrub(h, data, METRIC, samples=100, out=tmp_path)
    result.save(tmp_path, overwrite=True)
    assert [file.read_text() for file in own] == ["mine"] * 3


def test_a_file_is_written_beside_under_a_name_that_is_swept_up_later(
    tmp_path, monkeypatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt("killed")

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        write_whole(tmp_path / "run.json", b"half")
    assert len(list(tmp_path.iterdir())) == 1
    remove_parts(tmp_path, age=0)
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_as_it_began_though_less_memory_is_free(tmp_path, monkeypatch) -> None:
    h, data = wide_problem(dtype=torch.float32)
    metric: dict[str, Any] = {"m": lambda output, rows: output}

    def stop(done: int, of: int) -> None:
        if done >= 200:
            raise KeyboardInterrupt("stopped")

    def free(size: int) -> None:
        monkeypatch.setattr("causal_scrubbing._engine.memory.free_memory", lambda: size)

    options: dict[str, Any] = {"samples": 2000, "store": "memory"}
    free(8 << 30)
    whole = cs.scrub(h, data, metric, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        cs.scrub(h, data, metric, out=tmp_path / "run", progress=stop, **options)
    free(300_000)
    alone = cs.scrub(h, data, metric, out=tmp_path / "alone", **options)
    assert alone.explain().batch_size < whole.explain().batch_size
    assert any("recomputed from the fields" in note for note in alone.explain().notes)
    resumed = cs.scrub(h, data, metric, out=tmp_path / "run", **options)
    assert_equal(resumed, whole)
    plans = [one.explain() for one in (resumed, whole)]
    assert plans[0].batch_size == plans[1].batch_size == resumed.settings["batch_size"]
    assert plans[0].operations == plans[1].operations
    assert plans[0].budget == plans[1].budget == 4 << 30


def test_a_run_begun_with_little_memory_goes_on_so_though_more_is_free(
    tmp_path, monkeypatch
) -> None:
    h, data = wide_problem(dtype=torch.float32)
    metric: dict[str, Any] = {"m": lambda output, rows: output}

    def stop(done: int, of: int) -> None:
        if done >= 200:
            raise KeyboardInterrupt("stopped")

    def free(size: int) -> None:
        monkeypatch.setattr("causal_scrubbing._engine.memory.free_memory", lambda: size)

    options: dict[str, Any] = {"samples": 2000, "store": "memory"}
    free(300_000)
    whole = cs.scrub(h, data, metric, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        cs.scrub(h, data, metric, out=tmp_path / "run", progress=stop, **options)
    free(8 << 30)
    assert_equal(cs.scrub(h, data, metric, out=tmp_path / "run", **options), whole)
