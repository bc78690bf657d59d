"""Parts of a tensor along an axis: taking them out, and putting the tensor together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch


@dataclass(frozen=True)
class Share:
    """One of several equal parts that together are the whole axis."""

    index: int
    count: int


@dataclass(frozen=True)
class RowPosition:
    """Each row's own position (or positions), held in a dataset field."""

    field: str


Where: TypeAlias = int | slice | tuple[int, ...] | Share | RowPosition
"""Where a part lies. An int takes one place and drops the axis, as indexing does."""


def places(where: Where, size: int) -> list[int]:
    """The places of a static part on an axis of this size, in the part's own order.

    Raises:
        ValueError: the axis cannot be cut so, or is too short.
    """
    if isinstance(where, Share):
        if size % where.count:
            raise ValueError(f"an axis of size {size} cannot be cut into {where.count} equal parts")
        step = size // where.count
        return list(range(where.index * step, (where.index + 1) * step))
    if isinstance(where, slice):
        return list(range(size))[where]
    if isinstance(where, RowPosition):
        raise TypeError("a row's own position is no fixed place")
    wanted = [where] if isinstance(where, int) else list(where)
    for place in wanted:
        if not -size <= place < size:
            raise ValueError(f"an axis of size {size} has no place {place}")
    return [place % size for place in wanted]


@dataclass(frozen=True)
class Take:
    """A part of the first argument; the second is the rows' positions where the part needs them.

    Attributes:
        axis: the axis of the whole tensor, batch included.
        where: the part.
        size: the size the axis must have, if the parts were chosen to cover just that.
    """

    axis: int
    where: Where
    size: int | None = None

    def __call__(self, whole: torch.Tensor, *positions: torch.Tensor) -> torch.Tensor:
        if isinstance(self.where, RowPosition):
            return _take_rows(whole, self.axis, positions[0])
        size = whole.shape[self.axis]
        if self.size is not None and size != self.size:
            raise ValueError(
                f"axis {self.axis} had size {self.size} when it was split and has {size} here; "
                "split with rest= to allow other sizes"
            )
        return pick(whole, self.axis, self.where)


def pick(whole: torch.Tensor, axis: int, where: Where) -> torch.Tensor:
    """A static part of a tensor."""
    found = places(where, whole.shape[axis])
    if isinstance(where, int):
        return whole.select(axis, found[0])
    if found and found == list(range(found[0], found[0] + len(found))):
        return whole.narrow(axis, found[0], len(found))
    return whole.index_select(axis, torch.tensor(found, device=whole.device, dtype=torch.long))


@dataclass(frozen=True)
class Rest:
    """The whole tensor, of which other parts will overwrite their places.

    Attributes:
        axis: the axis that was split.
        parts: the static parts that will overwrite theirs.
    """

    axis: int
    parts: tuple[Where, ...]

    def __call__(self, whole: torch.Tensor) -> torch.Tensor:
        return whole

    def kept(self, whole: torch.Tensor) -> torch.Tensor:
        """What is not overwritten."""
        return pick(whole, self.axis, uncovered(self.parts, whole.shape[self.axis]))


def uncovered(parts: Sequence[Where], size: int) -> tuple[int, ...]:
    """The places of an axis that no static part has."""
    taken = {p for w in parts if not isinstance(w, RowPosition) for p in places(w, size)}
    return tuple(place for place in range(size) if place not in taken)


@dataclass(frozen=True)
class Join:
    """Parts put together into the whole tensor.

    Arguments are the rest, if there is one, the parts in order, and the positions of those parts
    that lie at each row's own, in order.

    Attributes:
        axis: the axis of the whole tensor.
        parts: where each part lies.
        rest: whether the first argument is a whole tensor that the parts overwrite.
    """

    axis: int
    parts: tuple[Where, ...]
    rest: bool

    def __call__(self, *values: torch.Tensor) -> torch.Tensor:
        count = len(self.parts) + self.rest
        rows = max(len(value) for value in values)
        full = [_rows(value, rows) for value in values[:count]]
        if not self.rest:
            return self._concatenate(full)
        positions = iter(values[count:])
        out = full[0].clone()
        for where, part in zip(self.parts, full[1:], strict=True):
            if isinstance(where, RowPosition):
                out = _put_rows(out, self.axis, next(positions), part)
            else:
                found = places(where, out.shape[self.axis])
                index = torch.tensor(found, device=out.device, dtype=torch.long)
                fitted = part.unsqueeze(self.axis) if isinstance(where, int) else part
                out = out.index_copy(self.axis, index, fitted)
        return out

    def _concatenate(self, parts: list[torch.Tensor]) -> torch.Tensor:
        axis = self.axis
        wide = [
            part.unsqueeze(axis) if isinstance(where, int) else part
            for where, part in zip(self.parts, parts, strict=True)
        ]
        whole = torch.cat(wide, axis)
        order = [p for where in self.parts for p in places(where, whole.shape[axis])]
        if order == list(range(len(order))):
            return whole
        back = sorted(range(len(order)), key=order.__getitem__)
        return whole.index_select(axis, torch.tensor(back, device=whole.device))


def _rows(value: torch.Tensor, rows: int) -> torch.Tensor:
    return value if len(value) == rows else value.expand(rows, *value.shape[1:])


def _take_rows(whole: torch.Tensor, axis: int, positions: torch.Tensor) -> torch.Tensor:
    moved = _rows(whole, max(len(whole), len(positions))).movedim(axis, 1)
    index = _checked(positions, moved.shape[1])
    found = moved[_row_numbers(index), index]
    return found if index.ndim == 1 else found.movedim(1, axis)


def _put_rows(
    whole: torch.Tensor, axis: int, positions: torch.Tensor, part: torch.Tensor
) -> torch.Tensor:
    moved = whole.movedim(axis, 1)
    index = _checked(positions, moved.shape[1])
    value = part if index.ndim == 1 else part.movedim(axis, 1)
    return moved.index_put((_row_numbers(index), index), value).movedim(1, axis)


def _row_numbers(index: torch.Tensor) -> torch.Tensor:
    rows = torch.arange(len(index), device=index.device)
    return rows if index.ndim == 1 else rows[:, None]


def _checked(positions: torch.Tensor, size: int) -> torch.Tensor:
    index = positions.long()
    if ((index < -size) | (index >= size)).any():
        raise ValueError(f"a row's own position lies outside the axis, which has size {size}")
    return index % size
