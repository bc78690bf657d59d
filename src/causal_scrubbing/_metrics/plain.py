"""Metrics of this package as plain data, as run files have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from causal_scrubbing._metrics.labels import Accuracy, CrossEntropy, LogitDifference, SquaredError
from causal_scrubbing._metrics.of_means import Correlation
from causal_scrubbing._metrics.to_model import ToModel

_KINDS: Final[Mapping[type, str]] = {
    CrossEntropy: "cross_entropy",
    Accuracy: "accuracy",
    LogitDifference: "logit_difference",
    SquaredError: "squared_error",
    Correlation: "correlation",
    ToModel: "to_model",
}


def metric_to_plain(metric: object) -> dict[str, Any] | None:
    """A metric as its kind and arguments; None of a function of the user's, which is code.

    Args:
        metric: the metric.
    """
    kind = _KINDS.get(type(metric))
    if kind is None:
        return None
    told = {one.name: getattr(metric, one.name) for one in fields(metric) if one.init}  # type: ignore[arg-type]
    if kind == "to_model":  # whose own kind is what is measured
        told["measure"] = told.pop("kind")
    return {"kind": kind, **{key: value for key, value in told.items() if value is not None}}
