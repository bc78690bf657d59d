"""The JSON Schema of what a check says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from causal_scrubbing._claims.schema import DIALECT

CODES: Final = (
    "choice",
    "code",
    "data",
    "feature",
    "graph",
    "hypothesis",
    "limit",
    "metric",
    "missing-file",
    "missing-key",
    "model",
    "number",
    "run",
    "syntax",
    "too-large",
    "twice",
    "type",
    "unknown-field",
    "unknown-key",
    "unknown-metric",
    "value",
)
GROUNDS: Final = (
    "bound",
    "untested-share",
    "never-swapped",
    "controls",
    "refutation",
    "limit",
)
_ANSWER: Final = {"enum": ["holds", "falls short", "untested", "error"]}
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": ["number", "null", "string"]}


def _object(optional: tuple[str, ...] = (), **entries: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": entries,
        "required": [key for key in entries if key not in optional],
        "additionalProperties": False,
    }


def _or_null(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [entry, {"type": "null"}]}


_ESTIMATE: Final = {
    "type": "object",
    "properties": {
        "mean": _NUMBER,
        "se": _NUMBER,
        "interval": {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2},
        "n": {"type": "integer"},
        "level": {"type": "number"},
        "unit": _TEXT,
        "reason": {"type": ["string", "null"]},
        "note": {"type": ["string", "null"]},
    },
    "required": ["mean", "se", "interval", "n", "level", "unit", "reason"],
}
_SCORES: Final = ("model", "scrubbed", "randomized", "gap", "recovered")

CHECK: Final[Mapping[str, Any]] = {
    "$schema": DIALECT,
    "$id": "urn:causal-scrubbing:check:1",
    "title": "What `causal-scrubbing check --json` prints",
    **_object(
        format={"const": 1},
        file=_TEXT,
        status={"enum": [0, 1, 2, 3]},
        limits={"type": "object"},
        faults={"type": "array", "items": {"$ref": "#/$defs/fault"}},
        verdicts={
            "type": "array",
            "items": _object(
                name=_TEXT,
                answer=_ANSWER,
                grounds={
                    "type": "array",
                    "items": _object(
                        code={"enum": list(GROUNDS)}, answer=_ANSWER, message=_TEXT, place=_TEXT
                    ),
                },
                faults={"type": "array", "items": {"$ref": "#/$defs/fault"}},
                estimates={
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "properties": dict.fromkeys(_SCORES, _ESTIMATE),
                        "required": list(_SCORES),
                    },
                },
                function_distance=_or_null(
                    _object(
                        measures={"type": "array", "items": {"type": "object"}},
                        better=_ESTIMATE,
                        worse=_ESTIMATE,
                        same=_ESTIMATE,
                        cancelled=_NUMBER,
                    )
                ),
                untested=_or_null(
                    _object(
                        samples=_NUMBER,
                        never_swapped={"type": "array", "items": _TEXT},
                    )
                ),
                controls=_or_null(
                    _object(
                        samples={"type": "integer"},
                        random_nodes={
                            "type": "array",
                            "items": _object(
                                text=_TEXT,
                                recovered=_ESTIMATE,
                                difference=_ESTIMATE,
                                p=_NUMBER,
                                beaten={"type": "boolean"},
                            ),
                        },
                        notes={"type": "array", "items": _TEXT},
                    )
                ),
                refutation=_or_null(
                    _object(
                        samples={"type": "integer"},
                        tried={"type": "object", "additionalProperties": {"type": "integer"}},
                        tolerance={"type": "number"},
                        detectable=_NUMBER,
                        findings={
                            "type": "array",
                            "items": _object(
                                text=_TEXT,
                                kind=_TEXT,
                                shift=_ESTIMATE,
                                towards_model={"type": "boolean"},
                                p=_NUMBER,
                                bits=_NUMBER,
                                hypothesis={"type": "object"},
                            ),
                        },
                        notes={"type": "array", "items": _TEXT},
                    )
                ),
            ),
        },
    ),
    "$defs": {
        "fault": _object(code={"enum": list(CODES)}, place=_TEXT, message=_TEXT, hint=_TEXT),
    },
}
"""What `causal-scrubbing schema --verdict` prints."""
