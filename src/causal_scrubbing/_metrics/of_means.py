"""Behaviours that are functions of means over the data, such as a correlation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from causal_scrubbing._errors import MetricError
from causal_scrubbing._metrics.ratio import ratio_of_means
from causal_scrubbing._metrics.reading import Metric, as_numbers, check_name, field

CORRELATION: Final = "correlation"
_FLAT: Final = 1e-12
"""A variance below this share of the mean square is rounding."""


def correlation_of_means(means: Any) -> Any:
    """Pearson's correlation, of the means of x, y, x y, x x and y y; NaN where one is constant."""
    x, y, xy, xx, yy = (np.asarray(means[i], dtype=np.float64) for i in range(5))
    spread_x, spread_y = xx - x * x, yy - y * y
    flat = (spread_x <= _FLAT * xx) | (spread_y <= _FLAT * yy)
    scale = np.sqrt(np.where(flat, 1.0, spread_x * spread_y))
    return np.where(flat, np.nan, np.clip((xy - x * y) / scale, -1.0, 1.0))


_KEPT: Final[dict[str, Callable[[Any], Any]]] = {
    CORRELATION: correlation_of_means,
    "ratio": ratio_of_means,
}


def function_of_means(metric: str, kept: str | None) -> Callable[[Any], Any]:
    """The function of means that a saved run's metric is.

    Args:
        metric: the metric, for messages.
        kept: what the run says of it; None where it is code of the user's.

    Returns:
        The function; one that raises MetricError when it is called, where it is not known.
    """
    if kept in _KEPT:
        return _KEPT[kept]

    def lost(means: Any) -> Any:
        raise MetricError(
            f"metric {metric!r} is a function of means, which is code and not saved with a run; "
            "its saved estimates stand, and new ones need the run made again"
        )

    return lost


def kept_as(function: Callable[[Any], Any]) -> str | None:
    """What a saved run says of a function of means: a name, or None if it is the user's."""
    return next((name for name, one in _KEPT.items() if one is function), None)


@dataclass(frozen=True)
class OfMeans:
    """See :func:`causal_scrubbing.metrics.of_means`."""

    per_row: Metric
    of_means: Callable[[Any], Any]

    def __post_init__(self) -> None:
        for what in ("per_row", "of_means"):
            if not callable(getattr(self, what)):
                shown = "fn" if what == "of_means" else what
                raise MetricError(
                    f"cs.metrics.of_means: {shown} is {getattr(self, what)!r}, wanted a function; "
                    "write cs.metrics.of_means(lambda output, rows: ..., lambda means: ...)"
                )

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads, where that is known."""
        return tuple(getattr(self.per_row, "fields", ()))

    @property
    def reads_logits(self) -> bool:
        """Whether outputs are taken for logits."""
        return bool(getattr(self.per_row, "reads_logits", False))

    def __str__(self) -> str:
        name = getattr(self.per_row, "__name__", None) or str(self.per_row)
        return f"of_means({name.strip('<>')})"

    def __call__(self, output: Tensor, rows: Any) -> Tensor:
        """Return the columns whose means the function is of, ``[B, k]``."""
        found = self.per_row(output, rows)
        if not isinstance(found, Tensor):
            found = torch.as_tensor(found)
        return found[:, None] if found.ndim == 1 else found


@dataclass(frozen=True)
class Correlation:
    """See :func:`causal_scrubbing.metrics.correlation`."""

    field: str

    def __post_init__(self) -> None:
        check_name("correlation", "field", self.field)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields the metric reads."""
        return (self.field,)

    @property
    def of_means(self) -> Callable[[Any], Any]:
        """What the correlation is of the means of the columns."""
        return correlation_of_means

    lower_is_better = False
    reads_logits = False

    def __str__(self) -> str:
        return f"correlation({self.field!r})"

    def __call__(self, output: Tensor, rows: Any) -> Tensor:
        """Return x, y, x y, x x and y y of the output x and the field y, ``[B, 5]``."""
        x = as_numbers(str(self), output)
        if x[0].numel() != 1:
            raise MetricError(
                f"metric {self}: outputs of shape {list(output.shape)} have {x[0].numel()} numbers "
                "a row, and a correlation is of one; pick it in the graph"
            )
        x = x.reshape(len(x)).double()
        y = field(str(self), rows, self.field, len(x), x.device).reshape(len(x), -1)
        if y.shape[1] != 1:
            raise MetricError(
                f"metric {self}: field {self.field!r} has {y.shape[1]} numbers a row, wanted one"
            )
        y = y[:, 0].double()
        return torch.stack([x, y, x * y, x * x, y * y], dim=1)
