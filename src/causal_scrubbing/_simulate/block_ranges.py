"""How samples are cut into blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

BLOCK: Final = 1 << 16
"""Samples drawn at once; results do not depend on it."""

FIRST: Final = 1024
"""Samples of the first look with ``samples="auto"``."""

_PIECES: Final = 32
_SMALLEST: Final = 64


def block_size(samples: int, *, kept: bool) -> int:
    """Samples in a block; a function of nothing but the number of samples asked for.

    A run that is kept on disk is cut into about 32 blocks, so that little is lost with the last.
    """
    if not kept:
        return BLOCK
    return min(BLOCK, max(_SMALLEST, -(-samples // (_PIECES * _SMALLEST)) * _SMALLEST))


def spans(samples: int, block: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """First sample of each block, and one past its last, for a fixed number of samples."""
    for low in range(start, start + samples, block):
        yield low, min(low + block, start + samples)


def auto_spans(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The blocks of ``samples="auto"`` from one that begins at `start`.

    Blocks grow with what is done, and end at numbers that depend on nothing else, so that a run to
    another tolerance is made of the same ones.
    """
    while start < stop:
        size = min(BLOCK, max(FIRST, start // 4 // FIRST * FIRST))
        yield start, min(start + size, stop)
        start += size
