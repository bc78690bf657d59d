"""Limits that a check keeps, since not every asker is careful: time, memory, arithmetic."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from causal_scrubbing._errors import CausalScrubbingError, ScrubError
from causal_scrubbing._format import short


class OverLimitError(CausalScrubbingError):
    """Work was not done, or stopped, since it would take more than was allowed.

    Attributes:
        limit: "seconds" or "flops".
    """

    def __init__(self, limit: str, message: str) -> None:
        self.limit = limit
        super().__init__(message)


class _Stop(BaseException):
    """Raised by the timer; no handler of errors on the way takes it for one."""


@dataclass
class Limits:
    """What a check may take.

    Attributes:
        seconds: wall-clock time of all of it; None for no limit.
        memory: bytes for activations, as for `scrub`.
        flops: floating-point operations of all of it; None for no limit.
        spent: floating-point operations taken up so far, as planned.
    """

    seconds: float | None = None
    memory: str | int | None = None
    flops: float | None = None
    spent: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("max_seconds", self.seconds), ("max_flops", self.flops)):
            if value is not None and not value > 0:
                raise ScrubError(f"{name}={value!r}: give a number above 0.")
        self._end = None if self.seconds is None else time.monotonic() + self.seconds

    @property
    def left(self) -> float | None:
        """Seconds that are left; None without a limit."""
        return None if self._end is None else self._end - time.monotonic()

    def take(self, flops: float, what: str) -> None:
        """Take up floating-point work, before it is done.

        Args:
            flops: how much it will be.
            what: the work, in words.

        Raises:
            OverLimitError: it and what was taken up before are more than the limit.
        """
        if self.flops is not None and self.spent + flops > self.flops:
            raise OverLimitError(
                "flops",
                f"{what} would take {flops:,.0f} floating-point operations besides the "
                f"{self.spent:,.0f} taken up, and {self.flops:,.0f} are allowed.",
            )
        self.spent += flops

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Stop the work inside when the time is over.

        A timer of the system stops it in the main thread; elsewhere `progress` does, between
        batches.

        Raises:
            OverLimitError: it was stopped, or there was no time left.
        """
        left = self.left
        if left is None:
            yield
            return
        if left <= 0:
            raise self._over()
        main = threading.current_thread() is threading.main_thread()
        if not main or not hasattr(signal, "setitimer"):
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            raise _Stop

        before = signal.signal(signal.SIGALRM, stop)
        try:
            signal.setitimer(signal.ITIMER_REAL, left)
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except _Stop:
            raise self._over() from None
        finally:
            signal.signal(signal.SIGALRM, before)

    def progress(self, done: int, of: int) -> None:
        """Stop where the time is over; given to `scrub` as its ``progress``."""
        if self.left is not None and self.left <= 0:
            raise self._over()

    def _over(self) -> OverLimitError:
        return OverLimitError(
            "seconds", f"the {short(self.seconds or 0, 3)} seconds allowed are over."
        )
