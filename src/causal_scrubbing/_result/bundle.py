"""A run as one file to hand over: claim, data, recipe of the graph, versions, tables and page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import (
    digest,
    read_json,
    table_bytes,
    unpack,
    write_archive,
)
from causal_scrubbing._result.recipe import run_file_of
from causal_scrubbing._result.run_data import RunData
from causal_scrubbing._result.save import save

if TYPE_CHECKING:
    import pyarrow as pa

BUNDLE: Final = "bundle.json"
FORMAT: Final = 1
RUN_FOLDER: Final = "run"
RUN_FILE: Final = "run_file.json"
DATA: Final = "data.parquet"
WEIGHTS: Final = "~weights"


def write_bundle(
    result: RunData,
    page: str,
    file: Path,
    *,
    run_file: Mapping[str, Any] | None,
    files: Mapping[str, bytes],
    data: bool,
) -> None:
    """Write a bundle.

    Args:
        result: the run.
        page: its page.
        file: where.
        run_file: the run file that it was made from, its paths being names in the bundle.
        files: what the run file names, name in the bundle -> content.
        data: whether the dataset goes along; its hash does in any case.

    Raises:
        ScrubError: the dataset is not at hand or cannot be written, or the disk cannot be.
    """
    contents: dict[str, bytes] = {"report.html": page.encode(), **files}
    with tempfile.TemporaryDirectory() as folder:
        where = save(result, Path(folder) / RUN_FOLDER, overwrite=False)
        contents |= {
            f"{RUN_FOLDER}/{one.name}": one.read_bytes() for one in sorted(where.iterdir())
        }
    contents["hypothesis.json"] = _json(result.readable)
    if run_file is not None:
        contents[RUN_FILE] = _json(run_file)
    elif data:
        table = data_table(result.data)
        contents[DATA] = table_bytes(table)
        weights = WEIGHTS if WEIGHTS in table.column_names else None
        made = run_file_of(result, DATA, weights)
        if made is not None:
            contents |= {RUN_FILE: _json(made[0]), **made[1]}
    graph = None if result.hypothesis is None else result.hypothesis.graph
    body = {
        "format": FORMAT,
        "name": result.name,
        "run_file": RUN_FILE if RUN_FILE in contents else None,
        "data": DATA if DATA in contents and run_file is None else None,
        "fingerprints": dict(result.fingerprints),
        "graph": None
        if graph is None
        else {"output": graph.output, "nodes": list(graph.names), "recipe": list(graph.history)},
        "versions": dict(result.record.versions),
        "files": {name: digest(content) for name, content in sorted(contents.items())},
    }
    contents[BUNDLE] = _json(body)
    write_archive(file, contents)


def _json(body: Any) -> bytes:
    return (json.dumps(body, indent=1, sort_keys=True) + "\n").encode()


def data_table(data: Dataset | None) -> pa.Table:
    """A dataset as an Arrow table that keeps the type and shape of each field.

    Raises:
        ScrubError: there is none, or a field is of a type that the table has not.
    """
    import pyarrow as pa

    if data is None:
        raise ScrubError(
            "this result was loaded without its dataset: cs.load(path, data=data), or bundle it "
            "with data=False, which leaves its hash."
        )
    columns: dict[str, pa.Array] = {}
    for name in data.field_names:
        value = data[name]
        try:
            array = value if isinstance(value, np.ndarray) else value.detach().cpu().numpy()
            column = pa.array(array.reshape(-1))
        except (TypeError, pa.ArrowException) as error:
            raise ScrubError(
                f"field {name!r} cannot be written as Parquet ({error}): bundle the run with "
                "data=False, which leaves its hash."
            ) from error
        for width in reversed(array.shape[1:]):
            column = pa.FixedSizeListArray.from_arrays(column, width)
        columns[name] = column
    if not data.is_uniform:
        columns[WEIGHTS] = pa.array(data.weights)
    return pa.table(columns)


def data_of_table(table: pa.Table) -> Dataset:
    """The dataset of which `data_table` made a table."""
    import pyarrow as pa

    fields: dict[str, Any] = {}
    weights = None
    for name in table.column_names:
        column, shape = table.column(name).combine_chunks(), [len(table)]
        while pa.types.is_fixed_size_list(column.type):
            shape.append(column.type.list_size)
            column = column.flatten()
        array = column.to_numpy(zero_copy_only=False).reshape(shape)
        if name == WEIGHTS:
            weights = array
        else:
            fields[name] = array.astype(np.str_) if array.dtype == object else array
    return Dataset(fields, weights=weights)


@contextmanager
def opened(file: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A bundle unpacked in a folder of its own for a while, every file as it was written.

    Args:
        file: the bundle.

    Returns:
        The folder, and what ``bundle.json`` says.

    Raises:
        ScrubError: it is no bundle, it holds what none does, or a file is not as it was written.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = set(unpack(file, folder))
        if BUNDLE not in names:
            raise ScrubError(f"{file} is not a bundle: it holds no {BUNDLE}.")
        body = read_json(folder / BUNDLE)
        listed = body.get("files")
        if body.get("format") != FORMAT or not isinstance(listed, dict):
            raise ScrubError(
                f"{file} has format {body.get('format')!r}, and this version reads {FORMAT}."
            )
        odd = sorted((names - {BUNDLE}) ^ set(listed))
        if odd:
            raise ScrubError(
                f"{file}: {odd[0]!r} is listed and not there, or there and not listed."
            )
        for one, told in listed.items():
            if digest((folder / one).read_bytes()) != told:
                raise ScrubError(
                    f"{file}: {one} is not as it was written: its hash is another one."
                )
        yield folder, body
