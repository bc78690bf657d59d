"""Metrics against a label: each turns outputs and rows into one number a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

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


@dataclass(frozen=True)
class CrossEntropy:
    """See :func:`causal_scrubbing.metrics.cross_entropy`."""

    label: str
    lower_is_better: ClassVar[bool] = True
    reads_logits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name("cross_entropy", "label", self.label)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads."""
        return (self.label,)

    def __str__(self) -> str:
        return f"cross_entropy({self.label!r})"

    def __call__(self, output: Tensor, rows: Rows) -> Tensor:
        """Return minus the log-probability of each row's label, in nats, ``[B]``."""
        logits = as_logits(str(self), output)
        labels = class_labels(str(self), logits, rows, self.label)
        if logits.ndim == 1:
            sign = 1 - 2 * labels.to(logits.dtype)
            return torch.nn.functional.softplus(sign * logits)
        chosen = logits.gather(1, labels[:, None]).squeeze(1)
        return torch.logsumexp(logits, dim=1) - chosen


@dataclass(frozen=True)
class Accuracy:
    """See :func:`causal_scrubbing.metrics.accuracy`."""

    label: str
    lower_is_better: ClassVar[bool] = False
    reads_logits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name("accuracy", "label", self.label)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads."""
        return (self.label,)

    def __str__(self) -> str:
        return f"accuracy({self.label!r})"

    def __call__(self, output: Tensor, rows: Rows) -> Tensor:
        """Return 1 where the predicted class is the label and 0 elsewhere, ``[B]``."""
        logits = as_logits(str(self), output)
        labels = class_labels(str(self), logits, rows, self.label)
        return (predicted(logits) == labels).to(logits.dtype)


@dataclass(frozen=True)
class LogitDifference:
    """See :func:`causal_scrubbing.metrics.logit_difference`."""

    correct: str | int
    wrong: str | int
    lower_is_better: ClassVar[bool] = False
    reads_logits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for argument in ("correct", "wrong"):
            which = getattr(self, argument)
            if not isinstance(which, int | np.integer) or isinstance(which, bool):
                check_name("logit_difference", argument, which, "a class number or ")

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads."""
        return tuple(name for name in (self.correct, self.wrong) if isinstance(name, str))

    def __str__(self) -> str:
        return f"logit_difference({self.correct!r}, {self.wrong!r})"

    def __call__(self, output: Tensor, rows: Rows) -> Tensor:
        """Return the correct class's logit minus the wrong one's, ``[B]``."""
        logits = as_logits(str(self), output)
        if logits.ndim == 1:
            raise MetricError(
                f"metric {self}: outputs of shape {list(output.shape)} hold one logit a row and "
                "have no two to subtract; use the output itself, or one with a logit per class"
            )
        correct, wrong = (self._logit(logits, rows, which) for which in (self.correct, self.wrong))
        return correct - wrong

    def _logit(self, logits: Tensor, rows: Rows, which: str | int) -> Tensor:
        if isinstance(which, str):
            labels = class_labels(str(self), logits, rows, which)
            return logits.gather(1, labels[:, None]).squeeze(1)
        if not 0 <= which < logits.shape[1]:
            raise MetricError(
                f"metric {self}: class {which} is not among the {logits.shape[1]} classes of the "
                f"output; give one from 0 to {logits.shape[1] - 1}, or the name of a field"
            )
        return logits[:, which]


@dataclass(frozen=True)
class SquaredError:
    """See :func:`causal_scrubbing.metrics.squared_error`."""

    target: str
    lower_is_better: ClassVar[bool] = True
    reads_logits: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_name("squared_error", "target", self.target)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads."""
        return (self.target,)

    def __str__(self) -> str:
        return f"squared_error({self.target!r})"

    def __call__(self, output: Tensor, rows: Rows) -> Tensor:
        """Return the squared difference to the target, averaged over a row's numbers, ``[B]``."""
        values = as_numbers(str(self), output).flatten(1)
        target = field(str(self), rows, self.target, len(output), output.device)
        target = target.to(values.dtype).flatten(1) if target.ndim > 1 else target[:, None]
        if target.shape != values.shape:
            raise MetricError(
                f"metric {self}: field {self.target!r} has {target.shape[1]} numbers a row and the "
                f"output of shape {list(output.shape)} has {values.shape[1]}; give a target of the "
                "output's shape"
            )
        return ((values - target.to(values.dtype)) ** 2).mean(dim=1)


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
            "the position to score in the graph, for instance logits[:, -1]"
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
