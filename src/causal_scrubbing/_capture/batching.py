"""Values that have rows and positions on one axis, given an axis for the rows.

Some models flatten rows and positions into one axis for a while. A node's value must have one
entry a row, so there the value is given its rows back, and its readers flatten it again.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.fx import Node as Op

from causal_scrubbing._capture.linear import is_size, value_of
from causal_scrubbing._places import MARK

aten: Final = torch.ops.aten


def by_rows(x: torch.Tensor, size: list[int]) -> torch.Tensor:
    """A flattened value with an axis for its rows."""
    return x.reshape(size)


def is_batch_first(op: Op, rows: Any) -> bool:
    """Whether an operation's value has one entry a row."""
    value = value_of(op)
    if not isinstance(value, torch.Tensor) or not value.ndim:
        return False
    size = value.shape[0]
    return isinstance(size, torch.SymInt) and size.node.expr == rows


def give_rows_back(graph: torch.fx.Graph, rows: Any) -> None:
    """Give flattened values that may become nodes an axis for their rows.

    Args:
        graph: tidied operations.
        rows: the symbol of the number of rows.
    """
    for op in list(graph.nodes):
        if op.op != "call_function" or is_size(op) or _per_row(op, rows) is None:
            continue
        if op.target is MARK or (op.target is aten.add.Tensor and not op.kwargs):
            arguments = [a for a in op.args if isinstance(a, Op)]
            if all(_per_row(a, rows) is not None for a in arguments):
                _between(graph, op, rows)
        elif len(op.users) > 1:
            users = list(op.users)
            with graph.inserting_after(op):
                batched = graph.call_function(by_rows, (op, _split(op, rows)))
            batched.meta["val"] = value_of(op).reshape(_split(op, rows))
            flat = _flattened(graph, batched, op)
            for user in users:
                user.replace_input_with(op, flat)


def _between(graph: torch.fx.Graph, op: Op, rows: Any) -> None:
    """Run a sum or a marker on values with an axis for rows, and flatten what it gives."""
    for argument in [a for a in op.args if isinstance(a, Op)]:
        size = _split(argument, rows)
        before: Any = argument.args[0] if argument.target is aten.reshape.default else None
        if before is not None and _sizes(value_of(before).shape) == _sizes(size):
            op.replace_input_with(argument, before)
            continue
        with graph.inserting_before(op):
            batched = graph.call_function(by_rows, (argument, size))
        batched.meta["val"] = value_of(argument).reshape(size)
        op.replace_input_with(argument, batched)
    users, flat_value = list(op.users), value_of(op)
    size = _split(op, rows)
    op.meta["val"] = flat_value.reshape(size)
    with graph.inserting_after(op):
        flat = graph.call_function(aten.reshape.default, (op, list(flat_value.shape)))
    flat.meta["val"] = flat_value
    for user in users:
        user.replace_input_with(op, flat)


def _flattened(graph: torch.fx.Graph, batched: Op, like: Op) -> Op:
    with graph.inserting_after(batched):
        flat = graph.call_function(aten.reshape.default, (batched, list(value_of(like).shape)))
    flat.meta["val"] = value_of(like)
    return flat


def _split(op: Op, rows: Any) -> list[Any]:
    """The shape with the first axis cut into rows and what each row has of it."""
    shape = value_of(op).shape
    return [_size_like(shape[0], rows), _per_row(op, rows), *shape[1:]]


def _per_row(op: Op, rows: Any) -> Any:
    """How many entries of the first axis a row has, if they are several; else None."""
    value = value_of(op)
    if not isinstance(value, torch.Tensor) or not value.ndim:
        return None
    size = value.shape[0]
    if not isinstance(size, torch.SymInt) or size.node.expr == rows:
        return None
    share = size.node.expr / rows
    if rows in share.free_symbols:
        return None
    return _size_like(size, share)


def _size_like(size: torch.SymInt, expression: Any) -> Any:
    """A symbolic size with the given expression, in the same world as another one."""
    if expression.is_Integer:
        return int(expression)
    env = size.node.shape_env
    return env.create_symintnode(expression, hint=None)


def _sizes(shape: Any) -> list[str]:
    return [str(size) for size in shape]
