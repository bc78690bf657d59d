"""The JSON Schema of run files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FORMAT: Final = 1
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

CLASSES: Final = (
    "AutoModel",
    "AutoModelForCausalLM",
    "AutoModelForImageClassification",
    "AutoModelForMaskedLM",
    "AutoModelForQuestionAnswering",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
)
TYPES: Final = ("bool", "int32", "int64", "float32", "float64", "text")

_TEXT: Final = {"type": "string", "minLength": 1}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_COUNT: Final = {"type": "integer", "minimum": 1}
_NUMBER: Final = {"type": "number"}
_FEATURE: Final = {"$ref": "#/$defs/feature"}
_ABLATION: Final = {
    "type": ["string", "object"],
    "minLength": 1,
    "minProperties": 1,
    "additionalProperties": _TEXT,
}


def _object(required: tuple[str, ...] = (), **entries: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": entries,
        "required": list(required),
        "additionalProperties": False,
    }


def _by_kind(kinds: Mapping[str, Mapping[str, Any]], also: Any = None) -> dict[str, Any]:
    """An object whose "kind" says which entries it has."""
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": list(kinds)}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {
                    **entry,
                    "properties": {
                        "kind": {"const": kind},
                        **(also or {}),
                        **entry["properties"],
                    },
                },
            }
            for kind, entry in kinds.items()
        ],
    }


_SPLIT: Final = _object(
    ("nodes", "axis", "into"),
    nodes=_TEXT,
    axis={"type": "integer"},
    into={
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {
            "type": ["integer", "array", "string", "object"],
            "items": {"type": "integer"},
            "minLength": 1,
            "properties": {"from": {"type": "integer"}, "to": {"type": "integer"}},
            "additionalProperties": False,
        },
    },
    rest=_TEXT,
)

_GRAPH: Final[Mapping[str, Any]] = {"splits": {"type": "array", "items": _SPLIT}}
_CAPTURE: Final[Mapping[str, Any]] = {
    "sites": {"type": "object", "minProperties": 1, "additionalProperties": _TEXT},
    "fields": {
        "type": ["array", "object"],
        "items": _TEXT,
        "additionalProperties": _TEXT,
        "minItems": 1,
        "minProperties": 1,
    },
    "output": _TEXT,
    "at": {"type": ["integer", "string"], "minLength": 1},
    "dynamic": {"type": "boolean"},
    "method": {"enum": ["auto", "export", "hooks"]},
    "opaque": _TEXTS,
}

_MODEL: Final = _by_kind(
    {
        "transformers": _object(
            ("folder", "sites", "fields"), folder=_TEXT, **{"class": {"enum": list(CLASSES)}},
            **_CAPTURE,
        ),
        "graph": _object(
            ("folder", "graph"), folder=_TEXT, graph=_TEXT, **{"class": {"enum": list(CLASSES)}}
        ),
        "code": _object(
            ("call",),
            call={"type": "string", "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"},
            arguments={
                "type": "object",
                "additionalProperties": {"type": ["string", "number", "boolean"]},
            },
        ),
    },
    also=_GRAPH,
)  # fmt: skip

_DATA: Final = _object(
    ("file",),
    file=_TEXT,
    format={"enum": ["parquet", "arrow", "csv", "jsonl"]},
    fields={
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"enum": list(TYPES)},
    },
    weights=_TEXT,
    rows=_COUNT,
)

_OF: Final = {"of": _FEATURE}
_FEATURE_DEF: Final[Mapping[str, Any]] = {
    "type": ["string", "array", "object"],
    "minLength": 1,
    "items": _FEATURE,
    "if": {"type": "object"},
    "then": _by_kind(
        {
            "exact": _object(),
            "anything": _object(),
            "rounded": _object(("of",), decimals={"type": "integer"}, **_OF),
            "bins": _object(
                ("of",),
                width={"type": "number", "exclusiveMinimum": 0},
                count=_COUNT,
                circular={"type": "number", "exclusiveMinimum": 0},
                centre=_NUMBER,
                **_OF,
            ),
            "quantiles": _object(("of",), n=_COUNT, **_OF),
            "distinct": _object(("of",), **_OF),
        }
    ),
}

_CLAIM: Final[Mapping[str, Any]] = {
    "node": _TEXT,
    "feature": _FEATURE,
    "others": _FEATURE,
    "via": _TEXTS,
    "tie": _TEXT,
    "name": _TEXT,
    "draw": _TEXT,
    "cut": {"type": "array", "items": {**_TEXTS, "minItems": 2, "maxItems": 2}},
    "ablation": _ABLATION,
    "family": _TEXTS,
}

_HYPOTHESIS: Final[Mapping[str, Any]] = {
    "unimportant": {
        "type": ["string", "object"],
        "minProperties": 1,
        "additionalProperties": _TEXT,
        "if": {"type": "string"},
        "then": {"enum": ["per-claim", "together", "separate"]},
    },
    "within": _FEATURE,
    "self_draws": {"type": "boolean"},
    "ablation": _ABLATION,
    "ablates": {"type": "boolean"},
    "output": _TEXT,
    "claims": {
        "type": "array",
        "minItems": 1,
        "items": _object(
            ("node", "feature"),
            **_CLAIM,
            children={"type": "array", "items": {"type": "integer", "minimum": 0}},
        ),
    },
}

_POSITIONS: Final[Mapping[str, Any]] = {
    "ignore": {"type": "integer"},
    "where": _TEXT,
    "per": {"enum": ["row", "token"]},
}
_CLASS: Final = {"type": ["string", "integer"], "minLength": 1}
_METRIC: Final = _by_kind(
    {
        "cross_entropy": _object(("label",), label=_TEXT, **_POSITIONS),
        "accuracy": _object(("label",), label=_TEXT, **_POSITIONS),
        "logit_difference": _object(("correct", "wrong"), correct=_CLASS, wrong=_CLASS, at=_CLASS),
        "squared_error": _object(("target",), target=_TEXT),
        "correlation": _object(("field",), field=_TEXT),
        "to_model": _object(
            ("measure",),
            measure={
                "enum": ["kl", "total_variation", "agreement", "distance", "squared_error"]
            },
            where=_TEXT,
            per={"enum": ["row", "token"]},
        ),
    }
)  # fmt: skip

_RUN: Final = _object(
    samples={
        "type": ["integer", "string"],
        "minimum": 2,
        "if": {"type": "string"},
        "then": {"const": "auto"},
    },
    tolerance={"type": "number", "exclusiveMinimum": 0},
    max_samples={"type": "integer", "minimum": 2},
    seed={"type": "integer", "minimum": 0},
    draw={"enum": ["independent", "balanced", "sobol"]},
    randomize=_TEXT,
    baseline=_TEXT,
)

_BOUND: Final[Mapping[str, Any]] = {
    **_object(
        metric=_TEXT,
        of={"enum": ["recovered", "gap", "scrubbed"]},
        at_least=_NUMBER,
        at_most=_NUMBER,
    ),
    "anyOf": [{"required": ["at_least"]}, {"required": ["at_most"]}],
}
_REQUIRE: Final = _object(
    bounds={"type": "array", "minItems": 1, "items": _BOUND},
    untested={"type": "number", "minimum": 0, "maximum": 1},
    never_swapped={"type": "integer", "minimum": 0},
    refutation=_object(
        ("budget",),
        budget=_COUNT,
        samples={"type": "integer", "minimum": 2},
        tolerance={"type": "number", "minimum": 0},
        features={"type": "array", "items": _FEATURE},
    ),
    controls=_object(
        random={"type": "integer", "minimum": 1, "maximum": 100},
        samples={"type": "integer", "minimum": 2},
    ),
)

RUN_FILE: Final[Mapping[str, Any]] = {
    "$schema": DIALECT,
    "$id": "urn:causal-scrubbing:run-file:1",
    "title": "A run of causal scrubbing: model, data, hypotheses, metrics, and what must hold",
    **_object(
        ("format", "model", "data", "hypotheses"),
        format={"const": FORMAT},
        model=_MODEL,
        data=_DATA,
        hypotheses={
            "type": "array",
            "minItems": 1,
            "items": {
                **_object(
                    ("name",),
                    name=_TEXT,
                    file=_TEXT,
                    root={"$ref": "#/$defs/claim"},
                    require=_REQUIRE,
                    **_HYPOTHESIS,
                ),
                "oneOf": [
                    {"required": ["file"]}, {"required": ["claims"]}, {"required": ["root"]},
                ],
            },
        },
        metrics={"type": "object", "minProperties": 1, "additionalProperties": _METRIC},
        run=_RUN,
        require=_REQUIRE,
    ),
    "$defs": {
        "feature": _FEATURE_DEF,
        "claim": _object(
            ("node", "feature"),
            **_CLAIM,
            children={"type": "array", "items": {"$ref": "#/$defs/claim"}},
        ),
    },
}  # fmt: skip
"""What `causal-scrubbing schema` prints."""

SAVED: Final[Mapping[str, Any]] = {
    "$schema": DIALECT,
    **_object(("claims",), name={"type": ["string", "null"]}, **_HYPOTHESIS),
    "$defs": RUN_FILE["$defs"],
}
"""A hypothesis in a file of its own, as `Hypothesis.save` writes it."""
