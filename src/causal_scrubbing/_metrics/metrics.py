"""Metrics: functions of outputs and rows that give one number a row.

A metric of your own is any function ``(output, rows) -> tensor [B]``, where ``output`` is the
graph's output ``[B, ...]`` on some rows, ``rows["field"]`` a field of those rows and
``rows.model_output`` the model's own output on them. It is a function of each row alone, and
changes none of what it is given: runs try it on a few rows, together and apart. The metrics
made here also say which fields they read (``fields``), whether small values are good
(``lower_is_better``) and whether they take outputs for logits (``reads_logits``); a function may
carry these as attributes.
"""

from __future__ import annotations

from causal_scrubbing._metrics.labels import (
    Accuracy,
    CrossEntropy,
    LogitDifference,
    Metric,
    SquaredError,
)
from causal_scrubbing._metrics.to_model import ToModel, ToModelKind

__all__ = [
    "Metric",
    "accuracy",
    "cross_entropy",
    "logit_difference",
    "squared_error",
    "to_model",
]


def __dir__() -> list[str]:
    """Return the metrics alone, which is what a person who lists this module looks for."""
    return sorted(__all__)


def cross_entropy(label: str) -> CrossEntropy:
    """Return the loss -log p(label), in nats.

    Outputs are logits: ``[B]`` or ``[B, 1]`` (the log-odds of class 1), or ``[B, C]``. The label
    field is boolean or integer, one class number a row.

    Args:
        label: Name of the field that holds the label.
    """
    return CrossEntropy(label)


def accuracy(label: str) -> Accuracy:
    """Return 1 where the class of the largest logit is the label, else 0.

    Of equal logits the first counts; a binary logit predicts class 1 above zero. Shapes are those
    of :func:`cross_entropy`.

    Args:
        label: Name of the field that holds the label.
    """
    return Accuracy(label)


def logit_difference(correct: str | int, wrong: str | int) -> LogitDifference:
    """Return logit[correct] - logit[wrong], of outputs ``[B, C]``.

    Args:
        correct: A class number, or the name of a field that holds each row's.
        wrong: Likewise.
    """
    return LogitDifference(correct, wrong)


def squared_error(target: str) -> SquaredError:
    """Return the squared difference to a target, averaged over the numbers of a row.

    Args:
        target: Name of the field that holds the target, of the output's shape.
    """
    return SquaredError(target)


def to_model(kind: ToModelKind) -> ToModel:
    """Compare with the model's own output on the reference row; needs no labels.

    Args:
        kind: ``"kl"``: KL(model || scrubbed) between the distributions that logits stand for, in
            nats; ``"total_variation"``: between the same distributions, 0 to 1; ``"agreement"``:
            1 where both predict the same class; ``"distance"``: Euclidean distance of all numbers
            of a row; ``"squared_error"``: their mean squared difference. The first three read
            outputs as logits, shaped as for :func:`cross_entropy`.
    """
    return ToModel(kind)
