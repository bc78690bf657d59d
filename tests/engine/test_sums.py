"""Sums of many parents, few of them scrubbed: what is clean on one datum is added on clean rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive import naive_sample

import causal_scrubbing as cs
from causal_scrubbing._engine import Compiler, Executor, Space
from causal_scrubbing._sampling import Sampler


def masked(value: float, dtype: torch.dtype) -> tuple[cs.Hypothesis, cs.Dataset]:
    """Scores to which a mask adds a number too large to be taken away again."""
    generator = torch.Generator().manual_seed(0)
    shut = torch.arange(12) % 3 == 0
    data = cs.Dataset(
        shut=shut,
        third=torch.arange(12) % 2,
        **{x: torch.randn(12, generator=generator).to(dtype) for x in "abcd"},
    )
    graph = cs.Graph.build(
        inputs=["shut", *"abcd"],
        nodes={
            "mask": (lambda s: torch.where(s, value, 0.0).to(dtype), ["shut"]),
            **{f"p{x}": (torch.sin, [x]) for x in "abcd"},
            "score": (cs.add, ["mask", "pa", "pb", "pc", "pd"]),
            "y": (lambda s: s.double().exp(), ["score"]),
        },
        output="y",
    )
    claim = cs.claim("score", cs.exact, cs.claim("mask", cs.anything), cs.claim("pa", "third"))
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, claim)), data


@pytest.mark.parametrize("value", [-1e9, -torch.inf, torch.finfo(torch.float32).min])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_large_and_infinite_terms_leave_the_small_ones_as_they_are(value, dtype) -> None:
    h, data = masked(value, dtype)
    draw = Sampler(h, data, 0).draw(0, 64)
    result = cs.scrub(h, data, samples=64)
    want = [
        float(naive_sample(h, data, {k: int(v[i]) for k, v in draw.rows.items()}))
        for i in range(64)
    ]
    rtol = 0.05 if dtype is torch.bfloat16 else 1e-5
    np.testing.assert_allclose(result.samples["scrubbed"], want, rtol=rtol)
    assert (np.array(want) > 0).any()
    assert (np.array(want) == 0).any()


def test_the_terms_on_one_datum_are_gathered_as_one() -> None:
    h, data = masked(-1.0, torch.float64)
    sampler = Sampler(h, data, 0)
    space = Space()
    root = Compiler(h.graph, space).tree(h.tree, sampler.variables)
    executor = Executor(h.graph, space, [root], data, batch_size=4)
    gathered = [one.node for one in executor.gathers]
    assert sorted(gathered) == ["mask", "pa", "~part 1 of score"]
    assert space.sums.nodes == {"~part 1 of score": ("pb", "pc", "pd")}
