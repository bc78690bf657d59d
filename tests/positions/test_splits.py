"""Outputs computed at some positions are right on graphs with split, joined and rewritten nodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import random_hypothesis
from tensors import rewritten, tensor_data, tensor_graph

import causal_scrubbing as cs
from causal_scrubbing._sampling import Sampler


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(data=tensor_data(), seed=st.integers(0, 2**31), steps=st.integers(1, 4))
def test_rewritten_graphs_need_no_second_way(data, seed, steps) -> None:
    """The run's own check would warn, and a warning fails the test."""
    rng = np.random.default_rng(seed)
    graph = rewritten(tensor_graph(rng, data), data, rng, steps, tests=("nan",))
    h = random_hypothesis(graph, rng)
    cs.scrub(h, data, metric=lambda out, rows: out.flatten(1).sum(1), samples=3, check=False)


@pytest.mark.parametrize("axis", [-1, 2])
def test_an_axis_may_be_counted_from_the_back(axis: int) -> None:
    rng = np.random.default_rng(0)
    values = torch.as_tensor(rng.normal(size=(8, 3, 4)))
    data = cs.Dataset(x=values, z=values.flip(0), bit=[0, 1] * 4)
    graph = cs.Graph.build(
        inputs=["x", "z"],
        nodes={"a": (torch.tanh, ["x"]), "y": (torch.add, ["a", "z"])},
        output="y",
        example=data,
    ).split("y", axis=axis, into={"h{}": 2})
    h = cs.Hypothesis(
        graph,
        cs.claim("y", cs.exact, cs.claim("y.h1", "bit", cs.claim("a", "bit"))),
        unimportant="separate",
    )
    run = cs.scrub(h, data, metric=lambda out, rows: out[:, 1, 3], samples=20, seed=3)
    drawn = Sampler(h, data, 3).draw(0, 20).rows
    want = [naive_sample(h, data, {k: int(v[i]) for k, v in drawn.items()}) for i in range(20)]
    np.testing.assert_allclose(run.samples["scrubbed"], torch.cat(want)[:, 1, 3], rtol=1e-12)
