"""Progress of long runs: a bar on a terminal, a line in a notebook, or the caller's own function.

In a pipe nothing is shown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from causal_scrubbing._statistics import FloatArray

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_OFTEN: Final = 0.5
"""Seconds that pass between two reports inside a block, at least."""


class Progress:
    """Counts work done, as a context manager.

    Work is done a block at a time. Batches inside a block are reported as they are done, though not
    more often than twice a second; the end of a block is always reported.

    Args:
        how: True or False to show progress or not; None shows it on a terminal and in a notebook;
            a function is called with (done, of) instead.
        total: how much work there is; 0 where that is not known yet.
        clock: gives seconds.

    Example:
        >>> with Progress(lambda done, of: print(done, "of", of), 200) as bar:
        ...     bar.advance(100)
        ...     bar.advance(100)
        100 of 200
        200 of 200
    """

    def __init__(
        self,
        how: bool | Callable[[int, int], None] | None,
        total: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = how if callable(how) else None
        self._notebook = in_notebook()
        seen = sys.stderr.isatty() or self._notebook
        self._shown = self._call is None and (seen if how is None else how is True)
        self._bar: Bar | None = None
        self._line: Any = None
        self._clock = clock
        self._total = total
        self._done = 0
        self._inside = 0
        self._phase = "samples"
        self._began = self._last = clock()
        self._name, self._sum, self._count = "", 0.0, 0

    def __enter__(self) -> Progress:
        if self._shown and self._notebook:
            display = import_module("IPython.display").display
            self._line = display({"text/plain": self.text()}, raw=True, display_id=True)
        elif self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar
            from rich.table import Column

            console = Console(stderr=True)
            one_line = Column(no_wrap=True, overflow="ellipsis")
            self._bar = Bar(
                BarColumn(bar_width=20),
                TextColumn("{task.description}", markup=False, table_column=one_line),
                console=console,
                transient=console.is_terminal,
            )
            self._bar.start()
            self._bar.add_task(self.text(), total=self._total or None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def phase(self, name: str) -> None:
        """Say what is being done: checking, clean rows, samples, metrics, intervals."""
        if name == "samples" != self._phase and not self._done:
            self._began = self._clock()  # rates are of samples, not of what came before them
        self._phase = name
        self._show()

    def expect(self, amount: int) -> None:
        """Add to how much work there is, where it turns out only as it is done."""
        self._total += amount
        self._show()

    @property
    def done(self) -> int:
        """How much is done, batches inside a block included."""
        return self._done + self._inside

    def advance(self, amount: int) -> None:
        """Count an amount of work as done, batches reported inside it included."""
        self._done += amount
        self._inside = max(0, self._inside - amount)  # workers report other blocks besides
        self._report()

    def batch(self, amount: int, values: Mapping[str, FloatArray] | None = None) -> None:
        """Report work inside a block, which `advance` will count when the block is done.

        Args:
            amount: how much.
            values: what was measured, as for `estimate`.
        """
        if values is not None:
            self.estimate(values)
        self._inside += amount
        if self._clock() - self._last >= _OFTEN:
            self._report()

    def estimate(self, values: Mapping[str, FloatArray]) -> None:
        """Add to the running mean of the first metric, if it is one number a row.

        Args:
            values: metric name -> values of some samples, [N] or [N, k].
        """
        name, first = next(iter(values.items()))
        if first.ndim == 1:
            self._name = name
            self._sum, self._count = self._sum + float(first.sum()), self._count + len(first)

    def text(self) -> str:
        """The line that is shown: phase, amount, rate, time left and running mean."""
        done = min(self._done + self._inside, self._total)
        if not self._total:
            return self._phase
        parts = [f"{self._phase} {done:,}/{self._total:,}"]
        passed = self._clock() - self._began
        if done and passed > 0:
            rate = done / passed
            parts += [f"{rate:,.3g}/s" if rate < 100 else f"{rate:,.0f}/s"]
            if done < self._total:
                parts += [f"{_duration((self._total - done) / rate)} left"]
        if self._count:
            parts += [f"{self._name} {self._sum / self._count:.4g} so far"]
        return ", ".join(parts)

    def _report(self) -> None:
        self._last = self._clock()
        self._show()
        if self._call is not None:
            self._call(min(self._done + self._inside, self._total), self._total)

    def _show(self) -> None:
        if self._bar is not None:
            done = self._done + self._inside
            self._bar.update(
                self._bar.task_ids[0],
                completed=done,
                total=self._total or None,
                description=self.text(),
            )
        if self._line is not None:
            self._line.update({"text/plain": self.text()}, raw=True)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this process."""
    if "IPython" not in sys.modules:
        return False
    return hasattr(import_module("IPython").get_ipython(), "kernel")


def _duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: 1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
