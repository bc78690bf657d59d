"""What a graph knows of the model it was captured from."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """The model behind a graph's nodes."""

    def check(self) -> None:
        """Raise where the model is not what it was when the graph was made."""
