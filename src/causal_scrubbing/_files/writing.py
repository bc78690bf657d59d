"""Writing that is whole or not at all."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from causal_scrubbing._errors import ScrubError

_PART: Final = "causal-scrubbing"
"""Ends the names of files being written, so that none of the user's is taken for one."""

_OLD: Final = 3600.0
"""Seconds after which a file that is being written is one that nobody writes."""


class writing:
    """A context in which a failing disk is an error of this package that names the file.

    Args:
        file: what is written.
    """

    def __init__(self, file: Path | str) -> None:
        self.file = file

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise ScrubError(
                f"cannot write {self.file}: {error.strerror or error}. What is finished is kept: "
                "free space or fix the folder's permissions and run again."
            ) from error


def write_whole(file: Path, content: bytes) -> None:
    """Write whole or not at all: a crash leaves the old file, or none.

    Args:
        file: where to.
        content: all of it.

    Raises:
        ScrubError: the disk is full or cannot be written.
    """
    part = part_of(file)
    with writing(file):
        write_part(part, content)
        try:
            part.replace(file)
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise


def part_of(file: Path) -> Path:
    """Where a file is written before it takes its place; no two writers have one."""
    return file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}.{_PART}")


def write_part(part: Path, content: bytes) -> None:
    """Write a file and have it on the disk, or remove it again."""
    try:
        with part.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def remove_parts(folder: Path, *, age: float = _OLD) -> None:
    """Remove files that a process killed while writing left behind.

    Args:
        folder: where.
        age: seconds since they were written to; another process may be writing younger ones.
    """
    for part in folder.glob(f".*.{_PART}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime >= age:
                part.unlink()


def write_page(path: Path, text: str) -> None:
    """Write a page as a file, whole or not at all.

    Args:
        path: the file.
        text: what it holds; written as UTF-8 whatever the locale.

    Raises:
        ScrubError: the path is a folder or in none, or the disk cannot be written.
    """
    if path.is_dir():
        raise ScrubError(f"{path} is a folder; name the file: {path / 'report.html'}.")
    if not path.parent.is_dir():
        raise ScrubError(f"there is no folder {path.parent} to write {path.name} into; make it.")
    write_whole(path, text.encode("utf-8"))
