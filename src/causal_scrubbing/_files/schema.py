"""The shape that data read from disk must have, checked before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from causal_scrubbing._errors import ScrubError

Shape: TypeAlias = "type | tuple[type, ...] | Mapping[str, Shape] | ListOf | DictOf | Optional"
"""A type, several, an object with these keys, or one of the classes below."""

NUMBER: Final = (int, float)


@dataclass(frozen=True)
class ListOf:
    """A list whose entries have a shape."""

    each: Shape


@dataclass(frozen=True)
class DictOf:
    """An object with any keys, whose values have a shape."""

    each: Shape


@dataclass(frozen=True)
class Optional:
    """A shape, or null, or a key that is missing."""

    shape: Shape


def check_shape(file: Path, found: object, shape: Shape, where: str = "") -> None:
    """Refuse data of another shape.

    Args:
        file: where it was read, for messages.
        found: the data.
        shape: what it must be. An object may have keys that are not named.
        where: place of the data in the file, for messages.

    Raises:
        ScrubError: something is missing or of another type; names the file and the place.
    """
    if isinstance(shape, Optional):
        if found is not None:
            check_shape(file, found, shape.shape, where)
    elif isinstance(shape, ListOf):
        _expect(file, found, list, where)
        assert isinstance(found, list)
        for i, one in enumerate(found):
            check_shape(file, one, shape.each, f"{where}[{i}]")
    elif isinstance(shape, DictOf):
        _expect(file, found, dict, where)
        assert isinstance(found, dict)
        for key, one in found.items():
            check_shape(file, one, shape.each, f"{where}.{key}".lstrip("."))
    elif isinstance(shape, Mapping):
        _expect(file, found, dict, where)
        assert isinstance(found, dict)
        for key, inner in shape.items():
            place = f"{where}.{key}".lstrip(".")
            if key not in found and not isinstance(inner, Optional):
                raise _fault(file, f"it has no {place!r}")
            check_shape(file, found.get(key), inner, place)
    else:
        _expect(file, found, shape, where)


def _expect(file: Path, found: object, types: type | tuple[type, ...], where: str) -> None:
    wanted = types if isinstance(types, tuple) else (types,)
    # True is an integer to Python and none to a reader.
    fits = isinstance(found, wanted) and (not isinstance(found, bool) or bool in wanted)
    if not fits:
        names = " or ".join(one.__name__ for one in wanted)
        place = f"{where!r}" if where else "it"
        raise _fault(file, f"{place} is {type(found).__name__}, not {names}")


def _fault(file: Path, what: str) -> ScrubError:
    advice = "Copy the folder again, or make the run once more."
    return ScrubError(f"{file} cannot be read: {what}. {advice}")
