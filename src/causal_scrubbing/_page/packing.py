"""Typed values as one JSON text that may stand inside a page; arrays as one compressed blob."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from causal_scrubbing._statistics import Estimate, Scores

_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Written as escapes, so that no text can end the element that holds it."""


def pack(value: Any) -> str:
    """A dataclass as JSON for a page.

    Arrays become ``{"$": [first byte, length, "f4" or "i4"]}`` into ``binary``, which is the bytes
    of all of them, compressed with zlib, in base64; a two-dimensional one has its width too.
    """
    blob = bytearray()
    body = _plain(value, blob)
    body["binary"] = base64.b64encode(zlib.compress(bytes(blob), 9)).decode()
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate has no bytes in UTF-8.
    text = text.encode("utf-8", "replace").decode("utf-8")
    for unsafe, escaped in _UNSAFE.items():
        text = text.replace(unsafe, escaped)
    return text


def _plain(value: Any, blob: bytearray) -> Any:
    if isinstance(value, Estimate):
        return estimate_dict(value)
    if isinstance(value, Scores):
        kinds = ("model", "scrubbed", "randomized", "gap", "recovered")
        return {kind: estimate_dict(getattr(value, kind)) for kind in kinds}
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name), blob) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item, blob) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        kind = "i4" if value.dtype.kind in "iub" else "f4"
        array = np.ascontiguousarray(value, dtype=f"<{kind}")
        place = {"$": [len(blob), array.size, kind, array.shape[1] if array.ndim == 2 else 1]}
        blob += array.tobytes()
        return place
    if isinstance(value, list | tuple):
        return [_plain(item, blob) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return value.item()
    return value


def estimate_dict(estimate: Estimate) -> dict[str, Any]:
    """An estimate with its numbers, and in words with the digits its uncertainty leaves."""
    bounds = estimate.bounds() if estimate.defined else None
    low, high = estimate.interval
    return {
        "text": str(estimate),
        "mean": estimate.mean if math.isfinite(estimate.mean) else None,
        "low": low if math.isfinite(low) else None,
        "high": high if math.isfinite(high) else None,
        "bounds": None if bounds is None else list(bounds),
    }
