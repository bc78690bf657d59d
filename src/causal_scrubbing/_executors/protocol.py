"""What an executor is: something that opens workers, which turn blocks into values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, runtime_checkable

Block: TypeAlias = tuple[int, int]
"""The first sample of a block, and one past its last."""

Tell: TypeAlias = Callable[[str, int], None]
"""Called with what a worker is doing, and how many more samples inside a block are done."""

SHARED = "CAUSAL_SCRUBBING_SHARED"
"""Variable of the environment that names a folder in memory to the workers of one machine."""

TRIES = 3
"""How often a block is tried before its fault is the run's."""


def quiet(phase: str, samples: int) -> None:
    """Tell nobody."""


class Workers(Protocol):
    """Workers that hold the model and the clean activations until they are closed."""

    def compute(
        self, blocks: Sequence[Block], *, request: bytes = b"", tell: Tell = quiet
    ) -> Iterator[tuple[Block, Any]]:
        """The value of each block, in the order in which they are finished.

        Args:
            blocks: what to compute.
            request: what of them, where the work takes requests; each worker is given it with
                every block, and keeps what serves several requests.
            tell: may be called with what workers say of blocks that are not finished.

        Raises:
            ScrubError: a block failed for a reason of its own, or its workers died each time.
        """
        ...


@runtime_checkable
class Executor(Protocol):
    """Opens workers for a run."""

    def open(self, work: bytes) -> AbstractContextManager[Workers]:
        """Start workers on some work.

        Args:
            work: made by `packed`. ``causal_scrubbing._executors.load(work)`` makes the
                function (low, high, request, tell) that gives the value of a block; it is called
                once in each worker.
        """
        ...
