"""Metrics against a label: each turns outputs and rows into one number a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from causal_scrubbing._errors import MetricError
from causal_scrubbing._metrics.positions import (
    Per,
    average,
    check_positions,
    marked,
    position_labels,
    position_text,
    sequences,
)
from causal_scrubbing._metrics.ratio import ratio_of_means
from causal_scrubbing._metrics.reading import (
    Rows,
    as_logits,
    as_numbers,
    check_name,
    class_labels,
    field,
    predicted,
)


@dataclass(frozen=True)
class _OfLabel:
    """What cross-entropy and accuracy share: a label a row, or one a position."""

    label: str
    ignore: int | None = None
    where: str | None = None
    per: Per | None = None
    reads_logits: ClassVar[bool] = True
    name: ClassVar[str]

    def __post_init__(self) -> None:
        check_name(self.name, "label", self.label)
        check_positions(self.name, self.ignore, self.where, self.per)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads."""
        return (self.label,) if self.where is None else (self.label, self.where)

    @property
    def of_means(self) -> Callable[[Any], Any] | None:
        """What the behaviour is of the means of the columns; None where it is one number a row."""
        return ratio_of_means if self.per == "token" else None

    def __str__(self) -> str:
        options = position_text(self.ignore, self.where, self.per)
        return f"{self.name}({self.label!r}{options})"

    def _is_by_position(self, output: Tensor) -> bool:
        """Whether there is more than one prediction a row."""
        given = (self.ignore, self.where, self.per) != (None, None, None)
        return given or (isinstance(output, Tensor) and output.ndim == 3)

    def _by_position(self, output: Tensor, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Logits ``[B, T, C]``, labels ``[B, T]``, and which of them are scored."""
        logits = sequences(str(self), output)
        labels, kept = position_labels(str(self), logits, rows, self.label, self.ignore)
        mask = marked(str(self), rows, self.where, labels.shape, logits)
        return logits, labels, kept & mask


@dataclass(frozen=True)
class CrossEntropy(_OfLabel):
    """See :func:`causal_scrubbing.metrics.cross_entropy`."""

    lower_is_better: ClassVar[bool] = True
    name: ClassVar[str] = "cross_entropy"

    __str__ = _OfLabel.__str__

    def __call__(self, output: Tensor, rows: Rows) -> Tensor:
        """Return minus the log-probability of each row's label in nats, or their mean, ``[B]``."""
        if self._is_by_position(output):
            logits, labels, scored = self._by_position(output, rows)
            chosen = logits.gather(2, labels[..., None]).squeeze(2)
            return average(str(self), torch.logsumexp(logits, dim=2) - chosen, scored, self.per)
        logits = as_logits(str(self), output)
        labels = class_labels(str(self), logits, rows, self.label)
        if logits.ndim == 1:
            sign = 1 - 2 * labels.to(logits.dtype)
            return torch.nn.functional.softplus(sign * logits)
        chosen = logits.gather(1, labels[:, None]).squeeze(1)
        return torch.logsumexp(logits, dim=1) - chosen


@dataclass(frozen=True)
class Accuracy(_OfLabel):
    """See :func:`causal_scrubbing.metrics.accuracy`."""

    lower_is_better: ClassVar[bool] = False
    name: ClassVar[str] = "accuracy"

    __str__ = _OfLabel.__str__

    def __call__(self, output: Tensor, rows: Rows) -> Tensor:
        """Return 1 where the predicted class is the label, else 0, or their mean, ``[B]``."""
        if self._is_by_position(output):
            logits, labels, scored = self._by_position(output, rows)
            right = (logits.argmax(dim=2) == labels).to(logits.dtype)
            return average(str(self), right, scored, self.per)
        logits = as_logits(str(self), output)
        labels = class_labels(str(self), logits, rows, self.label)
        return (predicted(logits) == labels).to(logits.dtype)


@dataclass(frozen=True)
class LogitDifference:
    """See :func:`causal_scrubbing.metrics.logit_difference`."""

    correct: str | int
    wrong: str | int
    at: str | int | None = None
    lower_is_better: ClassVar[bool] = False
    reads_logits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for argument in ("correct", "wrong", "at"):
            if argument == "at" and self.at is None:
                continue
            which = getattr(self, argument)
            if not isinstance(which, int | np.integer) or isinstance(which, bool):
                check_name("logit_difference", argument, which, "a class number or ")

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads."""
        given = (self.correct, self.wrong, self.at)
        return tuple(name for name in given if isinstance(name, str))

    def __str__(self) -> str:
        at = "" if self.at is None else f", at={self.at!r}"
        return f"logit_difference({self.correct!r}, {self.wrong!r}{at})"

    def __call__(self, output: Tensor, rows: Rows) -> Tensor:
        """Return the correct class's logit minus the wrong one's, ``[B]``."""
        if self.at is not None:
            output = self._position(output, rows, self.at)
        logits = as_logits(str(self), output)
        if logits.ndim == 1:
            raise MetricError(
                f"metric {self}: outputs of shape {list(output.shape)} hold one logit a row and "
                "have no two to subtract; use the output itself, or one with a logit per class"
            )
        correct, wrong = (self._logit(logits, rows, which) for which in (self.correct, self.wrong))
        return correct - wrong

    def _position(self, output: Tensor, rows: Rows, at: str | int) -> Tensor:
        """The logits at each row's own position, ``[B, C]``."""
        logits = as_numbers(str(self), output)
        if logits.ndim != 3:
            raise MetricError(
                f"metric {self}: outputs of shape {list(output.shape)} have no positions; give at= "
                "for outputs [rows, positions, classes] alone"
            )
        length = logits.shape[1]
        if isinstance(at, str):
            places = field(str(self), rows, at, len(logits), logits.device)
            if places.ndim == 2 and places.shape[1] == 1:
                places = places.squeeze(1)
            if places.ndim != 1 or places.is_floating_point():
                raise MetricError(
                    f"metric {self}: field {at!r} is {places.dtype} of shape "
                    f"{list(places.shape)}, wanted one position a row, an integer"
                )
            places = places.long()
        else:
            places = torch.full((len(logits),), int(at), device=logits.device)
        places = torch.where(places < 0, places + length, places)
        if len(places) and (int(places.min()) < 0 or int(places.max()) >= length):
            raise MetricError(
                f"metric {self}: positions {int(places.min())} to {int(places.max())} are not "
                f"among the {length} of the output"
            )
        return logits[torch.arange(len(logits), device=logits.device), places]

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
