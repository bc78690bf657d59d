"""What is known over pairs of rows hangs on what metrics call, not on how long they take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import causal_scrubbing as cs


def in_torch(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows["x"]).square()


def row_by_row(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return torch.stack([(one - x).square() for one, x in zip(output, rows["x"], strict=True)])


def in_numpy(output: torch.Tensor, rows: cs.Dataset) -> np.ndarray:
    return (output.numpy() - rows["x"].numpy()) ** 2


def from_a_list(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return torch.tensor([(one - x) ** 2 for one, x in zip(output.tolist(), rows["x"].tolist(),
                                                          strict=True)])  # fmt: skip


WEIGHT = torch.ones(64, 64, dtype=torch.float64) / 64


def with_a_model(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    there = output[:, None].expand(-1, 64) @ WEIGHT
    return (there.mean(1) - rows["x"]).square()


def randomized(metric: Callable[..., object], n: int) -> tuple[float, float]:
    """E_randomized and its standard error, and the exact value."""
    values = torch.linspace(-1, 1, n, dtype=torch.float64)
    data = cs.Dataset(x=values, bit=torch.arange(n) % 2)
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.neg, ["x"])}, output="y")
    h = cs.Hypothesis(graph, cs.claim("y", "bit"))
    run = cs.scrub(h, data, metric, samples=200)
    assert run.randomized is not None
    return run.randomized.mean, run.randomized.se


@pytest.mark.parametrize("metric", [in_torch, row_by_row, in_numpy, from_a_list, with_a_model])
def test_few_pairs_are_all_taken(metric: Callable[..., object]) -> None:
    assert randomized(metric, 20)[1] == 0


@pytest.mark.parametrize("metric", [row_by_row, in_numpy, from_a_list, with_a_model])
def test_many_pairs_are_left_out_where_a_metric_costs_much_on_each(
    metric: Callable[..., object],
) -> None:
    exact, none = randomized(in_torch, 150)
    found, error = randomized(metric, 150)
    assert none == 0
    assert error > 0
    assert abs(found - exact) < 6 * error
