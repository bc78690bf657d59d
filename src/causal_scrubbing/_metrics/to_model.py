"""Metrics against the model's own output, which need no labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from causal_scrubbing._errors import CausalScrubbingError, MetricError
from causal_scrubbing._metrics.positions import (
    Per,
    average,
    check_positions,
    marked,
    position_text,
)
from causal_scrubbing._metrics.ratio import ratio_of_means
from causal_scrubbing._metrics.reading import as_logits, as_numbers, predicted

ToModelKind = Literal["kl", "agreement", "distance", "squared_error", "total_variation"]


@dataclass(frozen=True)
class ToModel:
    """See :func:`causal_scrubbing.metrics.to_model`."""

    kind: ToModelKind
    where: str | None = None
    per: Per | None = None

    def __post_init__(self) -> None:
        check_positions("to_model", None, self.where, self.per)
        if self.kind not in _KINDS:
            raise MetricError(
                f"metric to_model({self.kind!r}): no such kind; take one of "
                f"{', '.join(get_args(ToModelKind))}"
            )

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads: what marks positions, if anything does."""
        return () if self.where is None else (self.where,)

    @property
    def of_means(self) -> Callable[[Any], Any] | None:
        """What the behaviour is of the means of the columns; None where it is one number a row."""
        return ratio_of_means if self.per == "token" else None

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller number is closer to the model."""
        return self.kind != "agreement"

    @property
    def reads_logits(self) -> bool:
        """Whether outputs are taken for logits."""
        return self.kind in ("kl", "agreement", "total_variation")

    def __str__(self) -> str:
        return f"to_model({self.kind!r}{position_text(None, self.where, self.per)})"

    def __call__(self, output: Tensor, rows: Any) -> Tensor:
        """Return the comparison with the model's own output on each row, ``[B]``."""
        try:
            own = rows.model_output
        except CausalScrubbingError as error:
            raise MetricError(f"metric {self}: {error} Pass the metric to cs.scrub") from error
        if self.where is None and self.per is None:
            return compare_outputs(self.kind, output, own)
        return self._by_position(output, own, rows)

    def _by_position(self, output: Tensor, own: Tensor, rows: Any) -> Tensor:
        """The comparison at each position, averaged."""
        name = str(self)
        same_shape(name, output, own)
        if output.ndim < 3:
            raise MetricError(
                f"metric {name}: outputs of shape {list(output.shape)} have no positions; give "
                "where= and per= for outputs [rows, positions, ...] alone"
            )
        shape = output.shape[:2]
        flat, theirs = output.flatten(0, 1), own.to(output.device).flatten(0, 1)
        scores = _KINDS[self.kind](name, flat, theirs).reshape(shape)
        return average(name, scores, marked(name, rows, self.where, shape, output), self.per)


def compare_outputs(kind: ToModelKind, output: Tensor, own: Tensor) -> Tensor:
    """Compare outputs ``[B, ...]`` with the model's own on the same rows, one number a row."""
    name = f"to_model({kind!r})"
    same_shape(name, output, own)
    return _KINDS[kind](name, output, own.to(output.device))


def same_shape(name: str, output: Tensor, own: Tensor) -> None:
    """Refuse outputs that cannot be compared with the model's own.

    Raises:
        MetricError: Their shapes differ.
    """
    if output.shape != own.shape:
        raise MetricError(
            f"metric {name}: the output has shape {list(output.shape)} and the model's own "
            f"{list(own.shape)}; a comparison needs equal shapes. If the length differs between "
            "rows, pick the position to compare in the graph"
        )


def _log_probabilities(name: str, output: Tensor) -> Tensor:
    logits = as_logits(name, output)
    if logits.ndim == 1:
        return torch.stack([logsigmoid(-logits), logsigmoid(logits)], dim=1)
    return torch.log_softmax(logits, dim=1)


def _kl(name: str, output: Tensor, own: Tensor) -> Tensor:
    log_q, log_p = _log_probabilities(name, output), _log_probabilities(name, own)
    p = log_p.exp()
    # A class of probability zero adds nothing, whatever the other says (0 log 0 = 0).
    terms = torch.where(p > 0, p * (log_p - log_q), torch.zeros_like(p))
    return terms.sum(dim=1).clamp_min(0)


def _agreement(name: str, output: Tensor, own: Tensor) -> Tensor:
    ours, theirs = as_logits(name, output), as_logits(name, own)
    return (predicted(ours) == predicted(theirs)).to(ours.dtype)


def _total_variation(name: str, output: Tensor, own: Tensor) -> Tensor:
    q, p = _log_probabilities(name, output).exp(), _log_probabilities(name, own).exp()
    return (p - q).abs().sum(dim=1) / 2


def _difference(name: str, output: Tensor, own: Tensor) -> Tensor:
    return (as_numbers(name, output) - as_numbers(name, own)).flatten(1)


def _distance(name: str, output: Tensor, own: Tensor) -> Tensor:
    return (_difference(name, output, own) ** 2).sum(dim=1).sqrt()


def _squared_error(name: str, output: Tensor, own: Tensor) -> Tensor:
    return (_difference(name, output, own) ** 2).mean(dim=1)


_KINDS: Final[dict[str, Callable[[str, Tensor, Tensor], Tensor]]] = {
    "kl": _kl,
    "agreement": _agreement,
    "distance": _distance,
    "squared_error": _squared_error,
    "total_variation": _total_variation,
}
