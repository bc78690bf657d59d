"""Progress of long runs: a bar on a terminal, silence in a pipe, or the caller's own function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """Counts work done, as a context manager.

    Args:
        how: True or False to show a bar or not; None shows it where standard error is a terminal;
            a function is called with (done, of) instead.
        total: how much work there is.
    """

    def __init__(self, how: bool | Callable[[int, int], None] | None, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._call = how if callable(how) else None
        show = sys.stderr.isatty() if how is None else how is True
        self._bar: Bar | None = None
        if show and self._call is None:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
        self._total = total
        self._done = 0

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task("scrubbing", total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, amount: int) -> None:
        """Count an amount of work as done."""
        self._done += amount
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], amount)
        if self._call is not None:
            self._call(self._done, self._total)
