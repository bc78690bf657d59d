"""What a metric costs on a row, counted in what it calls, so that it is the same on any machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine import count_flops
from causal_scrubbing._simulate.behaviour import Metric

CALL: Final = 1 << 12
"""Operations that a call of torch counts as, where a metric makes it for every row."""

ELSEWHERE: Final = 1 << 14
"""Operations that a row counts as in a metric that computes outside torch, where nothing can be
counted."""

PASSES: Final = 16
"""Operations on each number of an output that come with any metric."""

_ROWS: Final = 16
"""Rows that a metric is tried on, and on half as many, to see which calls each row makes."""

_LEAVES: Final = frozenset(("numpy", "tolist", "__array__", "from_numpy"))
_MAKES: Final = frozenset(("tensor", "as_tensor", "asarray", "stack", "FloatTensor"))


class _Calls(TorchFunctionMode):
    """Counts calls of torch, and notes whether a metric computes outside it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.leaves = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        self.count += 1
        if name in _LEAVES or (name in _MAKES and args and not _is_of_tensors(args[0])):
            self.leaves = True
        return func(*args, **(kwargs or {}))


def _is_of_tensors(value: object) -> bool:
    one = value[0] if isinstance(value, list | tuple) and value else value
    return isinstance(one, torch.Tensor)


def metric_cost(metric: Metric, output: torch.Tensor, data: Dataset) -> float:
    """Operations of a metric on a row beside those on the numbers of the output.

    Args:
        metric: the metric.
        output: the model's own outputs on the first rows of the data, [n, ...].
        data: the dataset.

    Returns:
        0 where a metric calls torch equally often however many rows there are, for few passes over
        the output; `ELSEWHERE` where it computes outside torch.
    """
    calls, flops = list[int](), list[int]()
    sizes = min(_ROWS, len(output)) // 2, min(_ROWS, len(output))
    for size in sizes:
        own = output[:size]
        rows = data.take(np.arange(size), own.device).with_model_output(own)
        try:
            with torch.no_grad(), _Calls() as seen:
                values, count = count_flops(lambda: metric(own, rows))  # noqa: B023
        except Exception:  # it worked on more rows; why it fails on few is for pairs to find
            return float(ELSEWHERE)
        if seen.leaves or not isinstance(values, torch.Tensor):
            return float(ELSEWHERE)
        calls.append(seen.count)
        flops.append(count)
    more = sizes[1] - sizes[0]
    passes = PASSES * output[:1].numel()
    return max(0.0, (flops[1] - flops[0]) / more - passes) + CALL * max(
        0.0, (calls[1] - calls[0]) / more
    )
