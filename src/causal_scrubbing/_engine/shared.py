"""A table of clean activations that several processes of one machine fill together.

Its values, and the flags that say which rows there are, are files mapped into memory. A row's flag
is set after its values are written, so that whoever sees the flag may read them. Two processes that
need one row at the same time may both run it, and write what is equal up to rounding.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._engine.storage import NoRoomError
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import write_whole


def shared_tensor(
    folder: Path, node: str, shape: tuple[int, ...], dtype: torch.dtype, own: torch.dtype
) -> torch.Tensor:
    """A node's values, made where no other process has.

    Args:
        folder: of the table.
        node: the node.
        shape: of its values, [n, ...].
        dtype: they are stored in.
        own: they were made in.

    Raises:
        NoRoomError: there is no room for the file.
    """
    told = [list(shape), *(str(one).removeprefix("torch.") for one in (dtype, own))]
    try:
        write_whole(folder / f"{_name(node)}.json", json.dumps(told).encode())
        return _mapped(folder, node, shape, dtype)
    except (OSError, RuntimeError, ScrubError) as error:
        raise NoRoomError(str(error)) from error


def attached(folder: Path, node: str) -> tuple[torch.Tensor, torch.dtype]:
    """A node's values that another process has made, and the dtype they were made in."""
    shape, *names = json.loads((folder / f"{_name(node)}.json").read_text())
    dtype, own = (getattr(torch, name) for name in names)
    return _mapped(folder, node, tuple(shape), dtype), own


def _mapped(folder: Path, node: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    count = int(np.prod(shape, dtype=np.int64))
    file = str(folder / f"{_name(node)}.table")
    flat = torch.from_file(file, shared=True, size=max(1, count), dtype=dtype)
    return flat[:count].reshape(shape)


def shared_flags(folder: Path, nodes: Sequence[str], rows: int) -> npt.NDArray[np.bool_]:
    """Which rows of a column are there, [rows], as all processes see it."""
    file = folder / f"{_name(*nodes)}.flags"
    with file.open("ab") as made:
        made.truncate(rows)
    return np.memmap(file, dtype=np.bool_, mode="r+", shape=(rows,))


def _name(*nodes: str) -> str:
    return blake2b("\n".join(nodes).encode(), digest_size=16).hexdigest()
