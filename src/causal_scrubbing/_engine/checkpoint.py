"""Finished blocks of samples where a run is kept, so that an interrupted run goes on from them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._errors import Notice, ScrubError
from causal_scrubbing._files import (
    AbstractStore,
    Shape,
    check_shape,
    from_column,
    json_object,
    read_table,
    reading,
    table_bytes,
    to_column,
)

Arrays: TypeAlias = Mapping[str, npt.NDArray[np.float64]]
Found: TypeAlias = tuple[dict[str, npt.NDArray[np.float64]], dict[str, torch.Tensor]]

_IDENTITY: Final = "run.json"
_DIGEST: Final = b"digest"
_BESIDE: Final = b"tensors"


class Checkpoint:
    """The finished blocks of one run in a folder.

    A block is put there whole, where no other process has put it before. So several processes may
    work on one run; each takes the blocks that it finds.

    Args:
        store: the folder.
        identity: what must be equal for blocks to be of one run, as plain data.

    Raises:
        ScrubError: it holds blocks of another run, or cannot be written.
    """

    def __init__(self, store: AbstractStore, identity: Mapping[str, Any]) -> None:
        self.store = store
        store.tidy()
        self.identity = json.loads(json.dumps(identity))
        found = self.note(_IDENTITY.removesuffix(".json"), self.identity)
        differing = sorted(
            key for key in {*found, *self.identity} if found.get(key) != self.identity.get(key)
        )
        if differing:
            raise ScrubError(
                f"{store} holds blocks of another run: it differs in {', '.join(differing)}. Give "
                "another folder as out=, or delete that one."
            )

    @staticmethod
    def begun(store: AbstractStore) -> bool:
        """Whether a folder holds a checkpoint."""
        return store.has(_IDENTITY)

    def note(self, name: str, value: Mapping[str, Any], shape: Shape = object) -> dict[str, Any]:
        """Plain data kept with the run: what an earlier process noted, else this, noted now.

        Args:
            name: of the file, without its ending.
            value: what to note.
            shape: what an earlier process must have noted.

        Raises:
            ScrubError: what is there is damaged, or of another shape.
        """
        file = f"{name}.json"
        self.store.put(file, json.dumps(value, indent=2).encode())
        place = self.store.path(file)
        advice = "What the folder holds cannot be told: delete it, or give another one as out=."
        with reading(place, advice):
            content = self.store.read(file)
        found = json_object(content, place, advice)
        check_shape(place, found, shape, advice=advice)
        return found

    def get(self, start: int, stop: int, *, tensors: bool = False) -> Found | None:
        """The values and tensors of samples start..stop - 1, or None if they are not finished.

        A block that cannot be read is deleted with a notice, so that it is computed again.

        Args:
            start: number of the first sample.
            stop: one past the last.
            tensors: whether the block has tensors beside its values.
        """
        name = _name(start, stop)
        try:
            content = self.store.read(name)
        except FileNotFoundError:
            return None
        try:
            with reading(self.store.path(name), ""):
                return self._read(content, start, stop, tensors)
        except ScrubError as error:
            warnings.warn(
                f"{str(error).rstrip('. ')}; it is deleted, and its samples are computed again.",
                Notice,
                stacklevel=2,
            )
            for file in self.store.names():
                if file.startswith(name):
                    self.store.delete(file)
            return None

    def put(
        self, start: int, stop: int, arrays: Arrays, tensors: Mapping[str, torch.Tensor]
    ) -> bool:
        """Keep a finished block: its values, [stop - start] or [stop - start, k], and tensors.

        Returns:
            Whether it is this block that is kept; else another process was first.

        Raises:
            ScrubError: the disk is full or cannot be written; finished blocks are kept.
        """
        import pyarrow as pa
        import safetensors.torch

        beside, name = b"", ""
        if tensors:
            # Before the values, whose file says that the block is whole, and which file it is.
            whole = {key: tensor.contiguous() for key, tensor in tensors.items()}
            beside = safetensors.torch.save(whole)
            name = f"{_name(start, stop)}.{sha256(beside).hexdigest()[:16]}.safetensors"
            self.store.put(name, beside)
        table = pa.table({key: to_column(v) for key, v in arrays.items()})
        seal = {_DIGEST: _block_digest(arrays, beside, start, stop), _BESIDE: name}
        content = table_bytes(table.replace_schema_metadata(seal))
        return self.store.put(_name(start, stop), content)

    def _read(self, content: bytes, start: int, stop: int, tensors: bool) -> Found:
        import safetensors.torch

        table = read_table(content)
        arrays = {name: from_column(table.column(name)) for name in table.column_names}
        said = table.schema.metadata or {}
        beside = self.store.read(said.get(_BESIDE, b"").decode()) if tensors else b""
        if said.get(_DIGEST, b"").decode() != _block_digest(arrays, beside, start, stop):
            raise ValueError("it is not as it was written")
        found = safetensors.torch.load(beside) if tensors else {}
        lengths = [len(one) for one in arrays.values()] + [len(one) for one in found.values()]
        if any(length != stop - start for length in lengths):
            raise ValueError(f"it does not hold {stop - start} samples")
        return arrays, found


def _name(start: int, stop: int) -> str:
    return f"{start:012d}-{stop:012d}.parquet"


def _block_digest(arrays: Arrays, beside: bytes, start: int, stop: int) -> str:
    """A digest of a block: its values by name, its tensors, and the samples they are of."""
    whole = sha256(f"{start}|{stop}".encode())
    for name in sorted(arrays):
        one = np.ascontiguousarray(arrays[name], dtype=np.float64)
        whole.update(f"|{name}|{one.shape}|".encode())
        whole.update(one.tobytes())
    whole.update(beside)
    return whole.hexdigest()
