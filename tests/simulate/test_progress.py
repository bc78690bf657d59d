"""What a long run reports while it runs."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._simulate import Progress


class Clock:
    """Seconds as the test sets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def small() -> tuple[cs.Hypothesis, cs.Dataset, cs.metrics.Metric]:
    values = torch.arange(24.0, dtype=torch.float64)
    data = cs.Dataset(x=values % 5, z=values % 3, y=(values % 5) * 2)
    graph = cs.Graph.build(
        inputs=["x", "z"],
        nodes={"a": (lambda x: 2 * x, ["x"]), "out": (lambda a, z: a + 0 * z, ["a", "z"])},
        output="out",
    )
    h = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "z")))
    return h, data, cs.metrics.squared_error("y")


def test_batches_are_reported_twice_a_second_and_blocks_always() -> None:
    clock, seen = Clock(), []
    with Progress(lambda done, of: seen.append((done, of)), 1000, clock=clock) as bar:
        for _ in range(10):  # a block of 500 in batches of a fifth of a second
            clock.now += 0.2
            bar.batch(50)
        bar.advance(500)
        bar.advance(500)
    assert seen == [(150, 1000), (300, 1000), (450, 1000), (500, 1000), (1000, 1000)]
    assert all(type(done) is int and type(of) is int for done, of in seen)


def test_the_line_says_phase_rate_time_left_and_the_mean_so_far() -> None:
    clock = Clock()
    bar = Progress(False, 10_000, clock=clock)
    bar.phase("checking")
    clock.now = 100.0
    assert bar.text() == "checking 0/10,000"
    bar.phase("samples")
    clock.now = 110.0
    bar.estimate({"loss": np.full(500, 0.5)})
    bar.estimate({"loss": np.full(500, 1.0)})
    bar.batch(1000)
    assert bar.text() == "samples 1,000/10,000, 100/s, 1:30 left, loss 0.75 so far"
    bar.advance(10_000)
    bar.phase("intervals")
    assert bar.text() == "intervals 10,000/10,000, 1,000/s, loss 0.75 so far"


def test_work_of_unknown_size_is_named_and_not_counted() -> None:
    bar = Progress(False, 0)
    bar.phase("candidates")
    assert bar.text() == "candidates"


def test_a_run_shows_its_phases_and_its_estimate(monkeypatch) -> None:
    lines: list[str] = []
    phase = Progress.phase

    def noted(self: Progress, name: str) -> None:
        phase(self, name)
        lines.append(self.text())

    monkeypatch.setattr(Progress, "phase", noted)
    h, data, metric = small()
    result = cs.scrub(h, data, metric, samples=3000, batch_size=500, progress=False)
    names = [line.split()[0] for line in lines]
    assert names[0] == "checking"
    assert names[-2:] == ["metrics", "intervals"]
    assert "samples" in names
    assert f"{result.scrubbed.mean:.4g} so far" in lines[-1]


def test_batches_inside_a_block_reach_the_callback(monkeypatch) -> None:
    clock = Clock()

    def later() -> float:
        clock.now += 0.3
        return clock.now

    monkeypatch.setattr(Progress.__init__, "__kwdefaults__", {"clock": later})
    h, data, metric = small()
    seen: list[tuple[int, int]] = []
    cs.scrub(
        h, data, metric, samples=3000, batch_size=500,
        progress=lambda done, of: seen.append((done, of)),
    )  # fmt: skip
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert {of for _, of in seen} == {3000}
    assert seen[-1] == (3000, 3000)


def test_nothing_is_shown_in_a_pipe(capsys) -> None:
    h, data, metric = small()
    cs.scrub(h, data, metric, samples=50)
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_shown_where_it_is_asked_for(capsys) -> None:
    h, data, metric = small()
    cs.scrub(h, data, metric, samples=50, progress=True)
    assert "50/50" in capsys.readouterr().err


def test_a_notebook_shows_one_line_that_changes(monkeypatch) -> None:
    shown: list[str] = []

    class Line:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(data["text/plain"])

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Line:
        assert raw
        assert display_id
        shown.append(data["text/plain"])
        return Line()

    kernel = SimpleNamespace(kernel=True)
    fake = SimpleNamespace(get_ipython=lambda: kernel, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", fake.display)
    with Progress(None, 10) as bar:
        bar.advance(10)
    assert shown[0] == "samples 0/10"
    assert shown[-1].startswith("samples 10/10")


@pytest.mark.parametrize("search", ["refute", "controls"])
def test_searches_name_the_making_of_candidates(search: str, monkeypatch) -> None:
    names: list[str] = []
    monkeypatch.setattr(Progress, "phase", lambda self, name: names.append(name))
    h, data, metric = small()
    seen: list[tuple[int, int]] = []
    getattr(cs, search)(
        h, data, metric, samples=300, progress=lambda done, of: seen.append((done, of))
    )
    assert names[0] == "candidates"
    assert seen
    assert all(of > 0 for _, of in seen)
