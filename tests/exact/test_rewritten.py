"""Exact evaluation, the isomorphic form and mean ablation on graphs with plumbing."""

from __future__ import annotations

from typing import Any

import brute
import numpy as np
import pytest
import torch
import zoo
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import random_hypothesis
from tensors import rewritten, tensor_data, tensor_graph

import causal_scrubbing as cs
from causal_scrubbing._sampling import Sampler

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}
SEEDS = st.integers(0, 2**31)


def total(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    """One number a row, whatever the output's shape."""
    return output.detach().double().flatten(1).sin().sum(1)


@settings(max_examples=25, **QUICK)
@given(data=tensor_data(), seed=SEEDS, steps=st.integers(0, 5))
def test_exact_equals_enumeration_on_rewritten_graphs(data, seed, steps) -> None:
    rng = np.random.default_rng(seed)
    data = data[:3]
    graph = rewritten(tensor_graph(rng, data), data, rng, steps, tests=("nan",))
    h = random_hypothesis(graph, rng)
    if brute.count(h, data) > 600:
        return
    got = cs.exact_scrub(h, data, metric=total).expectation
    assert got == pytest.approx(brute.brute_force(h, data, total), rel=1e-9, abs=1e-9)


@settings(max_examples=25, **QUICK)
@given(data=tensor_data(), seed=SEEDS, steps=st.integers(1, 5))
def test_the_isomorphic_form_of_rewritten_graphs_has_equal_values(data, seed, steps) -> None:
    rng = np.random.default_rng(seed)
    graph = rewritten(tensor_graph(rng, data), data, rng, steps, tests=("nan",))
    h = random_hypothesis(graph, rng)
    iso = cs.isomorphic(h)
    assert not any(entry.other_draws for entry in iso.tree.claims)
    torch.testing.assert_close(iso.graph(data), graph(data), rtol=1e-9, atol=1e-9)
    one, two = (
        cs.scrub(g, data, metric=total, samples=4, seed=seed % 100, check=False) for g in (h, iso)
    )
    np.testing.assert_allclose(
        one.samples["scrubbed"], two.samples["scrubbed"], rtol=1e-9, atol=1e-9
    )


@settings(max_examples=25, **QUICK)
@given(data=tensor_data(), seed=SEEDS, steps=st.integers(1, 5))
def test_mean_ablation_on_rewritten_graphs_equals_the_naive_evaluator(data, seed, steps) -> None:
    rng = np.random.default_rng(seed)
    graph = rewritten(tensor_graph(rng, data), data, rng, steps, tests=("nan",))
    h = random_hypothesis(graph, rng)
    try:
        h = h.with_(ablation="mean")
        run = cs.scrub(h, data, metric=total, samples=3, seed=seed % 100, check=False)
    except cs.HypothesisError:
        return  # others= makes no sense there, and integers have no mean
    draw = Sampler(h, data, seed % 100).draw(0, 3)
    want = torch.cat(
        [naive_sample(h, data, {k: int(v[i]) for k, v in draw.rows.items()}) for i in range(3)]
    )
    np.testing.assert_allclose(run.samples["scrubbed"], total(want, data), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("policy", ["per-claim", "separate", "together"])
def test_a_captured_transformer_with_split_heads(policy) -> None:
    torch.manual_seed(0)
    model = zoo.Attention().double().eval()
    tokens = torch.randint(0, 11, (3, 5))
    data = cs.Dataset(tokens=tokens, first=tokens[:, 0] % 2, last=tokens[:, -1] % 2)
    graph = cs.capture(
        model,
        data[:2],
        fields=["tokens"],
        sites={"a{i}.z": "blocks.{i}.out:input", "m{i}": "blocks.{i}.mlp"},
        output="logits",
    ).split("a*.z", axis=-1, into={"h{}": 2})
    h = cs.Hypothesis(
        graph,
        cs.claim(
            "logits",
            cs.exact,
            cs.claim("a1.z.h0", "first", cs.claim("a0.z.h1", "last", via=["m0"])),
        ),
        unimportant=policy,
    )
    iso = cs.isomorphic(h)
    torch.testing.assert_close(iso.graph(data), graph(data), rtol=1e-9, atol=1e-9)
    exact = cs.exact_scrub(h, data, metric=total)
    assert cs.exact_scrub(iso, data, metric=total).expectation == pytest.approx(
        exact.expectation, rel=1e-9
    )
    run = cs.scrub([h, iso], data, metric=total, samples=200)
    np.testing.assert_allclose(run[0].samples["scrubbed"], run[1].samples["scrubbed"], rtol=1e-9)
    law = exact.distribution()
    gaps = np.abs(law["value"].to_numpy() - run[0].samples["scrubbed"].to_numpy()[:, None]).min(1)
    assert gaps.max() < 1e-9
    assert abs(run[0].scrubbed.mean - exact.expectation) < 6 * run[0].scrubbed.se + 1e-9


def test_an_input_computed_from_nothing_has_its_own_datum() -> None:
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.neg, ["x"])}, output="y")
    data = cs.Dataset(x=torch.arange(4.0), bit=[0, 1, 0, 1])
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("x", "bit", cs.nothing)))
    leaf = h.with_(root=cs.claim("y", cs.exact, cs.claim("x", "bit")))
    runs = cs.scrub([h, leaf, cs.isomorphic(h)], data, samples=50)
    for other in runs[1:]:
        np.testing.assert_array_equal(runs[0].samples["scrubbed"], other.samples["scrubbed"])
    assert cs.entropy(h, data).total == cs.entropy(leaf, data).total == pytest.approx(2)
