"""Datasets in files: Parquet, Arrow, CSV or JSON lines, with the types of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from causal_scrubbing._claims.faults import Fault, pointer
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import DataError
from causal_scrubbing._files import is_library_error
from causal_scrubbing._graph import nearest

if TYPE_CHECKING:
    import pyarrow as pa

_FORMATS: Final = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_NUMPY: Final = {
    "bool": np.bool_,
    "int32": np.int32,
    "int64": np.int64,
    "float32": np.float32,
    "float64": np.float64,
    "text": np.str_,
}


def read_data(entry: Mapping[str, Any], folder: Path) -> tuple[Dataset | None, list[Fault]]:
    """The dataset that a run file names.

    Args:
        entry: its ``data``.
        folder: that paths are relative to.

    Returns:
        The dataset, or None with what is wrong.
    """
    file = folder / entry["file"]
    kind = entry.get("format") or _FORMATS.get(file.suffix.lower())
    if kind is None:
        what = f"{file.name!r} does not say what it is."
        hint = f"Name it with one of {', '.join(_FORMATS)}, or give format."
        return None, [Fault("value", pointer("data", "file"), what, hint)]
    if not file.is_file():
        return None, [
            Fault(
                "missing-file", pointer("data", "file"), f"there is no file {file}.",
                "Paths are relative to the run file's folder.",
            )
        ]  # fmt: skip
    try:
        table = _table(file, kind)
    except (OSError, ValueError, KeyError) as error:
        what = f"{file} cannot be read as {kind}: {_line(error)}."
        return None, [Fault("data", pointer("data", "file"), what, "Write the file again.")]
    except Exception as error:
        if not is_library_error(error):
            raise
        what = f"{file} cannot be read as {kind}: {_line(error)}."
        return None, [Fault("data", pointer("data", "file"), what, "Write the file again.")]
    return _dataset(table, entry)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def _table(file: Path, kind: str) -> pa.Table:
    import pyarrow as pa

    content = pa.BufferReader(file.read_bytes())
    if kind == "parquet":
        import pyarrow.parquet as pq

        return pq.read_table(content, page_checksum_verification=True)
    if kind == "arrow":
        import pyarrow.feather as feather

        return feather.read_table(content)
    if kind == "csv":
        import pyarrow.csv as csv

        return csv.read_csv(content)
    import pyarrow.json as lines

    return lines.read_json(content)


def _dataset(table: pa.Table, entry: Mapping[str, Any]) -> tuple[Dataset | None, list[Fault]]:
    faults: list[Fault] = []
    columns: dict[str, Any] = {}
    weights_name = entry.get("weights")
    types: Mapping[str, str] = entry.get("fields") or {}
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        what = f"the columns {', '.join(twice)} are there twice."
        return None, [Fault("data", pointer("data", "file"), what, "Rename one of each.")]
    for name in (*types, *([] if weights_name is None else [weights_name])):
        if name not in names:
            place = pointer("data", "fields", name) if name in types else pointer("data", "weights")
            what = f"the data has no column {name!r}."
            faults.append(Fault("unknown-field", place, what, nearest(name, names)))
    if faults:
        return None, faults
    wanted = list(types) or [name for name in names if name != weights_name]
    for name in wanted:
        column = table.column(name)
        place = pointer("data", "fields", name)
        if column.null_count:
            what = f"the column {name!r} has {column.null_count} missing values."
            faults.append(Fault("data", place, what, "Fill them, or drop the rows."))
            continue
        try:
            columns[name] = _column(column, types.get(name))
        except (ValueError, TypeError, OverflowError) as error:
            what = f"the column {name!r} is not {types.get(name)}: {_line(error)}."
            faults.append(Fault("data", place, what, "Give the type that it has."))
    if faults:
        return None, faults
    weights = None if weights_name is None else table.column(weights_name).to_numpy()
    try:
        data = Dataset(columns, weights=weights)
        rows = entry.get("rows")
        return (data if rows is None else data.sample(rows)), []
    except DataError as error:
        what = str(error)
        return None, [Fault("data", pointer("data"), what)]


def _column(column: pa.ChunkedArray, kind: str | None) -> Any:
    """One column as an array of its type, without any change of its values."""
    import pyarrow as pa

    nested = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if pa.types.is_fixed_size_list(column.type):
        shape: list[int] = [len(column)]
        flat: Any = column.combine_chunks()
        while pa.types.is_fixed_size_list(flat.type):
            shape.append(flat.type.list_size)
            flat = flat.flatten()
        numbers = flat.to_numpy(zero_copy_only=False).reshape(shape)
        return _typed(numbers, kind)
    values: Any = column.to_pylist() if nested else column.to_numpy()
    if nested and kind is None:
        inner: Any = column.type
        while hasattr(inner, "value_type"):
            inner = inner.value_type
        values = np.asarray(values, dtype=inner.to_pandas_dtype())
    return _typed(values, kind)


def _typed(values: Any, kind: str | None) -> Any:
    if kind is None:
        return values
    given = np.asarray(values)
    if given.dtype == object and kind != "text":
        raise ValueError("its entries are texts, or differ in length")
    if kind == "text":
        if not all(isinstance(one, str) for one in values):
            raise ValueError("its entries are not texts")
        return given.astype(np.str_)
    if (given.dtype.kind == "b") != (kind == "bool"):
        raise ValueError(f"it holds {given.dtype}")
    found: Any = given.astype(_NUMPY[kind])
    exact = kind.startswith("int")
    if exact and not np.array_equal(found.astype(given.dtype), given):
        raise ValueError(f"it holds {given.dtype}, of which some have no place in {kind}")
    return found
