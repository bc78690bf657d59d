"""Sizes computed from other sizes, as nested lists, and back; nothing is evaluated from a text."""

from __future__ import annotations

from functools import cache
from typing import Any

_WORLD = ("FloorDiv", "Mod", "PythonMod", "CeilDiv", "IntTrueDiv", "ToFloat", "TruncToInt",
          "CeilToInt", "FloorToInt", "FloatTrueDiv", "Where", "Max", "Min", "ModularIndexing",
          "CleanDiv", "PowByNatural", "Identity")  # fmt: skip
_POWERS = ("Pow", "PowByNatural")
_HIGHEST = 16
_LARGEST = 2**63
"""Beyond these a size is no size, and would take forever."""
_SYMPY = ("Add", "Mul", "Pow", "Max", "Min", "Equality", "Unequality", "StrictLessThan",
          "LessThan", "StrictGreaterThan", "GreaterThan", "And", "Or", "Not", "Piecewise",
          "ExprCondPair", "floor", "ceiling", "Mod")  # fmt: skip


@cache
def _functions() -> dict[str, Any]:
    """Known functions by name; those of torch go before sympy's."""
    import sympy
    from torch.utils._sympy import functions

    found = {name: getattr(sympy, name) for name in _SYMPY if hasattr(sympy, name)}
    found["ExprCondPair"] = sympy.functions.elementary.piecewise.ExprCondPair
    return found | {n: getattr(functions, n) for n in _WORLD if hasattr(functions, n)}


def written(expression: Any) -> Any:
    """An expression as numbers and lists; its symbols, sorted by name, become ``["s", number]``.

    Raises:
        ValueError: it holds what has no such form.
    """
    symbols = {s: i for i, s in enumerate(sorted(expression.free_symbols, key=str))}

    def visit(one: Any) -> Any:
        if one in symbols:
            return ["s", symbols[one]]
        if one.is_Integer:
            return int(one)
        if one.is_Rational:
            return ["q", int(one.p), int(one.q)]
        if one.is_Boolean and not one.args:
            return bool(one)
        if one.is_Float:
            return float(one)
        name = type(one).__name__
        if _functions().get(name) is not type(one):
            raise ValueError(f"the size {one} uses {name}, which has no form in a file")
        return [name, *map(visit, one.args)]

    return visit(expression)


def read(value: Any, count: int) -> Any:
    """An expression from numbers and lists.

    Args:
        value: what `written` gave.
        count: how many symbols there are.

    Raises:
        ValueError: it is not of that form.
    """
    import sympy

    symbols = [sympy.Symbol(f"s{i:04}", integer=True, positive=True) for i in range(count)]

    def visit(one: Any) -> Any:
        if isinstance(one, (bool, int, float)):
            if abs(one) >= _LARGEST:
                raise ValueError(f"{one} is too large for a size")
            return sympy.sympify(one)
        if not isinstance(one, list) or not one:
            raise ValueError(f"{one!r} is not a size")
        kind, *rest = one
        if kind == "s" and len(rest) == 1 and rest[0] in range(count):
            return symbols[rest[0]]
        if kind == "q" and len(rest) == 2 and all(type(n) is int for n in rest):
            return sympy.Rational(*rest)
        if kind not in _functions():
            raise ValueError(f"{kind!r} is not a function of sizes")
        found = list(map(visit, rest))
        if kind in _POWERS and not (found[1:] and found[1] in range(-_HIGHEST, _HIGHEST + 1)):
            raise ValueError(f"a power of a size is at most {_HIGHEST}")
        return _functions()[kind](*found)

    return visit(value)
