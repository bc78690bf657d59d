"""The command in odd places: odd paths, odd names, odd locales, and interrupted runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from resumable import METRIC, problem

import causal_scrubbing as cs
from causal_scrubbing._cli import main

FILE = """
import pathlib, torch
import causal_scrubbing as cs

values = torch.arange(24.0, dtype=torch.float64)
data = cs.Dataset(x=values % 5, z=values % 3, y=(values % 5) * 2)
graph = cs.Graph.build(
    inputs=["x", "z"],
    nodes={"a": (lambda x: 2 * x, ["x"]), "out": (lambda a, z: a + 0 * z, ["a", "z"])},
    output="out",
)
h = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "z")), name="NAME")
calls, stop = [], pathlib.Path(__file__).with_name("stop")

def metric(output, rows):
    calls.append(1)
    if stop.exists() and len(calls) > 22:
        raise KeyboardInterrupt
    return (output - rows["y"]) ** 2
"""


def command(capsys, *arguments: str) -> tuple[int, str, str]:
    sys.argv = ["causal-scrubbing", *arguments]
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        for name, module in [*sys.modules.items()]:
            if getattr(module, "__file__", None) == arguments[1].rpartition(":")[0]:
                del sys.modules[name]
        sys.modules.pop("claims", None)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.fixture(autouse=True)
def arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(sys, "path", [*sys.path])


def written(folder: Path, name: str = "plain") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "claims.py"
    file.write_text(FILE.replace("NAME", name))
    return file


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, capsys) -> None:
    file, out = written(tmp_path), tmp_path / "runs"
    (tmp_path / "stop").touch()
    code, _, error = command(capsys, "run", str(file), "--samples", "640", "--out", str(out))
    assert code == 130
    assert "interrupted" in error
    kept = list((out / ".unfinished" / "blocks").glob("*.parquet"))
    assert kept
    (tmp_path / "stop").unlink()
    code, _, _ = command(capsys, "run", str(file), "--samples", "640", "--out", str(out))
    assert code == 0
    assert sorted(one.name for one in out.iterdir()) == ["h"]
    found = cs.load(out / "h")
    assert found.record.actual["samples"] < 640
    command(capsys, "run", str(file), "--samples", "640", "--out", str(tmp_path / "whole"))
    assert found.samples.equals(cs.load(tmp_path / "whole" / "h").samples)


def test_an_option_that_is_gone_says_what_takes_its_place(tmp_path, capsys) -> None:
    code, _, error = command(capsys, "run", str(written(tmp_path)), "--shared")
    assert code == 2
    assert "--executor processes:2" in error
    code, _, error = command(
        capsys, "run", str(written(tmp_path)), "--samples", "20", "--out", "memory://runs"
    )
    assert code == 2
    assert "cs.scrub(..., out=) takes addresses" in error
    result = cs.scrub(*problem(), METRIC, samples=20)
    result.save("memory://from-the-command")
    assert command(capsys, "verify", "memory://from-the-command")[0] == 0


def test_a_path_may_have_colons(tmp_path, capsys) -> None:
    file = written(tmp_path / "a:b")
    assert command(capsys, "run", str(file), "--samples", "20")[0] == 0
    code, shown, _ = command(capsys, "run", f"{file}:h", "--samples", "20", "--json")
    assert code == 0
    assert list(json.loads(shown)) == ["h"]
    code, _, error = command(capsys, "run", f"{file}:no", "--samples", "20")
    assert code == 2
    assert "holds no hypothesis 'no'" in error


def test_nothing_that_is_printed_commands_a_terminal(tmp_path, capsys) -> None:
    file = written(tmp_path, r"red \x1b[31m\nline\r two")
    code, shown, error = command(capsys, "run", str(file))
    assert code == 2
    assert r"red \x1b[31m\nline\r two" in error
    file = written(tmp_path)
    file.write_text(FILE.replace("calls.append(1)", r"raise ValueError('\x1b[2J\rgone')"))
    code, shown, told = command(capsys, "run", str(file))
    assert code == 2
    assert r"ValueError: \x1b[2J\rgone" in told
    for text in (shown, error, told):
        assert not set("\x1b\r") & set(text)


def test_a_locale_of_few_characters_is_no_fault(tmp_path) -> None:
    file = written(tmp_path, "größer → ±")
    ran = subprocess.run(
        [sys.executable, "-m", "causal_scrubbing", "run", str(file), "--samples", "20"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert r"größer \u2192 ±".encode("latin-1") in ran.stdout
