"""Do two graphs compute the same? Evidence from rows of data, with the place of any difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from causal_scrubbing._data import Dataset, check_dataset
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import GraphError
from causal_scrubbing._format import plural
from causal_scrubbing._nodes.core import BaseGraph
from causal_scrubbing._nodes.rows import spread

TOLERANCE: Final = {
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.float16: 1e-2,
    torch.bfloat16: 5e-2,
}
"""The largest difference allowed, as a share of the largest value in the output on the rows
checked, by the coarser dtype of the two; by the coarsest that anything inside the first is computed
in, where they differ by more. Integers and truth values must be equal."""


@dataclass(frozen=True)
class Equality(Displayed):
    """That two graphs were found equal on some rows: evidence, not proof.

    Attributes:
        rows: how many rows were compared.
        largest: the largest difference of two numbers.
        tolerance: the largest that was allowed.
    """

    rows: int
    largest: float
    tolerance: float

    def __str__(self) -> str:
        return (
            f"equal on {self.rows} {plural(self.rows, 'row')}, within tolerance "
            f"{self.tolerance:.1e} (largest difference {self.largest:.1e})"
        )


def check_equal(
    graph: BaseGraph,
    other: BaseGraph,
    data: Dataset,
    *,
    rows: int = 64,
    tolerance: float | None = None,
) -> Equality:
    """Check that two graphs give the same output on rows spread over a dataset.

    Args:
        graph: one graph.
        other: another, which need not have the same nodes or read the same fields.
        data: the dataset; has the fields of both.
        rows: how many rows to compare, all if there are no more.
        tolerance: the largest difference allowed, as a share of the largest value that `graph`
            puts out on these rows; by dtype if None: 1e-9 for float64, 1e-4 for float32, 1e-2 for
            float16, 5e-2 for bfloat16, none for integers. The dtype is that of the outputs; where
            they differ by more, the coarsest that anything inside `graph` is computed in, such as
            a norm in float32 inside a float64 model.

    Returns:
        On how many rows and how nearly they are equal. This is evidence, not a proof.

    Raises:
        GraphError: they differ; says where and by how much.
    """
    return compare_outputs(graph, other, data, rows=rows, tolerance=tolerance)


def compare_outputs(
    graph: BaseGraph,
    other: BaseGraph,
    data: Dataset,
    *,
    rows: int = 64,
    tolerance: float | None = None,
    rewritten: bool = False,
) -> Equality:
    """See `check_equal`.

    Args:
        graph: one graph.
        other: another.
        data: the dataset.
        rows: how many rows.
        tolerance: see `check_equal`.
        rewritten: whether the other graph was made from the first, for the words of the error.
    """
    for given in (graph, other):
        if not isinstance(given, BaseGraph):
            raise GraphError(f"check_equal takes two graphs, not {type(given).__name__}.")
    check_dataset(data)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise GraphError(f"rows={rows!r}: give a positive number of rows to compare.")
    chosen = spread(len(data), rows)
    part = data.take(chosen)
    one, two = graph(part), other(part)
    if one.shape != two.shape:
        raise GraphError(
            f"the graphs differ: output {graph.output!r} has shape {list(one.shape)}, and "
            f"{other.output!r} has {list(two.shape)}."
        )
    exact = not (one.is_floating_point() or one.is_complex())
    share = 0.0 if exact else _tolerance(one.dtype, two.dtype) if tolerance is None else tolerance
    a, b = _wide(one), _wide(two)
    same = (a == b) | (a.isnan() & b.isnan())
    gap = torch.where(same, torch.zeros_like(a.abs()), (a - b).abs())
    finite = a.abs()[a.isfinite()]
    bound = share * float(finite.max()) if len(finite) else 0.0
    worst = gap.nan_to_num(nan=torch.inf)
    if not exact and tolerance is None and bool((worst > bound).any()) and share:
        share = max(share, _inside(graph, part))
        bound = share * float(finite.max()) if len(finite) else 0.0
    if bool((worst > bound).any()):
        place = np.unravel_index(int(worst.argmax()), worst.shape)
        at = tuple(int(i) for i in place)
        count = int((worst > bound).reshape(len(chosen), -1).any(1).sum())
        inside = f" at {list(at[1:])}" if len(at) > 1 else ""
        raise GraphError(
            f"the graphs differ on {count} of {len(chosen)} rows: most on row {chosen[at[0]]}"
            f"{inside}, where {_two_values(graph, other, one[at], two[at], rewritten)}; "
            f"{bound:.1e} would be allowed."
        )
    return Equality(len(chosen), float(gap.max()) if gap.numel() else 0.0, bound)


def _two_values(
    graph: BaseGraph, other: BaseGraph, one: torch.Tensor, two: torch.Tensor, rewritten: bool
) -> str:
    before, after = f"{one.item():.6g}", f"{two.item():.6g}"
    if graph.output != other.output:
        return f"{graph.output!r} is {before} and {other.output!r} is {after}"
    if rewritten:
        return f"{graph.output!r} was {before} and is {after}"
    return f"{graph.output!r} is {before} in one and {after} in the other"


class _Precision(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the dtypes in which something of each row is computed."""

    def __init__(self, rows: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows = rows
        self.found: set[torch.dtype] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch loads the compiler, only to tell it to leave this class alone

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        is_real = isinstance(made, torch.Tensor) and made.is_floating_point()
        if is_real and made.ndim and len(made) == self.rows:
            self.found.add(made.dtype)
        return made


def _inside(graph: BaseGraph, part: Dataset) -> float:
    """The tolerance for the coarsest dtype that a graph computes something in."""
    with _Precision(len(part)) as precision:
        graph(part)
    return _tolerance(*precision.found) if precision.found else 0.0


def _tolerance(*dtypes: torch.dtype) -> float:
    return max(TOLERANCE.get(dtype, TOLERANCE[torch.float32]) for dtype in dtypes)


def _wide(value: torch.Tensor) -> torch.Tensor:
    return value.to(torch.complex128 if value.is_complex() else torch.float64)
