"""Runs kept at an address: put if absent, taken up again, saved and loaded."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from resumable import METRIC, assert_equal, problem

import causal_scrubbing as cs
from causal_scrubbing._files import LocalStore, open_store

H, DATA = problem()


@pytest.fixture(params=["memory", "file", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = uuid.uuid4().hex
    return {
        "memory": f"memory://{name}/run",
        "file": f"file://{tmp_path}/run",
        "folder": str(tmp_path / "run"),
    }[request.param]


def stopped(done: int, of: int) -> None:
    if done >= 200:
        raise KeyboardInterrupt("stopped")


def test_a_run_at_an_address_goes_on_elsewhere(place: str) -> None:
    options: dict[str, Any] = {"samples": 500, "seed": 3, "out": place, "keep_outputs": True}
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        cs.scrub(H, DATA, METRIC, progress=stopped, **options)
    # It goes on in another process, and after that in this one again.
    spread = cs.scrub(
        H,
        DATA,
        METRIC,
        executor=cs.executors.Processes(1, threads=1) if "memory" in place else None,
        **options,
    )
    again = cs.scrub(H, DATA, METRIC, **options)
    assert again.settings["actual"]["samples"] == 0
    assert_equal(spread, again)
    loaded = cs.load(place, data=DATA)
    assert_equal(loaded, again)
    assert loaded.verify()
    assert again.verify(place)
    assert cs.verify(place, data=DATA).files >= 3
    alone = cs.scrub(H, DATA, METRIC, samples=500, seed=3)
    assert alone.draws.equals(again.draws)


def test_a_result_is_saved_at_an_address(place: str) -> None:
    result = cs.scrub(H, DATA, METRIC, samples=100)
    result.save(place)
    assert_equal(cs.load(place), result)
    with pytest.raises(cs.ScrubError, match=r"is not empty; .*overwrite=True"):
        result.save(place)
    result.save(place, overwrite=True)
    store = open_store(place)
    store.write("samples.parquet", b"other")
    found = cs.verify(place)
    assert not found
    assert "is not as it was written" in str(found)
    with pytest.raises(cs.ScrubError, match="made with out="):
        cs.scrub(H, DATA, METRIC, samples=100, out=place)


def test_blocks_of_another_run_at_an_address_are_refused(place: str) -> None:
    cs.scrub(H, DATA, METRIC, samples=70, seed=3, out=place)
    with pytest.raises(cs.ScrubError, match=r"blocks of another run: it differs in seed"):
        cs.scrub(H, DATA, METRIC, samples=70, seed=4, out=place)


def test_who_loses_the_race_for_a_block_takes_the_winners(place: str, monkeypatch) -> None:
    """Another process puts every block just before this one does."""
    store = open_store(place)
    first = cs.scrub(H, DATA, METRIC, samples=300, out=place, keep_outputs=True)
    kept = {name: store.child("blocks").read(name) for name in store.child("blocks").names()}
    for name in kept:
        if name.endswith(("parquet", "safetensors")):
            store.child("blocks").delete(name)
    kind = type(store)
    put, lost = kind.put, []

    def late(self, name: str, content: bytes) -> bool:
        if name in kept and not self.has(name):
            lost.append(name)
            self.write(name, kept[name])
        return put(self, name, content)

    monkeypatch.setattr(kind, "put", late)
    second = cs.scrub(H, DATA, METRIC, samples=300, out=place, keep_outputs=True)
    assert len([name for name in lost if name.endswith("parquet")]) == 5
    assert_equal(first, second)
    assert {name: store.child("blocks").read(name) for name in kept} == kept


def test_a_file_is_put_once(place: str, monkeypatch) -> None:
    store = open_store(place)
    assert store.put("a", b"one")
    assert not store.put("a", b"two")
    assert store.read("a") == b"one"
    if isinstance(store, LocalStore):

        def without(one, other) -> None:
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", without)
    else:
        # A service that cannot write a file only where it is absent.
        files = store._files  # type: ignore[attr-defined]
        pipe = files.pipe_file

        def plain(path, content, mode="overwrite") -> None:
            if mode == "create":
                raise NotImplementedError
            pipe(path, content)

        monkeypatch.setattr(files, "pipe_file", plain)
    assert store.put("b", b"one")
    assert not store.put("b", b"two")
    assert store.read("b") == b"one"
    assert store.names() == ["a", "b"]
    store.delete("a")
    store.delete("a")
    assert store.names() == ["b"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere://run", r"out=nowhere|nowhere://run is not an address that fsspec opens"),
        ("gs://bucket/run", "gs://bucket/run cannot be opened: .*gcsfs"),
    ],
)
def test_an_address_that_cannot_be_opened_is_named(place: str, message: str) -> None:
    with pytest.raises(cs.ScrubError, match=message):
        cs.scrub(H, DATA, METRIC, out=place)
