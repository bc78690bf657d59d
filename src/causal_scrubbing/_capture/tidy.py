"""Tidying an exported graph: no-ops go, shape-only reads are cut, linear maps are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch.fx import Node as Op

from causal_scrubbing._capture.linear import Constants, name_linear, value_of
from causal_scrubbing._places import MARK

aten: Final = torch.ops.aten

_CHECKS: Final = {
    aten._assert_tensor_metadata.default,
    aten._assert_scalar.default,
    aten._assert_async.msg,
    aten._assert_async.default,
    aten.sym_constrain_range.default,
    aten.sym_constrain_range_for_size.default,
}
_COPIES: Final = {
    aten.clone.default,
    aten.alias.default,
    aten.lift_fresh_copy.default,
    aten.lift_fresh.default,
    aten.contiguous.default,
}
_DROPOUTS: Final = {
    aten.dropout.default: 2,
    aten.feature_dropout.default: 2,
    aten.alpha_dropout.default: 2,
    aten.native_dropout.default: 2,
}
_CASTS: Final = {
    aten._to_copy.default,
    aten.to.dtype,
    aten.to.device,
    aten.to.dtype_layout,
    aten.to.other,
}
_VIEWS: Final = {aten.view.default, aten._unsafe_view.default}
# Operations that read one argument's shape alone -> those that are told the shape.
_SHAPED: Final = {
    aten.view_as.default: aten.reshape.default,
    aten.reshape_as.default: aten.reshape.default,
    aten.expand_as.default: aten.expand.default,
}
# What they fill with: a number, or which argument says.
_FILLED: Final[Mapping[Any, float | str]] = {
    aten.zeros_like.default: 0,
    aten.ones_like.default: 1,
    aten.empty_like.default: 0,
    aten.full_like.default: "arg",
    aten.new_zeros.default: 0,
    aten.new_ones.default: 1,
    aten.new_empty.default: 0,
    aten.new_full.default: "new_full",
    aten.fill.Scalar: "arg",
}


def filled(size: list[int], value: float, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor of one value; stands for `zeros_like` and its kin, which read a shape alone."""
    return torch.full(size, value, dtype=dtype, device=device)


def overwritten(source: torch.Tensor, size: list[int], dtype: torch.dtype) -> torch.Tensor:
    """What a tensor of this size holds after all of it was copied over."""
    return source.to(dtype).expand(size)


def tidy(graph: torch.fx.Graph, constants: Constants) -> torch.fx.Graph:
    """Simplify an exported graph in place, its function unchanged.

    Args:
        graph: functionalised operations.
        constants: placeholder -> weight, buffer or other fixed tensor.
    """
    for op in list(graph.nodes):
        if op.op != "call_function":
            continue
        if op.target in _CHECKS:
            graph.erase_node(op)
        elif _does_nothing(op):
            op.replace_all_uses_with(op.args[0])
            graph.erase_node(op)
        elif op.target in _VIEWS:
            # A view would fail on a value with other strides than the model's own.
            op.target = aten.reshape.default
        elif op.target in _SHAPED:
            op.target = _SHAPED[op.target]
            op.args = (op.args[0], list(value_of(op).shape))
        elif op.target is aten.type_as.default:
            op.target = aten.to.dtype
            op.args = (op.args[0], value_of(op).dtype)
        elif op.target in _FILLED:
            _fill(op)
        elif op.target is aten.copy.default:
            _overwrite(op)
    for op in list(graph.nodes):
        if op.op == "call_function":
            name_linear(graph, op, constants)
    graph.eliminate_dead_code(is_impure_node=_is_kept)
    return graph


def _is_kept(op: Op) -> bool:
    return op.op in ("placeholder", "output") or op.target is MARK


def _does_nothing(op: Op) -> bool:
    if op.target in _COPIES:
        return True
    if op.target in _DROPOUTS and op.target is not aten.native_dropout.default:
        return len(op.args) > 2 and bool(op.args[2] is False or op.args[1] == 0)
    if op.target is aten.slice.Tensor:
        start = op.args[2] if len(op.args) > 2 else None
        end = op.args[3] if len(op.args) > 3 else None
        step = op.args[4] if len(op.args) > 4 else 1
        return bool(start in (None, 0) and end in (None, 9223372036854775807) and step == 1)
    if op.target in _CASTS:
        before, after = value_of(op.args[0]), value_of(op)
        return bool(before.dtype == after.dtype and before.device == after.device)
    return False


def _fill(op: Op) -> None:
    value, rule = value_of(op), _FILLED[op.target]
    fill: Any = rule
    if rule == "arg":
        fill = op.args[1]
    elif rule == "new_full":
        fill = op.args[2]
    if isinstance(fill, Op):
        return
    op.target = filled
    op.args = (list(value.shape), fill, value.dtype, value.device)
    op.kwargs = {}


def _overwrite(op: Op) -> None:
    value = value_of(op)
    op.target = overwritten
    op.args = (op.args[1], list(value.shape), value.dtype)
    op.kwargs = {}
