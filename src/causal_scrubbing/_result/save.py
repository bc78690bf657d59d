"""Runs on disk, in open formats.

``run.json`` says what was claimed and found, ``samples.parquet`` and ``draws.parquet`` hold a row a
sample, ``outputs.safetensors`` the outputs where they were kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import (
    AbstractStore,
    LocalStore,
    check_folder,
    remove_parts,
    to_column,
    write_table,
    write_whole,
)
from causal_scrubbing._metrics import kept_as
from causal_scrubbing._result.run_data import RunData
from causal_scrubbing._result.seal import RUN, sealed
from causal_scrubbing._result.shape import (
    ALONE,
    DRAWS,
    FORMAT,
    KNOWN,
    MOVED,
    OUTPUTS,
    SAMPLES,
    VALUES,
)
from causal_scrubbing._statistics import KnownMeans

if TYPE_CHECKING:
    import pyarrow as pa

_FILES = (SAMPLES, DRAWS, OUTPUTS, KNOWN)


def save(result: RunData, path: Path, *, overwrite: bool) -> Path:
    """Write a result to a folder; ``run.json`` last, so that a folder with it is whole.

    Raises:
        ScrubError: the folder is not empty and `overwrite` is False, or cannot be written.
    """
    check_folder(path, "")
    try:
        _save(result, path, overwrite=overwrite)
    except OSError as error:
        raise ScrubError(f"cannot write {path}: {error.strerror or error}.") from error
    return path


def _save(result: RunData, path: Path, *, overwrite: bool) -> None:
    import pyarrow as pa
    import safetensors.torch

    if path.exists() and any(path.iterdir()) and not overwrite:
        raise ScrubError(f"{path} is not empty; choose another folder or pass overwrite=True.")
    path.mkdir(parents=True, exist_ok=True)
    remove_parts(path)
    (path / RUN).unlink(missing_ok=True)
    columns: dict[str, pa.Array] = {}
    for name in result.metrics:
        for kind in VALUES:
            values = getattr(result, f"{kind}_values").get(name)
            if values is not None:
                columns[f"{name}|{kind}"] = to_column(values)
    for kind, table in zip(MOVED, (result.moved, result.moved_randomized), strict=True):
        columns |= {f"{name}|{kind}": pa.array(values) for name, values in table.items()}
    if result.alone is not None:
        columns[ALONE] = pa.array(result.alone)
    write_table(pa.table(columns), path / SAMPLES)
    (path / OUTPUTS).unlink(missing_ok=True)
    if result.outputs is not None:
        scrubbed, own = (part.contiguous() for part in result.outputs)
        write_whole(path / OUTPUTS, safetensors.torch.save({"scrubbed": scrubbed, "model": own}))
    write_table(pa.table({k: pa.array(v) for k, v in result.drawn.items()}), path / DRAWS)
    (path / KNOWN).unlink(missing_ok=True)
    if result.known:
        write_table(_known_table(result.known), path / KNOWN)
    body = {"format": FORMAT, "metrics": list(result.metrics), **result.to_dict()}
    body["known"] = {
        name: {"pairs": one.pairs, "parts": 0 if one.randomized is None else len(one.randomized)}
        for name, one in result.known.items()
    }
    body["of_means"] = {name: kept_as(fn) for name, fn in result.of_means.items()}
    body["distance"] = result.distance if isinstance(result.distance, str) else None
    if result.run_plan is not None:
        body["plan"] = result.run_plan.explain(result.record.actual).to_dict()
    elif result.plan is not None:
        body["plan"] = dict(result.plan)
    write_whole(path / RUN, sealed(body, path, [n for n in _FILES if (path / n).exists()]))


def keep(result: RunData, store: AbstractStore, *, overwrite: bool = True) -> Path | str:
    """Save a result in a folder or at an address; where.

    Raises:
        ScrubError: there is something already and `overwrite` is False, or it cannot be written.
    """
    if isinstance(store, LocalStore):
        return save(result, store.place, overwrite=overwrite)
    if store.names() and not overwrite:
        raise ScrubError(f"{store} is not empty; choose another one or pass overwrite=True.")
    with tempfile.TemporaryDirectory() as name:
        folder = save(result, Path(name), overwrite=True)
        files = {one.name: one.read_bytes() for one in folder.iterdir()}
    store.delete(RUN)
    for file in sorted(files, key=lambda one: one == RUN):  # last, so that a run with it is whole
        store.write(file, files[file])
    return store.place


def _known_table(known: Mapping[str, KnownMeans]) -> pa.Table:
    """What is known of each metric on every row of the data: a row each."""
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    for name, one in known.items():
        columns["weight"] = pa.array(one.weights)
        columns[f"{name}|model"] = to_column(one.model)
        for part, values in enumerate(() if one.randomized is None else one.randomized):
            columns[f"{name}|randomized {part}"] = to_column(values)
    return pa.table(columns)
