"""Checking a captured graph against the model, on rows and lengths it was not exported with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch

from causal_scrubbing._capture.rows import Rows
from causal_scrubbing._capture.trace import plain_execution
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import Graph, evaluate, is_hidden

TOLERANCE: Final = {
    torch.float64: 1e-8,
    torch.float32: 1e-4,
    torch.float16: 1e-2,
    torch.bfloat16: 4e-2,
}
"""Largest difference allowed, as a share of the largest output (at least of one)."""

ROWS: Final = 3

Run = Callable[[torch.nn.Module, Rows], torch.Tensor]


def check(
    graph: Graph,
    model: torch.nn.Module,
    run: Run,
    fields: Mapping[str, torch.Tensor],
    dynamic: Mapping[str, Sequence[int]],
    tolerance: float | None,
) -> list[str]:
    """Compare outputs on several batches.

    Args:
        graph: the captured graph.
        model: the model.
        run: how rows are run.
        fields: the example.
        dynamic: field -> dimensions of free size.
        tolerance: overrides the one of the output's dtype.

    Returns:
        What was compared, in words.

    Raises:
        GraphError: an output differs.
    """
    done: list[str] = []
    first: dict[str, torch.Tensor] = {}
    for what, batch in _batches(fields, dynamic):
        with torch.no_grad(), plain_execution():
            try:
                expected = run(model, Rows(batch))
            except Exception:
                # The model itself does not run at this size, so there is nothing to compare.
                if what == "the example":
                    raise
                continue
            rows: Any = batch
            values = evaluate(graph, Dataset(**rows), list(graph.nodes), device=graph.device)
        _compare(what, values[graph.output], expected, tolerance)
        _check_rows(graph, what, values, len(next(iter(batch.values()))))
        if what == "the example":
            first = values
        elif what == "one row":
            _check_alone(graph, first, values, tolerance)
        done.append(what)
    return done


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
    alone: Mapping[str, torch.Tensor],
    tolerance: float | None,
) -> None:
    """A row's value at every node is the same whether other rows are there or not."""
    for name, value in alone.items():
        if graph.is_constant[name] or not value.is_floating_point():
            continue
        other = together[name][:1]
        allowed = tolerance if tolerance is not None else TOLERANCE.get(value.dtype, 0.0)
        finite = torch.isfinite(value) & torch.isfinite(other)
        gap = (value[finite].double() - other[finite].double()).abs()
        scale = max(1.0, value[finite].abs().max().item() if len(gap) else 1.0)
        if len(gap) and gap.max().item() > allowed * scale:
            raise GraphError(
                f"{_shown(graph, name)} is another value on a row alone than on the row among "
                f"others (by {gap.max().item():.2g}): one row reads another there, which no node "
                "may. Batch statistics do that, and axes in another order than rows first."
            )


def _shown(graph: Graph, name: str) -> str:
    if is_hidden(name):
        return f"a value between sites ({name[1:]})"
    return f"the {'output' if name == graph.output else 'site'} {name!r}"


def _batches(
    fields: Mapping[str, torch.Tensor], dynamic: Mapping[str, Sequence[int]]
) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """The example, more rows of it in another order, and one row, shorter where lengths are free.

    Few rows, because a large model is run on each of them.
    """
    count = min(ROWS, len(next(iter(fields.values()))))
    yield "the example", {name: tensor[:count] for name, tensor in fields.items()}
    more = torch.arange(count + 1).flip(0) % count
    yield f"{count + 1} rows", {n: t.index_select(0, more.to(t.device)) for n, t in fields.items()}
    one = {name: tensor[:1] for name, tensor in fields.items()}
    yield "one row", one
    if any(dynamic.values()):
        for name, dims in dynamic.items():
            for dim in dims:
                one[name] = one[name].narrow(dim, 0, max(1, one[name].shape[dim] - 1))
        yield "one shorter row", one
