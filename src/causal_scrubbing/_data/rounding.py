"""Real numbers that differ by rounding alone: found where that is certain, and made one."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data.classes import Classes, Floats, Ints, number_rows
from causal_scrubbing._errors import DataError, Notice

STEPS: Final = {torch.float64: (1e-6, 1e-5)}
"""Distances, as a share of the range, within which values are taken as one, by their type."""

SINGLE: Final = (1e-6, 1e-5, 1e-4)
"""The same in single precision and below, where functions of large arguments lose more digits."""

SPLIT: Final = 0.9
"""Rounding has split classes where at most this share of them is left without it."""

ALONE: Final = 0.9
"""Share of rows alone in their class from which on a real-valued feature gets a notice."""

FEW: Final = 20
"""Rows below which it does not: of a few rows, each may well be a class of its own."""

_CHUNK: Final = 2**22

WAYS_OUT: Final = (
    "cs.rounded({0}, decimals=6) rounds it, cs.bins({0}, width=...) and cs.quantiles({0}, 10) "
    "make wider classes, and cs.distinct({0}) says that every different number is meant"
)


def check_real(values: torch.Tensor, classes: Classes, name: str) -> None:
    """Look at the classes of a feature that gives real numbers.

    Args:
        values: the feature's values, [n, ...].
        classes: the classes of exactly equal values.
        name: the feature's name.

    Raises:
        DataError: rounding has split classes.
    """
    flat = values.detach().reshape(len(values), -1)
    if not flat.is_floating_point() or flat.shape[1] == 0:
        return
    found = rounding_classes(flat, classes.count)
    ways = WAYS_OUT.format(name if name.isidentifier() else "f")
    if found is not None:
        raise DataError(
            f"feature {name!r} has {classes.count} classes of exactly equal numbers, but only "
            f"{found[1]} where numbers closer than {found[0]:.0e} of their range are one: rounding "
            f"has split its classes, so that rows which should agree do not. {ways}."
        )
    alone = int((classes.sizes == 1).sum())
    if len(values) >= FEW and alone >= ALONE * len(values) and not _are_integers(_double(flat)):
        warnings.warn(
            f"feature {name!r} holds real numbers, and {alone} of {len(values)} rows are alone in "
            f"their class: a draw there is nearly always the row itself, so that the claim is "
            f"hardly tested. {ways}.",
            Notice,
            stacklevel=2,
        )


def rounding_classes(values: torch.Tensor, count: int) -> tuple[float, int] | None:
    """The distance within which values differ by rounding alone, and the classes without it.

    Values closer than a small share of the range are taken as one, at two or three such shares. If
    two in a row give the same number of classes, then nothing lies between rounding and true
    differences; if that is at most 90% of the number of exactly equal values, rounding has split
    classes.

    Args:
        values: numbers, [n, columns].
        count: how many classes of exactly equal values they have.

    Returns:
        The distance, as a share of the range, and the number of classes; None if rounding has
        split none, or nothing tells it from true differences.
    """
    steps = STEPS.get(values.dtype, SINGLE)
    flat = _double(values)
    if _are_integers(flat):
        return None
    known = _count(flat, steps[-1])
    if known > SPLIT * count:
        return None
    for step in steps[-2::-1]:
        found = _count(flat, step)
        if found > SPLIT * count:
            return None
        if found == known:
            return step, found
        known = found
    return None


def settle(values: torch.Tensor) -> Floats:
    """Numbers in double precision, those that differ by rounding alone made one.

    Args:
        values: numbers, [n, columns].
    """
    flat = _double(values)
    if not values.is_floating_point():
        return flat
    found = rounding_classes(values, number_rows(flat)[1])
    if found is None:
        return flat
    settled = np.empty_like(flat)
    for column in range(flat.shape[1]):
        groups = _groups(flat[:, column : column + 1], found[0])[:, 0]
        lowest = np.full(groups.max() + 1, np.inf)
        highest = np.full(groups.max() + 1, -np.inf)
        np.minimum.at(lowest, groups, flat[:, column])
        np.maximum.at(highest, groups, flat[:, column])
        with np.errstate(invalid="ignore"):
            middle = np.where(lowest == highest, lowest, lowest + (highest - lowest) / 2)
        settled[:, column] = middle[groups]
    return settled


def _double(values: torch.Tensor) -> Floats:
    return values.detach().cpu().to(torch.float64).numpy()


def _are_integers(flat: Floats) -> bool:
    return bool((flat == np.floor(flat)).all())


def _count(flat: Floats, step: float) -> int:
    return number_rows(_groups(flat, step))[1]


def _groups(flat: Floats, step: float) -> Ints:
    """For each column, values numbered so that neighbours closer than a step share a number."""
    groups = np.empty(flat.shape, dtype=np.int64)
    width = max(1, _CHUNK // len(flat))
    for start in range(0, flat.shape[1], width):
        part = flat[:, start : start + width]
        order = np.argsort(part, axis=0, kind="stable")
        ranked = np.take_along_axis(part, order, axis=0)
        bounded = np.where(np.isfinite(ranked), ranked, np.nan)
        with np.errstate(invalid="ignore"):
            has_any = np.isfinite(ranked).any(axis=0)
            bounded = np.where(has_any, bounded, 0.0)
            size = np.nanmax(bounded, axis=0) - np.nanmin(bounded, axis=0)
            apart = np.diff(ranked, axis=0) > step * size
        numbers = np.zeros(part.shape, dtype=np.int64)
        numbers[1:] = np.cumsum(apart, axis=0)
        np.put_along_axis(groups[:, start : start + width], order, numbers, axis=0)
    return groups
