"""Rows grouped by equal feature values: the equivalence classes that draws stay within."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._errors import DataError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Classes:
    """A partition of the n rows of a dataset into classes of equal feature value.

    Attributes:
        ids: class of each row, int64 [n], values 0 .. count - 1, none unused.
        count: number of classes.
        weights: weight of each row, float64 [n], summing to one; None where uniform.
    """

    ids: Ints
    count: int
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def order(self) -> Ints:
        """Row indices sorted by class, row order kept within each class."""
        if self.count == 1:
            return np.arange(len(self.ids))
        # numpy's stable sort is a radix sort on 16-bit integers, several times faster.
        keys = self.ids.astype(np.uint16) if self.count <= 2**16 else self.ids
        return np.argsort(keys, kind="stable")

    @cached_property
    def sizes(self) -> Ints:
        """Number of rows in each class, [count]."""
        return np.bincount(self.ids, minlength=self.count)

    @cached_property
    def starts(self) -> Ints:
        """Where each class begins in `order`, [count]."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    @cached_property
    def mass(self) -> Floats:
        """Weight of each class, [count]."""
        if self.weights is None:
            return np.asarray(self.sizes / len(self.ids), dtype=np.float64)
        mass = np.bincount(self.ids, weights=self.weights, minlength=self.count)
        return np.asarray(mass, dtype=np.float64)

    @cached_property
    def cumulative(self) -> Floats:
        """Running weight along `order`, starting again in each class, [n]."""
        if self.weights is None:
            raise AttributeError("uniform classes need no cumulative weights")
        running = np.cumsum(self.weights[self.order])
        before = np.concatenate([[0.0], running])[self.starts]
        return np.asarray(running - before[self.ids[self.order]], dtype=np.float64)

    @cached_property
    def digest(self) -> str:
        """A hash of the partition (not of how its classes are numbered)."""
        _, first = np.unique(self.ids, return_index=True)
        canonical = first[self.ids].astype(np.int64)
        return blake2b(canonical.tobytes(), digest_size=16).hexdigest()

    @property
    def is_exact(self) -> bool:
        """Whether every class has one row, so that a draw can only be the row itself."""
        return self.count == len(self.ids)

    @cached_property
    def is_uniform_within(self) -> bool:
        """Whether the rows of each class weigh the same."""
        if self.weights is None:
            return True
        first = self.weights[self.order[self.starts]]
        return bool((self.weights == first[self.ids]).all())

    @cached_property
    def places(self) -> Ints:
        """Each row's place among the rows of its class, [n]."""
        places = np.empty(len(self.ids), dtype=np.int64)
        places[self.order] = np.arange(len(self.ids)) - self.starts[self.ids[self.order]]
        return places

    @property
    def one_row_share(self) -> float:
        """Share of the data (by weight) whose class has one row."""
        alone = self.sizes == 1
        if self.weights is None or alone.all() or not alone.any():
            return int(alone.sum()) / len(self.ids)
        return float(self.mass[alone].sum())

    @property
    def self_draw_chances(self) -> Floats:
        """Chance that the row drawn for each row is that row: w_i / (weight of i's class), [n]."""
        if self.weights is None:
            return np.asarray(1 / self.sizes[self.ids], dtype=np.float64)
        return np.asarray(self.weights / self.mass[self.ids], dtype=np.float64)

    @property
    def self_draw_share(self) -> float:
        """Chance that a draw is the row itself: the sum of w_i^2 / (weight of i's class)."""
        if self.weights is None:
            return self.count / len(self.ids)
        return float((self.weights**2 / self.mass[self.ids]).sum())

    def refines(self, other: Classes) -> bool:
        """Whether rows that agree here always agree in `other`."""
        joint = _number(self.ids * np.int64(other.count) + other.ids)[1]
        return joint == self.count

    def pick(self, rows: Ints, uniforms: Floats, *, self_draws: bool = True) -> Ints:
        """One row for each given row, from its class, by cumulative weight in row order.

        Args:
            rows: the rows to agree with, int64 [N].
            uniforms: numbers in [0, 1), float64 [N].
            self_draws: whether the row may be the given one. If not, a row alone in its class
                still is itself, and rows of one class must weigh the same.
        """
        classes = self.ids[rows]
        starts, sizes = self.starts[classes], self.sizes[classes]
        if not self_draws:
            others = sizes - 1
            step = np.minimum((uniforms * others).astype(np.int64), np.maximum(others - 1, 0))
            step += (step >= self.places[rows]) & (others > 0)
            return self.order[starts + step]
        if self.weights is None:
            step = np.minimum((uniforms * sizes).astype(np.int64), sizes - 1)
            return self.order[starts + step]
        target = uniforms * self.mass[classes]
        low, high = starts.copy(), starts + sizes - 1
        while (open_ := low < high).any():
            # The first position in the class whose running weight exceeds the target.
            middle = (low + high) // 2
            right = open_ & (self.cumulative[middle] <= target)
            low = np.where(right, middle + 1, low)
            high = np.where(open_ & ~right, middle, high)
        return self.order[low]


