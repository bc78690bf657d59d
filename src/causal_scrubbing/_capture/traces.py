"""What a model's weights are recognised by."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import torch

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


def steady(before: Trace, after: Trace) -> Trace:
    """What runs of the model leave as it was."""
    return Trace(
        after.shape,
        after.place if before.place == after.place else None,
        after.version if before.version == after.version else None,
        after.digest if before.digest == after.digest else "",
    )


def difference(was: Trace, now: Trace) -> str:
    """How a weight differs from what it was, in words; nothing if it does not."""
    if was.shape != now.shape:
        return f"was {was.shape} and is {now.shape}"
    if was.place is not None and was.place != now.place:
        return "was replaced"
    if was.version is not None and was.version != now.version:
        return "was written to"
    return "was written to" if was.digest and was.digest != now.digest else ""
