"""Arrays of behaviour values: checked once on the way in, float64 from there on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._errors import MetricError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def as_values(name: str, values: Any, count: int | None = None) -> FloatArray:
    """Return what a metric gave as a float64 array ``[N]`` or ``[N, k]`` with k of at least 2.

    Args:
        name: The metric, as the user knows it; errors name it.
        values: A tensor, array or list, one number (or one vector of numbers) a row.
        count: How many rows there were; ``None`` accepts any number but zero.

    Raises:
        MetricError: If the values are not numbers, or not one a row.
    """
    if isinstance(values, torch.Tensor) and not values.is_complex():
        values = values.detach().to("cpu", torch.float64).numpy()
    if isinstance(values, torch.Tensor) or np.iscomplexobj(values):
        raise MetricError(
            f"metric {name!r} gave complex values, of which there is no larger and smaller; return "
            "real ones, such as values.abs() or values.real"
        )
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise MetricError(
            f"metric {name!r} gave {type(values).__name__} values that are not numbers; "
            "return a tensor with one number a row"
        ) from None
    rows = "one a row" if count is None else f"one for each of the {count} rows"
    if array.ndim not in (1, 2) or (count is not None and len(array) != count):
        raise MetricError(
            f"metric {name!r} gave values of shape {list(array.shape)}, wanted {rows}; "
            "do not average over the batch, and reduce every other axis (or return [rows, k] "
            "for a behaviour that is a vector)"
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]  # one number a row
    if array.size == 0:
        raise MetricError(f"metric {name!r} has no values: there is no sample to estimate from")
    return array


def check_finite(name: str, what: str, values: FloatArray) -> None:
    """Refuse values of which no mean exists.

    Raises:
        MetricError: Naming the metric, how many rows are bad, the first one, and what to do.
    """
    finite = np.isfinite(values)
    if finite.all():
        return
    rows = ~finite.reshape(len(values), -1).all(axis=1)
    nans = int(np.isnan(values.reshape(len(values), -1)).any(axis=1).sum())
    total = int(rows.sum())
    raise MetricError(
        f"metric {name!r}: {total} of {len(values)} {what} values are not finite "
        f"({nans} NaN, {total - nans} infinite; the first is sample {int(np.argmax(rows))}), so "
        "their mean means nothing. Look at that sample's output; compute the metric from logits "
        "and not from probabilities, run the model in float32, bound the metric (torch.clamp), or "
        "leave those rows out of the data"
    )


def call_numeric(what: str, function: Callable[..., Any], *arrays: FloatArray) -> FloatArray:
    """Call a user's function of arrays, written for numpy or for torch.

    Args:
        what: The function, for messages.
        function: Given the arrays; given them as float64 tensors where it fails on arrays.
        arrays: What it is given copies of.

    Returns:
        What it gives, as float64; NaN where it refuses numbers that have no value, as
        `math.sqrt` does.

    Raises:
        MetricError: It fails on both.
    """
    with np.errstate(all="ignore"):
        try:
            try:
                found = function(*(array.copy() for array in arrays))
            except (TypeError, AttributeError):
                found = function(*(torch.from_numpy(array.copy()) for array in arrays))
            return np.asarray(found, dtype=np.float64)
        except MetricError:
            raise
        except (ZeroDivisionError, ValueError, OverflowError):
            return np.asarray(np.nan)
        except Exception as error:
            raise MetricError(f"{what} failed: {type(error).__name__}: {error}") from error
