"""What a claim may say a node carries: a field, a column, a function, a tuple of them."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from causal_scrubbing._format import is_printable, printable


class _Special:
    """A feature that needs no values: `exact` or `anything`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name


exact: Final = _Special("exact")
"""The feature that tells every row from every other: only the row itself agrees with it."""

anything: Final = _Special("anything")
"""The feature with one value: every row agrees with every other."""

FeatureFunction: TypeAlias = Callable[[Any], Any]
"""A function of a `Dataset` that gives one value (or one row of values) for each row."""

Feature: TypeAlias = str | FeatureFunction | _Special | tuple["Feature", ...]
"""A field name, ``"field[3]"`` (a column), a function of a `Dataset`, `exact`, `anything`,
or a tuple of features, all of which must agree."""


def feature_name(feature: Feature) -> str:
    """A short readable name of a feature, for tables and errors."""
    if isinstance(feature, str):
        return printable(feature)
    if isinstance(feature, _Special):
        return feature.name
    if isinstance(feature, tuple):
        return "(" + ", ".join(feature_name(part) for part in feature) + ")"
    name = getattr(feature, "__name__", None) or getattr(feature, "name", None)
    if name == "<lambda>":
        return _lambda_source(feature) or _lambda_place(feature)
    return printable(str(name)) if name else type(feature).__name__


def _lambda_source(feature: object) -> str | None:
    """The body of a lambda as it was written, where its source is at hand and short."""
    code = getattr(feature, "__code__", None)
    if code is None:
        return None
    spans = [p for p in code.co_positions() if None not in p and p[0] == p[1] and p[3] != p[2]]
    if not spans or len({span[0] for span in spans}) != 1:
        return None
    line = linecache.getline(code.co_filename, spans[0][0]).encode()
    text = line[min(s[2] for s in spans) : max(s[3] for s in spans)].decode(errors="replace")
    return text if 0 < len(text) <= 60 and is_printable(text) else None


def _lambda_place(feature: object) -> str:
    """Line and column of a lambda whose source is not at hand, which tell it from others."""
    code = getattr(feature, "__code__", None)
    if code is None:
        return "lambda"
    spans = [p for p in code.co_positions() if None not in p and (p[0], p[2]) != (p[1], p[3])]
    places = [(first, column) for first, _, column, _ in spans]
    line, column = min(places, default=(code.co_firstlineno, 0))
    return f"lambda at {line}:{column}"


def flatten_feature(feature: Feature) -> tuple[str | FeatureFunction | _Special, ...]:
    """The parts of a feature, tuples opened, `anything` left out and repeats dropped.

    `exact` anywhere makes the whole feature exact.
    """
    parts: list[str | FeatureFunction | _Special] = []

    def walk(one: Feature) -> None:
        if isinstance(one, tuple):
            for part in one:
                walk(part)
        elif one is not anything and not any(one is p or one == p for p in parts):
            parts.append(one)

    walk(feature)
    return (exact,) if any(p is exact for p in parts) else tuple(parts)


def is_feature(value: object) -> bool:
    """Whether a value has the form of a feature (it may still fail on the data)."""
    if isinstance(value, tuple):
        return all(is_feature(part) for part in value)
    return isinstance(value, str | _Special) or callable(value)
