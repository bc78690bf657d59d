"""The model a graph was captured from: what it was then, and whether it still is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import torch

from causal_scrubbing._capture.foreign import foreign_hooks, leftover
from causal_scrubbing._capture.modes import random_modules
from causal_scrubbing._errors import GraphError
from causal_scrubbing._format import listed

SAMPLED: Final = 64
"""Entries of each tensor that are looked at: a change in place may leave no other trace."""


@dataclass(frozen=True)
class Trace:
    """What one weight is recognised by.

    Attributes:
        shape: its shape, dtype and device, in words.
        place: where its memory is; None if runs of the model move it.
        version: how often it was written to, as torch counts; None if runs of the model write.
        digest: a hash of some of its entries.
    """

    shape: str
    place: int | None
    version: int | None
    digest: str

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Trace:
        """What a tensor is now."""
        local: Any = tensor.detach()
        if hasattr(local, "to_local"):  # a shard
            local = local.to_local()
        shape = f"{list(tensor.shape)} {tensor.dtype} {tensor.device}"
        plain = local.layout == torch.strided and not local.is_quantized
        if local.device.type == "meta" or not plain:
            return cls(shape, None, None, "")
        version = None if tensor.is_inference() else tensor._version
        return cls(shape, local.data_ptr(), version, digest(local))


def digest(tensor: torch.Tensor) -> str:
    """A hash of at most 64 entries, spread over a tensor, and of its shape and type."""
    found = blake2b(f"{list(tensor.shape)}{tensor.dtype}".encode(), digest_size=8)
    if tensor.numel() and tensor.is_contiguous():
        flat = tensor.detach().view(-1)
        step = max(1, len(flat) // SAMPLED)
        taken = torch.cat([flat[::step][:SAMPLED], flat[-1:]]).cpu().contiguous()
        found.update(taken.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name."""
    return {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }


class Model:
    """The model behind a graph, and what it was when the graph was made.

    Args:
        model: the model.
        used: ids of the weights that the graph reads; all if None.
        runs: whether the graph's nodes run the model itself.
        before: traces of the weights from before the capture ran the model.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        used: Collection[int] | None,
        *,
        runs: bool,
        before: Mapping[str, Trace],
    ) -> None:
        self.model = model
        self.runs = runs
        weights = weights_of(model)
        self.names = frozenset(weights)
        self.traces = {
            name: _steady(before[name], Trace.of(tensor))
            for name, tensor in weights.items()
            if used is None or id(tensor) in used
        }
        self.hooks = _marks(model)

    def check(self) -> None:
        """The model is still what it was.

        Raises:
            GraphError: its weights, modules or hooks have changed; says which.
        """
        now = weights_of(self.model)
        again = "The graph is of the model as it was: capture it again."
        gone = sorted(self.names - now.keys())
        new = sorted(now.keys() - self.names)
        if gone or new:
            what = " and ".join(
                f"{listed(list(map(repr, names)), 4)} {word}"
                for names, word in ((gone, "went"), (new, "came"))
                if names
            )
            raise GraphError(
                f"the model's weights are not those of the capture any more: {what}, as where "
                f"adapters are added, merged or taken off. {again}"
            )
        changed = {
            name: how
            for name, trace in self.traces.items()
            if (how := _difference(trace, Trace.of(now[name])))
        }
        if changed:
            shown = listed([f"{name!r} {how}" for name, how in changed.items()], 4)
            raise GraphError(
                f"the model's weights have changed since the graph was captured: {shown}. {again}"
            )
        added = [one for one in foreign_hooks(self.model) if (one[0], id(one[1])) not in self.hooks]
        if added:
            raise GraphError(f"since the graph was captured, {leftover(added)}")
        if self.runs and (random := random_modules(self.model)):
            raise GraphError(
                f"the model is in training mode now, where {listed(list(map(repr, random)), 4)} "
                "would draw random numbers or mix rows; the nodes of this graph run the model "
                "itself. Call model.eval()."
            )


def _marks(model: torch.nn.Module) -> frozenset[tuple[str, int]]:
    return frozenset((path, id(hook)) for path, hook in foreign_hooks(model))


def _steady(before: Trace, after: Trace) -> Trace:
    """What runs of the model leave as it was."""
    return Trace(
        after.shape,
        after.place if before.place == after.place else None,
        after.version if before.version == after.version else None,
        after.digest if before.digest == after.digest else "",
    )


def _difference(was: Trace, now: Trace) -> str:
    """How a weight differs from what it was, in words; nothing if it does not."""
    if was.shape != now.shape:
        return f"was {was.shape} and is {now.shape}"
    if was.place is not None and was.place != now.place:
        return "was replaced"
    if was.version is not None and was.version != now.version:
        return "was written to"
    return "was written to" if was.digest and was.digest != now.digest else ""
