"""What an executor is: something that opens workers, which turn blocks into values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, runtime_checkable

Block: TypeAlias = tuple[int, int]
"""The first sample of a block, and one past its last."""

TRIES = 3
"""How often a block is tried before its fault is the run's."""


class Workers(Protocol):
    """Workers that hold the model and the clean activations until they are closed."""

    def compute(self, blocks: Sequence[Block]) -> Iterator[tuple[Block, Any]]:
        """The value of each block, in the order in which they are finished.

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
                function that turns a block into its value; it is called once in each worker.
        """
        ...
