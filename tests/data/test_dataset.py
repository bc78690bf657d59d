"""Datasets: fields, rows, weights, features and their classes; and every fault with its message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs
from causal_scrubbing._data import feature_name


@pytest.fixture
def data() -> cs.Dataset:
    return cs.Dataset(
        x=torch.arange(6.0), y=["a", "b", "a", "c", "c", "a"], m=torch.arange(12).reshape(6, 2)
    )


def test_fields_and_columns_are_read_by_name(data: cs.Dataset) -> None:
    assert data.field_names == ("x", "y", "m")
    assert len(data) == 6
    assert data["x"].tolist() == [0, 1, 2, 3, 4, 5]
    assert data["y"].tolist() == ["a", "b", "a", "c", "c", "a"]
    assert data["m[1]"].tolist() == [1, 3, 5, 7, 9, 11]
    assert data["m[-1]"].tolist() == data["m[1]"].tolist()


def test_rows_are_chosen_by_slice_list_and_mask(data: cs.Dataset) -> None:
    assert data[1:3]["x"].tolist() == [1, 2]
    assert data[[4, 0, 4]]["y"].tolist() == ["c", "a", "c"]
    assert data[data["x"] > 3]["x"].tolist() == [4, 5]
    assert data[np.array([-1])]["x"].tolist() == [5]


def test_weights_are_scaled_and_rows_of_weight_zero_dropped() -> None:
    with pytest.warns(cs.Notice, match="1 of 3 rows have weight zero and were dropped"):
        data = cs.Dataset(x=[1, 2, 3], weights=[3, 0, 1])
    assert data["x"].tolist() == [1, 3]
    assert data.weights.tolist() == [0.75, 0.25]
    assert data[[1, 0]].weights.tolist() == [0.25, 0.75]
    assert cs.Dataset(x=[1, 2], weights=[5, 5]).is_uniform


def test_with_fields_takes_values_and_functions(data: cs.Dataset) -> None:
    more = data.with_fields(twice=lambda rows: rows["x"] * 2, one=[1] * 6)
    assert more["twice"].tolist() == [0, 2, 4, 6, 8, 10]
    assert more.field_names == ("x", "y", "m", "twice", "one")
    assert data.field_names == ("x", "y", "m")


def test_zero_has_one_class_whatever_its_sign() -> None:
    data = cs.Dataset(x=torch.tensor([0.0, -0.0, 1.0]))
    assert data.classes("x").count == 2


def test_rows_of_several_columns_are_compared_as_a_whole(data: cs.Dataset) -> None:
    table = data.with_fields(t=torch.tensor([[0, 1], [1, 0], [0, 1], [1, 1], [1, 0], [0, 0]]))
    ids = table.classes("t").ids
    assert ids[0] == ids[2]
    assert ids[1] == ids[4]
    assert len(set(ids.tolist())) == table.classes("t").count == 4


def test_exact_and_anything_are_the_finest_and_the_coarsest(data: cs.Dataset) -> None:
    assert data.classes(cs.exact).count == 6
    assert data.classes(cs.anything).count == 1
    assert data.classes(("x", cs.exact)).count == 6
    assert data.classes(("y", cs.anything)).count == data.classes("y").count == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), min_size=1, max_size=20))
def test_a_tuple_of_features_agrees_where_all_of_them_do(rows: list[tuple[int, str]]) -> None:
    data = cs.Dataset(number=[r[0] for r in rows], letter=[r[1] for r in rows])
    ids = data.classes(("number", lambda d: d["letter"])).ids
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert (ids[i] == ids[j]) == (one == other)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=12).flatmap(
        lambda ids: st.tuples(
            st.just(ids), st.lists(st.integers(1, 9), min_size=len(ids), max_size=len(ids))
        )
    )
)
def test_self_draw_share_is_the_sum_over_rows(case: tuple[list[int], list[int]]) -> None:
    values, weights = case
    data = cs.Dataset(v=values, weights=weights)
    w = np.asarray(weights) / sum(weights)
    mass = [sum(w[j] for j, other in enumerate(values) if other == v) for v in values]
    expected = sum(w[i] ** 2 / mass[i] for i in range(len(values)))
    assert data.classes("v").self_draw_share == pytest.approx(expected)


def test_a_row_is_shown_with_few_digits_and_whole_members() -> None:
    data = cs.Dataset(
        share=torch.tensor([1 / 3, 2.0]),
        mask=torch.zeros(2, 20, dtype=torch.bool),
        pairs=torch.arange(8).reshape(2, 2, 2),
        word=["a", "b"],
    )
    masked = ", ".join(["False"] * 8)
    assert data.show(0) == f"share=0.3333, mask=[{masked}, ...], pairs=[[0, 1], [2, 3]], word=a"
    assert data.show(-1).startswith("share=2, mask")


def test_lambdas_whose_source_is_not_at_hand_are_told_apart_by_their_place() -> None:
    one, two = eval("[lambda rows: rows['x'], lambda rows: rows['y']]")
    assert feature_name(one) == "lambda at 1:14"
    assert feature_name(two) == "lambda at 1:38"
    written = lambda rows: rows["x"]  # noqa: E731
    assert feature_name(written) == 'rows["x"]'


def test_equal_data_has_an_equal_fingerprint(data: cs.Dataset) -> None:
    same = cs.Dataset(m=data["m"].clone(), x=torch.arange(6.0), y=list(data["y"]))
    assert same.fingerprint == data.fingerprint
    assert data.with_fields(x=data["x"] + 1).fingerprint != data.fingerprint
    assert data[[1, 0, 2, 3, 4, 5]].fingerprint != data.fingerprint


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64", ">i4", ">u2", ">f8", "<c8"])
def test_numbers_of_any_width_and_byte_order_are_fields(kind: str) -> None:
    data = cs.Dataset(x=np.array([4, 5, 4, 6]).astype(kind))
    assert data[1:]["x"].tolist() == [5, 4, 6]
    assert data.classes("x").ids.tolist() == [0, 1, 0, 2]
    if kind.startswith("uint"):
        held = torch.tensor([4, 5, 4, 6]).to(getattr(torch, kind))
        assert cs.Dataset(x=held).take(np.array([3]))["x"].tolist() == [6]


def test_conjugated_numbers_have_classes_and_a_fingerprint() -> None:
    values = torch.tensor([1 + 1j, 2 + 3j, 1 + 1j])
    data = cs.Dataset(x=values.conj())
    ids = data.classes("x").ids
    assert ids[0] == ids[2] != ids[1]
    assert data.fingerprint == cs.Dataset(x=torch.tensor([1 - 1j, 2 - 3j, 1 - 1j])).fingerprint


@pytest.mark.parametrize("given", [torch.arange(3), np.arange(3), torch.arange(3).flip(0)])
def test_a_dataset_keeps_what_it_was_made_from(given: torch.Tensor | np.ndarray) -> None:
    data = cs.Dataset(x=given, y=given)
    more = data.with_fields(z=given)
    was = data["x"].tolist()
    given[:] = 9
    assert data["x"].tolist() == data["y"].tolist() == more["z"].tolist() == was


def test_a_function_that_writes_into_what_it_reads_leaves_the_data_alone() -> None:
    def capped(rows: cs.Dataset) -> torch.Tensor:
        values: torch.Tensor = rows["x"]
        rows["word"][:] = "z"
        values[values > 1] = 1
        return values

    def shown(row: dict[str, torch.Tensor]) -> str:
        row["x"].mul_(0)
        return str(row["word"])

    given = torch.tensor([1, 2, 3])
    data = cs.Dataset(x=given, word=["a", "b", "c"], show=shown)
    assert data.classes(capped).count == 1
    assert data.with_fields(x=capped)["x"].tolist() == [1, 1, 1]
    assert data.show(1) == "b"
    assert data["x"].tolist() == given.tolist() == [1, 2, 3]
    assert data["word"].tolist() == ["a", "b", "c"]
    assert data.classes("x").count == 3


FAULTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "no field": (lambda d: cs.Dataset(), "needs at least one field"),
    "empty": (lambda d: cs.Dataset(x=[]), "the dataset is empty"),
    "lengths": (lambda d: cs.Dataset(x=[1, 2], y=[1]), r"differ in length: {'x': 2, 'y': 1}"),
    "ragged": (lambda d: cs.Dataset(x=[[1, 2], [1]]), "'x': its entries differ in length; pad"),
    "ragged tensors": (
        lambda d: cs.Dataset(x=[torch.zeros(2), torch.zeros(3)]),
        "'x': its entries differ in shape; pad",
    ),
    "mixed": (lambda d: cs.Dataset(x=[1, "a"]), "'x' mixes strings with other things"),
    "objects": (lambda d: cs.Dataset(x=[1, None]), "'x' has dtype object: give numbers"),
    "one number": (lambda d: cs.Dataset(x=3), "'x' is a single number: give one entry a row"),
    "negative weight": (
        lambda d: cs.Dataset(x=[1, 2], weights=[1, -1]),
        r"weights\[1\] is -1.0: weights are finite and not negative",
    ),
    "NaN weight": (lambda d: cs.Dataset(x=[1, 2], weights=[1, np.nan]), r"weights\[1\] is nan"),
    "no weight": (lambda d: cs.Dataset(x=[1, 2], weights=[0, 0]), "all weights are zero"),
    "weights' length": (lambda d: cs.Dataset(x=[1, 2], weights=[1]), "give one number for each"),
    "unknown field": (lambda d: d["z"], "no field 'z'; it has x, y, m"),
    "near field": (lambda d: d.with_fields(count=d["x"])["cuont"], "Did you mean 'count'"),
    "no such column": (lambda d: d["m[5]"], r"has shape \[6, 2\], so it has no column 5"),
    "fractions for rows": (lambda d: d[[0.7, 2.9]], r"data\[\[0.7, 2.9\]\]: give one field's name"),
    "two fields": (lambda d: d[["x", "m"]], r"data\[\['x', 'm'\]\]: give one field's name"),
    "numpy's row": (lambda d: d[np.int64(1)], r"data\[1\] is one row; write data\[1:2\]"),
    "large integers": (
        lambda d: cs.Dataset(x=np.array([1, 2**63], dtype="uint64")),
        "'x' has numbers of 2\\*\\*63 and more",
    ),
    "long doubles": (
        lambda d: cs.Dataset(x=np.ones(2, dtype=np.clongdouble)),
        "which no tensor has: give double precision",
    ),
    "sparse": (lambda d: cs.Dataset(x=torch.eye(3).to_sparse()), "'x' is sparse or quantized"),
    "one row": (lambda d: d[3], r"write data\[3:4\] for a Dataset"),
    "the last row": (lambda d: d[-1], r"write data\[-1:\] for a Dataset"),
    "no row to show": (lambda d: d.show(6), r"show\(6\): there is no such row; rows are 0 to 5"),
    "row outside": (lambda d: d[[0, 9]], r"a row number is outside 0\.\.5"),
    "no row left": (lambda d: d[10:], "no row is left"),
    "mask": (lambda d: d[np.array([True])], "a mask of 1 entries cannot choose from 6 rows"),
    "new field": (lambda d: d.with_fields(z=[1]), "field 'z' has 1 entries for 6 rows"),
    "model output": (lambda d: d.model_output, "carry no model_output"),
    "NaN feature": (lambda d: d.classes(lambda r: r["x"] * np.nan), "is NaN at row 0"),
    "short feature": (lambda d: d.classes(lambda r: r["x"][:3]), "gave 3 values for 6 rows"),
    "single feature": (lambda d: d.classes(lambda r: 3), "is a single number"),
    "no feature": (lambda d: d.classes(lambda r: None), "has dtype object"),
    "failing feature": (
        lambda d: d.classes(lambda r: r["x"].foo),
        "failed on the dataset: AttributeError: .* no attribute 'foo'",
    ),
}


@pytest.mark.parametrize(("make", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named(
    make: Callable[[cs.Dataset], object], message: str, data: cs.Dataset
) -> None:
    with pytest.raises(cs.DataError, match=message):
        make(data)


def test_iterating_a_dataset_says_what_to_do_instead(data: cs.Dataset) -> None:
    with pytest.raises(TypeError, match=r"not iterable: use data\.field_names"):
        list(data)
