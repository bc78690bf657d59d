"""A no-op operator that carries a site's name through the export."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import torch

LIBRARY: Final = torch.library.Library("causal_scrubbing", "DEF")  # type: ignore[no-untyped-call]
LIBRARY.define("site(Tensor x, str name) -> Tensor")  # type: ignore[no-untyped-call]


def _copy(x: torch.Tensor, name: str) -> torch.Tensor:
    """What the operator does: an operator may not return its own argument, so it copies."""
    return x.clone()


torch.library.impl("causal_scrubbing::site", "CompositeExplicitAutograd", lib=LIBRARY)(_copy)
torch.library.register_fake("causal_scrubbing::site", _copy, lib=LIBRARY)

MARK: Final = torch.ops.causal_scrubbing.site.default
"""The operator as it stands in an exported graph."""

Handler = Callable[[torch.Tensor, str], torch.Tensor]
HANDLER: Final[ContextVar[Handler | None]] = ContextVar("site_handler", default=None)
"""What `site` does while a model is being captured; None at all other times."""


def site(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """Mark a tensor inside a forward so that `capture` makes it a node.

    Outside a capture it returns the tensor itself, so it may stay in the model's code::

        def forward(self, x):
            scores = cs.site(q @ k.transpose(-1, -2), f"a{self.index}.scores")
            return scores.softmax(-1) @ v

    Args:
        tensor: any tensor, batch first; use what is returned from here on.
        name: the node's name. One name met several times in a run gives ``name#0``, ``name#1``.
    """
    handler = HANDLER.get()
    return tensor if handler is None else handler(tensor, name)
