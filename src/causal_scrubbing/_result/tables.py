"""Tables of a run, one row a sample or one row of data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE
from causal_scrubbing._statistics import FloatArray

if TYPE_CHECKING:
    from causal_scrubbing._data import Ints
    from causal_scrubbing._result.result import Result


def samples_table(result: Result) -> pd.DataFrame:
    """See `Result.samples`."""
    columns: dict[str, Any] = {"reference": result.drawn[REFERENCE].astype(np.int64)}
    for i, name in enumerate(result.metrics):
        for what in ("scrubbed", "model", "randomized"):
            values = getattr(result, f"{what}_values").get(name)
            if values is not None:
                columns |= spread(what if i == 0 else f"{name}.{what}", values)
    return pd.DataFrame(columns).rename_axis("sample")


def draws_table(result: Result) -> pd.DataFrame:
    """See `Result.draws`."""
    order = {"reference": result.drawn[REFERENCE]}
    for key, drawn in result.drawn.items():
        if key not in (REFERENCE, RANDOMIZED):
            order |= dict.fromkeys([key, *_also(result, key)], drawn)
    order["randomized"] = result.drawn[RANDOMIZED]
    return pd.DataFrame(order).astype(np.int64).rename_axis("sample")


def _also(result: Result, key: str) -> Iterator[str]:
    """Paths of the claims that a draw is for, beside its own key: of tied claims all of them."""
    for row in result.agreement["table"]:
        if row["draw"] == key:
            yield from (path for path in row.get("claims", ()) if path not in result.drawn)


def by_row_table(result: Result, name: str) -> pd.DataFrame:
    """See `Result.by_row`."""
    trio = result.triples(name)
    rows, place, counts = np.unique(
        result.drawn[REFERENCE], return_inverse=True, return_counts=True
    )

    def means(values: FloatArray) -> FloatArray:
        sums = np.zeros((len(rows), *values.shape[1:]))
        np.add.at(sums, place.reshape(-1), values)
        return np.asarray((sums.T / counts).T, dtype=np.float64)

    columns: dict[str, Any] = {"samples": counts}
    columns |= spread("scrubbed", means(trio.scrubbed)) | spread("model", means(trio.model))
    index: Ints = rows.astype(np.int64)
    return pd.DataFrame(columns, index=index).rename_axis("row")


def spread(label: str, values: FloatArray) -> dict[str, FloatArray]:
    """A column of numbers, or of a vector one column a component."""
    if values.ndim == 1:
        return {label: values}
    return {f"{label}.{i}": values[:, i] for i in range(values.shape[1])}
