"""How a value in a scrubbed sample differs from the clean one: nowhere, at some positions, all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Request:
    """Positions of a value that are wanted.

    Attributes:
        axis: which axis positions are counted along.
        positions: which, sorted.
    """

    axis: int
    positions: tuple[int, ...]


Wanted = Request | None
"""A request, or None for the whole value."""


@dataclass(frozen=True, eq=False)
class Same:
    """The clean value."""


@dataclass(frozen=True, eq=False)
class Part:
    """The clean value, but for some positions.

    Attributes:
        axis: which axis positions are counted along.
        positions: those that may differ.
        allowed: of weights of attention, which of the other axis each position may read, bools
            [positions, read]; None where that is not known.
    """

    axis: int
    positions: frozenset[int]
    allowed: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of attention before their softmax, [..., positions, read].

    Attributes:
        rows: positions whose own part may differ.
        columns: positions read whose part may differ.
        allowed: which of them each position may read, where scores have been masked.
        is_masked: whether they have been.
    """

    rows: frozenset[int]
    columns: frozenset[int]
    allowed: torch.Tensor | None = None
    is_masked: bool = False


@dataclass(frozen=True, eq=False)
class Whole:
    """A value that may differ everywhere.

    Attributes:
        because: the operation that is not known to keep positions apart, where it was given a value
            that differed at some; empty where the value was swapped as a whole.
    """

    because: str = ""


State = Same | Part | Scores | Whole


def part(axis: int, positions: Iterable[int], allowed: torch.Tensor | None = None) -> State:
    """The state of a value that differs at these positions."""
    found = frozenset(positions)
    return Part(axis, found, allowed) if found else Same()


def readers(allowed: torch.Tensor | None, columns: frozenset[int], size: int) -> frozenset[int]:
    """The positions that read any of these, where `size` is how many there are in all."""
    if not columns:
        return frozenset()
    if allowed is None:
        return frozenset(range(size))
    read = [0] if allowed.shape[1] == 1 else sorted(columns)
    some = allowed[:, read].any(dim=1).expand(size)
    return frozenset(int(i) for i in some.nonzero().flatten())


def union(one: Wanted, other: Wanted, size: int) -> Wanted:
    """What serves two requests of a value, where both axes are of this size."""
    if one is None or other is None or one.axis != other.axis:
        return None
    found = tuple(sorted({*one.positions, *other.positions}))
    return None if len(found) >= size else Request(one.axis, found)
