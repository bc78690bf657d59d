"""Sampled estimates against exact ones: known means, functions of means, vectors, balanced rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs

N = 60


def problem(seed: int, weighted: bool = False) -> tuple[cs.Hypothesis, cs.Dataset]:
    """A small random problem: two paths, one claimed about by a feature of one input."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    weights = torch.rand(N, generator=g, dtype=torch.float64) + 0.2 if weighted else None
    data = cs.Dataset(
        {"x": normal(N), "z": normal(N), "y": normal(N), "third": torch.arange(N) % 3},
        weights=weights,
    )
    slope, mix = normal(2), normal(2)
    graph = cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "a": (lambda x: torch.tanh(slope[0] * x), ["x"]),
            "b": (lambda x, z: torch.relu(slope[1] * x + z), ["x", "z"]),
            "out": (lambda a, b: mix[0] * a + mix[1] * b + 0.5 * a * b, ["a", "b"]),
        },
        output="out",
    )
    claim = cs.claim("out", cs.exact, cs.claim("a", "third"), cs.claim("b", cs.exact))
    return cs.Hypothesis(graph, claim), data


def two(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return torch.stack([output, output * rows["y"]], dim=1)


METRICS: dict[str, Any] = {
    "loss": cs.metrics.squared_error("y"),
    "r": cs.metrics.correlation("z"),
    "ratio": cs.metrics.of_means(two, lambda m: m[1] / (3 + m[0])),
    "vector": two,
}


@pytest.mark.parametrize(("samples", "batch_size"), [(9, None), (40, 7), (900, 32)])
def test_known_means_use_the_rows_that_the_run_has_evaluated(samples: int, batch_size) -> None:
    h, data = problem(3, weighted=True)
    ran = 0

    def count(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        nonlocal ran
        ran += len(x)
        return torch.relu(x - z)

    graph = cs.Graph.build(
        inputs=["x", "z"],
        nodes={"a": (torch.tanh, ["x"]), "b": (count, ["x", "z"]), "out": (torch.mul, ["a", "b"])},
        output="out",
    )
    h = h.with_(graph=graph)
    metric = cs.metrics.squared_error("y")
    options = {"samples": samples, "check": False, "batch_size": batch_size}
    ran = 0
    run = cs.scrub(h, data, {"loss": metric}, **options)["loss"]
    assert ran <= N + 10  # each row once, and a few to try the metric and to plan
    losses = metric(graph(data), data)
    weights = torch.as_tensor(data.weights)
    assert run.exact == ("model", "randomized")
    assert run.model.mean == pytest.approx(float((weights * losses).sum()), rel=1e-12)
    assert run.randomized.mean == pytest.approx(
        cs.exact_scrub(h, data, metric, check=False).randomized.mean, rel=1e-9
    )


@pytest.mark.parametrize("draw", ["independent", "balanced"])
def test_no_bias_against_exact_sums(draw: str) -> None:
    """z-scores over many random problems have mean 0 and variance 1."""
    scores: dict[str, list[float]] = {"loss": [], "r": [], "ratio": []}
    missed = 0
    for seed in range(20):
        h, data = problem(seed, weighted=seed % 2 == 1)
        exact = cs.exact_scrub(h, data, METRICS, check=False)
        run = cs.scrub(h, data, METRICS, samples=400, seed=seed, check=False, draw=draw)
        for name, found in scores.items():
            one, wanted = run[name], exact[name]
            assert one.exact == ("model", "randomized")
            assert one.model.mean == pytest.approx(wanted.model.mean, rel=1e-9)
            assert one.randomized.mean == pytest.approx(wanted.randomized.mean, rel=1e-9, abs=1e-12)
            found.append((one.scrubbed.mean - wanted.scrubbed.mean) / one.scrubbed.se)
            assert one.recovered.defined == wanted.recovered.defined
        low, high = run["vector"].recovered.interval
        missed += not low <= exact["vector"].recovered.mean <= high
    assert missed <= 4
    for found in scores.values():
        assert abs(np.mean(found)) < 4 / len(found) ** 0.5
        assert 0.4 < np.var(found) < 2.2


def test_a_correlation_is_numpys_on_the_whole_of_the_data() -> None:
    h, data = problem(0)
    found = cs.exact_scrub(h, data, cs.metrics.correlation("z"))
    want = np.corrcoef(h.graph(data), data["z"])[0, 1]
    assert found.model.mean == pytest.approx(want, abs=1e-12)
    run = cs.scrub(h, data, cs.metrics.correlation("z"), samples=200)
    assert run.model.mean == pytest.approx(want, abs=1e-12)
    assert abs(run.randomized.mean) < 1e-9
    assert run.recovered.mean == pytest.approx(100 * run.scrubbed.mean / want, rel=1e-6)
    part = run.on(lambda rows: rows["x"] > 0)
    inside = (data["x"] > 0).numpy()
    want = np.corrcoef(h.graph(data)[inside], data["z"][inside])[0, 1]
    assert part.model.mean == pytest.approx(want, abs=1e-12)


def test_what_is_known_is_saved_and_compared(tmp_path: Path) -> None:
    h, data = problem(1, weighted=True)
    run = cs.scrub(h, data, METRICS, samples=150, draw="balanced")
    run.save(tmp_path / "run")
    again = cs.load(tmp_path / "run", data=data)
    for name in METRICS:
        assert again[name].to_dict() == run[name].to_dict()
    part, fresh = again.on(lambda rows: rows["x"] > 0), run.on(lambda rows: rows["x"] > 0)
    assert part["loss"].to_dict() == fresh["loss"].to_dict()
    assert part["r"].to_dict() == fresh["r"].to_dict()
    with pytest.raises(cs.MetricError, match="'ratio' is a function of means, which is code"):
        part["ratio"]
    other = cs.scrub(h.with_(root=cs.claim("out", cs.anything)), data, METRICS, samples=150,
                     draw="balanced")  # fmt: skip
    found = cs.compare([run, other], metric="r")
    want = run["r"].scrubbed.mean - other["r"].scrubbed.mean
    assert found.differences[0].difference.mean == pytest.approx(want)
    assert 0 < found.differences[0].p_value <= 1


def test_distances_are_those_asked_for() -> None:
    h, data = problem(2)
    for distance in ("manhattan", lambda a, b: float(abs(a - b).sum())):
        exact = cs.exact_scrub(h, data, {"v": two}, distance=distance)
        run = cs.scrub(h, data, {"v": two}, samples=300, distance=distance)
        means = exact["v"].means
        want = 1 - np.abs(means["scrubbed"] - means["model"]).sum() / (
            np.abs(means["randomized"] - means["model"]).sum()
        )
        assert exact.recovered.mean == pytest.approx(100 * want)
        assert run.recovered.interval[0] <= 100 * want <= run.recovered.interval[1]
    with pytest.raises(cs.MetricError, match="distance is 'cosine'"):
        cs.scrub(h, data, {"v": two}, distance="cosine")


def test_all_pairs_respect_within_and_self_draws() -> None:
    h, data = problem(3)
    out, third, y = h.graph(data), data["third"], data["y"]
    allowed = third[:, None] == third[None]
    for self_draws in (True, False):
        one = h.with_(within="third", self_draws=self_draws)
        run = cs.scrub(one, data, METRICS["loss"], samples=50)
        pairs = allowed if self_draws else allowed & ~torch.eye(N, dtype=torch.bool)
        loss = (out[None] - y[:, None]) ** 2
        want = ((loss * pairs).sum(1) / pairs.sum(1)).mean().item()
        assert run.randomized.mean == pytest.approx(want)
        assert run.randomized.se == 0


def test_a_metric_in_the_graph_is_known_too() -> None:
    h, data = problem(4)
    graph = h.graph.append("loss", lambda o, z: (o - z) ** 2, parents=["out", "z"])
    root = cs.claim("loss", cs.exact, h.root, cs.claim("z", cs.exact))
    run = cs.scrub(cs.Hypothesis(graph, root), data, samples=100, randomize="out")
    out, z = h.graph(data), data["z"]
    assert run["output"].exact == ("model", "randomized")
    assert run.randomized.mean == pytest.approx(((out[None] - z[:, None]) ** 2).mean().item())


def test_where_rows_cost_more_than_a_tenth_of_the_run_nothing_is_known() -> None:
    wide = torch.randn(3000, 3000, generator=torch.Generator().manual_seed(0))
    n = 400
    data = cs.Dataset(x=torch.arange(float(n)))
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "h": (lambda x: (x[:, None] / n + wide[0]) @ wide, ["x"]),
            "y": (lambda h: h[:, 0], ["h"]),
        },
        output="y",
    )
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("h", cs.exact)))
    few = cs.scrub(h, data, lambda output, rows: output, samples=20, check=False)
    assert few["lambda"].exact == ()
    assert few.model.se > 0


def test_rows_without_a_finite_value_leave_the_means_to_the_samples() -> None:
    h, data = problem(5)

    def bad(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return torch.where(rows["x"] == data["x"][7], torch.inf, output)

    found = cs.scrub(h, data, bad, samples=12, seed=1, check=False)
    assert 7 not in found.samples["reference"].to_numpy()
    assert "infinite or NaN on 1 of the 60 rows" in str(found)
    assert found.model.se > 0
    with pytest.raises(cs.MetricError, match="not finite"):
        cs.scrub(h, data, bad, samples=600, check=False).model  # noqa: B018 - estimated when asked
