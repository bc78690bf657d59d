"""Features of real numbers: rounded, in bins, in quantiles, or every different number meant.

Each is a feature like any other: it works on a field, a column, or a function, equals another of
the same content, and can be written as plain values and read again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

import numpy as np
import torch

from causal_scrubbing._data.classes import Floats, Ints
from causal_scrubbing._data.features import feature_name
from causal_scrubbing._data.rounding import settle
from causal_scrubbing._errors import DataError

Base: TypeAlias = "str | Callable[[Any], Any]"

_NEAR: Final = 1e-9
"""Differences of computed bin edges below this share of a bin are rounding."""


@dataclass(frozen=True)
class RealFeature(ABC):
    """A feature made of another that gives real numbers.

    Attributes:
        base: a field name, a column ``"field[3]"``, or a function of a Dataset.
    """

    base: Base

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in tables."""

    def __call__(self, rows: Any) -> torch.Tensor:
        """Its values on the rows of a dataset, one (or one row of values) a row."""
        values = rows.evaluate(self.base)
        return self._of(values, rows).reshape(values.shape)

    @abstractmethod
    def _of(self, values: Any, rows: Any) -> torch.Tensor:
        """The values of the feature, given those of what it is made of."""

    def _settled(self, values: Any) -> Floats:
        if not isinstance(values, torch.Tensor) or values.is_complex():
            raise DataError(f"{self.name}: its values are not real numbers.")
        flat = values.reshape(len(values), -1)
        if bool(torch.isnan(flat).any()):
            raise DataError(f"{self.name}: it is NaN at some row, which has no class.")
        return settle(flat)

    @property
    def _base_name(self) -> str:
        return feature_name(self.base)


@dataclass(frozen=True)
class Rounded(RealFeature):
    """See `rounded`."""

    decimals: int = 6

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"rounded({self._base_name}, {self.decimals})"

    def _of(self, values: Any, rows: Any) -> torch.Tensor:
        return torch.from_numpy(np.round(self._settled(values), self.decimals))


@dataclass(frozen=True)
class Bins(RealFeature):
    """See `bins`."""

    width: float | None = None
    count: int | None = None
    circular: float | None = None
    centre: float | None = None

    @property
    def name(self) -> str:
        """What it is called in tables."""
        told = [f"{self.count} equal" if self.width is None else f"width {self.width:g}"]
        told += [] if self.circular is None else [f"circle of {self.circular:g}"]
        told += [] if self.centre is None else [f"centre {self.centre:g}"]
        return f"bins({self._base_name}, {', '.join(told)})"

    def _of(self, values: Any, rows: Any) -> torch.Tensor:
        settled = self._settled(values)
        if not np.isfinite(settled).all():
            raise DataError(f"{self.name}: it is infinite at some row, which lies in no bin.")
        if self.count is not None and self.circular is None:
            low, high = settled.min(axis=0), settled.max(axis=0)
            wide = np.where(high > low, (high - low) / self.count, 1.0)
            return torch.from_numpy(np.minimum(_floor((settled - low) / wide), self.count - 1))
        width = (self.width or 1.0) if self.circular is None else self.circular / self._around
        shift = 0.0 if self.centre is None else self.centre
        number = _floor((settled - shift) / width + (0.0 if self.centre is None else 0.5))
        return torch.from_numpy(number if self.circular is None else number % self._around)

    @property
    def _around(self) -> int:
        """How many bins a circle has."""
        if self.count is not None:
            return self.count
        return round((self.circular or 0.0) / (self.width or 1.0))


