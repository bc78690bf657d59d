"""Scores of positions, averaged over those of a row or over all tokens of the data."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from causal_scrubbing._errors import MetricError
from causal_scrubbing._metrics.reading import as_numbers, check_name, field

Per: TypeAlias = Literal["row", "token"]


def check_positions(metric: str, ignore: object, where: object, per: object) -> None:
    """Refuse what says nothing about positions.

    Args:
        metric: the function that makes the metric.
        ignore: a label that is not scored, or None.
        where: the name of a field that marks positions, or None.
        per: "row", "token", or None for the default.

    Raises:
        MetricError: one of them is of the wrong kind.
    """
    if ignore is not None and (
        isinstance(ignore, bool) or not isinstance(ignore, int | np.integer)
    ):
        raise MetricError(
            f"cs.metrics.{metric}: ignore is {ignore!r}, wanted the integer that marks labels not "
            "to score, such as -100"
        )
    if where is not None:
        check_name(metric, "where", where)
    if per is not None and per not in get_args(Per):
        raise MetricError(
            f'cs.metrics.{metric}: per is {per!r}; take "row", where each row counts alike, or '
            '"token", where each position scored does'
        )


def position_text(ignore: int | None, where: str | None, per: Per | None) -> str:
    """The options of positions as they are written in a call, "" without any."""
    parts = [] if ignore is None else [f"ignore={ignore}"]
    parts += [] if where is None else [f"where={where!r}"]
    parts += [] if per is None else [f"per={per!r}"]
    return "".join(f", {part}" for part in parts)


def marked(metric: str, rows: Any, where: str | None, shape: torch.Size, like: Tensor) -> Tensor:
    """Which positions a boolean field marks, ``[B, T]``; all without one.

    Raises:
        MetricError: the field is not one true or false a position.
    """
    if where is None:
        return torch.ones(shape, dtype=torch.bool, device=like.device)
    given = field(metric, rows, where, shape[0], like.device)
    if given.ndim == 1 and shape[1] == 1:
        given = given[:, None]
    if given.shape != shape:
        raise MetricError(
            f"metric {metric}: field {where!r} has shape {list(given.shape)} and the output "
            f"{list(shape)} positions; mark each position of each row with true or false"
        )
    if given.dtype != torch.bool and not bool(((given == 0) | (given == 1)).all()):
        raise MetricError(
            f"metric {metric}: field {where!r} holds {given.dtype} values other than 0 and 1; mark "
            "each position with true or false"
        )
    return given.bool()


def average(metric: str, scores: Tensor, mask: Tensor, per: Per | None) -> Tensor:
    """Scores ``[B, T]`` as one number a row, or as the columns of a ratio of means.

    Args:
        metric: for messages.
        scores: of each position.
        mask: which positions count.
        per: "row" gives the mean of each row's positions, ``[B]``; "token" gives their sum and
            their number, ``[B, 2]``, whose means' ratio is the mean over all tokens.

    Raises:
        MetricError: a row has no position to score, and each row is to count alike.
    """
    total = torch.where(mask, scores, torch.zeros_like(scores)).sum(dim=1)
    count = mask.sum(dim=1)
    if per == "token":
        return torch.stack([total, count.to(total.dtype)], dim=1)
    if bool((count == 0).any()):
        raise MetricError(
            f"metric {metric}: {int((count == 0).sum())} of {len(count)} rows have no position to "
            'score, so no mean of their own; leave those rows out of the data, or take per="token"'
        )
    return total / count


def sequences(metric: str, output: Tensor) -> Tensor:
    """Logits as ``[B, T, C]``: one prediction a position; those of a single one have T = 1.

    Raises:
        MetricError: they are neither.
    """
    logits = as_numbers(metric, output)
    if logits.ndim == 2:
        logits = logits[:, None]
    if logits.ndim != 3 or logits.shape[2] < 2:
        raise MetricError(
            f"metric {metric}: outputs of shape {list(output.shape)} are not logits of positions; "
            "wanted [rows, positions, classes], or [rows, classes]"
        )
    return logits


def position_labels(
    metric: str, logits: Tensor, rows: Any, name: str, ignore: int | None
) -> tuple[Tensor, Tensor]:
    """The labels ``[B, T]`` of logits ``[B, T, C]``, 0 where ignored, and which are not ignored.

    Raises:
        MetricError: the field is not one class number a position, or out of range.
    """
    labels = field(metric, rows, name, len(logits), logits.device)
    if labels.ndim == 1 and logits.shape[1] == 1:
        labels = labels[:, None]
    if labels.shape != logits.shape[:2] or labels.is_floating_point() or labels.is_complex():
        raise MetricError(
            f"metric {metric}: field {name!r} is {labels.dtype} of shape {list(labels.shape)} and "
            f"the output {list(logits.shape)}; wanted one class number a position, "
            f"{list(logits.shape[:2])}. The label of a position is the token after it: shift "
            "tokens by one"
        )
    labels = labels.long()
    kept = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
    labels = torch.where(kept, labels, torch.zeros_like(labels))
    low, high = (int(labels.min()), int(labels.max())) if labels.numel() else (0, 0)
    if low < 0 or high >= logits.shape[2]:
        hint = f"pass ignore={low} if that marks what is not scored" if low < 0 else ""
        raise MetricError(
            f"metric {metric}: field {name!r} has classes {low} to {high} and the output "
            f"{logits.shape[2]}; {hint or f'number the classes 0 to {logits.shape[2] - 1}'}"
        )
    return labels, kept
