"""What a model's weights are recognised by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import torch

_AT_ONCE: Final = 2**24
"""Bytes summed at once, which bounds the memory of a copy."""
_ACROSS: Final = 1024
_SMALL: Final = 4096
"""Bytes up to which a tensor is hashed as it is."""


@dataclass(frozen=True)
class Trace:
    """What one weight is recognised by.

    Attributes:
        shape: its shape, dtype and device, in words.
        place: where its memory is; None if runs of the model move it.
        version: how often it was written to, as torch counts; None if runs of the model write.
        digest: a hash of sums over all of its entries.
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
    """A hash that any single changed bit of a tensor changes, and of its shape and type.

    The tensor is read as integers of eight bytes in rows of 1,024. What is hashed are the sums of
    the rows and those of the columns, modulo 2^64. Integers are added exactly, so that the hash is
    the same on every device and with any number of threads, and it costs about as much as reading
    the tensor once. It is made for accidents: whoever wants to can find other entries with the
    same sums.
    """
    found = blake2b(f"{list(tensor.shape)}{tensor.dtype}".encode(), digest_size=8)
    for part in _bytes_of(tensor.detach()):
        if len(part) <= _SMALL:
            found.update(part.cpu().numpy().tobytes())
            continue
        rows = len(part) // (8 * _ACROSS)
        words = part[: 8 * _ACROSS * rows].view(torch.int64).view(rows, _ACROSS)
        sums = torch.cat([words.sum(0), words.sum(1)]).cpu().numpy()
        found.update(sums.tobytes())
        found.update(part[8 * _ACROSS * rows :].cpu().numpy().tobytes())
    return found.hexdigest()


def _bytes_of(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The entries of a tensor as bytes, so many rows at a time; copied where they lie apart."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    tensor = tensor.resolve_neg()
    tensor = tensor.reshape(1) if not tensor.ndim else tensor
    if not tensor.numel():
        return
    width = tensor.element_size() * tensor.numel() // len(tensor)
    for rows in torch.split(tensor, max(1, _AT_ONCE // width)):
        part = rows.contiguous().view(-1).view(torch.uint8)
        yield part.clone() if part.storage_offset() % 8 else part


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
