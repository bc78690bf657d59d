"""Searches draw as `scrub` draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._trials import Trials


@pytest.mark.parametrize("self_draws", [True, False])
def test_the_values_of_a_trial_are_those_of_a_run(self_draws: bool) -> None:
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = cs.Dataset(x=x, pair=torch.arange(40) // 2)
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "a": (lambda x: x[:, 0], ["x"]),
            "b": (lambda x: x[:, 1], ["x"]),
            "y": (lambda a, b: a * b + a, ["a", "b"]),
        },
        output="y",
    )
    h = cs.Hypothesis(
        graph, cs.claim("y", cs.exact, cs.claim("a", "pair")), within="pair", self_draws=self_draws
    )
    metric = cs.metrics.to_model("squared_error")
    run = cs.scrub(h, data, metric, samples=300, seed=4)
    chunk = Trials([h], data, metric).run([0], 4, 0, 300)
    assert np.allclose(chunk.values[0], run.samples["scrubbed"])
    assert chunk.randomized is not None
    assert np.allclose(chunk.randomized, run.samples["randomized"])
    assert (run.samples["scrubbed"] == 0).any() == self_draws
