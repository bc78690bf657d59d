"""Metrics tried on a few rows before a run: their faults found before the work is paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._graph import Graph, check_batch, evaluate, is_out_of_memory
from causal_scrubbing._simulate.behaviour import Metric, evaluate_metric, refuse_writes
from causal_scrubbing._simulate.self_check import TOLERANCE
from causal_scrubbing._statistics import FloatArray

_PARTS: Final = ((0, 2), (2, 5))
"""Unequal, so that a share over the rows is not by chance the same in each; never a single row,
as many a metric drops all axes of length one."""

_OTHERS: Final = (0, 4, 3, 3, 0)
"""Whose output each row gets beside its own: some their own, a share that differs by part."""

_RELATIVE: Final = 1e-4
_ROUNDING: Final = 1e-5
"""Of the usual output: what is left of a difference of large numbers."""


def try_metrics(
    metrics: Mapping[str, Metric],
    graph: Graph,
    data: Dataset,
    device: torch.device | str | None,
    *,
    check: bool,
) -> None:
    """Evaluate metrics on the model's own outputs on a few rows.

    Args:
        metrics: by name.
        graph: the graph whose output they measure.
        data: the dataset.
        device: where to compute; where the graph says if None.
        check: also refuse metrics that are no functions of a row: those that give a row another
            value beside other rows, or another one each time. They are tried on the rows' own
            outputs and on one another's, as some metrics are 0 on a row's own.

    Raises:
        ScrubError: a metric fails, writes into its arguments, or is no function of a row.
        MetricError: it does not give one number (or vector) a row.
    """
    with torch.no_grad(), _unless_full():
        given = _Given.on(graph, data, device, rows=_PARTS[-1 if check else 0][1])
        given.check_finite(graph.output)
        for name, metric in metrics.items():
            with _unless_full():
                _try(name, metric, given, check=check)


@contextmanager
def _unless_full() -> Iterator[None]:
    """Leave what does not fit memory to the run, which takes fewer rows or says what to do."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise


def _try(name: str, metric: Metric, given: _Given, *, check: bool) -> None:
    given.check_writes(name, metric)
    for others in (None, list(_OTHERS)) if check else ():
        output = given.own if others is None else given.own[others]
        whole = given.values(name, metric, output, 0, len(output))
        again = given.values(name, metric, output, 0, len(output))
        if _differ(whole, again, output):
            raise ScrubError(
                f"self-check: metric {name!r} gives other values when it is called on the same "
                "rows again. A metric is a function of a row: look for random numbers and for "
                "state that it keeps."
            )
        parts = [given.values(name, metric, output, *part) for part in _PARTS]
        same = all(part.shape[1:] == whole.shape[1:] for part in parts)
        if not same or _differ(whole, np.concatenate(parts), output):
            raise ScrubError(
                f"self-check: metric {name!r} gives a row another value when other rows are beside "
                "it. A metric is one number for each row alone: look for means, deviations or "
                "ranks over the batch, and for a mean that is expanded to all rows "
                "(reduction='none' keeps rows apart)."
            )


class _Given:
    """What metrics are given in the trial: few rows, and no more copies than needed of outputs."""

    def __init__(self, data: Dataset, rows: Ints, own: torch.Tensor) -> None:
        self.data, self.rows, self.own = data, rows, own

    @classmethod
    def on(
        cls, graph: Graph, data: Dataset, device: torch.device | str | None, *, rows: int
    ) -> _Given:
        """A few rows, repeated where the data has fewer, and the model's own outputs there."""
        chosen = np.linspace(0, len(data) - 1, rows).astype(np.int64)
        where = graph.device if device is None else torch.device(device)
        own = evaluate(graph, data.lazy(chosen), [graph.output], device=where)[graph.output]
        check_batch(graph, graph.output, own, rows)
        if own.ndim == 0 or len(own) != rows:  # a constant
            own = own.expand(rows, *own.shape[1:]).clone()
        return cls(data, chosen, own)

    def check_finite(self, node: str) -> None:
        """Refuse outputs that hold no number on any of the rows.

        Raises:
            ScrubError: all of them are NaN or infinite.
        """
        if not self.own.numel() or not self.own.is_floating_point() or self.own.isfinite().any():
            return
        what = "NaN" if self.own.isnan().all() else "NaN or infinite"
        raise ScrubError(
            f"the output {node!r} is not finite: on each of the {len(self.own)} rows tried, all of "
            f"it is {what}. Look at the first node that gives such values, "
            "graph.values(data[:1]); a division by zero, a logarithm of zero or an overflow in "
            "half precision is the usual cause."
        )

    def values(
        self, name: str, metric: Metric, output: torch.Tensor, start: int, stop: int
    ) -> FloatArray:
        """Values of a metric on outputs start..stop - 1."""
        batch = self.data.lazy(self.rows[start:stop], output.device)
        batch = batch.with_model_output(self.own[start:stop])
        return evaluate_metric(name, metric, output[start:stop], batch)

    def check_writes(self, name: str, metric: Metric) -> None:
        """Also refuse writes that leave no trace: those by numpy or .data are not counted by torch.

        Raises:
            ScrubError: the metric fails, or writes into what it is given.
        """
        stop = _PARTS[0][1]
        rows, own = self.rows[:stop], self.own[:stop]
        output, model = own.clone(), own.clone()
        batch = self.data.lazy(rows, own.device).with_model_output(model)
        evaluate_metric(name, metric, output, batch)
        pairs = {"the output": (output, own), "rows.model_output": (model, own)}
        before, read = self.data.lazy(rows, own.device), batch.writes
        for field in batch.field_names:
            if f"field {field!r}" in read:
                pairs[f"field {field!r}"] = (batch[field], before[field])
        refuse_writes(name, [what for what, pair in pairs.items() if not _equal(*pair)])


def _equal(one: torch.Tensor | np.ndarray, other: torch.Tensor | np.ndarray) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return (
        torch.equal(one.nan_to_num(), other.nan_to_num())
        if one.is_floating_point()
        else (torch.equal(one, other))
    )


def _differ(one: FloatArray, other: FloatArray, output: torch.Tensor) -> bool:
    """Whether values differ by more than rounding."""
    if one.shape != other.shape:
        return True
    finite = np.isfinite(one)
    if not np.array_equal(finite, np.isfinite(other)):
        return True
    if not finite.any():
        return False
    usual = 0.0
    if output.is_floating_point() and output.numel():
        # Not the largest: logits of what is masked out may be as large as numbers get.
        some = output.reshape(-1)[:: max(1, output.numel() // 10_000)]
        usual = float(some.double().abs().nan_to_num(0, 0, 0).median())
    relative = max(_RELATIVE, TOLERANCE.get(output.dtype, 0.0))
    allowed = relative * float(np.abs(one[finite]).max()) + _ROUNDING * usual
    return float(np.abs(one - other)[finite].max()) > allowed
