"""Finished blocks of samples on disk, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._engine.locks import Lock
from causal_scrubbing._errors import Notice, ScrubError
from causal_scrubbing._files import (
    from_column,
    read_json,
    read_table,
    reading,
    remove_parts,
    to_column,
    write_table,
    write_whole,
    writing,
)

Arrays = Mapping[str, npt.NDArray[np.float64]]

_IDENTITY: Final = "run.json"
_LOCK: Final = "lock"
_TURN: Final = "turn"
_DIGEST: Final = b"digest"


class Checkpoint:
    """The finished blocks of one run in a folder, held by one process, or by several that share it.

    A block is written beside its place, synced, and renamed, so that a file there is whole however
    the process ended. Use it as a context manager.

    Args:
        folder: made if missing.
        identity: what must be equal for blocks to be of one run, as plain data.
        shared: whether other processes that say so too may work on it at the same time.

    Raises:
        ScrubError: another process holds the folder, or it holds blocks of another run.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, shared: bool = False) -> None:
        self.folder = folder
        self.identity = json.loads(json.dumps(identity))
        self.shared = shared
        self._lock: Lock | None = None

    def __enter__(self) -> Checkpoint:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.folder / _LOCK)
        try:
            with self.turn():
                self._take()
                self._recognise()
        except BaseException:
            self._lock.close()
            raise
        return self

    def _take(self) -> None:
        assert self._lock is not None
        alone = self._lock.take()
        if alone:
            self._tidy()
        if self.shared and self._lock.take(shared=True):
            return
        if self.shared or not alone:
            raise ScrubError(
                f"another run is writing to {self.folder.parent}; wait for it, or give another "
                "folder as out=. Several processes can work on one run with shared=True in all of "
                "them."
            )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process that shares the folder is in its turn, and take one."""
        if not self.shared:
            yield
            return
        with writing(self.folder / _TURN):
            lock = Lock(self.folder / _TURN)
        with closing(lock):
            if not lock.take(wait=True):
                raise ScrubError(
                    f"cannot wait for {lock.file}, which another process holds; run again."
                )
            yield

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.close()  # closing lets go of the lock, as does the end of the process

    def _tidy(self) -> None:
        """Remove what processes that were killed while writing left behind."""
        for folder in (self.folder, self.folder.parent):
            remove_parts(folder)

    def _recognise(self) -> None:
        file = self.folder / _IDENTITY
        if not file.exists():
            write_whole(file, json.dumps(self.identity, indent=2).encode())
            return
        found = _read_noted(file)
        differing = sorted(
            key for key in {*found, *self.identity} if found.get(key) != self.identity.get(key)
        )
        if differing:
            raise ScrubError(
                f"{self.folder.parent} holds blocks of another run: it differs in "
                f"{', '.join(differing)}. Give another folder as out=, or delete that one."
            )

    def note(self, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """Plain data kept with the run: what an earlier process noted, else this, noted now."""
        file = self.folder / f"{name}.json"
        if not file.exists():
            write_whole(file, json.dumps(value).encode())
        return _read_noted(file)

    @contextmanager
    def claim(self, start: int, stop: int) -> Iterator[bool]:
        """Whether these samples are for this process to compute: nobody has or does.

        They are claimed until the block is left. Should the process end before, others may claim
        them.
        """
        if self.has(start, stop):
            yield False
            return
        file = self._file(start, stop).with_suffix(".lock")
        with writing(file):
            lock = Lock(file)
        with closing(lock):
            # It may be free because the samples were finished since.
            yield lock.take() and not self.has(start, stop)
            if self.has(start, stop):
                with suppress(OSError):
                    file.unlink()

    def has(self, start: int, stop: int) -> bool:
        """Whether samples start..stop - 1 are finished."""
        return self._file(start, stop).exists()

    def _file(self, start: int, stop: int) -> Path:
        return self.folder / f"{start:012d}-{stop:012d}.parquet"

    def get(
        self, start: int, stop: int, *, tensors: bool = False
    ) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, torch.Tensor]] | None:
        """The values and tensors of samples start..stop - 1, or None if they are not finished.

        A block that cannot be read is deleted with a notice, so that it is computed again.

        Args:
            start: number of the first sample.
            stop: one past the last.
            tensors: whether the block has tensors beside its values.
        """
        file = self._file(start, stop)
        if not file.exists():
            return None
        try:
            with reading(file, ""):
                return _read_block(file, start, stop, tensors)
        except ScrubError as error:
            warnings.warn(
                f"{str(error).rstrip('. ')}; it is deleted, and its samples are computed again.",
                Notice,
                stacklevel=2,
            )
            with writing(file):
                file.unlink(missing_ok=True)
            return None

    def put(
        self, start: int, stop: int, arrays: Arrays, tensors: Mapping[str, torch.Tensor]
    ) -> None:
        """Keep a finished block: its values, [stop - start] or [stop - start, k], and tensors.

        Raises:
            ScrubError: the disk is full or cannot be written; finished blocks are kept.
        """
        import pyarrow as pa
        import safetensors.torch

        file = self._file(start, stop)
        beside = b""
        if tensors:
            # Before the values, whose file says that the block is whole.
            whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
            beside = safetensors.torch.save(whole)
            write_whole(file.with_suffix(".safetensors"), beside)
        table = pa.table({name: to_column(v) for name, v in arrays.items()})
        seal = {_DIGEST: _block_digest(arrays, beside, start, stop)}
        write_table(table.replace_schema_metadata(seal), file)


def _block_digest(arrays: Arrays, beside: bytes, start: int, stop: int) -> str:
    """A digest of a block: its values by name, its tensors, and the samples they are of."""
    whole = sha256(f"{start}|{stop}".encode())
    for name in sorted(arrays):
        one = np.ascontiguousarray(arrays[name], dtype=np.float64)
        whole.update(f"|{name}|{one.shape}|".encode())
        whole.update(one.tobytes())
    whole.update(beside)
    return whole.hexdigest()


def _read_block(
    file: Path, start: int, stop: int, tensors: bool
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, torch.Tensor]]:
    import safetensors.torch

    table = read_table(file.read_bytes())
    arrays = {name: from_column(table.column(name)) for name in table.column_names}
    beside = file.with_suffix(".safetensors").read_bytes() if tensors else b""
    told = (table.schema.metadata or {}).get(_DIGEST, b"").decode()
    if told != _block_digest(arrays, beside, start, stop):
        raise ValueError("it is not as it was written")
    found = safetensors.torch.load(beside) if tensors else {}
    lengths = [len(one) for one in arrays.values()] + [len(one) for one in found.values()]
    if any(length != stop - start for length in lengths):
        raise ValueError(f"it does not hold {stop - start} samples")
    return arrays, found


def _read_noted(file: Path) -> dict[str, Any]:
    try:
        return read_json(file)
    except ScrubError as error:
        raise ScrubError(
            f"{file} cannot be read, so that what the folder holds cannot be told: delete the "
            "folder, or give another one as out=."
        ) from error
