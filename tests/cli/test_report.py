from __future__ import annotations

from pathlib import Path

import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._cli import main


@pytest.fixture
def saved(tmp_path: Path) -> list[Path]:
    x = torch.arange(12.0)
    data = cs.Dataset(x=x, y=x % 3)
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (lambda x: x % 3, ["x"]), "out": (torch.clone, ["a"])},
        output="out",
    )
    paths = []
    for name, feature in (("one", cs.anything), ("two", "y")):
        h = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", feature)), name=name)
        result = cs.scrub(h, data, cs.metrics.squared_error("y"), samples=40)
        paths.append(Path(result.save(tmp_path / name)))
    return paths


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr("sys.argv", ["causal-scrubbing", *map(str, words)])
    main()


def test_one_run_has_its_page_and_several_one_page(saved, tmp_path, monkeypatch, capsys) -> None:
    run(monkeypatch, "report", saved[0], "--out", tmp_path / "r.html")
    assert capsys.readouterr().out == f"wrote {tmp_path / 'r.html'}\n"
    assert "<title>one" in (tmp_path / "r.html").read_text(encoding="utf-8")
    run(monkeypatch, "report", *saved, "--out", tmp_path / "c.html")
    assert "From one to 2. two" in (tmp_path / "c.html").read_text(encoding="utf-8")
