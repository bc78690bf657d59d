"""Whether two functions or values are one for all that can be told: everything they read counts."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

import numpy as np
import torch

_PLAIN: Final = frozenset({
    bool, int, float, complex, str, bytes, range, slice, frozenset, set, torch.dtype, torch.device,
    torch.layout, types.BuiltinFunctionType, types.CodeType,
})  # fmt: skip
"""Types, not types made of them, whose own comparison says all there is to say."""

_SCALARS: Final = (Enum, PurePath, np.generic)
"""The same, for types made of them too."""


def same(one: object, two: object) -> bool:
    """Whether two values are equal in all they hold and, for functions, in all they read.

    Functions are compared by code, closure, defaults and the globals they name, bound methods also
    by their object, objects by type and attributes. What cannot be compared so is the same only
    where it is one and the same object.

    Returns:
        False also where it cannot be told.
    """
    try:
        return _same(one, two, set())
    except (RecursionError, RuntimeError, TypeError, ValueError, AttributeError):
        return False  # what cannot be compared


def _same(one: Any, two: Any, seen: set[tuple[int, int]]) -> bool:
    if one is two:
        return True
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(
            _same(a, b, seen) for a, b in zip(one, two, strict=True)
        )
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return list(one) == list(two) and all(_same(one[key], two[key], seen) for key in one)
    if type(one) is not type(two):
        return False
    if isinstance(one, torch.Tensor):
        return _same_tensors(one, two)
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two)
    if type(one) in _PLAIN or isinstance(one, _SCALARS):
        return bool(one == two)
    if (id(one), id(two)) in seen:
        return True  # met on the way here: equal if all else is
    seen.add((id(one), id(two)))
    if isinstance(one, types.FunctionType):
        return one.__code__ == two.__code__ and all(
            _same(a, b, seen) for a, b in zip(_read(one), _read(two), strict=True)
        )
    if isinstance(one, types.MethodType):
        return _same(one.__func__, two.__func__, seen) and _same(one.__self__, two.__self__, seen)
    if isinstance(one, types.CellType):
        return _same(one.cell_contents, two.cell_contents, seen)
    if isinstance(one, functools.partial):
        return all(
            _same(a, b, seen)
            for a, b in zip(
                (one.func, one.args, one.keywords), (two.func, two.args, two.keywords), strict=True
            )
        )
    return _same_objects(one, two, seen)


def _same_tensors(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.dtype == two.dtype and torch.equal(one.detach().cpu(), two.detach().cpu())


def _same_objects(one: Any, two: Any, seen: set[tuple[int, int]]) -> bool:
    """Objects of one type, written in Python, by all their attributes; others are not told."""
    if isinstance(one, type | types.ModuleType):
        return False
    if is_dataclass(one):
        names = [field.name for field in fields(one)]
        if not all(_same(getattr(one, n), getattr(two, n), seen) for n in names):
            return False
        return _same(getattr(one, "__dict__", {}), getattr(two, "__dict__", {}), seen)
    slots = [s for kind in type(one).__mro__ for s in getattr(kind, "__slots__", ())]
    if not hasattr(one, "__dict__") or [s for s in slots if s not in ("__dict__", "__weakref__")]:
        return False
    # Only a type made in Python keeps all it has among its attributes.
    kinds = type(one).__mro__[:-1]
    if any(kind.__module__ == "builtins" or "__new__" in kind.__dict__ for kind in kinds):
        return False
    return _same(one.__dict__, two.__dict__, seen)


def _read(fn: types.FunctionType) -> Iterator[object]:
    """What a function reads besides its arguments."""
    yield fn.__closure__
    yield fn.__defaults__
    yield fn.__kwdefaults__
    yield fn.__dict__
    names = sorted(_names(fn.__code__))
    yield {name: fn.__globals__[name] for name in names if name in fn.__globals__}


def _names(code: types.CodeType) -> set[str]:
    """Names that code and the functions written inside it may look up among the globals."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found
