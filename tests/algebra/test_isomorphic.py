from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import datasets, hypotheses

import causal_scrubbing as cs
from causal_scrubbing._graph import Pack, Unpack
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE
from causal_scrubbing._sampling import Sampler

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}


def matters(h: cs.Hypothesis, key: str) -> bool:
    """Whether a draw has a member at all whose value is not the same on every row."""
    block = h.block(key)
    return bool(block.claims) or any(not h.graph.is_constant[node] for _, node in block.others)


@settings(max_examples=50, **QUICK)
@given(h=hypotheses(), data=datasets(), seed=st.integers(0, 100))
def test_same_draws_same_values_and_nothing_left_unclaimed(h, data, seed) -> None:
    iso = cs.isomorphic(h)
    torch.testing.assert_close(iso.graph(data), h.graph(data), rtol=1e-12, atol=1e-12)
    ours, theirs = Sampler(h, data, seed).draw(0, 5), Sampler(iso, data, seed).draw(0, 5)
    keys = [REFERENCE, RANDOMIZED, *(b.key for b in h.tree.blocks if matters(h, b.key))]
    assert set(theirs.rows) == set(keys)
    for key in keys:
        np.testing.assert_array_equal(ours.rows[key], theirs.rows[key])
    # One node a claim: no two claims share one, and no parent is unimportant.
    nodes = [entry.claim.node for entry in iso.tree.claims]
    assert len(set(nodes)) == len(nodes)
    assert not any(entry.other_draws for entry in iso.tree.claims)
    made = [name for name in iso.graph.names if name not in iso.graph.inputs]
    assert set(nodes) - set(iso.graph.inputs) == set(made)
    one = cs.scrub(h, data, samples=5, seed=seed, check=False)
    two = cs.scrub(iso, data, samples=5, seed=seed, check=False)
    np.testing.assert_allclose(
        one.samples["scrubbed"], two.samples["scrubbed"], rtol=1e-9, atol=1e-9
    )
    rows = {key: int(found[0]) for key, found in theirs.rows.items()}
    want = naive_sample(h, data, {key: int(found[0]) for key, found in ours.rows.items()})
    torch.testing.assert_close(naive_sample(iso, data, rows), want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("policy", ["per-claim", "separate", "together", {"y": "g", "y/a": "g"}])
def test_each_policy_on_a_case_done_by_hand(policy) -> None:
    graph = cs.Graph.build(
        inputs=["x1", "x2", "x3"],
        nodes={
            "a": (lambda p, q: p * q, ["x1", "x2"]),
            "b": (lambda p, q: p - q, ["x2", "x3"]),
            "y": (lambda a, b, r: a + b * r, ["a", "b", "x3"]),
        },
        output="y",
    )
    data = cs.Dataset(**{f"x{i}": torch.randn(6, dtype=torch.float64) for i in (1, 2, 3)})
    h = cs.Hypothesis(
        graph,
        cs.claim("y", cs.exact, cs.claim("a", cs.exact, cs.claim("x1", cs.exact))),
        unimportant=policy,
    )
    iso = cs.isomorphic(h)
    units = {
        "per-claim": {"y": 1, "y/a": 1},
        "separate": {"y": 2, "y/a": 1},
        "together": {"y": 1, "y/a": 0},
    }.get(str(policy), {"y": 1, "y/a": 0})
    for path, count in units.items():
        claims = iso.tree[path].claim.children or ()
        assert len([c for c in claims if c.children is None and "~" in c.label]) == count
    expected = cs.exact_scrub(h, data).expectation
    assert cs.exact_scrub(iso, data).expectation == pytest.approx(expected, rel=1e-9)
    again = cs.isomorphic(iso)
    assert [c.path for c in again.tree.claims] == [c.path for c in iso.tree.claims]
    assert cs.exact_scrub(again, data).expectation == pytest.approx(expected, rel=1e-9)


def test_packing_loses_nothing() -> None:
    parts = [
        torch.tensor([True, False, True]),
        torch.randn(3, 2, 4, dtype=torch.float64),
        torch.empty(3, 0),
        torch.randint(-5, 5, (3, 1), dtype=torch.int16),
        torch.randn(3, 5).to(torch.bfloat16),
        torch.randn(3, dtype=torch.complex64),
        torch.ones(1, 2),
    ]
    packed = Pack()(*parts)
    assert packed.dtype == torch.uint8
    for i, part in enumerate(parts):
        got = Unpack(i)(packed)
        assert got.dtype == part.dtype
        assert torch.equal(got, part.expand(3, *part.shape[1:]))
        assert torch.equal(Unpack(i)(packed[1:2]), part.expand(3, *part.shape[1:])[1:2])
