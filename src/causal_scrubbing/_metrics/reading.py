"""What metrics read: outputs as logits or numbers, fields as labels; each checked."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from causal_scrubbing._errors import CausalScrubbingError, MetricError


class Rows(Protocol):
    """What a metric reads of a dataset: fields by name."""

    def __getitem__(self, name: str, /) -> Any: ...


@runtime_checkable
class Metric(Protocol):
    """A function of outputs ``[B, ...]`` and their rows that gives one number a row, ``[B]``.

    A plain function is a metric too. It may give ``[B, k]``: a behaviour that is a vector.
    """

    def __call__(self, output: Tensor, rows: Any, /) -> Tensor: ...


def check_name(metric: str, argument: str, given: object, also: str = "") -> None:
    """Refuse what names no field.

    Args:
        metric: the function that makes the metric.
        argument: its argument.
        given: what was given for it.
        also: what else may be given, in words.

    Raises:
        MetricError: it is no text.
    """
    if not isinstance(given, str):
        shown = repr(given) if isinstance(given, int | float) else type(given).__name__
        raise MetricError(
            f"cs.metrics.{metric}: {argument} is {shown}, wanted {also}the name of a field of the "
            f"data; add values with data.with_fields({argument}=...) and name them: "
            f"""cs.metrics.{metric}({"'correct', 'wrong'" if also else repr(argument)})"""
        )


def as_numbers(metric: str, output: Tensor) -> Tensor:
    """Return outputs ``[B, ...]`` as ``[B, 1]`` or more, half precision raised to float32.

    Whole numbers become float64.
    """
    if not isinstance(output, Tensor) or output.ndim == 0:
        shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise MetricError(
            f"metric {metric}: the output is {shape}, wanted a tensor with one row a sample; make "
            "the graph's output a tensor, batch first"
        )
    if not output.is_floating_point():
        output = output.to(torch.float64)  # float32 holds whole numbers up to 2**24 only
    elif output.dtype in (torch.float16, torch.bfloat16):
        output = output.to(torch.float32)
    return output[:, None] if output.ndim == 1 else output


def as_logits(metric: str, output: Tensor) -> Tensor:
    """Return logits as ``[B]`` (binary, the log-odds of class 1) or ``[B, C]`` with C >= 2."""
    logits = as_numbers(metric, output)
    if logits.ndim > 2 or logits.shape[1] == 0:
        raise MetricError(
            f"metric {metric}: outputs of shape {list(output.shape)} are not logits of one "
            "prediction a row; wanted [rows], [rows, 1] (a binary logit) or [rows, classes]. Pick "
            "the position to score in the graph, for instance logits[:, -1], or score positions: "
            "cross_entropy and accuracy take one label a position, to_model takes where="
        )
    return logits.squeeze(1) if logits.shape[1] == 1 else logits


def predicted(logits: Tensor) -> Tensor:
    """Return the predicted class, ``[B]``: the largest logit's, the first of equal ones.

    A binary logit predicts class 1 above zero.
    """
    return (logits > 0).long() if logits.ndim == 1 else logits.argmax(dim=1)


def field(metric: str, rows: Rows, name: str, count: int, device: torch.device) -> Tensor:
    """Return a numeric field of ``rows``, moved to ``device``.

    Raises:
        MetricError: If there is no such field, it is text, or it has another number of rows.
    """
    try:
        values = rows[name]
    except CausalScrubbingError as error:
        raise MetricError(f"metric {metric}: {error}") from error
    if not isinstance(values, Tensor):
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise MetricError(
                f"metric {metric}: field {name!r} holds {array.dtype} values, not numbers; add a "
                f"numeric field, data.with_fields({name}_id=...)"
            )
        values = torch.from_numpy(array)
    if values.ndim == 0 or len(values) != count:
        raise MetricError(
            f"metric {metric}: field {name!r} has shape {list(values.shape)} and the output "
            f"{count} rows; score outputs with the rows they came from"
        )
    return values.to(device)


def class_labels(metric: str, logits: Tensor, rows: Rows, name: str) -> Tensor:
    """Return a label field as class numbers ``[B]`` (int64) that fit ``logits``.

    Raises:
        MetricError: If the field is not one integer or boolean a row, or out of range.
    """
    labels = field(metric, rows, name, len(logits), logits.device)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels.squeeze(1)
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise MetricError(
            f"metric {metric}: field {name!r} is {labels.dtype} of shape {list(labels.shape)}, "
            "wanted one class number a row, boolean or integer; add such a field with "
            "data.with_fields(...)"
        )
    labels = labels.long()
    classes = 2 if logits.ndim == 1 else logits.shape[1]
    if len(labels) and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise MetricError(
            f"metric {metric}: field {name!r} has classes {int(labels.min())} to "
            f"{int(labels.max())} and the output of shape {list(logits.shape)} has {classes}; "
            f"number the classes 0 to {classes - 1}"
        )
    return labels
