"""What one can say of strings of parentheses, as tensors with one row a string.

The model's algorithm, as the published analysis describes it, is right to left: a string is
balanced if it has as many "(" as ")" (the *count*), and if no suffix has more "(" than ")" (the
*horizon*: at no position is the share of "(" from there to the end above one half).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._strings import LONGEST, POSITIONS

AT_PAD, END_AFTER_OPEN, END_AFTER_CLOSE, ABOVE, NOT_ABOVE = 0, 1, 2, 3, 4


def signs(strings: Sequence[str]) -> Tensor:
    """Every string as int64 [n, 40]: +1 for "(", -1 for ")", 0 after its last parenthesis."""
    table = np.zeros((len(strings), LONGEST), dtype=np.int64)
    for row, string in enumerate(strings):
        table[row, : len(string)] = [1 if c == "(" else -1 for c in string]
    return torch.from_numpy(table)


def lengths(table: Tensor) -> Tensor:
    """How many parentheses each string has, int64 [n]."""
    return (table != 0).sum(dim=1)


def suffix_heights(table: Tensor) -> Tensor:
    """Opens less closes from each parenthesis to the end, int64 [n, 40]."""
    return table.flip(1).cumsum(dim=1).flip(1)


def equal_counts(table: Tensor) -> Tensor:
    """Whether there are as many opens as closes, bool [n]."""
    return table.sum(dim=1) == 0


def never_above(table: Tensor) -> Tensor:
    """Whether no suffix has more opens than closes, bool [n]."""
    return (suffix_heights(table) <= 0).all(dim=1)


def is_balanced(strings: Sequence[str]) -> Tensor:
    """Whether each string is balanced, bool [n]."""
    table = signs(strings)
    return equal_counts(table) & never_above(table)


def open_share(table: Tensor) -> Tensor:
    """The proportion of opens among a string's parentheses, float64 [n]."""
    return (table > 0).sum(dim=1).double() / lengths(table)


def open_share_if_open(table: Tensor) -> Tensor:
    """The proportion of opens if the string starts with one, and else -1, float64 [n]."""
    return torch.where(table[:, 0] > 0, open_share(table), -1.0)


def horizon_classes(table: Tensor, side_weights: Tensor | None = None) -> Tensor:
    """What each of the 42 positions can know of the horizon, int64 [n, 42].

    One of five classes: a pad; the end after an open or after a close; else whether the share of
    opens from here to the end is above one half or not (at the start: of the whole string).

    Args:
        table: signs [n, 40].
        side_weights: if given, [41, 42, 2]: for strings of each length, seen from each position,
            the weight of a parenthesis before the position and of one from it on. The share is
            then over all parentheses with these weights; without it, only those from here on
            count, and equally.
    """
    size = lengths(table)
    before = torch.nn.functional.pad(table.cumsum(dim=1), (1, 0))
    after = table.sum(dim=1, keepdim=True) - before
    seen = torch.arange(POSITIONS).sub(1).clamp(0, LONGEST).expand(len(table), POSITIONS)
    after, before = after.gather(1, seen), before.gather(1, seen)
    if side_weights is None:
        height = after.double()
    else:
        weights = side_weights[size].double()
        height = weights[..., 0] * before + weights[..., 1] * after
    classes = torch.where(height > 0, ABOVE, NOT_ABOVE)
    position = torch.arange(POSITIONS)
    last = table.gather(1, (size - 1).clamp(min=0)[:, None])
    end = torch.where(last > 0, END_AFTER_OPEN, END_AFTER_CLOSE)
    classes = torch.where(position == size[:, None] + 1, end, classes)
    return torch.where(position > size[:, None] + 1, AT_PAD, classes)


def no_position_above(classes: Tensor) -> Tensor:
    """Whether the horizon classes of a string hold no position above one half, bool [n]."""
    return ~((classes == ABOVE) | (classes == END_AFTER_OPEN)).any(dim=1)
