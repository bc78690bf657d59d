"""Datasets from tables, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import causal_scrubbing as cs

COLUMNS: dict[str, Any] = {"x": [1.0, 2.5, 3.0], "n": [1, 2, 3], "kind": ["a", "b", "a"]}


class Named:
    """A table that lists its columns and gives one by its name, as other libraries' datasets do."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = columns
        self.column_names = list(columns)

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]


class Keyed:
    """Tensors by key, which is no mapping, as a TensorDict."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = columns

    def keys(self) -> Iterator[str]:
        return iter(self._columns)

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]


@pytest.mark.parametrize(
    "table",
    [COLUMNS, pd.DataFrame(COLUMNS, index=[7, 8, 9]), pa.table(COLUMNS), Named(COLUMNS)],
    ids=["mapping", "pandas", "arrow", "named"],
)
def test_a_table_is_a_dataset(table: object) -> None:
    data = cs.Dataset(table)
    assert data.field_names == ("x", "n", "kind")
    assert data.fingerprint == cs.Dataset(**COLUMNS).fingerprint
    both = cs.Dataset(table, weights=[1, 2, 1], extra=[1, 2, 3])
    assert both.field_names[-1] == "extra"
    assert both.weights.tolist() == [0.25, 0.5, 0.25]


def test_tensors_by_key_are_a_dataset() -> None:
    data = cs.Dataset(Keyed({"t": torch.ones(3, 2), "i": torch.arange(3)}))
    assert data["t"].shape == (3, 2)


def test_columns_of_lists_become_several_columns() -> None:
    for table in (
        pd.DataFrame({"t": [[1, 2], [3, 4]]}),
        pa.table({"t": [[1, 2], [3, 4]]}),
        pd.DataFrame({"t": [np.array([1, 2]), np.array([3, 4])]}),
    ):
        assert cs.Dataset(table)["t"].tolist() == [[1, 2], [3, 4]]


def test_names_that_are_options_go_by_a_mapping() -> None:
    data = cs.Dataset({"weights": [3, 4], "show": [1, 2], "table": [5, 6]})
    assert data.field_names == ("weights", "show", "table")
    assert data.is_uniform


def test_back_to_pandas_and_again() -> None:
    data = cs.Dataset(
        x=[1.0, 2.0],
        m=torch.arange(8).reshape(2, 2, 2),
        s=["a", "b"],
        b=[True, False],
        h=torch.tensor([0.5, 1.5], dtype=torch.float16),
    )
    frame = data.to_pandas()
    assert list(frame.columns) == list(data.field_names)
    assert cs.Dataset(frame).fingerprint == data.fingerprint
    frame.loc[0, "x"] = 9.0
    assert data["x"].tolist() == [1.0, 2.0]
    bfloat = cs.Dataset(h=torch.tensor([0.5, 1.5], dtype=torch.bfloat16))
    assert bfloat.to_pandas()["h"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (5, "takes a mapping from names to columns.*, not int"),
        ([1, 2], r"not list\. Columns go by name: cs\.Dataset\(x=\.\.\.\)"),
        (None, "not NoneType"),
        (dict, "not type"),
        (pd.Series([1, 2]), "the name of a field is a string, not 0"),
        ({}, "at least one field"),
        ({0: [1, 2]}, "the name of a field is a string, not 0"),
        ({"": [1, 2]}, "cannot name a field"),
        ({"a\nb": [1, 2]}, r"'a\\nb' cannot name a field"),
        ({"\x1b[31mred": [1, 2]}, r"'\\x1b\[31mred' cannot name a field"),
        ({"x": [1, None]}, "no value at row 1"),
        (pd.DataFrame({"s": ["a", None]}), "no value at row 1|mixes strings"),
        (pa.table({"s": ["a", None]}), "no value at row 1"),
        ({"x": {"y": [1, 2]}}, "a table itself"),
        (Named({}), "at least one field"),
        ({"x": [1, 2], "y": [1]}, "differ in length"),
    ],
)
def test_what_is_no_table_is_refused(table: object, message: str) -> None:
    with pytest.raises(cs.DataError, match=message):
        cs.Dataset(table)


def test_several_datasets_by_name_are_refused() -> None:
    several = Named({})
    several.column_names = {"train": ["x"], "test": ["x"]}  # type: ignore[assignment]
    with pytest.raises(cs.DataError, match=r"several datasets by name; .*dataset\['train'\]"):
        cs.Dataset(several)


def test_a_field_is_given_once() -> None:
    with pytest.raises(cs.DataError, match="given twice, in the table and by name: x"):
        cs.Dataset({"x": [1, 2]}, x=[1, 2])
    with pytest.raises(cs.DataError, match="cannot name a field"):
        cs.Dataset(x=[1, 2]).with_fields(**{"a\tb": [1, 2]})


def test_a_sample_has_different_rows_in_order_and_their_weights() -> None:
    data = cs.Dataset(i=range(100), weights=range(1, 101))
    some = data.sample(30, seed=4)
    rows = some["i"].tolist()
    assert len(set(rows)) == 30
    assert rows == sorted(rows) == data.sample(30, seed=4)["i"].tolist()
    assert rows != data.sample(30, seed=5)["i"].tolist()
    expected = (np.array(rows) + 1) / (np.array(rows) + 1).sum()
    assert some.weights == pytest.approx(expected)
    assert data.sample(100)["i"].tolist() == list(range(100))


@pytest.mark.parametrize("n", [0, 101, 2.5, True])
def test_a_sample_of_rows_that_are_not_there_is_refused(n: Any) -> None:
    with pytest.raises(cs.DataError, match="a number of rows from 1 to 100"):
        cs.Dataset(i=range(100)).sample(n)


def test_fields_are_copied_unless_it_is_said() -> None:
    x, y = torch.ones(3), np.ones(3)
    own, shared = cs.Dataset(x=x, y=y), cs.Dataset(x=x, y=y, copy=False)
    x[0], y[0] = 5, 5
    assert own["x"].tolist() == own["y"].tolist() == [1, 1, 1]
    assert shared["x"].data_ptr() == x.data_ptr()
    assert shared["y"].tolist() == [5, 1, 1]


def grey(row: dict[str, Any]) -> Any:
    return row["x"]


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        (torch.rand(3, 5, 4), (5, 4)),
        (torch.rand(1, 5, 4), (5, 4)),
        (torch.rand(5, 4, 3), (5, 4)),
        (torch.rand(5, 4, 1), (5, 4)),
        (torch.rand(4, 5, 6), (5, 6)),
        (torch.rand(5, 4), (5, 4)),
        (torch.rand(5, 4) > 0.5, (5, 4)),
        (torch.rand(5, 4).bfloat16(), (5, 4)),
    ],
)
def test_a_picture_is_bytes_of_three_channels(picture: torch.Tensor, size: tuple[int]) -> None:
    shown = cs.Dataset(x=picture[None], show=grey).show(0)
    assert isinstance(shown, np.ndarray)
    assert shown.dtype == np.uint8
    assert shown.shape == (*size, 3)


def test_brightness_of_a_picture() -> None:
    def show(values: list[list[Any]]) -> list[list[int]]:
        shown = cs.Dataset(x=torch.tensor(values)[None], show=grey).show(0)
        assert isinstance(shown, np.ndarray)
        assert (shown == shown[:, :, :1]).all()
        return shown[:, :, 0].tolist()

    assert show([[0.0, 0.2], [1.0, 0.4]]) == [[0, 51], [255, 102]]
    assert show([[-2.0, 2.0], [0.0, 1.0]]) == [[0, 255], [128, 191]]
    assert show([[0, 7], [255, 80]]) == [[0, 7], [255, 80]]
    assert show([[5.0, 5.0]]) == [[0, 0]]
    assert show([[True, False]]) == [[255, 0]]


def test_colours_stay_in_their_channels_and_what_is_transparent_is_white() -> None:
    planes = torch.zeros(1, 4, 5, 2)
    planes[0, 0], planes[0, 3, 2:] = 1, 1
    shown = cs.Dataset(x=planes, show=grey).show(0)
    assert shown[2:].tolist() == [[[255, 0, 0]] * 2] * 3
    assert (np.asarray(shown[:2]) == 255).all()


def test_a_figure_and_anything_else_are_shown() -> None:
    def figure(row: dict[str, Any]) -> Any:
        from matplotlib.figure import Figure

        return Figure(figsize=(1, 2))

    shown = cs.Dataset(x=[1], show=figure).show(0)
    assert isinstance(shown, np.ndarray)
    assert shown.shape == (220, 110, 3)
    assert cs.Dataset(x=[1], show=lambda row: row["x"] + 1).show(0) == "2"
    assert cs.Dataset(x=[1], show=lambda row: {"x": 1}).show(0) == "{'x': 1}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.rand(2, 5, 6), r"shape \[2, 5, 6\], which is no picture"),
        (torch.rand(2, 3, 5, 6), "no picture"),
        (torch.zeros(0, 3), "no picture"),
        (torch.full((2, 2), math.nan), "NaN or infinite"),
        (torch.full((2, 2), 256), "integers from 256 to 256"),
        (torch.ones(2, 2, dtype=torch.complex64), "real numbers"),
    ],
)
def test_a_picture_that_is_none_is_refused_when_the_data_is_made(value: Any, message: str) -> None:
    with pytest.raises(cs.DataError, match=f"show= on row 0: .*{message}"):
        cs.Dataset(x=[1, 2], show=lambda row: value)


def test_a_show_that_fails_is_refused_when_the_data_is_made() -> None:
    with pytest.raises(cs.DataError, match=r"show= on row 0: it failed, KeyError\('y'\)"):
        cs.Dataset(x=[1, 2], show=lambda row: row["y"])


def test_text_of_a_row_stays_in_its_line() -> None:
    data = cs.Dataset(word=["a\nb\x1b[0m", "c"])
    assert data.show(0) == r"word=a\nb\x1b[0m"
