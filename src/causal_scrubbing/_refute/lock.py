"""A lock on a file: the system lets go of it when a process ends, however it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Final

from causal_scrubbing._errors import ScrubError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR: Final = 2**30
"""Where a byte is locked that none may read or write then: past what such a file holds."""


class Lock:
    """A file that one holder has at a time.

    Holders are open files: two threads of one process are two holders.

    Args:
        file: made if missing; what it holds is left alone.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        # Network file systems grant an exclusive lock only on a file open for writing.
        self._handle: IO[bytes] = file.open("a+b")

    def take(self) -> bool:
        """Take the lock; False if another holder has it.

        Raises:
            ScrubError: files cannot be locked there.
        """
        try:
            if sys.platform == "win32":
                self._handle.seek(_FAR)
                msvcrt.locking(self._handle.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # how systems say that another holds it
            return False
        except OSError as error:
            raise ScrubError(
                f"cannot lock {self.file}: {error.strerror or error}. Without locks two searches "
                "could spoil each other's work: give an out= on a file system that has them, like "
                "a local disk."
            ) from error
        return True

    def close(self) -> None:
        """Let go."""
        self._handle.close()
