"""Reading a run from its folder: every file as it was written, of the shape that a run has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import from_column, read_json, read_table, reading
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE
from causal_scrubbing._metrics import function_of_means
from causal_scrubbing._result.run_data import RunData
from causal_scrubbing._result.seal import RUN, open_sealed
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
from causal_scrubbing._sampling import SCRAMBLING
from causal_scrubbing._simulate import RunRecord, Swaps
from causal_scrubbing._statistics import BoolArray, Components, FloatArray, KnownMeans, Scores

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T", bound=RunData)


def read(
    folder: Path,
    make: type[T],
    data: Dataset | None = None,
    *,
    source: Path | str | None = None,
) -> T:
    """Read a run back from its folder; every estimate is equal to the one saved.

    Args:
        folder: what `save` wrote.
        make: class of what is wanted.
        data: the run's dataset; its hash is checked.
        source: where the user keeps it; `folder` if None.

    Raises:
        ScrubError: there is no whole run there, a file is not as it was written or does not hold
            what a run's does, or the data is not the run's. Names the file.
    """
    with reading(folder / RUN):
        return _read(folder, make, data, folder if source is None else source)


def _read(folder: Path, make: type[T], data: Dataset | None, source: Path | str) -> T:
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
    for name in (SAMPLES, DRAWS):
        if name not in files:
            raise ScrubError(f"{file} cannot be read: it does not list {name!r}.")
    if data is not None and data.fingerprint != body["fingerprints"]["data"]:
        raise ScrubError(
            f"the data given is not the data of the run in {folder}: their hashes differ. Rebuild "
            "the dataset with the same rows, fields and weights in the same order."
        )
    rows = int(body["settings"]["rows"])
    with reading(folder / DRAWS):
        drawn = _drawn(read_table(files[DRAWS]), rows, body["agreement"]["table"])
    samples = len(drawn[REFERENCE])
    with reading(folder / SAMPLES):
        table = read_table(files[SAMPLES])
        values = _values(table, body["metrics"], samples)
        moved, moved_randomized = (_moved(table, kind, samples) for kind in MOVED)
        alone = _alone(table, samples)
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
        moved=moved,
        moved_randomized=moved_randomized,
        outputs=_outputs(folder / OUTPUTS, files.get(OUTPUTS), samples),
        source=source,
        files=len(files) + 1,
        plan=body.get("plan"),
        swaps=None if body.get("swaps") is None else Swaps.from_dict(body["swaps"]),
        alone=alone,
        known=_known(folder / KNOWN, files.get(KNOWN), body.get("known") or {}, rows, values),
        of_means={
            name: function_of_means(name, kept)
            for name, kept in (body.get("of_means") or {}).items()
        },
        distance=body["distance"] if body.get("distance") is not None else _distance_not_saved,
    )
    # What was published stands, whatever a later version's bootstrap would give.
    result.__dict__["_estimated"] = {
        name: replace(Scores.from_dict(entry), components=_components(result, name))
        for name, entry in body["estimates"].items()
    }
    return result


def _drawn(table: pa.Table, rows: int, blocks: Sequence[Mapping[str, Any]]) -> dict[str, Ints]:
    """Draw key -> row of each sample.

    Raises:
        ValueError: a column is missing, or holds what is not a row.
    """
    found: dict[str, Ints] = {}
    for key, values in _columns(table, len(table)):
        whole = values.astype(np.int64)
        most = rows if key != SCRAMBLING else np.inf
        if values.ndim != 1 or not np.array_equal(whole, values):
            raise ValueError(f"its column {key!r} does not hold integers")
        if len(whole) and not (whole.min() >= 0 and whole.max() < most):
            raise ValueError(f"its column {key!r} holds rows that the data of {rows} has not")
        found[key] = whole
    for key in (REFERENCE, RANDOMIZED):
        if key not in found:
            raise ValueError(f"it has no column {key!r}")
    if not len(found[REFERENCE]):
        raise ValueError("it holds no samples")
    if not any(one["draw"] in found for one in blocks):
        raise ValueError(f"it has no column of the draws that {RUN} lists")
    return found


def _columns(table: pa.Table, count: int) -> Iterator[tuple[str, FloatArray]]:
    """Names and values of the columns of a table.

    Raises:
        ValueError: two have one name, there are not so many rows, or a value is missing.
    """
    names = table.column_names
    if len(set(names)) < len(names):
        raise ValueError("it has two columns of one name")
    if len(table) != count:
        raise ValueError(f"it holds {len(table)} rows, not {count}")
    for name in names:
        if table.column(name).null_count:
            raise ValueError(f"its column {name!r} lacks values")
        values = from_column(table.column(name))
        if len(values) != count:
            raise ValueError(f"its column {name!r} holds {len(values)} values, not {count}")
        yield name, values


def _values(
    table: pa.Table, metrics: Sequence[str], samples: int
) -> dict[str, dict[str, FloatArray]]:
    """Kind -> metric -> values, [N] or [N, k].

    Raises:
        ValueError: a metric lacks its columns, or they differ in shape.
    """
    columns = dict(_columns(table, samples))
    values: dict[str, dict[str, FloatArray]] = {kind: {} for kind in VALUES}
    for name in metrics:
        for kind in VALUES:
            found = columns.get(f"{name}|{kind}")
            if found is None and kind != "randomized":
                raise ValueError(f"it has no column {f'{name}|{kind}'!r}")
            if found is not None:
                values[kind][name] = found
        if len({values[kind][name].shape for kind in VALUES if name in values[kind]}) > 1:
            raise ValueError(f"the columns of {name!r} differ in shape")
    return values


def _moved(table: pa.Table, kind: str, samples: int) -> dict[str, FloatArray]:
    ending = f"|{kind}"
    found = {
        name.removesuffix(ending): values
        for name, values in _columns(table, samples)
        if name.endswith(ending)
    }
    if any(values.ndim != 1 for values in found.values()):
        raise ValueError("a comparison of outputs is not one number a sample")
    return found


def _alone(table: pa.Table, samples: int) -> BoolArray | None:
    found = dict(_columns(table, samples)).get(ALONE)
    if found is None:
        return None
    if found.ndim != 1 or not np.isin(found, (0, 1)).all():
        raise ValueError(f"its column {ALONE!r} does not hold true and false")
    return found.astype(np.bool_)


def _known(
    file: Path,
    content: bytes | None,
    entries: Mapping[str, Any],
    rows: int,
    values: Mapping[str, Mapping[str, FloatArray]],
) -> dict[str, KnownMeans]:
    if content is None or not entries:
        return {}
    with reading(file):
        columns = dict(_columns(table := read_table(content), len(table)))
        found = {}
        for name, entry in entries.items():
            if name not in values["scrubbed"]:
                raise ValueError(f"{RUN} lists means of {name!r}, which is not a metric")
            wanted = ["weight", f"{name}|model"]
            wanted += [f"{name}|randomized {part}" for part in range(entry["parts"])]
            missing = [one for one in wanted if one not in columns]
            if missing:
                raise ValueError(f"it has no column {missing[0]!r}")
            weights, model, *parts = (columns[one] for one in wanted)
            width = values["scrubbed"][name].shape[1:]
            if weights.ndim != 1 or len(weights) > rows:
                raise ValueError(f"its weights are not those of {rows} rows")
            if any(one.shape[1:] != width for one in (model, *parts)):
                raise ValueError(f"the columns of {name!r} differ in shape")
            stacked = np.stack(parts) if parts else None
            found[name] = KnownMeans(weights, model, stacked, entry["pairs"])
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


def _outputs(
    file: Path, content: bytes | None, samples: int
) -> tuple[torch.Tensor, torch.Tensor] | None:
    import safetensors.torch

    if content is None:
        return None
    with reading(file):
        tensors = safetensors.torch.load(content)
        missing = [name for name in ("scrubbed", "model") if name not in tensors]
        if missing:
            raise ValueError(f"it has no tensor {missing[0]!r}")
        scrubbed, own = tensors["scrubbed"], tensors["model"]
        if scrubbed.shape != own.shape or not scrubbed.ndim or len(own) != samples:
            raise ValueError(f"its tensors are not the outputs of {samples} samples")
    return scrubbed, own
