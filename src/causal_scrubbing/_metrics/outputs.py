"""Outputs compared with the model's own on the same rows, what comparisons share computed once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from causal_scrubbing._metrics.reading import as_logits, as_numbers, predicted
from causal_scrubbing._metrics.to_model import same_shape
from causal_scrubbing._statistics import FloatArray, as_values

Key = TypeVar("Key", bound=Hashable)

SLICE: Final = {"cpu": 1 << 19, "cuda": 1 << 25}
"""Numbers of an output compared at once: on a CPU what its caches hold."""

_NAME: Final = "output_measures"


def output_measures(output: Tensor, own: Tensor, *, logits: bool) -> dict[str, FloatArray]:
    """Compare a batch of outputs with the model's own on the same rows.

    Call it batch by batch, so that outputs need not be kept; concatenate what it gives.

    Args:
        output: Scrubbed outputs, ``[B, ...]``.
        own: The model's, same shape.
        logits: Whether outputs are logits; then KL(model || scrubbed), agreement and total
            variation are compared too, and come first.

    Returns:
        Per kind of :func:`causal_scrubbing.metrics.to_model`, one number a row, ``[B]``.
    """
    return compare_all({0: output}, own, logits=logits)[0]


def compare_all(
    outputs: Mapping[Key, Tensor], own: Tensor, *, logits: bool
) -> dict[Key, dict[str, FloatArray]]:
    """:func:`output_measures` of several batches on the same rows.

    Rows are taken a slice at a time, so that little memory is needed besides the outputs, and what
    depends on the model's own output alone is computed once for all.

    Args:
        outputs: Each ``[B, ...]``.
        own: The model's, same shape.
        logits: See :func:`output_measures`.
    """
    for output in outputs.values():
        same_shape(_NAME, output, own)
    width = max(1, own[:1].numel())
    step = max(1, SLICE.get(own.device.type, SLICE["cuda"]) // width)
    parts: dict[Key, list[dict[str, FloatArray]]] = {key: [] for key in outputs}
    with torch.no_grad():
        for start in range(0, len(own), step):
            one = _Own(own[start : start + step], logits=logits)
            for key, output in outputs.items():
                parts[key].append(one.compare(output[start : start + step]))
    return {
        key: {kind: np.concatenate([part[kind] for part in found]) for kind in found[0]}
        for key, found in parts.items()
    }


class _Own:
    """Some rows of the model's own output."""

    def __init__(self, own: Tensor, *, logits: bool) -> None:
        self.numbers = as_numbers(_NAME, own)
        self.logits = logits
        if logits:
            scores = as_logits(_NAME, own)
            self.predicted = predicted(scores)
            self.log_p = _log_probabilities(scores)
            self.p = self.log_p.exp()
            impossible = self.p == 0
            self.impossible = impossible if bool(impossible.any()) else None

    def compare(self, output: Tensor) -> dict[str, FloatArray]:
        output = output.to(self.numbers.device)
        found: dict[str, Tensor] = {}
        if self.logits:
            scores = as_logits(_NAME, output)
            log_q = _log_probabilities(scores)
            terms = (self.log_p - log_q).mul_(self.p)
            if self.impossible is not None:
                # A class of probability zero adds nothing, whatever the other says (0 log 0 = 0).
                terms.masked_fill_(self.impossible, 0)
            found["kl"] = terms.sum(dim=1).clamp_min_(0)
            found["agreement"] = (predicted(scores) == self.predicted).to(scores.dtype)
            found["total_variation"] = log_q.exp_().sub_(self.p).abs_().sum(dim=1) / 2
        difference = (as_numbers(_NAME, output) - self.numbers).flatten(1)
        squares = difference.mul_(difference)
        found["distance"] = squares.sum(dim=1).sqrt()
        found["squared_error"] = squares.mean(dim=1)
        return {kind: as_values(kind, values) for kind, values in found.items()}


def _log_probabilities(logits: Tensor) -> Tensor:
    if logits.ndim == 1:
        return torch.stack([logsigmoid(-logits), logsigmoid(logits)], dim=1)
    return torch.log_softmax(logits, dim=1)
