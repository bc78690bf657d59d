"""Features as plain values that JSON can hold, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final

from causal_scrubbing._data.features import Feature, anything, exact, feature_name
from causal_scrubbing._data.real_features import (
    Bins,
    Distinct,
    Quantiles,
    RealFeature,
    Rounded,
    bins,
    distinct,
    quantiles,
    rounded,
)
from causal_scrubbing._errors import DataError

_KINDS: Final[Mapping[str, tuple[type[RealFeature], Callable[..., Any]]]] = {
    "rounded": (Rounded, rounded),
    "bins": (Bins, bins),
    "quantiles": (Quantiles, quantiles),
    "distinct": (Distinct, distinct),
}
_SPECIAL: Final = {"exact": exact, "anything": anything}


def feature_to_plain(feature: Feature) -> Any:
    """A feature as strings, numbers, lists and dicts.

    Args:
        feature: a field, a column, `exact`, `anything`, `rounded`, `bins`, `quantiles` or
            `distinct` of one, or a tuple of these.

    Returns:
        A field or column as its name, a tuple as a list, all else as a dict with a "kind".

    Raises:
        DataError: it is a function, which is code.
    """
    if isinstance(feature, str):
        return feature
    if isinstance(feature, tuple):
        return [feature_to_plain(part) for part in feature]
    for kind, special in _SPECIAL.items():
        if feature is special:
            return {"kind": kind}
    for kind, (made, _) in _KINDS.items():
        if type(feature) is made:
            options = {f.name: getattr(feature, f.name) for f in fields(made) if f.name != "base"}
            told = {name: value for name, value in options.items() if value is not None}
            return {"kind": kind, "of": feature_to_plain(feature.base), **told}
    raise DataError(
        f"feature {feature_name(feature)!r} is a function, which is code and cannot be saved. Make "
        "it a field, data.with_fields(name=function), and use the field's name."
    )


def feature_from_plain(given: object) -> Feature:
    """A feature from what `feature_to_plain` made of it.

    Raises:
        DataError: it is not such a value; the message says what is wrong.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, list):
        return tuple(feature_from_plain(part) for part in given)
    kind = given.get("kind") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(kind, str):
        raise DataError(f"{given!r} is not a saved feature: a name, a list, or a dict with a kind.")
    if kind in _SPECIAL and set(given) == {"kind"}:
        return _SPECIAL[kind]
    if kind not in _KINDS:
        known = ", ".join([*_SPECIAL, *_KINDS])
        raise DataError(f"a saved feature has kind {kind!r}; the kinds are {known}.")
    made, make = _KINDS[kind]
    options = {str(name): value for name, value in given.items() if name not in ("kind", "of")}
    wrong = sorted(set(options) - {f.name for f in fields(made)})
    if "of" not in given or wrong:
        fault = f"has no option {', '.join(wrong)}" if wrong else "lacks what it is made of, 'of'"
        raise DataError(f"a saved feature of kind {kind!r} {fault}.")
    return make(feature_from_plain(given["of"]), **options)  # type: ignore[no-any-return]
