"""Locks on files: the system lets go of them when a process ends, however it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Final

from causal_scrubbing._errors import ScrubError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

CAN_SHARE: Final = sys.platform != "win32"
"""Whether several processes can hold one lock between them here."""

_FAR: Final = 2**30
"""Where a byte is locked that none may read or write then: past what such a file holds."""


class Lock:
    """A file that one holder has at a time, or several that share it.

    Holders are open files: two threads of one process are two holders.

    Args:
        file: made if missing; what it holds is left alone.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        # Network file systems grant a shared lock only on a file open for reading, an exclusive
        # one only on a file open for writing.
        self._handle: IO[bytes] = file.open("a+b")

    def take(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Take the lock, or change how it is held.

        Args:
            shared: beside others that share it, instead of alone.
            wait: until it is free.

        Returns:
            Whether it is held now: False if another holder has it. A failed change can lose the
            lock that was held.

        Raises:
            ScrubError: files cannot be locked there.
        """
        try:
            if sys.platform == "win32":
                mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK
                self._handle.seek(_FAR)
                msvcrt.locking(self._handle.fileno(), mode, 1)
            else:
                kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(self._handle, kind if wait else kind | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # how systems say that another holds it
            return False
        except OSError as error:
            raise ScrubError(
                f"cannot lock {self.file}: {error.strerror or error}. Without locks two processes "
                "could spoil each other's work: give an out= on a file system that has them, like "
                "a local disk."
            ) from error
        return True

    def close(self) -> None:
        """Let go."""
        self._handle.close()
