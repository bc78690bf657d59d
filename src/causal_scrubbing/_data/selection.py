"""Rows chosen from a dataset, and entries of a row in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._data.classes import Ints
from causal_scrubbing._errors import DataError
from causal_scrubbing._format import printable

Rows: TypeAlias = slice | Sequence[int] | Ints | npt.NDArray[np.bool_] | torch.Tensor

_BRIEF: Final = 60


def row_numbers(key: Rows, n: int) -> Ints:
    """The numbers of the rows chosen from n.

    Raises:
        DataError: they are none, or outside.
    """
    if isinstance(key, slice):
        return np.arange(n)[key]
    array = key.detach().cpu().numpy() if isinstance(key, torch.Tensor) else np.asarray(key)
    if array.ndim == 0 and array.dtype.kind in "iu":
        end = "" if key == -1 else int(array) + 1
        raise DataError(
            f"data[{int(array)}] is one row; write data[{int(array)}:{end}] for a Dataset."
        )
    if array.ndim != 1 or (array.dtype.kind not in "biu" and len(array)):
        raise DataError(
            f"data[{brief(array.tolist())}]: give one field's name, a slice, a list of row "
            "numbers, or one boolean a row."
        )
    if array.dtype == bool:
        if len(array) != n:
            raise DataError(f"a mask of {len(array)} entries cannot choose from {n} rows.")
        return np.flatnonzero(array)
    array = array.astype(np.int64)
    if len(array) and (array.min() < -n or array.max() >= n):
        raise DataError(f"a row number is outside 0..{n - 1}.")
    return array % n


def brief(value: Any) -> str:
    """An entry in one line: numbers to four digits, a long list cut between two of its members."""
    if isinstance(value, torch.Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, torch.Tensor):
        shown: list[str] = []
        for part in value[:_BRIEF]:
            text = brief(part)
            if shown and sum(map(len, shown)) + 2 * len(shown) + len(text) > _BRIEF:
                break
            shown.append(text)
        return "[" + ", ".join([*shown, *(["..."] if len(shown) < len(value) else [])]) + "]"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = printable(str(value))
    return text if len(text) <= _BRIEF else text[: _BRIEF - 3] + "..."
