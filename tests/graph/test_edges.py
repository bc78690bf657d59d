"""Edges of many pieces, found together: exactly those along which a value can reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs

PLACES = 12


def mixed(reads: np.ndarray, kind: str) -> tuple[cs.Graph, cs.Dataset]:
    """A graph in which place j of y reads place i of x where `reads[j, i]` says so."""
    mask = torch.as_tensor(reads)

    def fn(x: torch.Tensor) -> torch.Tensor:
        places = []
        for row in mask:
            seen = x[:, row.nonzero()[:, 0]]
            total = seen.sum(1) if seen.shape[1] else torch.zeros_like(x[:, 0])
            if kind == "smooth":
                total = torch.tanh(total)
            elif kind == "steps":
                total = (total * 50).floor()
            elif kind == "detached":
                total = total.detach() * 2
            elif kind == "refuses" and bool(total.isnan().any()):
                raise ValueError("NaN")
            places.append(total)
        return torch.stack(places, 1)

    graph = cs.Graph.build(
        inputs=["u"],
        nodes={
            "x": (torch.clone, ["u"]),
            "y": (fn, ["x"]),
            "out": (lambda y: y.sum((1, 2)), ["y"]),
        },
        output="out",
    )
    generator = torch.Generator().manual_seed(3)
    return graph, cs.Dataset(u=torch.randn(9, PLACES, 2, generator=generator))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["plain", "smooth", "steps", "detached", "refuses"]),
    edges=st.sampled_from(["nan", "values"]),
)
def test_a_piece_is_a_parent_where_its_places_are_read(seed: int, kind: str, edges: str) -> None:
    reads = np.random.default_rng(seed).random((PLACES, PLACES)) < 0.3
    graph, data = mixed(reads, kind)
    cut = graph.split("y", axis=1, into={"p{}": list(range(PLACES))}, data=data, edges=edges)
    cut = cut.split("x", axis=1, into={"p{}": list(range(PLACES))}, data=data, edges=edges)
    for j in range(PLACES):
        expected = {f"x.p{i}" for i in np.flatnonzero(reads[j])}
        found = set(cut.parents(f"y.p{j}"))
        # A function that stops at a NaN has read it, and what it would have given is not known.
        assert found >= expected if (kind, edges) == ("refuses", "nan") else found == expected
    torch.testing.assert_close(cut(data), graph(data))


def causal(x: torch.Tensor) -> torch.Tensor:
    size = x.shape[1]
    weights = (x @ x.transpose(1, 2)).masked_fill(torch.ones(size, size).triu(1) > 0, -torch.inf)
    return weights.softmax(-1) @ x


@pytest.mark.parametrize("edges", ["nan", "values"])
def test_pieces_before_a_causal_mask_reach_later_places_alone(edges: str) -> None:
    graph = cs.Graph.build(
        inputs=["u"],
        nodes={"x": (torch.clone, ["u"]), "y": (causal, ["x"]), "z": (lambda y: y.sum(1), ["y"])},
        output="z",
    )
    data = cs.Dataset(u=torch.randn(5, 10, 3, generator=torch.Generator().manual_seed(0)))
    cut = graph.split("y", axis=1, into={"p{}": list(range(10))}, data=data, edges=edges)
    cut = cut.split("x", axis=1, into={"p{}": list(range(10))}, data=data, edges=edges)
    found = [len(cut.parents(f"y.p{j}")) for j in range(10)]
    # A masked place still multiplies its value by zero, which a NaN passes.
    assert found == ([10] * 10 if edges == "nan" else list(range(1, 11)))


def test_integers_have_edges_that_no_slope_shows() -> None:
    data = cs.Dataset(
        u=torch.randint(0, 5, (8, PLACES), generator=torch.Generator().manual_seed(0))
    )
    graph = cs.Graph.build(
        inputs=["u"],
        nodes={"x": (torch.clone, ["u"]), "y": (lambda x: x[:, :6].sum(1), ["x"])},
        output="y",
    )
    pieces = {"p{}": list(range(PLACES))}
    kept = graph.split("x", axis=1, into=pieces, data=data)
    assert len(kept.parents("y")) == PLACES  # a NaN is no integer: edges stay
    tested = graph.split("x", axis=1, into=pieces, data=data, edges="values")
    assert set(tested.parents("y")) == {f"x.p{i}" for i in range(6)}
