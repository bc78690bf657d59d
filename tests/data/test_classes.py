from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs


def test_classes_compare_by_value_across_dtypes_and_columns() -> None:
    data = cs.Dataset(
        f=[0.0, -0.0, 1.0, 1.0],
        h=torch.tensor([1, 1, 2, 2], dtype=torch.bfloat16),
        m=[[0.0, 1], [-0.0, 1], [0, 2], [0, 1]],
        s=["u", "v", "u", "u"],
        big=torch.tensor([2**60, 2**60 + 1, 2**60, 0]),
        z=torch.tensor([1j, 1j, 2, 2]),
    )
    assert data.classes("f").count == 2
    assert data.classes("h").count == 2
    one, two, three, four = data.classes("m").ids.tolist()
    assert one == two == four != three
    assert data.classes("s").count == 2
    assert data.classes("big").count == 3
    assert data.classes("z").count == 2
    assert data.classes(("f", "s")).count == 3
    assert data.classes(cs.exact).count == 4
    assert data.classes((cs.exact, "f")).is_exact
    assert data.classes(cs.anything).count == 1
    assert data.classes(()).count == 1


def test_a_feature_is_evaluated_once() -> None:
    calls = []

    def feature(d: cs.Dataset) -> torch.Tensor:
        calls.append(len(d))
        return d["x"] > 1

    data = cs.Dataset(x=[1, 2, 3])
    data.classes(feature)
    data.classes((feature, "x"))
    assert calls == [3]


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.integers(0, 4), min_size=1, max_size=20),
    weighted=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_figures_and_picks_follow_the_definition(ids, weighted, seed) -> None:
    rng = np.random.default_rng(seed)
    n = len(ids)
    weights = rng.uniform(0.1, 1, n) if weighted else None
    data = cs.Dataset(k=ids, weights=weights)
    classes, w = data.classes("k"), data.weights
    mass = {k: sum(w[j] for j in range(n) if ids[j] == k) for k in set(ids)}
    assert classes.self_draw_share == pytest.approx(sum(w[i] ** 2 / mass[ids[i]] for i in range(n)))
    alone = sum(w[i] for i in range(n) if ids.count(ids[i]) == 1)
    assert classes.one_row_share == pytest.approx(alone)
    rows, uniforms = rng.integers(0, n, 50), rng.uniform(size=50)
    for row, u, got in zip(rows, uniforms, classes.pick(rows, uniforms), strict=True):
        members = [j for j in range(n) if ids[j] == ids[row]]
        running = np.cumsum([w[j] for j in members])
        want = members[
            min(int(np.searchsorted(running, u * mass[ids[row]], "right")), len(members) - 1)
        ]
        assert got == want or abs(running - u * mass[ids[row]]).min() < 1e-12


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5), min_size=1, max_size=12),
    dtype=st.sampled_from(["int64", "int8", "uint8", "bool"]),
)
def test_whole_numbers_are_numbered_in_rising_order(values, dtype) -> None:
    array = np.array(values, dtype=np.int64).astype(dtype)
    found = cs.Dataset(x=array).classes("x")
    unique, ids = np.unique(array, return_inverse=True)
    assert found.ids.tolist() == ids.tolist()
    assert found.count == len(unique)
