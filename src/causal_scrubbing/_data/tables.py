"""Columns of what a dataset is made of: a mapping, a frame, a table, another library's dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from causal_scrubbing._errors import DataError
from causal_scrubbing._format import is_printable, printable

_TAKES = (
    "a mapping from names to columns, a pandas or polars frame, an Arrow table, a Hugging Face "
    "dataset or a TensorDict"
)


def columns_of(table: object) -> dict[str, object]:
    """The columns of a table by name, each something a field can be made of.

    Args:
        table: a mapping, or any object that lists its columns, `column_names` or `columns`, and
            gives one by its name.

    Raises:
        DataError: it is neither.
    """
    names = None
    if not isinstance(table, type):
        names = getattr(table, "column_names", None)
        names = getattr(table, "columns", None) if names is None else names
        names = getattr(table, "keys", lambda: None)() if names is None else names
    if isinstance(names, Mapping):
        raise DataError(
            "cs.Dataset: this is several datasets by name; give one of them, "
            f"dataset[{next(iter(names), 'train')!r}]."
        )
    if names is None or callable(names):
        hint = " Columns go by name: cs.Dataset(x=...)." if isinstance(table, Sequence) else ""
        raise DataError(f"cs.Dataset takes {_TAKES}, not {type(table).__name__}.{hint}")
    return {check_name(name): _column(table[name], name) for name in names}  # type: ignore[index]


def check_name(name: object) -> str:
    """The name of a field, if it can be one.

    Raises:
        DataError: it is empty, not a string, or would break a line of text.
    """
    if not isinstance(name, str):
        raise DataError(f"the name of a field is a string, not {name!r}: rename that column.")
    if not name or not is_printable(name):
        raise DataError(
            f"'{printable(name)}' cannot name a field: give it a name without line breaks and "
            "control characters."
        )
    return name


def _column(values: Any, name: object) -> object:
    """One column as a tensor, an array or a list."""
    if isinstance(values, torch.Tensor):
        return values
    if hasattr(values, "keys") and not hasattr(values, "to_numpy"):
        raise DataError(f"column {name!r} is a table itself: give its columns names of their own.")
    if hasattr(values, "to_pylist"):  # Arrow
        plain = values.to_pylist() if _is_nested(values) else values.to_numpy()
    elif hasattr(values, "to_numpy"):  # pandas and polars
        plain = values.to_numpy()
    else:  # a Hugging Face column gives its list by [:]
        plain = values[:] if isinstance(values, Sequence) else values
    if isinstance(plain, np.ndarray) and plain.dtype == object:
        plain = plain.tolist()
    gaps = [value is None or value is _missing() for value in plain] if _is_list(plain) else []
    if any(gaps):
        row = gaps.index(True)
        raise DataError(
            f"column {name!r} has no value at row {row}: fill what is missing, or drop the row."
        )
    return plain


def _is_list(values: object) -> bool:
    return isinstance(values, list | tuple)


def _is_nested(values: Any) -> bool:
    text = str(getattr(values, "type", ""))
    return not any(text.startswith(kind) for kind in ("int", "uint", "float", "double", "half"))


def _missing() -> object:
    """What pandas puts where a value is missing, if pandas is there at all."""
    import sys

    return getattr(sys.modules.get("pandas"), "NA", None)
