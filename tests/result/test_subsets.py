"""What a result on a subset of reference rows says is about that subset alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from seals import reseal

import causal_scrubbing as cs
from causal_scrubbing._gallery.parens import outcome
from causal_scrubbing._hypothesis import REFERENCE

error = cs.metrics.squared_error("goal")
METRICS: dict[str, Any] = {"loss": error, "accuracy": lambda o, rows: (o == rows["goal"]).float()}


@pytest.fixture
def data() -> cs.Dataset:
    """Rows below 20 have a class of `own` each, the others share one."""
    x = torch.arange(40.0)
    return cs.Dataset(x=x, goal=2 * x, own=x.clamp(max=20), low=x < 20, few=x < 30, even=x % 2 == 0)


def run(data: cs.Dataset, **options: Any) -> cs.Result:
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (lambda x: x * 1, ["x"]), "y": (lambda a: 2 * a, ["a"])},
        output="y",
    )
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "own")))
    return cs.scrub(h, data, METRICS, samples=400, **options)


def test_the_share_in_which_nothing_moves_is_the_subset_s(data: cs.Dataset, tmp_path: Path) -> None:
    result = run(data)
    low, few = result.on("low"), result.on("few")
    assert low.stuck == 1
    assert result.on(lambda rows: rows["x"] >= 20).stuck == 0
    rows = few.drawn[REFERENCE]
    assert few.stuck == np.mean(rows < 20)
    assert few.stuck is not None
    assert result.stuck is not None
    assert few.stuck > result.stuck
    assert f"only keep its own row: {few.stuck:.1%}" in str(few)
    result.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run", data=data)
    assert loaded.stuck == result.stuck
    assert loaded.on("few").stuck == few.stuck


def test_a_run_saved_without_flags_loses_the_share_on_a_subset(
    data: cs.Dataset, tmp_path: Path
) -> None:
    result = run(data)
    result.save(tmp_path / "run")
    file = tmp_path / "run" / "samples.parquet"
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(["alone"]), file)
    reseal(tmp_path / "run")
    old = cs.load(tmp_path / "run", data=data)
    assert old.stuck == result.stuck
    assert f"only keep its own row: {result.stuck:.1%}" in str(old)
    part = old.on("low")
    assert part.stuck is None
    for shown in (str(part), part.report()):
        assert "every claim could only keep its own row" not in shown
    assert part.scrubbed == result.on("low").scrubbed
    part.save(tmp_path / "part")
    assert cs.load(tmp_path / "part").stuck is None


def test_settings_and_notes_are_about_the_subset(data: cs.Dataset) -> None:
    result = run(data)
    few = result.on("few")
    assert few.settings["samples"] == len(few) < 400
    assert few.notes == result.notes
    assert few.explain().samples == result.explain().samples == 400


def test_subsets_of_subsets_keep_both_names(data: cs.Dataset) -> None:
    result = run(data)
    both = result.on("low").on("even")
    assert both.settings["subset"] == "low & even"
    assert "on low & even" in both.summary
    with pytest.raises(cs.ScrubError, match="it is on 'even' and run 1 on 'low & even'"):
        cs.compare([both, result.on("even")])
    turned = result.on("even").on("low")
    assert cs.compare([both, turned]).differences[0].difference.mean == 0


def below(most: int) -> Any:
    return lambda rows: rows["x"] < most


def test_runs_on_two_functions_of_one_name_are_told_apart(data: cs.Dataset) -> None:
    result = run(data)
    one, other = (result.on(below(k)) for k in (10, 20))
    with pytest.raises(
        cs.ScrubError, match=r"functions of one name, '<lambda>', choose other rows"
    ):
        cs.compare([one, other])


def test_each_line_of_the_parens_table_has_the_share_of_its_own(
    data: cs.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "SUBSETS", {"all": None, "low": "low", "few": "few"})
    monkeypatch.setattr(outcome, "STATEMENTS", {"1a": "a carries own"})
    result = run(data)
    assert result.stuck is not None
    table = outcome.table({"1a": result}).set_index("strings")["own_row"]
    assert table["all"] == pytest.approx(100 * result.stuck)
    assert table["low"] == 100
    assert 100 * result.stuck < table["few"] < 100
    text = outcome.to_markdown(outcome.table({"1a": result}), [])
    assert f"1a ({100 * result.stuck:.0f}%)" in text
    unknown = replace(result, stuck=None, alone=None)
    assert np.isnan(outcome.table({"1a": unknown})["own_row"]).all()