@dataclass(frozen=True)
class Quantiles(RealFeature):
    """See `quantiles`."""

    n: int = 10

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"quantiles({self._base_name}, {self.n})"

    def _of(self, values: Any, rows: Any) -> torch.Tensor:
        settled = self._settled(values)
        columns = [self._column(settled[:, i], rows) for i in range(settled.shape[1])]
        return torch.from_numpy(np.stack(columns, axis=1))

    def _column(self, values: Floats, rows: Any) -> Ints:
        unique, ids = np.unique(values, return_inverse=True)
        ids = ids.reshape(-1)
        if rows.is_uniform:  # in integers, which do not round
            size = np.bincount(ids, minlength=len(unique))
            below = np.cumsum(size) - size
            number = self.n * (2 * below + size) // (2 * len(values))
        else:
            mass = np.bincount(ids, weights=rows.weights, minlength=len(unique))
            number = _floor(self.n * (np.cumsum(mass) - mass / 2))
        return np.asarray(np.minimum(number, self.n - 1)[ids], dtype=np.int64)


@dataclass(frozen=True)
class Distinct(RealFeature):
    """See `distinct`."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"distinct({self._base_name})"

    def _of(self, values: Any, rows: Any) -> torch.Tensor:
        if not isinstance(values, torch.Tensor):
            raise DataError(f"{self.name}: its values are not numbers.")
        return values


def rounded(feature: Any, decimals: int = 6) -> Any:
    """A feature's real numbers rounded, so that rows which differ by rounding alone agree.

    Numbers that differ by rounding alone, where that is certain, are made one before they are
    rounded, so that no class is split at the edge between two decimals.

    Args:
        feature: a field name, a column ``"field[3]"``, a function of a Dataset that returns real
            numbers, or a tuple of them, each of which is rounded.
        decimals: digits after the decimal point that are kept; negative for tens and hundreds.

    Returns:
        A feature.

    Raises:
        DataError: it is not a feature of real numbers, or `decimals` is not an integer.

    Example:
        >>> import causal_scrubbing as cs
        >>> data = cs.Dataset(x=[0.3, 0.1 + 0.2, 0.4])
        >>> data.classes(cs.rounded("x", decimals=6)).count
        2
    """
    if isinstance(decimals, bool) or not isinstance(decimals, int) or abs(decimals) > 300:
        raise DataError(f"cs.rounded: decimals={decimals!r} is not an integer, such as 6.")
    return _each("cs.rounded", feature, lambda base: Rounded(base, decimals))


def bins(
    feature: Any,
    *,
    width: float | None = None,
    count: int | None = None,
    circular: float | None = None,
    centre: float | None = None,
) -> Any:
    """A feature's real numbers in bins of equal width.

    Args:
        feature: a field name, a column ``"field[3]"``, a function of a Dataset that returns real
            numbers, or a tuple of them, each of which is put in bins.
        width: of a bin, in the feature's unit. Edges lie at multiples of it, without `centre`.
        count: instead of `width`, how many bins: of equal width from the smallest value in the
            dataset to the largest, or around the circle.
        circular: the size of the circle where values go around, 360 for degrees; a multiple of
            `width`.
        centre: a value that shall lie in the middle of its bin; not with `count`, unless circular.

    Returns:
        A feature, whose values are the numbers of bins.

    Raises:
        DataError: it is not a feature of real numbers, or the options do not fit together.

    Example:
        >>> import causal_scrubbing as cs
        >>> data = cs.Dataset(theta=[350.0, 5.0, 20.0, 180.0])
        >>> data.evaluate(cs.bins("theta", width=30, circular=360, centre=0)).tolist()
        [0, 0, 1, 6]
    """
    if (width is None) == (count is None):
        raise DataError("cs.bins: give width=, the width of a bin, or count=, how many bins.")
    for name, number in (("width", width), ("circular", circular)):
        if number is not None and not _is_positive(number):
            raise DataError(f"cs.bins: {name}={number!r} is not a positive number.")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise DataError(f"cs.bins: count={count!r} is not a positive integer.")
    if centre is not None and not _is_finite(centre):
        raise DataError(f"cs.bins: centre={centre!r} is not a number.")
    if count is not None and centre is not None and circular is None:
        raise DataError(
            "cs.bins: count= takes bins from the smallest value to the largest, which leaves "
            "centre= no effect; give width= with it, or circular=."
        )
    if width is not None and circular is not None:
        times = circular / width
        if abs(times - round(times)) > _NEAR * times or round(times) < 1:
            raise DataError(
                f"cs.bins: a circle of {circular:g} has {times:.4g} bins of width {width:g}; give "
                "a width that goes into it evenly, or count=."
            )
    return _each(
        "cs.bins",
        feature,
        lambda base: Bins(base, *(_plain(n) for n in (width, count, circular, centre))),
    )


_MOST_QUANTILES: Final = 1_000_000


def quantiles(feature: Any, n: int = 10) -> Any:
    """A feature's real numbers in classes of about equal weight.

    Rows of equal value lie in one class, so that classes may differ in weight, or be fewer. The
    bounds come from the dataset on which the feature is evaluated.

    Args:
        feature: a field name, a column ``"field[3]"``, a function of a Dataset that returns real
            numbers, or a tuple of them, each of which is cut into quantiles.
        n: how many classes.

    Returns:
        A feature, whose values are the numbers of classes, from 0.

    Raises:
        DataError: it is not a feature of real numbers, or `n` is not a positive integer.

    Example:
        >>> import causal_scrubbing as cs
        >>> data = cs.Dataset(x=[0.1, 0.5, 2.0, 90.0])
        >>> data.evaluate(cs.quantiles("x", 2)).tolist()
        [0, 0, 1, 1]
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise DataError(f"cs.quantiles: n={n!r} is not a positive integer.")
    if n > _MOST_QUANTILES:
        raise DataError(f"cs.quantiles: n={n:,} is more than {_MOST_QUANTILES:,}; take cs.exact.")
    return _each("cs.quantiles", feature, lambda base: Quantiles(base, n))


