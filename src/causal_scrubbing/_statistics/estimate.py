"""One number with its uncertainty, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from causal_scrubbing._display import Displayed
from causal_scrubbing._format import decimals, fixed, percent_decimals, plain, plural, short

_NAN_PAIR = (math.nan, math.nan)
UNBOUNDED: Final = "the interval has no bound on one side: too few samples, or too spread"


def _number(value: float | str | None) -> float:
    """A number that was written to JSON, where null is one that there is not."""
    return math.nan if value is None else float(value)


@dataclass(frozen=True, eq=False, repr=False)
class Estimate(Displayed):
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
        least_decimals: Decimals to show at least, where fewer would hide a difference that is real:
            99.9995% is not 100.0%.
    """

    mean: float
    se: float = math.nan
    interval: tuple[float, float] = _NAN_PAIR
    n: int = 0
    level: float = 0.95
    unit: str = ""
    reason: str | None = None
    note: str | None = None
    least_decimals: int = 0

    def __post_init__(self) -> None:
        low, high = self.interval
        object.__setattr__(self, "mean", float(self.mean))
        object.__setattr__(self, "se", float(self.se))
        object.__setattr__(self, "interval", (float(low), float(high)))
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "level", float(self.level))

    def __repr__(self) -> str:
        shown = str(self) if self.defined else "undefined; print it to see why"
        return f"Estimate({shown}, {self.n} {plural(self.n, 'sample')})"

    @classmethod
    def undefined(cls, reason: str, *, n: int = 0, level: float = 0.95, unit: str = "") -> Estimate:
        """Return the estimate that is no number, with the reason a reader will see."""
        return cls(math.nan, n=n, level=level, unit=unit, reason=reason)

    @property
    def defined(self) -> bool:
        """Whether there is a number."""
        return self.reason is None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; :meth:`from_dict` gives back an equal estimate.

        An end of the interval that is infinite is None (null), and ``note`` says why.
        """
        values: dict[str, Any] = plain(self)
        if self.defined and self.note is None and any(map(math.isinf, (*self.interval, self.se))):
            values["note"] = UNBOUNDED
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Estimate:
        """Return the estimate that :meth:`to_dict` wrote."""
        low, high = values["interval"]
        if low is None and high is not None:
            low = -math.inf
        elif high is None and low is not None:
            high = math.inf
        return cls(
            mean=_number(values["mean"]),
            se=_number(values["se"]),
            interval=(_number(low), _number(high)),
            n=values["n"],
            level=values["level"],
            unit=values["unit"],
            reason=values["reason"],
            note=values["note"],
            least_decimals=values.get("least_decimals", 0),
        )

    def __eq__(self, other: object) -> bool:
        # Undefined estimates hold NaN, and a reloaded one must still equal what was saved.
        return isinstance(other, Estimate) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((plain(self.mean), self.n, self.unit, self.reason))

    @property
    def _places(self) -> int | None:
        """Decimals to show: by the standard error, whatever the number is."""
        if self.unit == "%":
            return max(percent_decimals(self.se), self.least_decimals)
        # Percentiles have an interval and no standard error; four of them are about its width.
        low, high = self.interval
        spread = (high - low) / 4 if math.isnan(self.se) else self.se
        if not math.isfinite(spread):
            return None
        return decimals(spread if spread > 0 else abs(self.mean) / 100)

    def number(self, *, signed: bool = False) -> str:
        """Return the mean alone, with the digits its uncertainty leaves."""
        return fixed(self.mean, self._places, signed=signed) + self.unit

    def bounds(self, *, signed: bool = False) -> tuple[str, str] | None:
        """Return both ends of the interval with the digits of the mean; None without interval."""
        if any(map(math.isnan, self.interval)):
            return None
        low, high = (fixed(end, self._places, signed=signed) for end in self.interval)
        return low, high

    def ranged(self, *, signed: bool = False) -> str:
        """Return the mean and its interval, like ``0.40 [0.36, 0.45]``."""
        bounds = self.bounds(signed=signed)
        return self.number(signed=signed) + ("" if bounds is None else f" [{', '.join(bounds)}]")

    @property
    def spread(self) -> str:
        """The standard error as ``± 0.022``; empty where there is none, and for percentages."""
        if self.unit == "%" or math.isnan(self.se):
            return ""
        places = self._places
        if self.se == 0:
            return "± 0"
        return f"± {short(self.se, 2)}" if places is None else f"± {fixed(self.se, places)}"

    def __str__(self) -> str:
        if self.reason is not None:
            return f"undefined: {self.reason}"
        spread = self.spread
        return f"{self.number()} {spread}" if spread else self.ranged()
