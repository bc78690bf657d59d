"""Which rows of the data a result is looked at on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import DataError, ScrubError

if TYPE_CHECKING:
    import pandas as pd

Subset: TypeAlias = (
    "str | Callable[[Dataset], Any] | npt.NDArray[np.bool_] | torch.Tensor | pd.Series[bool]"
)
"""A boolean field, a function that gives one boolean a row, or a mask of the dataset's rows."""


_MEANT = (
    "give a boolean field, a function like lambda rows: rows['length'] > 8, or a mask with one "
    "entry for each row."
)


def subset_name(subset: Subset) -> str:
    """How tables and errors call a subset."""
    if isinstance(subset, str):
        return subset
    return str(getattr(subset, "__name__", "a subset")) if callable(subset) else "a mask"


def rows_inside(data: Dataset, subset: Subset) -> npt.NDArray[np.bool_]:
    """Whether each row of a dataset is in a subset, [n].

    Raises:
        ScrubError: it does not say so with one true or false a row.
        DataError: it is no field, or a function that fails.
    """
    name = subset_name(subset)
    if isinstance(subset, str) or callable(subset):
        given = data.evaluate(subset)
    else:
        try:
            given = Dataset(mask=subset)["mask"]
        except DataError as error:
            raise ScrubError(f"on({subset!r}): {_MEANT}") from error
        if len(given) != len(data):
            raise ScrubError(
                f"{name} of {len(given)} entries for {len(data)} rows of data; it has one entry "
                "for each row of the dataset, whatever the number of samples."
            )
    array = given.cpu().numpy() if isinstance(given, torch.Tensor) else given
    values = array.reshape(len(data), -1)
    if values.shape[1] != 1:
        raise ScrubError(f"subset {name!r} gives {values.shape[1]} values a row, not one.")
    if not np.isin(values, (0, 1)).all():
        raise ScrubError(f"subset {name!r} is not true or false on every row; {_MEANT}")
    return values[:, 0].astype(bool)
