"""Several tensors as one, without loss: what a node passes on when its value is a tuple."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

import torch

_TYPES: Final = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.complex64, torch.complex128,
)  # fmt: skip
_INT: Final = 8


@dataclass(frozen=True)
class Pack:
    """Tensors of any types and shapes, batch first, to their bytes: uint8 [batch, bytes].

    Each row says type and shape of its parts first, so that `Unpack` needs to be told nothing.
    Gradients do not pass.
    """

    def __call__(self, *parts: torch.Tensor) -> torch.Tensor:
        batch = max(len(part) for part in parts)
        columns = []
        for part in parts:
            whole = part if len(part) == batch else part.expand(batch, *part.shape[1:])
            shape = list(whole.shape[1:])
            header = torch.tensor([_TYPES.index(whole.dtype), len(shape), *shape])
            columns.append(header.view(torch.uint8).to(whole.device).expand(batch, -1))
            flat = whole.detach().reshape(batch, prod(shape)).contiguous()
            if flat.numel():
                columns.append(flat.view(torch.uint8))
        return torch.cat(columns, dim=1)


@dataclass(frozen=True)
class Unpack:
    """One of the tensors that a `Pack` holds.

    Attributes:
        index: its position.
    """

    index: int

    def __call__(self, packed: torch.Tensor) -> torch.Tensor:
        row = packed[0].cpu()
        at = 0
        for i in range(self.index + 1):
            code, ndim = _read(row, at, 2)
            shape = _read(row, at + 2 * _INT, ndim)
            kind = _TYPES[code]
            at += (2 + ndim) * _INT
            size = prod(shape) * torch.empty((), dtype=kind).element_size()
            if i == self.index:
                if not size:
                    return torch.empty((len(packed), *shape), dtype=kind, device=packed.device)
                part = packed[:, at : at + size].clone(memory_format=torch.contiguous_format)
                return part.view(kind).reshape(len(packed), *shape)
            at += size
        raise AssertionError("a packed value has the parts that were packed")


def _read(row: torch.Tensor, at: int, count: int) -> list[int]:
    numbers: list[int] = row[at : at + count * _INT].clone().view(torch.int64).tolist()
    return numbers
