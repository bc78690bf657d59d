"""A finished run on media that cannot be written loads, reports and verifies."""

from __future__ import annotations

import builtins
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from resumable import METRIC, problem

import causal_scrubbing as cs

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def refuse(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """Have the system refuse every write below a folder, as on media that are read only.

    Permissions do not bind root, who runs tests in many places.
    """
    tried: list[str] = []

    def inside(path: object) -> bool:
        if isinstance(path, int):
            return False
        return str(os.path.abspath(os.fspath(path))).startswith(str(folder))  # type: ignore[call-overload]

    def guarded(real: Callable[..., Any], writes: Callable[..., bool]) -> Callable[..., Any]:
        def call(path: object, *args: Any, **kwargs: Any) -> Any:
            if inside(path) and writes(*args, **kwargs):
                tried.append(str(path))
                raise OSError(30, "Read-only file system", str(path))
            return real(path, *args, **kwargs)

        return call

    def to_write(mode: str = "r", *args: Any, **kwargs: Any) -> bool:
        return any(letter in mode for letter in "wax+")

    def always(*args: Any, **kwargs: Any) -> bool:
        return True

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", guarded(open, to_write))
    monkeypatch.setattr(os, "open", guarded(os.open, lambda flags, *_, **__: bool(flags & WRITES)))
    for name in ("mkdir", "unlink", "remove", "rename", "replace", "link", "truncate", "utime"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name), always))
    return tried


def test_a_finished_run_on_read_only_media_loads_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    h, data = problem()
    kept = tmp_path / "media" / "run"
    made = cs.scrub(h, data, METRIC, samples=40, out=kept)
    saved = made.save(tmp_path / "media" / "saved")
    bundle = made.bundle(tmp_path / "media" / "claim.zip")
    tried = refuse(monkeypatch, tmp_path / "media")
    for folder in (kept, saved):
        found = cs.load(folder, data=data)
        assert json.dumps(found.to_dict()) == json.dumps(made.to_dict())
        assert found.verify()
        assert cs.verify(folder)
        assert found.report(tmp_path / "page.html").exists()
        assert "resumed" in found.report()
        assert str(found.on("sign"))
        assert str(found.explain())
        assert len(found.samples) == 40
        assert found.bundle(tmp_path / "again.zip").exists()
    assert cs.verify(bundle)
    assert not tried
    with pytest.raises(cs.ScrubError, match=r"cannot write .*new.*Read-only file system"):
        made.save(tmp_path / "media" / "new")
    with pytest.raises(cs.ScrubError, match=r"cannot write .*page\.html: Read-only file system"):
        made.report(tmp_path / "media" / "page.html")
    with pytest.raises(cs.ScrubError, match=r"cannot write .*h\.json: Read-only file system"):
        h.save(tmp_path / "media" / "h.json")
    assert tried
