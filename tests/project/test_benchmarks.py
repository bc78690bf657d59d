"""What the benchmarks' table says of how it was measured."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    before = {*sys.modules}
    yield importlib.import_module("run")
    for name in {*sys.modules} - before:
        if str(HERE) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_the_recorded_table_is_that_of_the_recorded_numbers(run) -> None:
    found = json.loads((HERE / "results.json").read_text())
    shown, recorded = run.render(found), (HERE / "RESULTS.md").read_text()
    recorded = recorded.partition(run.SINCE)[0].rstrip()  # what follows is written by hand
    assert shown.rstrip().splitlines()[4:] == recorded.splitlines()[4:]


def test_the_head_says_what_was_measured_with(run, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "Processor seconds of one thread; no GPU. The" in run.render({})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Fast Card 9")
    beside = run.render({}).splitlines()[2]
    assert "Seconds by the clock, of one thread, and of Fast Card 9" in beside
    assert "no GPU" not in beside
