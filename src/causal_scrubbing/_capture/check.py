"""Checking a captured graph against the model, on rows and lengths it was not exported with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch

from causal_scrubbing._capture.rows import Rows
from causal_scrubbing._capture.trace import plain_execution
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import Graph

TOLERANCE: Final = {
    torch.float64: 1e-8,
    torch.float32: 1e-4,
    torch.float16: 1e-2,
    torch.bfloat16: 4e-2,
}
"""Largest difference allowed, as a share of the largest output (at least of one)."""

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
            found = graph.values(Dataset(**rows))[graph.output]
        _compare(what, found, expected, tolerance)
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


def _batches(
    fields: Mapping[str, torch.Tensor], dynamic: Mapping[str, Sequence[int]]
) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """The example, one row of it, more rows of it in another order, and other lengths."""
    count = len(next(iter(fields.values())))
    yield "the example", dict(fields)
    yield "one row", {name: tensor[:1] for name, tensor in fields.items()}
    more = torch.arange(count + 2).flip(0) % count
    yield f"{count + 2} rows", {n: t.index_select(0, more.to(t.device)) for n, t in fields.items()}
    lengths = {fields[name].shape[d] for name, dims in dynamic.items() for d in dims}
    if lengths:
        shorter = {}
        for name, tensor in fields.items():
            for dim in dynamic.get(name, ()):
                tensor = tensor.narrow(dim, 0, max(1, tensor.shape[dim] - 1))
            shorter[name] = tensor
        yield "shorter rows", shorter
