"""Bundles: run again with equal numbers, verified, and safe to open whoever made them."""

from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import claimed
import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._files import digest, unpack, write_archive

METRIC = {"error": cs.metrics.squared_error("y")}


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a run made in Python."""
    result = cs.scrub(claimed.hypotheses()[1], claimed.data(), METRIC, samples=100, seed=3)
    return result.bundle(tmp_path_factory.mktemp("bundle") / "claim.zip")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The bundles of a run file."""
    folder = tmp_path_factory.mktemp("checked")
    body = claimed.body()
    claimed.hypotheses()[0].save(folder / "right.json")
    body["hypotheses"][0] = {"name": "right", "file": "right.json"}
    body["run"]["baseline"] = "right"
    found = cs.check(claimed.write(folder, body), allow_code=True)
    return found.bundle(folder / "out")


def contents(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_bundle_holds_what_a_stranger_needs(bundled: Path) -> None:
    files = contents(bundled)
    body = json.loads(files["bundle.json"])
    assert set(files) == {"bundle.json", *body["files"]}
    assert {"hypothesis.json", "data.parquet", "report.html", "run/run.json"} <= set(files)
    assert {"run/samples.parquet", "run/draws.parquet"} <= set(files)
    assert body["graph"]["nodes"] == ["x", "z", "a", "b", "out"]
    assert body["versions"]["torch"] == torch.__version__
    verified = cs.verify(bundled)
    assert verified
    assert verified.files == len(files)


def test_a_bundle_runs_again_with_equal_numbers(bundled: Path) -> None:
    found = cs.rerun(bundled, graph=claimed.graph(), metric=METRIC)
    assert found
    assert found.draws == len(found.result.drawn)
    assert found.values == 300
    assert found.largest == 0
    assert "run again" in str(found)


def test_another_model_differs_and_is_told(bundled: Path) -> None:
    found = cs.rerun(bundled, graph=claimed.graph(2.5), metric=METRIC)
    assert not found
    assert found.draws == len(found.result.drawn)
    assert any("error, model: a value is off by" in one for one in found.differences)
    assert any("error, scrubbed: " in one and "then" in one for one in found.differences)
    found = cs.rerun(bundled, graph=claimed.graph(), metric={"other": METRIC["error"]})
    assert set(found.differences) == {"metric error: only then", "metric other: only now"}


def test_the_bundle_of_a_run_file_needs_nothing_but_the_model(checked: list[Path]) -> None:
    assert [one.name for one in checked] == ["right.zip", "wrong.zip"]
    for file in checked:
        assert cs.verify(file)
        found = cs.rerun(file, allow_code=True)
        assert found, str(found)
        assert found.largest == 0
    with pytest.raises(cs.RunFileError, match="no code is run unless it is allowed"):
        cs.rerun(checked[0])
    with pytest.raises(cs.ScrubError, match="leave out graph="):
        cs.rerun(checked[0], graph=claimed.graph())


def test_data_of_every_type_comes_back(tmp_path: Path) -> None:
    n = 12
    data = cs.Dataset(
        x=torch.arange(float(n)) % 4,
        z=torch.arange(float(n)) % 3,
        y=torch.arange(n, dtype=torch.int16),
        half=torch.arange(n, dtype=torch.float16),
        flags=torch.arange(n * 6).reshape(n, 2, 3) % 2 == 0,
        word=["a", "é"] * 6,
        weights=[1.0, 2.0] * 6,
    )
    metric = cs.metrics.squared_error("y")
    result = cs.scrub(claimed.hypotheses()[0], data, metric, samples=20)
    found = cs.rerun(result.bundle(tmp_path / "b.zip"), graph=claimed.graph(), metric=metric)
    assert found, str(found)
    assert found.result.fingerprints["data"] == data.fingerprint


def test_what_cannot_be_bundled_or_run_again_is_told(tmp_path: Path, bundled: Path) -> None:
    result = cs.scrub(claimed.hypotheses()[0], claimed.data(), METRIC, samples=20)
    with pytest.raises(cs.ScrubError, match="bundle the whole run"):
        result.on(lambda rows: rows["x"] > 1).bundle(tmp_path / "b.zip")
    with pytest.raises(cs.ScrubError, match="no folder"):
        result.bundle(tmp_path / "none" / "b.zip")
    with pytest.raises(cs.ScrubError, match="give the graph and the metric"):
        cs.rerun(bundled)
    bare = result.bundle(tmp_path / "bare.zip", data=False)
    assert cs.verify(bare)
    with pytest.raises(cs.ScrubError, match="holds no dataset, only its hash"):
        cs.rerun(bare, graph=claimed.graph(), metric=METRIC)
    with pytest.raises(cs.ScrubError, match="cannot be opened as an archive"):
        cs.rerun(tmp_path / "none.zip")


def test_what_packs_too_well_to_be_opened_is_stored(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.zip", {"zeros": bytes(10_000_000), "text": b"ab" * 50})
    (tmp_path / "out").mkdir()
    assert sorted(unpack(tmp_path / "a.zip", tmp_path / "out")) == ["text", "zeros"]
    assert (tmp_path / "out" / "zeros").read_bytes() == bytes(10_000_000)
    with pytest.raises(cs.ScrubError, match="bytes, and 1,000 are allowed"):
        unpack(tmp_path / "a.zip", tmp_path / "out", most=1000)


def add(name: str, content: bytes = b"x", mode: int = 0) -> Callable[[zipfile.ZipFile], None]:
    def apply(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = mode << 16
        archive.writestr(entry, content)

    return apply


def many(archive: zipfile.ZipFile) -> None:
    for number in range(1001):
        archive.writestr(f"f{number}", b"")


HOSTILE = [
    (add("/etc/evil"), "not a plain relative path"),
    (add("../evil"), "not a plain relative path"),
    (add("a/../../evil"), "not a plain relative path"),
    (add("C:\\evil"), "not a plain relative path"),
    (add("C:evil"), "not a plain relative path"),
    (add("a//evil"), "not a plain relative path"),
    (add("folder/"), "not a plain relative path"),
    (add("evil\x1b[2J"), "not a plain relative path"),
    (add("link", b"/etc/passwd", stat.S_IFLNK | 0o777), "is a link or a device"),
    (add("fifo", b"", stat.S_IFIFO | 0o644), "is a link or a device"),
    (add("REPORT.html"), "holds REPORT.html twice"),
    (add("bundle.json/evil"), "lies in a file"),
    (add("bomb", bytes(20_000_000)), "times larger than it is packed"),
    (many, "at most 1000 are taken"),
    (add("unlisted"), "there and not listed"),
]


@pytest.mark.parametrize(("apply", "message"), HOSTILE)
def test_hostile_archives_are_refused_and_write_nothing(
    tmp_path: Path, bundled: Path, apply: Callable[[zipfile.ZipFile], None], message: str
) -> None:
    file = tmp_path / "hostile.zip"
    shutil.copy(bundled, file)
    with zipfile.ZipFile(file, "a") as archive:
        apply(archive)
    with pytest.raises(cs.ScrubError, match=message):
        cs.rerun(file, graph=claimed.graph(), metric=METRIC)
    verified = cs.verify(file)
    assert not verified
    assert message in str(verified)
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["hostile.zip"]


def repacked(file: Path, target: Path, **changed: bytes) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in {**contents(file), **changed}.items():
            archive.writestr(name, content)
    return target


def test_what_was_changed_is_told(tmp_path: Path, bundled: Path, checked: list[Path]) -> None:
    file = repacked(bundled, tmp_path / "b.zip", **{"report.html": b"better"})
    assert "report.html is not as it was written" in str(cs.verify(file))
    file = repacked(bundled, tmp_path / "c.zip", **{"bundle.json": b"[]"})
    assert not cs.verify(file)
    file = repacked(bundled, tmp_path / "d.zip", **{"bundle.json": b'{"format": 99}'})
    assert "has format 99" in str(cs.verify(file))
    body = json.loads(contents(bundled)["bundle.json"])
    body["fingerprints"]["data"] = "0"
    file = repacked(bundled, tmp_path / "e.zip", **{"bundle.json": json.dumps(body).encode()})
    assert "are not those of the run" in str(cs.verify(file))
    packed = io.BytesIO(bundled.read_bytes()[:-200])
    (tmp_path / "f.zip").write_bytes(packed.getvalue())
    assert not cs.verify(tmp_path / "f.zip")


def test_a_run_file_in_a_bundle_names_no_file_outside_it(
    tmp_path: Path, checked: list[Path]
) -> None:
    files = contents(checked[0])
    run_file = json.loads(files["run_file.json"])
    run_file["data"]["file"] = "../outside.parquet"
    text = json.dumps(run_file).encode()
    body = json.loads(files["bundle.json"])
    body["files"]["run_file.json"] = digest(text)
    changed = {"run_file.json": text, "bundle.json": json.dumps(body).encode()}
    file = repacked(checked[0], tmp_path / "g.zip", **changed)
    with pytest.raises(cs.ScrubError, match=r"names '\.\./outside\.parquet', which is not in it"):
        cs.rerun(file, allow_code=True)
