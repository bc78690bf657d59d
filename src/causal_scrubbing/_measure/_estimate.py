"""One number with its uncertainty, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from causal_scrubbing._measure._plain import plain

_NAN_PAIR = (math.nan, math.nan)


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimated number.

    Attributes:
        mean: The estimate; NaN where undefined.
        se: Its standard error, in the unit of ``mean``; NaN where it cannot be had (one sample).
        interval: Lower and upper end of the confidence interval at ``level``.
        n: How many samples it rests on.
        level: Coverage of the interval, 0.95 unless asked otherwise.
        unit: ``""`` for the metric's own unit, ``"%"`` for percent.
        reason: Why the number is undefined; ``None`` where it is defined.
        note: A remark a reader of the number needs, or ``None``.
    """

    mean: float
    se: float = math.nan
    interval: tuple[float, float] = _NAN_PAIR
    n: int = 0
    level: float = 0.95
    unit: str = ""
    reason: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        low, high = self.interval
        object.__setattr__(self, "mean", float(self.mean))
        object.__setattr__(self, "se", float(self.se))
        object.__setattr__(self, "interval", (float(low), float(high)))
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "level", float(self.level))

    @classmethod
    def undefined(cls, reason: str, *, n: int = 0, level: float = 0.95, unit: str = "") -> Estimate:
        """Return the estimate that is no number, with the reason a reader will see."""
        return cls(math.nan, n=n, level=level, unit=unit, reason=reason)

    @property
    def defined(self) -> bool:
        """Whether there is a number."""
        return self.reason is None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; :meth:`from_dict` gives back an equal estimate."""
        values: dict[str, Any] = plain(self)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Estimate:
        """Return the estimate that :meth:`to_dict` wrote."""
        low, high = values["interval"]
        return cls(
            mean=float(values["mean"]),
            se=float(values["se"]),
            interval=(float(low), float(high)),
            n=values["n"],
            level=values["level"],
            unit=values["unit"],
            reason=values["reason"],
            note=values["note"],
        )

    def __eq__(self, other: object) -> bool:
        # Undefined estimates hold NaN, and a reloaded one must still equal what was saved.
        return isinstance(other, Estimate) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((repr(self.mean), repr(self.se), self.n, self.unit, self.reason))

    def __str__(self) -> str:
        if self.reason is not None:
            return f"undefined: {self.reason}"
        if self.unit == "%":
            # One decimal, and more where the uncertainty is below that.
            digits = 1 if not self.se > 0 else -math.floor(math.log10(self.se))
            digits = min(max(digits, 1), 6)
            return f"{_fixed(self.mean, digits)}%{self._bracket(digits)}"
        if math.isnan(self.se):
            return f"{self.mean:.4g}{self._bracket(None)}"
        decimals = _decimals(self.se if self.se > 0 else abs(self.mean) / 100)
        if decimals is None:
            return f"{self.mean:.4g} ± {self.se:.2g}"
        spread = "0" if self.se == 0 else _fixed(self.se, decimals)
        return f"{_fixed(self.mean, decimals)} ± {spread}"

    def _bracket(self, decimals: int | None) -> str:
        low, high = self.interval
        if math.isnan(low) or math.isnan(high):
            return ""
        if decimals is None:
            return f" [{low:.4g}, {high:.4g}]"
        return f" [{_fixed(low, decimals)}, {_fixed(high, decimals)}]"


def _decimals(spread: float) -> int | None:
    """Decimals that show two digits of ``spread``; None where that needs an exponent."""
    if spread == 0:
        return 3
    decimals = 1 - math.floor(math.log10(spread))
    return None if decimals > 8 or decimals < -6 else max(decimals, 0)


def _fixed(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
