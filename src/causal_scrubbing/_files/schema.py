"""The shape that data read from disk must have, checked before any of it is used."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from causal_scrubbing._errors import ScrubError

ADVICE: Final = "Copy the folder again, or make the run once more."
_MOST: Final = 2**63
"""Integers of at least this size fit in no array."""


@dataclass(frozen=True)
class ListOf:
    """A list whose entries have a shape.

    Attributes:
        each: of every entry.
        count: how many there must be; any number if None.
    """

    each: Shape
    count: int | None = None


@dataclass(frozen=True)
class Fixed:
    """A list of so many entries, each of its own shape."""

    entries: tuple[Shape, ...]


@dataclass(frozen=True)
class DictOf:
    """An object with any keys, whose values have a shape."""

    each: Shape


@dataclass(frozen=True)
class Optional:
    """A shape, or null, or a key that is missing.

    Attributes:
        shape: what it is otherwise.
        null: whether it may be null.
        missing: whether its key may be missing.
    """

    shape: Shape
    null: bool = True
    missing: bool = True


@dataclass(frozen=True)
class Either:
    """One of several shapes."""

    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Constant:
    """One of these values."""

    values: tuple[object, ...]


@dataclass(frozen=True)
class Between:
    """A number from a range, its ends included.

    Attributes:
        least, most: the ends.
        integer: whether it must be an integer.
    """

    least: float
    most: float
    integer: bool = False


Shape: TypeAlias = (
    type
    | tuple[type, ...]
    | Mapping[str, "Shape"]
    | ListOf
    | Fixed
    | DictOf
    | Optional
    | Either
    | Constant
    | Between
)
"""A type, several, an object with these keys, or one of the classes above. `object` is anything."""

NUMBER: Final = (int, float)
COUNT: Final = Between(0, _MOST - 1, integer=True)
"""How many of something: an integer from 0 that an array can hold."""
NATURAL: Final = Between(0, math.inf, integer=True)
"""An integer from 0 of any size, such as a seed."""
SHARE: Final = Between(-1e-9, 1 + 1e-9)
"""Of a whole, up to rounding."""


def shape_of(
    cls: type[Any], /, without: Sequence[str] = (), **replaced: Shape
) -> Mapping[str, Shape]:
    """The shape of a dataclass written as an object, from its annotations.

    Entries with a default may be missing.

    Args:
        cls: the dataclass.
        without: fields that are not written.
        **replaced: shapes of fields whose annotation does not say enough.
    """
    hints = typing.get_type_hints(cls)
    found: dict[str, Shape] = {}
    for one in fields(cls):
        if one.name in without:
            continue
        shape = replaced[one.name] if one.name in replaced else _of_hint(hints[one.name])
        if one.default is not MISSING or one.default_factory is not MISSING:
            # Missing is the default; null is a value like another.
            if isinstance(shape, Optional):
                shape = Optional(shape.shape, null=shape.null)
            else:
                shape = Optional(shape, null=False)
        found[one.name] = shape
    return found


def _of_hint(hint: Any) -> Any:
    """The shape that a type annotation says, for what this package writes."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        shapes = [_of_hint(one) for one in inner if one is not types.NoneType]
        shape = shapes[0] if len(shapes) == 1 else Either(tuple(shapes))
        return Optional(shape, missing=False) if types.NoneType in inner else shape
    if origin is tuple and inner[-1:] != (...,):
        return Fixed(tuple(map(_of_hint, inner)))
    if origin in (tuple, list) or origin in (Sequence,):
        return ListOf(_of_hint(inner[0]))
    if origin in (dict, Mapping):
        return DictOf(_of_hint(inner[1]))
    if is_dataclass(hint):
        return shape_of(typing.cast(type, hint))
    return {int: COUNT, float: NUMBER, str: str, bool: bool, Any: object}[hint]


