"""Where the table of clean activations is: the device, main memory, a file; within a budget."""

from __future__ import annotations

import math
import shutil
import tempfile
from dataclasses import dataclass, replace
from typing import Final

import torch

from causal_scrubbing._engine.memory import Budget, enough, show_bytes
from causal_scrubbing._engine.storage import Storage
from causal_scrubbing._engine.table import SLOT, Column, dense
from causal_scrubbing._engine.working import Need
from causal_scrubbing._errors import ScrubError

_HOST: Final = torch.device("cpu")


def _expected(columns: tuple[Column, ...], n: int, samples: int | None) -> float:
    """Bytes of the table once these samples are drawn, if draws are spread evenly over n rows."""
    return sum(c.bytes * _touched(n, samples, len(c.variables)) for c in columns)


def _touched(n: int, samples: int | None, variables: int) -> float:
    return n if samples is None else n * -math.expm1(-samples * variables / n)


def reserve(n: int, samples: int | None, variables: int) -> int:
    """Rows to make room for at first: a few standard deviations more than are expected."""
    if samples is None:
        return 0
    expected = _touched(n, samples, variables)
    return min(n, math.ceil(expected + 4 * math.sqrt(expected)))


@dataclass(frozen=True)
class Place:
    """Where the table is.

    Attributes:
        storage: the place.
        most: bytes the table may take there.
        index_bytes: what finding rows in it takes.
        notes: choices made, in words.
        spare: where else it may be, and how large, should memory or the disk run out.
    """

    storage: Storage
    most: float
    index_bytes: float
    notes: tuple[str, ...] = ()
    spare: tuple[tuple[Storage, float], ...] = ()


@dataclass(frozen=True)
class Choice:
    """What the place of the table is chosen by; see `lay_out`."""

    rows: int
    budget: Budget
    device: torch.device
    store: str
    store_dtype: torch.dtype | None
    samples: int | None

    def is_tight(self, columns: tuple[Column, ...], need: Need) -> bool:
        """Whether the device does not hold all activations that are expected to be needed."""
        room = self.budget.device - need.reserved(self.budget.device)
        if _expected(columns, self.rows, self.samples) > room:
            return True
        return self.least(columns, need) > self.budget.device

    def least(self, columns: tuple[Column, ...], need: Need) -> float:
        """The smallest budget that one sample can be run in."""
        return need.least + self._smallest(columns)

    def _smallest(self, columns: tuple[Column, ...]) -> float:
        """What one sample takes of the device besides a batch."""
        index = _index(columns, self.rows)
        if self.store == "disk":
            return index if self.device.type == "cpu" else 0.0
        whole = sum(c.bytes for c in columns) * self.rows
        return min(whole, index + _one(columns))

    def settle(self, columns: tuple[Column, ...], need: Need) -> Need:
        """What batches take, which is no more than they must where the table needs the rest."""
        room = self.budget.device - need.reserved(self.budget.device)
        return replace(need, share=0.0) if self._smallest(columns) > room else need

    def place(self, columns: tuple[Column, ...], need: Need) -> Place:
        """Where the table is.

        Raises:
            ScrubError: there is no room for it, saying what would do.
        """
        n, device = self.rows, self.device
        notes = []
        if self.store_dtype is not None:
            notes.append(
                f"activations are stored as {str(self.store_dtype).removeprefix('torch.')}"
            )
        here = Storage(device, False, self.store_dtype)
        host = Storage(_HOST, False, self.store_dtype)
        file = Storage(_HOST, True, self.store_dtype)
        room = self.budget.device - need.reserved(self.budget.device)
        index, expected = _index(columns, n), _expected(columns, n, self.samples)
        least, one = self.least(columns, need), _one(columns)
        away = self.budget.host - index
        on_host = device.type != "cpu" and one <= away
        self._check(need.least if on_host else least)
        if self.store == "disk":
            return Place(file, math.inf, index, (*notes, "the table is a file"))
        spare = ((host, away),) if on_host else ()
        if dense(columns, n, room):
            return Place(here, room, 0.0, tuple(notes), spare)
        if expected + index <= room:
            return Place(here, room - index, index, tuple(notes), spare)
        if on_host and (expected <= away or least > self.budget.device):
            notes.append("the table is in main memory: the device's budget does not hold it")
            return Place(host, away, index, tuple(notes))
        if self.store == "auto" and self.samples is not None:
            again = _recomputing(columns, n, self.samples, room - index)
            free = shutil.disk_usage(tempfile.gettempdir()).free
            if again > 2 and free > 2 * expected:
                notes.append(
                    f"the table is a file: in memory alone, clean rows would be run {again:.1f} "
                    "times"
                )
                return Place(file, math.inf, index, tuple(notes), ((here, room - index),))
        notes.append("samples are run in blocks whose table fits the budget")
        return Place(here, room - index, index, tuple(notes), spare)

    def _check(self, least: float) -> None:
        if least > self.budget.device:
            raise ScrubError(
                f"memory: one sample needs {enough(least)} of activations, with what finding them "
                f"takes, and the budget is {show_bytes(self.budget.device)}. Raise memory= to "
                f"'{enough(least)}' or more, claim nodes with smaller values, or use fewer rows."
            )


def _index(columns: tuple[Column, ...], n: int) -> float:
    """Bytes of the numbers that say where in the table each row is."""
    return float(SLOT * n * sum(column.bytes > 0 for column in columns))


def _one(columns: tuple[Column, ...]) -> float:
    """Bytes that one sample reads off the table."""
    return sum(column.bytes * len(column.variables) for column in columns)


def _recomputing(columns: tuple[Column, ...], n: int, samples: int, most: float) -> float:
    """How often a needed clean row is evaluated if samples are cut into blocks that fit."""
    low, high = 1, samples
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _expected(columns, n, middle) <= most else (low, middle - 1)
    blocks = math.ceil(samples / low)
    return blocks * _expected(columns, n, low) / _expected(columns, n, samples)
