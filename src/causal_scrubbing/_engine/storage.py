"""Where clean activations are kept: memory, or a file without a name; made, and read from."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from causal_scrubbing._graph import is_out_of_memory

_PIECE: Final = 1 << 20


@dataclass(frozen=True)
class Storage:
    """Where and how activations are kept.

    Attributes:
        device: where the table is.
        on_disk: whether it is a file, mapped into memory.
        dtype: dtype that floating-point activations are rounded to, or None to keep their own.
        shared: a folder in which processes share the table, where it has a place for every row.
    """

    device: torch.device
    on_disk: bool = False
    dtype: torch.dtype | None = None
    shared: Path | None = None

    def __str__(self) -> str:
        if self.on_disk:
            return f"a file in {tempfile.gettempdir()}"
        return "main memory" if self.device.type == "cpu" else f"memory of {self.device}"


class NoRoomError(Exception):
    """A place has no room for the table, whatever the size of batches; never shown to users."""


def allocate(storage: Storage, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """A tensor of this shape in a storage, its values not set.

    Raises:
        NoRoomError: memory, or the disk under the file, has no room.
    """
    try:
        if storage.on_disk:
            return _in_file(shape, dtype)
        return torch.empty(shape, dtype=dtype, device=storage.device)
    except Exception as error:
        if isinstance(error, OSError) or is_out_of_memory(error):
            raise NoRoomError(str(error).splitlines()[0] if str(error) else "full") from error
        raise


def _in_file(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    count = int(np.prod(shape, dtype=np.int64))
    handle, file = tempfile.mkstemp(prefix="causal-scrubbing-", suffix=".table")
    try:
        _claim(handle, max(count, 1) * dtype.itemsize)
        flat = torch.from_file(file, shared=True, size=max(count, 1), dtype=dtype)
    finally:
        os.close(handle)
        # The mapping outlives the name: nothing is left behind, however the process ends.
        with suppress(OSError):
            Path(file).unlink()
    return flat[:count].reshape(shape)


def _claim(handle: int, size: int) -> None:
    """Take disk space now: writing to a mapped file on a full disk would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    zeros = bytes(_PIECE)
    for start in range(0, size, _PIECE):
        os.write(handle, zeros[: size - start])


def gather(table: torch.Tensor, index: torch.Tensor, device: torch.device | None) -> torch.Tensor:
    """Rows of a table, on a device.

    Args:
        table: values, [rows, ...].
        index: which rows.
        device: where they are wanted; where they are if None.
    """
    index = index.to(table.device)  # a field read in place need not be where the table is
    if device is None or device == table.device:
        return table.index_select(0, index)
    if table.device.type != "cpu" or device.type != "cuda":
        return table.index_select(0, index).to(device)
    # A copy to a GPU runs beside other work only from pinned memory. Its allocator keeps freed
    # pieces until the copies that read them are done.
    staged = _pinned((len(index), *table.shape[1:]), table.dtype)
    torch.index_select(table, 0, index, out=staged)
    return staged.to(device, non_blocking=True)


def _pinned(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)
