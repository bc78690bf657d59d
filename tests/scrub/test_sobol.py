"""Draws from scrambled Sobol' points: the same expectations, smaller errors, honest intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs


def smooth(n: int = 200) -> tuple[cs.Hypothesis, cs.Dataset]:
    """A behaviour that depends smoothly on two reals, claimed to come from a third of one."""
    g = torch.Generator().manual_seed(0)
    x, z = (torch.randn(n, generator=g, dtype=torch.float64) for _ in range(2))
    data = cs.Dataset(x=x, z=z, half=x > 0, y=x - z)
    graph = cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "a": (torch.tanh, ["x"]),
            "b": (lambda z: 0.5 * z, ["z"]),
            "out": (lambda a, b: a + b + 0.3 * a * b, ["a", "b"]),
        },
        output="out",
    )
    root = cs.claim("out", cs.exact, cs.claim("a", "half"), cs.claim("b", cs.anything))
    return cs.Hypothesis(graph, root), data


METRIC: dict[str, Any] = {
    "share": lambda output, rows: torch.sigmoid(output),
    "own": cs.metrics.to_model("distance"),
}


def test_expectations_stay_and_errors_fall() -> None:
    h, data = smooth()
    exact = cs.exact_scrub(h, data, METRIC, check=False)["share"]
    found: dict[str, list[float]] = {"independent": [], "sobol": []}
    inside = 0
    for seed in range(8):
        for draw, means in found.items():
            run = cs.scrub(
                h, data, METRIC, samples=512, seed=seed, draw=draw, check=False, compare=False
            )
            means.append(run["share"].scrubbed.mean)
        low, high = run["share"].scrubbed.interval
        inside += low <= exact.scrubbed.mean <= high
    sobol = np.array(found["sobol"])
    assert abs(sobol.mean() - exact.scrubbed.mean) < 4 * sobol.std() / 8**0.5
    assert inside >= 5
    assert np.var(found["independent"]) > 3 * sobol.var()


def test_a_run_says_how_rows_lie_and_is_the_same_again(tmp_path: Path) -> None:
    h, data = smooth()
    one = cs.scrub(h, data, METRIC, samples=100, draw="sobol")
    again = cs.scrub(h, data, METRIC, samples=100, draw="sobol", batch_size=7)
    assert one.draws.equals(again.draws)
    order = one.settings["order"]
    assert order["by"] == "activations times mean gradients"
    assert order == again.settings["order"]
    one.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run", data=data)
    assert loaded["share"] == one["share"]
    assert loaded.on("half")["share"] == one.on("half")["share"]
    assert "~scrambling" not in one.draws
    trivial = h.with_(root=cs.claim("out", cs.anything))
    both = cs.scrub([h, trivial], data, METRIC, samples=100, draw="sobol")
    assert cs.compare(both).differences[0].difference.se > 0
    apart = cs.scrub(trivial, data, METRIC, samples=100, draw="sobol")
    with pytest.raises(cs.ScrubError, match="Scrub both in one call"):
        cs.compare([one, apart])


def test_without_gradients_rows_lie_by_the_models_behaviour() -> None:
    data = cs.Dataset(t=torch.arange(40) % 7, y=torch.arange(40.0))
    graph = cs.Graph.build(
        inputs=["t"],
        nodes={"a": (lambda t: t * 3, ["t"]), "out": (lambda a: a.double(), ["a"])},
        output="out",
    )
    h = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", cs.anything)))
    run = cs.scrub(h, data, cs.metrics.squared_error("y"), samples=64, draw="sobol")
    assert run.settings["order"]["by"] == "the model's own behaviour"
    right = cs.scrub(h, data, lambda output, rows: (output > 5).double(), samples=64, draw="sobol")
    assert right.scrubbed.defined


def test_self_draws_and_weights_hold() -> None:
    h, data = smooth(30)
    others = cs.scrub(h.with_(self_draws=False), data, METRIC, samples=160, draw="sobol")
    table = others.draws
    assert (table["reference"] != table["out/b"]).all()
    weights = torch.ones(30, dtype=torch.float64)
    weights[3] = 20
    heavy = cs.Dataset({name: data[name] for name in data.field_names}, weights=weights)
    run = cs.scrub(h, heavy, METRIC, samples=1600, draw="sobol", check=False)
    share = (run.draws["reference"] == 3).mean()
    assert share == pytest.approx(20 / 49, abs=0.02)
    with pytest.raises(cs.ScrubError, match=r"draw='sobl' is not a way to draw.*sobol"):
        cs.scrub(h, data, METRIC, draw="sobl")
