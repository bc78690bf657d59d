"""The behaviour measured: metrics given by the user, checked and evaluated on batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import torch

from causal_scrubbing._data import Dataset, version
from causal_scrubbing._errors import CausalScrubbingError, ScrubError
from causal_scrubbing._format import is_printable, printable
from causal_scrubbing._graph import is_out_of_memory
from causal_scrubbing._metrics import metrics
from causal_scrubbing._statistics import FloatArray, as_values

Metric: TypeAlias = Callable[[torch.Tensor, Dataset], Any]

_EXAMPLES: Final = {
    "accuracy": "'label'",
    "correlation": "'field'",
    "cross_entropy": "'label'",
    "logit_difference": "'correct', 'wrong'",
    "of_means": "per_row, fn",
    "squared_error": "'target'",
    "to_model": "'kl'",
}
"""How each of the ready metrics is made."""

OWN_OUTPUT = "output"
"""Name of the metric that is the graph's own output."""


def named_metrics(metric: Metric | Mapping[str, Metric] | None) -> dict[str, Metric]:
    """Metrics by name; the graph's own output where none is given.

    Raises:
        ScrubError: a metric is not a function, or the mapping is empty.
    """
    if metric is None:
        return {OWN_OUTPUT: _own_output}
    if isinstance(metric, Mapping):
        table = dict(metric)
        if not table:
            raise ScrubError(
                "metric={} names no metric; give at least one, or metric=None where the graph's "
                "own output is the behaviour."
            )
    else:
        # A metric that is an object (cs.metrics.accuracy("label")) says its name as text.
        name = getattr(metric, "__name__", None) or str(metric).replace("'", "")
        table = {name.strip("<>"): metric}
    for name, one in table.items():
        if not isinstance(name, str) or not name or not is_printable(name):
            raise ScrubError(
                f"metric name {printable(repr(name))}: give a name without line breaks and control "
                "characters."
            )
        for called, example in _EXAMPLES.items():
            if one is getattr(metrics, called):
                raise ScrubError(
                    f"metric {name!r} is cs.metrics.{called} itself, which makes a metric when it "
                    f"is called: cs.metrics.{called}({example})."
                )
        if not callable(one):
            raise ScrubError(
                f"metric {name!r} is {one!r}; a metric is a function (output, rows) -> one number "
                "a row, like cs.metrics.cross_entropy('label')."
            )
    return table


def _own_output(output: torch.Tensor, rows: Dataset) -> torch.Tensor:
    flat = output.reshape(len(output), -1)
    if flat.shape[1] != 1:
        raise ScrubError(
            f"metric=None takes the graph's own output as the behaviour, but it has shape "
            f"{list(output.shape[1:])} a row, not one number. Give metric=, or append the metric "
            "to the graph: graph.append('loss', fn, parents=[...])."
        )
    return flat[:, 0]


def evaluate_metric(name: str, metric: Metric, output: torch.Tensor, rows: Dataset) -> FloatArray:
    """Values of a metric on a batch of outputs, float64 [B] or [B, k].

    Args:
        name: how messages call it.
        metric: the function.
        output: outputs, [B, ...].
        rows: the reference rows, carrying the model's own output.

    Raises:
        ScrubError: the metric fails, or writes into what it is given.
        MetricError: it does not give one number (or vector) a row.
    """
    before = {"the output": version(output), **rows.writes}
    try:
        values = metric(output, rows)
    except CausalScrubbingError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ScrubError(
            f"metric {name!r} failed on outputs of shape {list(output.shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    after = {"the output": version(output), **rows.writes}
    refuse_writes(name, [what for what, times in after.items() if times != before.get(what, 0)])
    return as_values(name, values, len(rows))


def refuse_writes(name: str, written: Sequence[str]) -> None:
    """Refuse a metric that changes what others are given after it.

    Args:
        name: of the metric.
        written: what it has changed.

    Raises:
        ScrubError: it has changed something.
    """
    if written:
        raise ScrubError(
            f"metric {name!r} writes into its arguments ({', '.join(written)}), which others are "
            "given too. Let it change a copy: begin with output = output.clone(), take "
            "rows['field'].clone(), and write output = output - x in place of output -= x."
        )
