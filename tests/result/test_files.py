"""Folders and files that cannot be read or written are told in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from resumable import METRIC, problem

import causal_scrubbing as cs


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> cs.Result:
    h, data = problem()
    return cs.scrub(h, data, METRIC, samples=80, keep_outputs=True)


def test_files_where_a_folder_or_page_should_be_are_named(
    result: cs.Result, tmp_path: Path
) -> None:
    h, data = problem()
    file = tmp_path / "file"
    file.write_text("mine")
    calls: dict[str, Callable[[], object]] = {
        f"out={file} is a file; give a folder": lambda: cs.scrub(h, data, METRIC, out=file),
        f"out={file} is a file, of which": lambda: cs.scrub(h, data, METRIC, out=file / "run"),
        f"{file} is a file; give a folder": lambda: result.save(file, overwrite=True),
        f"{tmp_path} is a folder; name the file": lambda: result.report(tmp_path),
        f"there is no folder {tmp_path / 'no'} to write": lambda: result.report(
            tmp_path / "no" / "page.html"
        ),
    }
    for message, call in calls.items():
        with pytest.raises(cs.ScrubError, match=message):
            call()
    assert file.read_text() == "mine"


def test_a_disk_that_fails_is_told(
    result: cs.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "page.html").write_text("the old page")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(cs.ScrubError, match=r"cannot write .*page\.html: No space left"):
        result.report(tmp_path / "page.html")
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text() == "the old page"
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(cs.ScrubError, match=r"cannot write .*run: No space left"):
        result.save(tmp_path / "run")


def cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return change


def lacking(key: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        body = json.loads((folder / "run.json").read_text())
        del body[key]
        (folder / "run.json").write_text(json.dumps(body))

    return change


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut run.json": cut("run.json"),
    "cut samples": cut("samples.parquet"),
    "cut outputs": cut("outputs.safetensors"),
    "no samples": without("samples.parquet"),
    "no draws": without("draws.parquet"),
    "no estimates": lacking("estimates"),
    "no metrics": lacking("metrics"),
    "no format": lacking("format"),
    "another thing": lambda folder: (folder / "run.json").write_text("[1, 2]"),
}


WORDS = "cannot be read|is not as it was written|has format None|holds no finished run"


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_run_is_told(
    change: Callable[[Path], None], result: cs.Result, tmp_path: Path
) -> None:
    result.save(tmp_path / "run")
    change(tmp_path / "run")
    with pytest.raises(cs.ScrubError, match=rf"{tmp_path}.*({WORDS})"):
        cs.load(tmp_path / "run")


def test_the_blocks_of_a_run_are_not_the_run(tmp_path: Path) -> None:
    h, data = problem()
    cs.scrub(h, data, METRIC, samples=80, out=tmp_path / "run")
    with pytest.raises(cs.ScrubError, match=rf"give the folder it is in, {tmp_path / 'run'}\."):
        cs.load(tmp_path / "run" / "blocks")


def test_a_run_goes_on_to_more_samples_with_the_outputs_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    h, data = problem()
    monkeypatch.setattr("causal_scrubbing._simulate.runs.KEPT_OUTPUTS", 8 * 1500)
    options: dict[str, Any] = {"samples": "auto", "tolerance": 0.01, "out": tmp_path / "run"}
    first = cs.scrub(h, data, METRIC, max_samples=1024, **options)
    assert first.outputs is not None
    more = cs.scrub(h, data, METRIC, max_samples=2048, **options)
    assert len(more) == 2048
    assert more.outputs is not None
    assert torch.equal(more.outputs[0][:1024], first.outputs[0])
    alone = cs.scrub(h, data, METRIC, max_samples=2048, **{**options, "out": tmp_path / "alone"})
    assert alone.outputs is None
    assert alone.recovered == more.recovered
    with pytest.raises(cs.ScrubError, match="it differs in outputs"):
        cs.scrub(h, data, METRIC, max_samples=2048, keep_outputs=True, **options)
