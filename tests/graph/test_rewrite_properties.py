"""Whatever is done to a graph, it computes the same, and the engine follows the method on it."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import random_hypothesis
from tensors import rewritten, tensor_data, tensor_graph

from causal_scrubbing._engine import Executor
from causal_scrubbing._expressions import Compiler, Space
from causal_scrubbing._sampling import Sampler

SEEDS = st.integers(0, 2**31)


@settings(max_examples=60, deadline=None)
@given(data=tensor_data(), seed=SEEDS, steps=st.integers(1, 6), example=st.booleans())
def test_rewrites_keep_outputs_and_gradients(data, seed, steps, example) -> None:
    rng = np.random.default_rng(seed)
    graph = tensor_graph(rng, data if example else None)
    new = rewritten(graph, data, rng, steps)
    assert new.history[: len(graph.history)] == graph.history
    weights = [graph.nodes[name].fn.weight for name in ("e0", "e1")]
    results = []
    for one in (graph, new):
        out = one.values(data)[one.output]
        grads = torch.autograd.grad((out**2).sum(), weights, allow_unused=True)
        results.append((out, *(torch.zeros(1) if g is None else g for g in grads)))
    torch.testing.assert_close(results[1], results[0], rtol=1e-9, atol=1e-9)


@settings(max_examples=120, deadline=None)
@given(data=tensor_data(), seed=SEEDS, steps=st.integers(1, 5), simplify=st.booleans())
def test_the_engine_equals_the_naive_evaluator_on_rewritten_graphs(
    data, seed, steps, simplify
) -> None:
    rng = np.random.default_rng(seed)
    graph = rewritten(tensor_graph(rng, data), data, rng, steps, tests=("nan",))
    h = random_hypothesis(graph, rng)
    sampler = Sampler(h, data, seed)
    draw = sampler.draw(0, 4)
    space = Space()
    root = Compiler(h.graph, space, simplify=simplify).tree(h.tree, sampler.variables)
    rows = {sampler.variables[key]: found for key, found in draw.rows.items()}
    runs = Executor(h.graph, space, [root], data, batch_size=3).run(rows)
    got = torch.cat([values[root] for _, _, values in runs])
    want = torch.cat(
        [naive_sample(h, data, {k: int(v[i]) for k, v in draw.rows.items()}) for i in range(4)]
    )
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
