"""Nothing a search finds or prints hangs on the last bits of an activation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs
from causal_scrubbing._statistics import ranked
from causal_scrubbing._trials import canonical_basis, field_features, found_features

BITS = torch.cartesian_prod(*[torch.arange(2)] * 4)
"""Sixteen rows whose columns vary equally: every direction is as strong as any other."""


def shaken(seed: int, dtype: torch.dtype, units: int):
    """A symmetric problem; its activations move by up to `units` units in the last place."""
    eps = torch.finfo(dtype).eps

    def shake(x: torch.Tensor) -> torch.Tensor:
        # A function of the entry and its place, as rounding is: the graph stays a function.
        place = torch.arange(x[0].numel(), dtype=torch.float64).reshape(x.shape[1:])
        noise = torch.sin((x.double() * 91.7 + place + 1) * (77.1 + 13 * seed))
        return x * (1 + units * eps * noise.to(dtype))

    rotation = torch.linalg.qr(
        torch.randn(5, 5, generator=torch.Generator().manual_seed(9)).double()
    )
    mix = rotation[0][:4].to(dtype)
    data = cs.Dataset(bits=BITS, many=BITS.sum(1), first=BITS[:, 0], y=BITS.sum(1) >= 2)
    graph = cs.Graph.build(
        inputs=["bits"],
        nodes={
            "flat": (lambda b: shake(2.0 * b.to(dtype) - 1), ["bits"]),
            "mixed": (lambda b: shake((2.0 * b.to(dtype) - 1) @ mix), ["bits"]),
            "count": (lambda b: shake(b.to(dtype).sum(1, keepdim=True)), ["bits"]),
            "out": (
                lambda f, m, c: shake(f.sum(1) + m.square().sum(1) + c[:, 0]),
                ["flat", "mixed", "count"],
            ),
        },
        output="out",
    )
    return graph, data


NODES = ["flat", "mixed", "count"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_pool_is_the_same_whatever_the_last_bits_are(dtype) -> None:
    def pool(seed: int, units: int):
        graph, data = shaken(seed, dtype, units)
        notes: list[str] = []
        found = found_features(graph, data, NODES, field_features(data), 0, notes=notes)
        return [(one.name, data.classes(one.feature).digest) for one in found], notes

    exact = pool(0, 0)
    assert len(exact[0]) > 3
    for seed in range(1, 7):
        assert pool(seed, 4) == exact


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_findings_and_tables_are_the_same_whatever_the_last_bits_are(dtype) -> None:
    def refute(seed: int, units: int):
        graph, data = shaken(seed, dtype, units)
        claims = [cs.claim("flat", "many"), cs.claim("count", "first")]
        h = cs.Hypothesis(graph, cs.claim("out", cs.exact, *claims))
        found = cs.refute(h, data, cs.metrics.squared_error("y"), samples=400, activations=NODES)
        return (
            [one.text for one in found.findings],
            [one.text for one in found.candidates],
            str(found),
        )

    exact = refute(0, 0)
    assert exact[0]
    for seed in range(1, 4):
        assert refute(seed, 4) == exact


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.integers(-4, 4), min_size=1, max_size=12),
    noise=st.lists(st.floats(-1, 1), min_size=12, max_size=12),
)
def test_equal_values_are_ranked_by_index(values, noise) -> None:
    shaken_values = [v * (1 + 1e-9 * e) for v, e in zip(values, noise, strict=False)]
    assert ranked(shaken_values) == sorted(range(len(values)), key=lambda i: (-values[i], i))


def test_a_plane_has_one_basis_however_it_is_given() -> None:
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(7, 3)))[0].T
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    one, other = canonical_basis(plane), canonical_basis(turn @ plane)
    assert np.allclose(one, other)
    assert np.allclose(one @ one.T, np.eye(3))
