"""Workers of one machine fill one table of clean activations, where that is cheaper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._executors import SHARED, load, memory_folder

CALLS: list[int] = []


def dear(x: torch.Tensor) -> torch.Tensor:
    CALLS.append(len(x))
    for _ in range(20):
        x = torch.tanh(x + x.roll(1, -1))
    return x


def last(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum(1)


class Two:
    """Two workers in this process that take turns, with a folder in common or without."""

    def __init__(self, *, shares_memory: bool) -> None:
        self.shares_memory = shares_memory

    @contextmanager
    def open(self, work: bytes) -> Iterator[Two]:
        self.workers = [load(work), load(work)]
        yield self

    def compute(self, blocks, **asked):
        for i, block in enumerate(blocks):
            yield block, self.workers[i % 2](*block)

    def __repr__(self) -> str:
        return "Two()"


def problem() -> tuple[cs.Hypothesis, cs.Dataset]:
    x = torch.randn(400, 32, generator=torch.Generator().manual_seed(0))
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (dear, ["x"]), "b": (torch.sin, ["a"]), "y": (last, ["a", "b"])},
        output="y",
    )
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "up")))
    return h, cs.Dataset(x=x, up=x[:, 0] > 0)


def test_workers_that_share_memory_run_each_clean_row_once(tmp_path: Path, monkeypatch) -> None:
    h, data = problem()
    monkeypatch.setenv(SHARED, str(tmp_path))
    options: dict[str, Any] = {"samples": 1000, "randomize": "y", "check": False}
    found, counts = {}, {}
    for name, executor in (
        ("alone", None),
        ("apart", Two(shares_memory=False)),
        ("together", Two(shares_memory=True)),
    ):
        CALLS.clear()
        found[name] = cs.scrub(h, data, executor=executor, **options)
        counts[name] = sum(CALLS)
    for name in ("apart", "together"):
        assert found[name].draws.equals(found["alone"].draws)
        np.testing.assert_allclose(found[name].samples, found["alone"].samples, rtol=1e-5)
    # Besides clean rows, every worker measures what nodes cost.
    assert counts["together"] < counts["apart"] - 250
    assert list(tmp_path.glob("*.table"))
    said = str(found["together"].explain())
    assert "executor: Two(); workers fill one table of" in said
    assert "together in common memory: a row takes" in said
    said = str(cs.explain(h, data, samples=100, executor=Two(shares_memory=False), timed=False))
    assert "executor: Two(); each worker runs the clean rows that its blocks need" in said
    assert "executor:" not in str(found["alone"].explain())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"store": "disk"}, "its table is not one in main memory with every row"),
        ({"memory": "60kB", "store": "memory"}, "its table is not one in main memory"),
    ],
)
def test_a_table_that_cannot_be_shared_says_why(options, why: str) -> None:
    h, data = problem()
    plan = cs.explain(
        h, data, samples=500, executor=Two(shares_memory=True), timed=False, **options
    )
    assert why in str(plan)


def test_what_ended_processes_left_in_memory_is_removed() -> None:
    left = Path(memory_folder()) / "causal-scrubbing-999999999-x"
    kept = Path(memory_folder()) / "causal-scrubbing-1-x"
    for folder in (left, kept):
        folder.mkdir()
    try:
        memory_folder()
        assert not left.exists()
        assert kept.exists()
    finally:
        kept.rmdir()
