"""Results as plain values for JSON: no float is lost, and the text is strict JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def plain(value: Any) -> Any:
    """Return ``value`` as dicts, lists, strings and finite floats.

    Strict JSON has no word for NaN and the infinities: they become None (null), and what holds them
    says why there is no number. Finite floats survive ``json`` exactly.
    """
    if value is None or type(value) in (str, bool, int):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _inner(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    import numpy as np

    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _inner(value: Any) -> Any:
    """A part of a dataclass, which may have plain data of its own."""
    if isinstance(value, (list, tuple)):
        return [_inner(item) for item in value]
    own = getattr(value, "to_dict", None)
    return plain(own()) if is_dataclass(value) and callable(own) else plain(value)