def joint_classes(parts: Sequence[Classes], n: int, weights: Floats | None) -> Classes:
    """The classes of rows that agree in every part; one class if there is no part."""
    if not parts:
        return Classes(np.zeros(n, dtype=np.int64), 1, weights)
    ids, count = parts[0].ids, parts[0].count
    for part in parts[1:]:
        ids, count = _number(ids * np.int64(part.count) + part.ids)
    return Classes(ids, count, weights)


def classes_of_values(values: torch.Tensor | npt.NDArray[np.str_], n: int, what: str) -> Classes:
    """Group rows of equal value; several columns are compared as a tuple.

    Raises:
        DataError: the values are not one per row, or hold NaN.
    """
    if isinstance(values, np.ndarray):
        ids, count = _number(values.reshape(n, -1)[:, 0] if values.ndim > 1 else values)
        return Classes(ids, count)
    flat = values.detach().cpu().reshape(n, -1)
    if flat.is_complex():
        flat = torch.view_as_real(flat).reshape(n, -1)
    if flat.is_floating_point():
        if bool(torch.isnan(flat).any()):
            bad = int(torch.isnan(flat).any(dim=1).nonzero()[0, 0])
            raise DataError(
                f"{what} is NaN at row {bad}: NaN equals nothing, so its row has no class. "
                "Replace NaN by a value of its own, or drop those rows."
            )
        flat = flat.to(torch.float64) + 0.0  # -0.0 + 0.0 is 0.0
    if flat.shape[1] == 0:
        return Classes(np.zeros(n, dtype=np.int64), 1)
    return Classes(*number_rows(flat.numpy()))


def number_rows(table: npt.NDArray[np.generic]) -> tuple[Ints, int]:
    """Equal rows of a table, [n, columns], numbered alike from 0, and how many differ."""
    array = np.ascontiguousarray(table)
    if array.shape[1] == 1:
        return _number(array[:, 0])
    whole = array.view(np.dtype((np.void, array.dtype.itemsize * array.shape[1])))
    return _number(whole[:, 0])


def _number(values: npt.NDArray[np.generic]) -> tuple[Ints, int]:
    """Equal values numbered alike from 0 in rising order, and how many differ."""
    if values.dtype.kind in "biu" and len(values):
        low, high = int(values.min()), int(values.max())
        if high - low < max(2 * len(values), 1024) and low > -(2**62) and high < 2**62:
            # Integers close together are counted, which takes no sort.
            offsets = values.astype(np.int64) - low
            used = np.zeros(high - low + 1, dtype=bool)
            used[offsets] = True
            return (np.cumsum(used) - 1)[offsets], int(used.sum())
    unique, ids = np.unique(values, return_inverse=True)
    return ids.reshape(-1).astype(np.int64), len(unique)