def check_shape(
    file: Path | str, found: object, shape: Shape, where: str = "", advice: str = ADVICE
) -> None:
    """Refuse data of another shape.

    Args:
        file: where it was read, for messages.
        found: the data.
        shape: what it must be. An object may have keys that are not named.
        where: place of the data in the file, for messages.
        advice: what to do about another shape.

    Raises:
        ScrubError: something is missing, of another type or out of range; names the file and the
            place.
    """
    fault = fault_of(found, shape, where)
    if fault is not None:
        raise ScrubError(f"{file} cannot be read: {fault}. {advice}")


def fault_of(found: object, shape: Shape, where: str = "") -> str | None:
    """What is wrong with data of another shape, in words; None where it has the shape.

    Args:
        found: the data.
        shape: what it must be.
        where: place of the data in the file.
    """
    if isinstance(shape, Optional):
        return None if found is None and shape.null else fault_of(found, shape.shape, where)
    if isinstance(shape, Either):
        faults = [fault_of(found, one, where) for one in shape.shapes]
        return None if None in faults else faults[0]
    if isinstance(shape, Constant):
        fits = any(type(one) is type(found) and one == found for one in shape.values)
        allowed = ", ".join(map(repr, shape.values))
        return None if fits else f"{_place(where)} is not {allowed}"
    if isinstance(shape, Between):
        return _out_of_range(found, shape, where)
    if isinstance(shape, (ListOf, Fixed)):
        return _of_list(found, shape, where)
    if isinstance(shape, (DictOf, Mapping)):
        return _of_dict(found, shape, where)
    return _of_type(found, shape, where)


def _of_list(found: object, shape: ListOf | Fixed, where: str) -> str | None:
    wrong = _of_type(found, list, where)
    if wrong is not None:
        return wrong
    assert isinstance(found, list)
    count = len(shape.entries) if isinstance(shape, Fixed) else shape.count
    if count is not None and len(found) != count:
        return f"{_place(where)} has {len(found)} entries, not {count}"
    shapes = shape.entries if isinstance(shape, Fixed) else [shape.each] * len(found)
    for i, (one, each) in enumerate(zip(found, shapes, strict=True)):
        fault = fault_of(one, each, f"{where}[{i}]")
        if fault is not None:
            return fault
    return None


def _of_dict(found: object, shape: DictOf | Mapping[str, Shape], where: str) -> str | None:
    wrong = _of_type(found, dict, where)
    if wrong is not None:
        return wrong
    assert isinstance(found, dict)
    known = dict.fromkeys(found, shape.each) if isinstance(shape, DictOf) else shape
    for key, inner in known.items():
        place = f"{where}.{key}".lstrip(".")
        if key not in found:
            if isinstance(inner, Optional) and inner.missing:
                continue
            return f"it has no {place!r}"
        fault = fault_of(found[key], inner, place)
        if fault is not None:
            return fault
    return None


def _out_of_range(found: object, shape: Between, where: str) -> str | None:
    wrong = _of_type(found, int if shape.integer else NUMBER, where, most=math.inf)
    if wrong is not None:
        return wrong
    assert isinstance(found, int | float)
    if shape.least <= found <= shape.most:
        return None
    return f"{_place(where)} is not from {shape.least} to {shape.most}"


def _of_type(
    found: object, kinds: type | tuple[type, ...], where: str, most: float = _MOST
) -> str | None:
    wanted = kinds if isinstance(kinds, tuple) else (kinds,)
    if object in wanted:
        return None
    # True is an integer to Python and not to a reader.
    if not isinstance(found, wanted) or (isinstance(found, bool) and bool not in wanted):
        names = " or ".join(one.__name__ for one in wanted)
        return f"{_place(where)} is {type(found).__name__}, not {names}"
    if isinstance(found, float) and not math.isfinite(found):
        return f"{_place(where)} is {found}, not a finite number"
    if isinstance(found, int) and abs(found) >= most:
        return f"{_place(where)} is too large a number"
    return None


def _place(where: str) -> str:
    return f"{where!r}" if where else "it"
