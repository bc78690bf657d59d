"""Runs on disk, in open formats.

``run.json`` says what was claimed and found, ``samples.parquet`` and ``draws.parquet`` hold a row a
sample, ``outputs.safetensors`` the outputs where they were kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import (
    AbstractStore,
    LocalStore,
    check_folder,
    from_column,
    read_json,
    read_table,
    reading,
    remove_parts,
    to_column,
    write_table,
    write_whole,
)
from causal_scrubbing._metrics import function_of_means, kept_as
from causal_scrubbing._result.run_data import RunData
from causal_scrubbing._result.seal import RUN, open_sealed, sealed
from causal_scrubbing._simulate import RunRecord, Swaps
from causal_scrubbing._statistics import Components, FloatArray, KnownMeans, Scores

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T", bound=RunData)

FORMAT = 2
_SAMPLES, _DRAWS = "samples.parquet", "draws.parquet"
_OUTPUTS, _KNOWN = "outputs.safetensors", "rows.parquet"
_FILES = (_SAMPLES, _DRAWS, _OUTPUTS, _KNOWN)
_ALONE = "alone"
"""Column of the samples in which nothing could be swapped; runs saved before it have none."""
_KINDS = ("scrubbed", "model", "randomized")
_MOVED = ("moved", "moved randomized")


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
        for kind in _KINDS:
            values = getattr(result, f"{kind}_values").get(name)
            if values is not None:
                columns[f"{name}|{kind}"] = to_column(values)
    for kind, table in zip(_MOVED, (result.moved, result.moved_randomized), strict=True):
        columns |= {f"{name}|{kind}": pa.array(values) for name, values in table.items()}
    if result.alone is not None:
        columns[_ALONE] = pa.array(result.alone)
    write_table(pa.table(columns), path / _SAMPLES)
    (path / _OUTPUTS).unlink(missing_ok=True)
    if result.outputs is not None:
        scrubbed, own = (part.contiguous() for part in result.outputs)
        write_whole(path / _OUTPUTS, safetensors.torch.save({"scrubbed": scrubbed, "model": own}))
    write_table(pa.table({k: pa.array(v) for k, v in result.drawn.items()}), path / _DRAWS)
    (path / _KNOWN).unlink(missing_ok=True)
    if result.known:
        write_table(_known_table(result.known), path / _KNOWN)
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


def read(folder: Path, make: type[T], data: Dataset | None = None) -> T:
    """Read a run back from its folder; every estimate is equal to the one saved.

    Args:
        folder: what `save` wrote.
        make: class of what is wanted.
        data: the run's dataset; its hash is checked.

    Raises:
        ScrubError: there is no whole run there, a file is not as it was written, or the data is
            not the run's.
    """
    with reading(folder):
        return _read(folder, make, data)


def _read(folder: Path, make: type[T], data: Dataset | None) -> T:
    file = folder / RUN
    if not file.is_file():
        raise ScrubError(
            f"{folder} holds no finished run: there is no {RUN}. Give the folder that "
            "result.save(...) wrote."
        )
    body = read_json(file)
    if "metrics" not in body or "settings" not in body:
        hint = (
            f"give the folder it is in, {folder.parent}"
            if _is_blocks(folder)
            else ("give the folder that result.save(...) wrote")
        )
        raise ScrubError(
            f"{folder} holds no finished run, as {RUN} there is of other kind; {hint}."
        )
    if body.get("format") != FORMAT:
        raise ScrubError(
            f"{file} has format {body.get('format')!r}, and this version reads {FORMAT}; "
            "run it again with this version, or read it with the one that wrote it."
        )
    files = open_sealed(folder, body)
    if set(body["metrics"]) != set(body["estimates"]):
        raise ScrubError(f"{file} cannot be read: its estimates are not those of its metrics.")
    if data is not None and data.fingerprint != body["fingerprints"]["data"]:
        raise ScrubError(
            f"the data given is not the data of the run in {folder}: their hashes differ. Rebuild "
            "the dataset with the same rows, fields and weights in the same order."
        )
    with reading(folder / _SAMPLES):
        table = read_table(files[_SAMPLES])
    values: dict[str, dict[str, FloatArray]] = {kind: {} for kind in _KINDS}
    for name in body["metrics"]:
        for kind in _KINDS:
            if f"{name}|{kind}" in table.column_names:
                values[kind][name] = from_column(table.column(f"{name}|{kind}"))
    with reading(folder / _DRAWS):
        draws = read_table(files[_DRAWS])
    drawn: dict[str, Ints] = {
        key: draws.column(key).to_numpy().astype(np.int64) for key in draws.column_names
    }
    result = make(
        scrubbed_values=values["scrubbed"],
        model_values=values["model"],
        randomized_values=values["randomized"],
        drawn=drawn,
        readable=body["hypothesis"],
        agreement=body["agreement"],
        record=RunRecord.from_dict(body["settings"]),
        fingerprints=body["fingerprints"],
        stuck=body["stuck"],
        notes=tuple(body["notes"]),
        data=data,
        moved=_moved(table, _MOVED[0]),
        moved_randomized=_moved(table, _MOVED[1]),
        outputs=_outputs(folder / _OUTPUTS, files.get(_OUTPUTS)),
        source=folder,
        files=len(files) + 1,
        plan=body.get("plan"),
        swaps=None if body.get("swaps") is None else Swaps.from_dict(body["swaps"]),
        alone=table.column(_ALONE).to_numpy() if _ALONE in table.column_names else None,
        known=_known(folder / _KNOWN, files.get(_KNOWN), body.get("known", {})),
        of_means={
            name: function_of_means(name, kept) for name, kept in body.get("of_means", {}).items()
        },
        distance=body["distance"] if body.get("distance") is not None else _distance_not_saved,
    )
    # What was published stands, whatever a later version's bootstrap would give.
    result.__dict__["_estimated"] = {
        name: replace(Scores.from_dict(entry), components=_components(result, name))
        for name, entry in body["estimates"].items()
    }
    return result


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


def _known(file: Path, content: bytes | None, entries: Mapping[str, Any]) -> dict[str, KnownMeans]:
    if content is None or not entries:
        return {}
    with reading(file):
        table = read_table(content)
    weights = from_column(table.column("weight"))
    found = {}
    for name, entry in entries.items():
        parts = [
            from_column(table.column(f"{name}|randomized {part}")) for part in range(entry["parts"])
        ]
        found[name] = KnownMeans(
            weights,
            from_column(table.column(f"{name}|model")),
            np.stack(parts) if parts else None,
            entry["pairs"],
        )
    return found


def _distance_not_saved(one: FloatArray, other: FloatArray) -> float:
    raise ScrubError(
        "the run was made with a function as distance=, which a saved run does not hold: the "
        "estimates saved stand, and others need the run to be made again."
    )


def _is_blocks(folder: Path) -> bool:
    """Whether a folder holds the finished blocks of a run."""
    return folder.name.startswith("blocks") and (folder.parent / RUN).is_file()


def _components(result: RunData, name: str) -> Sequence[Scores]:
    trio = result.triples(name)
    if trio.scrubbed.ndim == 1 or trio.of_means is not None:
        return ()
    return Components(trio, seed=result.record.seed)


def _moved(table: pa.Table, kind: str) -> dict[str, FloatArray]:
    ending = f"|{kind}"
    return {
        name.removesuffix(ending): from_column(table.column(name))
        for name in table.column_names
        if name.endswith(ending)
    }


def _outputs(file: Path, content: bytes | None) -> tuple[torch.Tensor, torch.Tensor] | None:
    import safetensors.torch

    if content is None:
        return None
    with reading(file):
        tensors = safetensors.torch.load(content)
        return tensors["scrubbed"], tensors["model"]
