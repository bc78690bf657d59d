from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import datasets, hypotheses

from causal_scrubbing._engine import Executor
from causal_scrubbing._expressions import Compiler, Space
from causal_scrubbing._sampling import Sampler


@settings(max_examples=150, deadline=None)
@given(h=hypotheses(), data=datasets(), seed=st.integers(0, 100), simplify=st.booleans())
def test_engine_equals_the_naive_evaluator_on_equal_draws(h, data, seed, simplify) -> None:
    sampler = Sampler(h, data, seed)
    draw = sampler.draw(0, 6)
    space = Space()
    root = Compiler(h.graph, space, simplify=simplify).tree(h.tree, sampler.variables)
    rows = {sampler.variables[key]: found for key, found in draw.rows.items()}
    got = torch.cat(
        [
            values[root]
            for _, _, values in Executor(h.graph, space, [root], data, batch_size=4).run(rows)
        ]
    )
    want = torch.cat(
        [naive_sample(h, data, {k: int(v[i]) for k, v in draw.rows.items()}) for i in range(6)]
    )
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
