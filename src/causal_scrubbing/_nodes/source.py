"""What a graph knows of the model it was captured from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Source(Protocol):
    """The model behind a graph's nodes."""

    @property
    def is_sharded(self) -> bool:
        """Whether its weights are shared out over several processes."""
        ...

    def check(self) -> None:
        """Raise where the model is not what it was when the graph was made."""

    def save(self, graph: Any, folder: Path) -> None:
        """Write a graph of the model to a folder."""
