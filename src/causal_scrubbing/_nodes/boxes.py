"""Parts of a tensor over several axes at once: boxes of places, or any places of a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from causal_scrubbing._nodes.parts import Rest, Where, pick, places


@dataclass(frozen=True)
class Cells:
    """Places of several axes, numbered along all of them, the last axis fastest."""

    places: tuple[int, ...]


Box: TypeAlias = tuple[Where, ...] | Cells
"""A place, slice or list for each axis, or the places of a mask."""


def cells(where: Box, sizes: Sequence[int]) -> list[int]:
    """The places of a piece, numbered along all axes, in the piece's own order.

    Raises:
        ValueError: the axes have no such places.
    """
    if isinstance(where, Cells):
        return list(where.places)
    along = [places(one, size) for one, size in zip(where, sizes, strict=True)]
    if not all(along):
        return []
    grid = np.meshgrid(*along, indexing="ij")
    return [int(p) for p in np.ravel_multi_index(grid, tuple(sizes)).reshape(-1)]


def _flat(x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    """The tensor with the axes as one, the last."""
    count = len(axes)
    return x.movedim(tuple(axes), tuple(range(-count, 0))).flatten(-count)


def _unflat(x: torch.Tensor, axes: Sequence[int], sizes: Sequence[int]) -> torch.Tensor:
    whole = x.reshape(*x.shape[:-1], *sizes)
    return whole.movedim(tuple(range(-len(axes), 0)), tuple(axes))


@dataclass(frozen=True)
class TakeBox:
    """A piece of a tensor over several axes, of which the batch is none.

    Attributes:
        axes: the axes, rising.
        where: the piece. A place (an int) drops its axis; a mask's places become one axis.
        sizes: the sizes the axes must have; None where any will do.
    """

    axes: tuple[int, ...]
    where: Box
    sizes: tuple[int, ...] | None

    def __call__(self, whole: torch.Tensor) -> torch.Tensor:
        found = tuple(whole.shape[axis] for axis in self.axes)
        if self.sizes is not None and found != self.sizes:
            raise ValueError(
                f"axes {list(self.axes)} had sizes {list(self.sizes)} when they were split and "
                f"have {list(found)} here"
            )
        if isinstance(self.where, Cells):
            index = torch.tensor(self.where.places, device=whole.device)
            return _flat(whole, self.axes).index_select(-1, index).movedim(-1, self.axes[0])
        out = whole
        for axis, one in reversed(list(zip(self.axes, self.where, strict=True))):
            out = pick(out, axis, one)
        return out


@dataclass(frozen=True)
class RestOfBoxes(Rest):
    """The whole tensor, of which pieces over several axes will overwrite their places."""

    axes: tuple[int, ...] = ()
    boxes: tuple[Box, ...] = ()

    def kept(self, whole: torch.Tensor) -> torch.Tensor:
        """What is not overwritten."""
        sizes = [whole.shape[axis] for axis in self.axes]
        taken = {p for where in self.boxes for p in cells(where, sizes)}
        left = [p for p in range(int(np.prod(sizes))) if p not in taken]
        return _flat(whole, self.axes)[..., torch.tensor(left, device=whole.device).long()]


@dataclass(frozen=True)
class JoinBoxes:
    """Pieces over several axes put together into the whole tensor.

    Arguments are the rest, if there is one, and the pieces in order.

    Attributes:
        axes: the axes, rising.
        parts: where each piece lies.
        sizes: of the axes, where there is no rest to say them.
    """

    axes: tuple[int, ...]
    parts: tuple[Box, ...]
    sizes: tuple[int, ...] | None

    def __call__(self, *values: torch.Tensor) -> torch.Tensor:
        rows = max(len(value) for value in values)
        full = [v if len(v) == rows else v.expand(rows, *v.shape[1:]) for v in values]
        given = full if self.sizes is not None else full[1:]
        sizes = self.sizes or tuple(full[0].shape[axis] for axis in self.axes)
        index = [cells(where, sizes) for where in self.parts]
        flat = torch.cat(
            [self._piece(p, where) for p, where in zip(given, self.parts, strict=True)], -1
        )
        order = torch.tensor([p for found in index for p in found], device=flat.device)
        if self.sizes is None:
            out = _flat(full[0], self.axes).index_copy(-1, order, flat)
        else:
            out = flat.index_select(-1, order.argsort())
        return _unflat(out, self.axes, sizes)

    def _piece(self, part: torch.Tensor, where: Box) -> torch.Tensor:
        if isinstance(where, Cells):
            return part.movedim(self.axes[0], -1)
        wide = part
        for axis, one in zip(self.axes, where, strict=True):
            wide = wide.unsqueeze(axis) if isinstance(one, int) else wide
        return _flat(wide, self.axes)
