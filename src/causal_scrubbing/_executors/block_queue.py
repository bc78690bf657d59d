"""Which blocks are waiting, which are worked on, and how often each was tried."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors.protocol import TRIES, Block


class BlockQueue:
    """The blocks of one call, handed out to workers that may die.

    Args:
        blocks: in the order in which they are handed out.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._waiting = deque(blocks)
        self._left = len(blocks)
        self._tries: dict[Block, int] = {}

    @property
    def unfinished(self) -> bool:
        """Whether a block is waiting or worked on."""
        return self._left > 0

    def take(self) -> Block | None:
        """The next block to compute, or None where all are handed out."""
        return self._waiting.popleft() if self._waiting else None

    def finish(self, block: Block) -> None:
        """A block is finished."""
        self._left -= 1

    def lost(self, block: Block) -> None:
        """The worker of a block died: the block waits again.

        Raises:
            ScrubError: that happened too often.
        """
        if self._again(block) >= TRIES:
            raise ScrubError(
                f"the worker that computed samples {block[0]} to {block[1] - 1} died "
                f"{TRIES} times, as when memory runs out. Give memory= or fewer workers."
            )

    def failed(self, block: Block, words: str, error: BaseException | None) -> None:
        """A block raised an error: it waits again.

        Raises:
            ScrubError: that happened too often.
        """
        if self._again(block) >= TRIES:
            raise ScrubError(f"{words} (tried {TRIES} times)") from error

    def _again(self, block: Block) -> int:
        self._tries[block] = self._tries.get(block, 0) + 1
        self._waiting.appendleft(block)
        return self._tries[block]
