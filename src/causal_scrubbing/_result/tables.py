"""Tables of a run, one row a sample or one row of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causal_scrubbing._data import Ints
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE
from causal_scrubbing._result.estimates import Estimated
from causal_scrubbing._sampling import SCRAMBLING
from causal_scrubbing._statistics import FloatArray

if TYPE_CHECKING:
    import pandas as pd


def samples_table(result: Estimated) -> pd.DataFrame:
    """See `Result.samples`."""
    import pandas as pd

    columns: dict[str, Any] = {"reference": result.drawn[REFERENCE].astype(np.int64)}
    for i, name in enumerate(result.metrics):
        for what in ("scrubbed", "model", "randomized"):
            values = getattr(result, f"{what}_values").get(name)
            if values is not None:
                columns |= spread(what if i == 0 else f"{name}.{what}", values)
    return pd.DataFrame(columns).rename_axis("sample")


def draws_table(drawn: Mapping[str, Ints], agreement: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """See `Result.draws`.

    Args:
        drawn: draw key -> row of each sample.
        agreement: the agreement figures, which say what each draw is for.
    """
    import pandas as pd

    order = {"reference": drawn[REFERENCE]}
    for key, rows in drawn.items():
        if key not in (REFERENCE, RANDOMIZED, SCRAMBLING):
            also = [path for path in _also(key, agreement) if path not in drawn]
            order |= dict.fromkeys([key, *also], rows)
    order["randomized"] = drawn[RANDOMIZED]
    return pd.DataFrame(order).astype(np.int64).rename_axis("sample")


def _also(key: str, agreement: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Paths of the claims that a draw is for: of tied claims all of them."""
    for row in agreement:
        if row["draw"] == key:
            yield from row.get("claims", ())


def by_row_table(result: Estimated, name: str) -> pd.DataFrame:
    """See `Result.by_row`."""
    import pandas as pd

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
