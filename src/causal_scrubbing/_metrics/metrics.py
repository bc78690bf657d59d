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

from collections.abc import Callable
from typing import Any

from causal_scrubbing._metrics.labels import Accuracy, CrossEntropy, LogitDifference, SquaredError
from causal_scrubbing._metrics.of_means import Correlation, OfMeans
from causal_scrubbing._metrics.positions import Per
from causal_scrubbing._metrics.reading import Metric
from causal_scrubbing._metrics.to_model import ToModel, ToModelKind

__all__ = [
    "Metric",
    "accuracy",
    "correlation",
    "cross_entropy",
    "logit_difference",
    "of_means",
    "squared_error",
    "to_model",
]


def __dir__() -> list[str]:
    """Return the metrics alone, which is what a person who lists this module looks for."""
    return sorted(__all__)


def cross_entropy(
    label: str, *, ignore: int | None = None, where: str | None = None, per: Per | None = None
) -> CrossEntropy:
    """Return the loss -log p(label), in nats.

    Outputs are logits: ``[B]`` or ``[B, 1]`` (the log-odds of class 1), ``[B, C]``, or
    ``[B, T, C]`` with one prediction a position. The label field is boolean or integer, one class
    number a row, or ``[B, T]``, one a position: that of a language model is the next token.

    Args:
        label: Name of the field that holds the label.
        ignore: The label of positions that are not scored, such as -100.
        where: Name of a boolean field ``[B, T]`` that marks the positions scored.
        per: ``"row"`` (the default) takes the mean over a row's positions, so that each row counts
            alike. ``"token"`` takes the mean over all positions of the data, so that each of them
            does: sum of losses over number of positions, a ratio of means.

    Raises:
        MetricError: An argument is of the wrong kind.

    Example:
        >>> cross_entropy("labels", ignore=-100, per="token")
        CrossEntropy(label='labels', ignore=-100, where=None, per='token')
    """
    return CrossEntropy(label, ignore, where, per)


def accuracy(
    label: str, *, ignore: int | None = None, where: str | None = None, per: Per | None = None
) -> Accuracy:
    """Return 1 where the class of the largest logit is the label, else 0.

    Of equal logits the first counts; a binary logit predicts class 1 above zero. Shapes and
    arguments are those of :func:`cross_entropy`.

    Args:
        label: Name of the field that holds the label.
        ignore: The label of positions that are not scored.
        where: Name of a boolean field that marks the positions scored.
        per: ``"row"`` or ``"token"``.

    Raises:
        MetricError: An argument is of the wrong kind.
    """
    return Accuracy(label, ignore, where, per)


def logit_difference(
    correct: str | int, wrong: str | int, *, at: str | int | None = None
) -> LogitDifference:
    """Return logit[correct] - logit[wrong], of outputs ``[B, C]``, or ``[B, T, C]`` at a position.

    Args:
        correct: A class number, or the name of a field that holds each row's.
        wrong: Likewise.
        at: Of outputs with positions: which, or the name of a field that holds each row's.
            Negative ones count from the end.

    Raises:
        MetricError: An argument is of the wrong kind.
    """
    return LogitDifference(correct, wrong, at)


def squared_error(target: str) -> SquaredError:
    """Return the squared difference to a target, averaged over the numbers of a row.

    Args:
        target: Name of the field that holds the target, of the output's shape.

    Raises:
        MetricError: It is not a name.
    """
    return SquaredError(target)


def to_model(kind: ToModelKind, *, where: str | None = None, per: Per | None = None) -> ToModel:
    """Compare with the model's own output on the reference row; needs no labels.

    Args:
        kind: ``"kl"``: KL(model || scrubbed) between the distributions that logits stand for, in
            nats; ``"total_variation"``: between the same distributions, 0 to 1; ``"agreement"``:
            1 where both predict the same class; ``"distance"``: Euclidean distance of all numbers
            of a row; ``"squared_error"``: their mean squared difference. The first three read
            outputs as logits, shaped as for :func:`cross_entropy`.
        where: Of outputs ``[B, T, ...]``: name of a boolean field ``[B, T]`` that marks the
            positions compared. Each position is compared by itself, and the comparisons averaged.
        per: ``"row"`` or ``"token"``, see :func:`cross_entropy`; all positions are compared where
            it is given without ``where``.

    Raises:
        MetricError: There is no such kind, or an argument is of the wrong kind.
    """
    return ToModel(kind, where, per)


def of_means(per_row: Metric, fn: Callable[[Any], Any]) -> OfMeans:
    """Return the behaviour fn(means of per_row's columns over the data).

    Some behaviours are no mean of one number a row: a correlation, a ratio of totals, a variance
    explained. Here E_model, E_scrubbed and E_randomized are fn of the means of the columns under
    the model, under the swaps and with random rows' outputs, with intervals of fn.

    Args:
        per_row: A metric that gives ``[B, k]`` columns.
        fn: Takes the k means to one number. Written with arithmetic (``m[0] / m[1]``, ``** 0.5``)
            it is fastest. It may use numpy's functions or torch's.

    Raises:
        MetricError: One of them is not a function.

    Example:
        >>> import torch
        >>> columns = lambda output, rows: torch.stack([output, output**2], dim=1)
        >>> variance = of_means(columns, lambda m: m[1] - m[0] ** 2)
    """
    return OfMeans(per_row, fn)


def correlation(field: str) -> Correlation:
    """Return Pearson's correlation over the data between the output and a field.

    The output is one number a row. Its correlation with a field under the swaps is that of the
    scrubbed outputs with the field's values on their reference rows.

    Args:
        field: Name of a numeric or boolean field with one number a row.

    Raises:
        MetricError: It is not a name.

    Example:
        >>> str(correlation("near"))
        "correlation('near')"
    """
    return Correlation(field)
