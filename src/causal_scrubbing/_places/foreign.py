"""Hooks that a model carries already, which become part of what it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

_KINDS: Final = ("_forward_hooks", "_forward_pre_hooks")
_LIBRARIES: Final = ("torch", "accelerate", "causal_scrubbing")


def foreign_hooks(model: torch.nn.Module) -> list[tuple[str, Any]]:
    """Forward hooks as (path of the module, function), those of torch and accelerate left out."""
    return [
        (path, hook)
        for path, module in model.named_modules()
        for kind in _KINDS
        for hook in getattr(module, kind, {}).values()
        if not _is_known(hook)
    ]


def _is_known(hook: Any) -> bool:
    """Whether a hook is how a library makes a module what it is: sharding, old weight norms."""
    home = getattr(hook, "__module__", None) or type(hook).__module__
    return str(home).partition(".")[0] in _LIBRARIES


def leftover(hooks: Sequence[tuple[str, Any]]) -> str:
    """The notice of hooks found on a model that is captured."""
    shown = "; ".join(f"{path or 'the model'!r}: {_named(hook)}" for path, hook in hooks[:4])
    more = f" and {len(hooks) - 4} more" if len(hooks) > 4 else ""
    noun = "a forward hook" if len(hooks) == 1 else f"{len(hooks)} forward hooks"
    return (
        f"the model carries {noun} ({shown}{more}), and the graph computes what the model does "
        "with it. Remove hooks left over from earlier work with handle.remove(), then capture "
        "again."
    )


def _named(hook: Any) -> str:
    code = getattr(hook, "__code__", None)
    name = getattr(hook, "__qualname__", type(hook).__name__)
    return name if code is None else f"{name}, line {code.co_firstlineno} of {code.co_filename}"
