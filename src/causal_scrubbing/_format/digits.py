"""How many digits of a number to show: those that its uncertainty leaves standing."""

from __future__ import annotations

import math
from collections.abc import Sequence

_ROUNDING = 1e-4
"""Percent: a standard error below this is float32 rounding, of which no digit means anything."""

_NUDGE = 1e-3
"""Of the last digit shown: a number halfway between two shown ones goes away from zero, whatever
its last bits are. Means of a few hundred integers often lie there; processors round differently."""


def decimals(spread: float) -> int | None:
    """Decimals that show two digits of ``spread``; None where that needs an exponent."""
    if spread == 0:
        return 3
    found = 1 - math.floor(math.log10(spread))
    return None if found > 8 or found < -6 else max(found, 0)


def percent_decimals(se: float) -> int:
    """Decimals of a percentage: one, and more where its standard error is below that."""
    if not math.isfinite(se) or se < _ROUNDING:
        return 1
    return max(1, -math.floor(math.log10(se)))


def fixed(value: float, places: int | None, *, signed: bool = False) -> str:
    """A number with so many decimals, never -0; in short form where ``places`` is None."""
    sign = "+" if signed else ""
    if places is None:
        return f"{value:{sign}.4g}"
    nudged = value + math.copysign(_NUDGE * 10.0**-places, value)
    return f"{round(nudged, places) + 0.0:{sign}.{places}f}"


def short(value: float, digits: int = 3, *, signed: bool = False) -> str:
    """A number in so many significant digits, which its last bits do not change.

    Example:
        >>> short(1.0349999999), short(1.0350000001), short(0.5, 1, signed=True)
        ('1.04', '1.04', '+0.5')
    """
    if value and math.isfinite(value):
        last = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
        value += math.copysign(_NUDGE * last, value)
    return f"{value:{'+' if signed else ''}.{digits}g}"


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