def distinct(feature: Any) -> Any:
    """A feature of real numbers of which every different number is meant to be a class.

    It says that classes of exactly equal numbers are intended, where without it the package would
    report that rounding has split classes, or that nearly every row is alone in its class.

    Args:
        feature: a field name, a column ``"field[3]"``, a function of a Dataset, or a tuple of
            them.

    Returns:
        A feature.

    Raises:
        DataError: it is not a feature.

    Example:
        >>> import causal_scrubbing as cs
        >>> data = cs.Dataset(x=[0.3, 0.1 + 0.2, 0.4])
        >>> data.classes(cs.distinct("x")).count
        3
    """
    return _each("cs.distinct", feature, Distinct)


def _each(call: str, feature: Any, make: Callable[[Any], RealFeature]) -> Any:
    if isinstance(feature, tuple):
        return tuple(_each(call, part, make) for part in feature)
    if not isinstance(feature, str) and not callable(feature):
        raise DataError(
            f"{call}: {feature!r} has no values of its own; give a field name, a column such as "
            "'field[3]', or a function of a Dataset."
        )
    return make(feature)


def _floor(values: Floats) -> Ints:
    """The integer below, where a value just short of an integer by rounding is that integer."""
    nearest = np.round(values)
    close = np.abs(values - nearest) <= _NEAR * np.maximum(1.0, np.abs(values))
    return np.where(close, nearest, np.floor(values)).astype(np.int64)


def _is_finite(number: object) -> bool:
    if isinstance(number, bool) or not isinstance(number, int | float | np.number):
        return False
    return math.isfinite(float(number))


def _is_positive(number: object) -> bool:
    return _is_finite(number) and float(number) > 0  # type: ignore[arg-type]


def _plain(number: Any) -> Any:
    return number.item() if isinstance(number, np.generic) else number


def feature_key(feature: Any) -> Any:
    """What a feature is known by: its content, functions by identity."""
    if isinstance(feature, tuple):
        return tuple(map(feature_key, feature))
    if isinstance(feature, RealFeature):
        return (type(feature), *(feature_key(getattr(feature, f.name)) for f in fields(feature)))
    return id(feature) if callable(feature) else feature
