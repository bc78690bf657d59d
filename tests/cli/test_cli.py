from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import claimed
import pytest

import causal_scrubbing as cs
from causal_scrubbing import gallery
from causal_scrubbing._cli import main

FILE = """
import torch
import causal_scrubbing as cs

values = torch.arange(24.0, dtype=torch.float64)
data = cs.Dataset(x=values % 5, z=values % 3, y=(values % 5) * 2)
graph = cs.Graph.build(
    inputs=["x", "z"],
    nodes={"a": (lambda x: 2 * x, ["x"]), "out": (lambda a, z: a + 0 * z, ["a", "z"])},
    output="out",
)
right = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "x")), name="right")
wrong = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "z")), name="wrong")
metric = cs.metrics.squared_error("y")
"""


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    sys.argv = ["causal-scrubbing", *arguments]
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.fixture
def file(tmp_path: Path, monkeypatch) -> str:
    monkeypatch.setattr(sys, "argv", [])
    path = tmp_path / "claims.py"
    path.write_text(FILE)
    return str(path)


@pytest.fixture(autouse=True)
def own_modules(monkeypatch, tmp_path):
    """Lets each test's files have modules of their own, which a command's process has anyway."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name, module in [*sys.modules.items()]:
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def test_run_prints_saves_and_reloads(file, tmp_path, capsys) -> None:
    out = tmp_path / "runs"
    code, shown, error = run(capsys, "run", file, "--samples", "200", "--out", str(out))
    assert (code, error) == (0, "")
    assert "right: 200 samples of 24 rows, seed 0" in shown
    assert "100.0% [100.0, 100.0]" in shown
    assert cs.load(out / "wrong").scrubbed.n == 200
    assert (out / "right" / "picture.png").read_bytes().startswith(b"\x89PNG")
    code, _, error = run(capsys, "run", file, "--out", str(out))
    assert code == 2
    assert "--overwrite" in error
    code, shown, _ = run(capsys, "compare", str(out / "right"), str(out / "wrong"))
    assert code == 0
    assert "200 common samples" in shown


def test_run_picks_names_prints_json_and_exit_codes(file, capsys) -> None:
    code, shown, _ = run(capsys, "run", f"{file}:wrong", "--json", "--seed", "4")
    assert code == 0
    body = json.loads(shown)
    assert list(body) == ["wrong"]
    assert body["wrong"]["settings"]["seed"] == 4
    assert run(capsys, "run", f"{file}:right", "--at-least", "99")[0] == 0
    assert run(capsys, "run", f"{file}:wrong", "--at-least", "99")[0] == 3
    assert run(capsys, "run", file, "right", "wrong", "--at-least", "99")[0] == 3


def test_show_runs_no_model(file, capsys) -> None:
    code, shown, _ = run(capsys, "show", f"{file}:right")
    assert code == 0
    assert "a carries x" in shown
    assert "out/a" in shown
    body = json.loads(run(capsys, "show", file, "--json")[1])
    assert body["wrong"]["agreement"]["table"][1]["classes"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "{file}:rigth"], "no hypothesis 'rigth'. Did you mean 'right'"),
        (["run", "nowhere.py"], "there is no file nowhere.py"),
        (["run", "{empty}"], "holds no hypothesis at module level"),
        (["run", "{file}", "--samples", "0"], "samples=0"),
        (["gallery", "parenz"], "the gallery has no entry 'parenz'"),
        (["gallery", "sharing", "--claims", "files"], "'sharing' has no hypotheses as files"),
        (["rum"], "No such command"),
    ],
)
def test_bad_input_exits_with_two_and_says_why(file, tmp_path, capsys, arguments, message) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text("x = 1\n")
    filled = [a.format(file=file, empty=empty) for a in arguments]
    code, shown, error = run(capsys, *filled)
    assert code == 2
    assert message in error
    assert shown == ""


def test_the_gallery_lists_loads_and_copies_every_entry(tmp_path, capsys) -> None:
    code, shown, _ = run(capsys, "gallery")
    assert code == 0
    for name in gallery.names():
        entry = gallery.load(name)
        assert entry.name == name
        assert entry.title in shown
        script = gallery.copy(name, tmp_path / name)
        compile(script.read_text(), str(script), "exec")
        with pytest.raises(gallery.GalleryError, match="nothing was overwritten"):
            gallery.copy(name, tmp_path / name)


def test_nothing_but_results_is_printed_into_a_pipe(file) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "causal_scrubbing", "run", f"{file}:right", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(cs.__file__).parents[1]), "PATH": ""},
    )
    assert done.stderr == ""
    estimates = json.loads(done.stdout)["right"]["estimates"]
    assert estimates["squared_error(y)"]["model"]["mean"] == 0


def test_a_file_that_fails_is_told_by_its_own_line(tmp_path: Path, capsys) -> None:
    file = tmp_path / "broken.py"
    file.write_text("x = 1\ny = x.nowhere\n")
    code, _, err = run(capsys, "run", str(file))
    assert code == 2
    assert f"{file}:2: y = x.nowhere" in err
    assert "AttributeError" in err


def test_a_full_folder_is_refused_before_anything_runs(tmp_path: Path, capsys) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    out = tmp_path / "out"
    assert run(capsys, "run", str(file), "--samples", "20", "--out", str(out))[0] == 0
    code, shown, err = run(capsys, "run", str(file), "--samples", "20", "--out", str(out))
    assert (code, shown) == (2, "")
    assert "--overwrite" in err
    again = ("run", str(file), "--samples", "20", "--out", str(out), "--overwrite")
    assert run(capsys, *again)[0] == 0


def test_a_file_runs_as_python_itself_runs_it(tmp_path: Path, capsys) -> None:
    file = tmp_path / "claims.py"
    beside = "def weight():\n    import second_beside\n    return second_beside.WEIGHT\n"
    (tmp_path / "first_beside.py").write_text(beside)
    (tmp_path / "second_beside.py").write_text("WEIGHT = 2.0\n")
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        + FILE
        + "\n\n@dataclass\nclass Options:\n    weight: float = 1.0\n\n\n"
        "def metric(output, rows):\n    import first_beside\n"
        "    return Options(first_beside.weight()).weight * output\n"
    )
    code, shown, error = run(capsys, "run", f"{file}:right", "--samples", "50")
    assert (code, error) == (0, "")
    assert "right: 50 samples" in shown


def test_a_file_takes_no_other_modules_place(tmp_path: Path, capsys) -> None:
    before = sys.modules["json"]
    file = tmp_path / "json.py"
    file.write_text(FILE)
    assert run(capsys, "run", f"{file}:right", "--samples", "50")[0] == 0
    assert sys.modules["json"] is before


def test_a_failing_line_is_told_though_its_path_is_relative(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    (tmp_path / "broken.py").write_text("import sys\nsys.path.clear()\nnowhere\n")
    monkeypatch.chdir(tmp_path)
    code, _, error = run(capsys, "run", "broken.py")
    assert code == 2
    assert "broken.py:3: nowhere\nNameError" in error


def test_the_gallerys_json_is_strict(capsys) -> None:
    def refuse(word: str) -> None:
        raise ValueError(word)

    code, shown, _ = run(capsys, "gallery", "sharing", "--samples", "50", "--json")
    assert code == 0
    rows = json.loads(shown, parse_constant=refuse)["sharing"]
    assert None in [row["recovered %"] for row in rows], "undefined, as run --json says it"


def test_check_tells_by_its_exit_status_and_schema_prints(tmp_path, capsys) -> None:
    body = claimed.body()
    file = str(claimed.write(tmp_path, body))
    code, shown, error = run(capsys, "check", file)
    assert (code, shown) == (2, "")
    assert "--allow-code" in error
    code, shown, _ = run(capsys, "check", file, "--allow-code", "--json")
    assert code == 1
    assert [one["answer"] for one in json.loads(shown)["verdicts"]] == ["holds", "falls short"]
    body["hypotheses"].pop()
    file = str(claimed.write(tmp_path, body))
    code, shown, _ = run(capsys, "check", file, "--allow-code")
    assert code == 0
    assert "right: holds" in shown
    code, shown, _ = run(capsys, "check", file, "--allow-code", "--max-flops", "1")
    assert code == 3
    assert "are allowed" in shown
    assert run(capsys, "check", file, "--max-seconds", "no")[0] == 2
    code, shown, _ = run(capsys, "schema")
    assert json.loads(shown)["$id"] == "urn:causal-scrubbing:run-file:1"
    code, shown, _ = run(capsys, "schema", "--verdict")
    assert json.loads(shown)["$id"] == "urn:causal-scrubbing:check:1"


def test_bundles_run_again_and_claims_are_compared(tmp_path, capsys) -> None:
    file = str(claimed.write(tmp_path, claimed.body()))
    out = tmp_path / "bundles"
    assert run(capsys, "check", file, "--allow-code", "--out", str(out))[0] == 1
    right, wrong = str(out / "right.zip"), str(out / "wrong.zip")
    code, shown, _ = run(capsys, "rerun", right, "--allow-code")
    assert code == 0
    assert "of draws equal" in shown
    code, shown, _ = run(capsys, "rerun", wrong, "--allow-code", "--json")
    assert json.loads(shown)["ok"] is True
    code, _, error = run(capsys, "rerun", right)
    assert code == 2
    assert "--allow-code" in error
    code, shown, _ = run(capsys, "verify", right, wrong)
    assert code == 0
    assert "wrong.zip: verified" in shown
    code, shown, _ = run(capsys, "diff", right, wrong, "--run", file, "--allow-code")
    assert code == 0
    assert "carries z" in shown
    assert "not comparable" in shown
    code, shown, _ = run(capsys, "diff", right, wrong, "--json")
    assert json.loads(shown)["changed"] == {"out/a": ["carries x", "carries z"]}
    with zipfile.ZipFile(right, "a") as archive:
        archive.writestr("../evil", b"")
    assert run(capsys, "verify", right)[0] == 4
    code, _, error = run(capsys, "rerun", right, "--allow-code")
    assert code == 2
    assert "not a plain relative path" in error


@pytest.mark.parametrize(
    ("arguments", "executor"),
    [
        (["processes:2"], cs.executors.Processes(2)),
        (["processes"], cs.executors.Processes()),
        (["ray"], cs.executors.Ray("auto")),
        (["ray", "--address", "10.0.0.1:6379"], cs.executors.Ray("10.0.0.1:6379")),
    ],
)
def test_run_hands_over_the_executor(capsys, file, monkeypatch, arguments, executor) -> None:
    seen = []

    def scrub(*args: Any, **options: Any) -> None:
        seen.append(options["executor"])
        raise cs.ScrubError("enough")

    monkeypatch.setattr("causal_scrubbing._scrub.scrub", scrub)
    code, _, _ = run(capsys, "run", file, "right", "--executor", *arguments)
    assert code == 2
    assert seen == [executor]


def test_run_in_two_processes_gives_the_same_numbers(capsys, file) -> None:
    plain = run(capsys, "run", file, "wrong", "--samples", "50", "--json")
    spread = run(
        capsys, "run", file, "wrong", "--samples", "50", "--json", "--executor", "processes:2"
    )
    assert spread[0] == plain[0] == 0
    found = [json.loads(out)["wrong"] for _, out, _ in (plain, spread)]
    assert found[0]["estimates"] == found[1]["estimates"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--executor", "threads"], "--executor threads: there is no such executor. Give"),
        (["--executor", "processes:none"], "'none' is not a number of processes"),
        (["--executor", "processes:0"], "'0' is not a number of processes; give at least 1"),
        (["--executor", "processes:2", "--address", "auto"], "it is for --executor ray only"),
        (["--address", "auto"], "it is for --executor ray only"),
    ],
)
def test_a_wrong_executor_is_said(capsys, file, arguments, text) -> None:
    code, _, err = run(capsys, "run", file, *arguments)
    assert code == 2
    assert text in err
