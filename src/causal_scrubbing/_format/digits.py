"""How many digits of a number to show: those that its uncertainty leaves standing."""

from __future__ import annotations

import math
from collections.abc import Sequence

_ROUNDING = 1e-4
"""Percent: a standard error below this is float32 rounding, of which no digit means anything."""


def decimals(spread: float) -> int | None:
    """Decimals that show two digits of ``spread``; None where that needs an exponent."""
    if spread == 0:
        return 3
    found = 1 - math.floor(math.log10(spread))
    return None if found > 8 or found < -6 else max(found, 0)


def percent_decimals(se: float) -> int:
    """Decimals of a percentage: one, and more where its standard error is below that."""
    return max(1, -math.floor(math.log10(se))) if se >= _ROUNDING else 1


def fixed(value: float, places: int | None, *, signed: bool = False) -> str:
    """A number with so many decimals, never -0; in short form where ``places`` is None."""
    sign = "+" if signed else ""
    if places is None:
        return f"{value:{sign}.4g}"
    return f"{round(value, places) + 0.0:{sign}.{places}f}"


def alike(values: Sequence[float]) -> list[str]:
    """Numbers without uncertainty, all with as many decimals as give the largest four digits."""
    finite = [value for value in values if math.isfinite(value)]
    if all(value == round(value) and abs(value) < 1e15 for value in finite):
        return [fixed(value, 0) if math.isfinite(value) else f"{value}" for value in values]
    largest = max(map(abs, finite))
    places: int | None = 3 - math.floor(math.log10(largest))
    if places is not None:
        places = None if places > 8 else max(places, 0)
    return [fixed(value, places) if math.isfinite(value) else f"{value}" for value in values]
