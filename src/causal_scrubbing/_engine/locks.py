"""Locks on files: the system lets go of them when a process ends, however it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Final

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

CAN_SHARE: Final = sys.platform != "win32"
"""Whether several processes can hold one lock between them here."""


class Lock:
    """A file that one holder has at a time, or several that share it.

    Holders are open files: two threads of one process are two holders. Use it as a context manager
    to let go.

    Args:
        file: made if missing; what it holds is left alone.
    """

    def __init__(self, file: Path) -> None:
        self._handle: IO[bytes] = file.open("ab")

    def take(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Take the lock, or change how it is held.

        Args:
            shared: beside others that share it, instead of alone.
            wait: until it is free.

        Returns:
            Whether it is held now. A failed change can lose the lock that was held.
        """
        try:
            if sys.platform == "win32":
                mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK
                msvcrt.locking(self._handle.fileno(), mode, 1)
            else:
                kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(self._handle, kind if wait else kind | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go."""
        self._handle.close()
