"""Checking a captured graph against the model, on rows and lengths it was not exported with."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from causal_scrubbing._capture.trace import plain_execution
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import Graph, evaluate, is_hidden
from causal_scrubbing._places import Rows, Run

TOLERANCE: Final = {
    torch.float64: 1e-8,
    torch.float32: 1e-4,
    torch.float16: 1e-2,
    torch.bfloat16: 4e-2,
}
"""Largest difference allowed, as a share of the largest output (at least of one)."""

BATCH: Final = 8
"""Rows that are compared at once, since every node's value is held."""


def check(
    graph: Graph,
    model: torch.nn.Module,
    run: Run,
    fields: Mapping[str, torch.Tensor],
    dynamic: Mapping[str, Sequence[int]],
    tolerance: float | None,
) -> int:
    """Compare the graph with the model, and every node with itself in other batches.

    All rows of the example are run in one batch, in another order with one of them twice, and each
    alone; a shorter row too where lengths are free.

    Args:
        graph: the captured graph.
        model: the model.
        run: how rows are run.
        fields: the example.
        dynamic: field -> dimensions of free size.
        tolerance: overrides the one of the output's dtype.

    Returns:
        How many rows were compared.

    Raises:
        GraphError: an output differs, or a node's value hangs on the batch that a row is in.
    """
    count = len(next(iter(fields.values())))
    for start in range(0, count, BATCH):
        part = {name: tensor[start : start + BATCH] for name, tensor in fields.items()}
        _check_batch(graph, model, run, part, tolerance)
    if any(dynamic.values()):
        one = {name: tensor[:1] for name, tensor in fields.items()}
        for name, dims in dynamic.items():
            for dim in dims:
                one[name] = one[name].narrow(dim, 0, max(1, one[name].shape[dim] - 1))
        with contextlib.suppress(_CannotRunError):
            expected = _own(model, run, one)
            values = _values(graph, one)
            _compare("one shorter row", values[graph.output], expected, tolerance)
            _check_rows(graph, "one shorter row", values, 1)
    return count


def _check_batch(
    graph: Graph,
    model: torch.nn.Module,
    run: Run,
    fields: Mapping[str, torch.Tensor],
    tolerance: float | None,
) -> None:
    count = len(next(iter(fields.values())))
    together = _values(graph, fields)
    _compare("the example", together[graph.output], _own(model, run, fields), tolerance)
    _check_rows(graph, "the example", together, count)
    order = torch.arange(count + 1).flip(0) % count
    turned = _picked(fields, order)
    values = _values(graph, turned)
    what = f"{count + 1} rows"
    with contextlib.suppress(_CannotRunError):
        _compare(what, values[graph.output], _own(model, run, turned), tolerance)
    _check_rows(graph, what, values, count + 1)
    _check_alone(graph, _picked(together, order, graph), values, tolerance, "in another order")
    for row in range(count):
        one = _picked(fields, torch.tensor([row]))
        values = _values(graph, one)
        if row == 0:
            with contextlib.suppress(_CannotRunError):
                _compare("one row", values[graph.output], _own(model, run, one), tolerance)
            _check_rows(graph, "one row", values, 1)
        own = _picked(together, torch.tensor([row]), graph)
        _check_alone(graph, own, values, tolerance, "alone")


class _CannotRunError(Exception):
    """The model itself does not run on rows of this number or length."""


def _own(model: torch.nn.Module, run: Run, fields: Mapping[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad(), plain_execution():
        try:
            return run(model, Rows({name: tensor.clone() for name, tensor in fields.items()}))
        except Exception as error:
            raise _CannotRunError from error


def _values(graph: Graph, fields: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    rows: Any = dict(fields)
    with torch.no_grad(), plain_execution():
        return evaluate(graph, Dataset(**rows), list(graph.nodes), device=graph.device)


def _picked(
    values: Mapping[str, torch.Tensor], rows: torch.Tensor, graph: Graph | None = None
) -> dict[str, torch.Tensor]:
    """Some rows of values; constants have none."""
    return {
        name: value.index_select(0, rows.to(value.device))
        for name, value in values.items()
        if graph is None or not graph.is_constant[name]
    }


def _compare(
    what: str, found: torch.Tensor, expected: torch.Tensor, tolerance: float | None
) -> None:
    if found.shape != expected.shape:
        raise GraphError(
            f"on {what} the captured graph gives shape {list(found.shape)} and the model "
            f"{list(expected.shape)}: the model treats the number of rows or a length as fixed. "
            "Take sizes from tensors' shapes in forward=, or capture without dynamic=."
        )
    allowed = tolerance if tolerance is not None else TOLERANCE.get(expected.dtype, 0.0)
    finite = torch.isfinite(expected)
    if not torch.equal(finite, torch.isfinite(found)):
        raise GraphError(
            f"on {what} the captured graph and the model are infinite in other places."
        )
    one, two = found[finite].double(), expected[finite].double()
    scale = max(1.0, two.abs().max().item() if two.numel() else 1.0)
    gap = (one - two).abs().max().item() if two.numel() else 0.0
    if gap > allowed * scale:
        raise GraphError(
            f"on {what} the captured graph differs from the model by {gap:.2g} where outputs "
            f"reach {scale:.2g}, more than {allowed:g} of that ({expected.dtype}). If the model "
            "overwrites a tensor in place after a site has read it, move the site behind that; if "
            "it mixes rows (batch statistics), call model.eval(); if only precision is at stake, "
            "give tolerance=."
        )


def _check_rows(graph: Graph, what: str, values: Mapping[str, torch.Tensor], count: int) -> None:
    """Every value has one entry a row."""
    faults = [
        f"{_shown(graph, name)} has shape {list(value.shape)}"
        for name, value in values.items()
        if not graph.is_constant[name] and (not value.ndim or len(value) != count)
    ]
    if faults:
        raise GraphError(
            f"on {what}, {count} rows, {'; '.join(faults[:4])}: a node's value is batch first, one "
            "entry a row. Choose a place where the rows are the first axis, or mark one with "
            "cs.site(tensor.transpose(...), name)."
        )


def _check_alone(
    graph: Graph,
    together: Mapping[str, torch.Tensor],
    other: Mapping[str, torch.Tensor],
    tolerance: float | None,
    how: str,
) -> None:
    """Rows' values at every node are the same in another batch."""
    for name, one in together.items():
        if not (one.is_floating_point() or one.is_complex()):
            continue
        two = other[name]
        allowed = tolerance if tolerance is not None else TOLERANCE.get(one.dtype, 0.0)
        finite = torch.isfinite(one) & torch.isfinite(two)
        gap = (one[finite] - two[finite]).abs().double()
        scale = max(1.0, one[finite].abs().max().item() if len(gap) else 1.0)
        if len(gap) and gap.max().item() > allowed * scale:
            raise GraphError(
                f"{_shown(graph, name)} is another value on a row {how} than on the row among "
                f"others (by {gap.max().item():.2g}): one row reads another there, which no node "
                "may. Batch statistics do that, axes in another order than rows first, places in "
                "an expert that rows compete for, and dynamic quantization, which takes one scale "
                "for a whole batch; if only its rounding is at stake, give tolerance=."
            )


def _shown(graph: Graph, name: str) -> str:
    if is_hidden(name):
        return f"a value between sites ({name[1:]})"
    return f"the {'output' if name == graph.output else 'site'} {name!r}"
