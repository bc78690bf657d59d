"""Finding linear maps of one tensor by fixed weights in an exported graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import torch
from torch.fx import Node as Op

from causal_scrubbing._graph import Linear

aten: Final = torch.ops.aten

Constants: TypeAlias = Mapping[str, torch.Tensor]

_VIEWS_OF_WEIGHTS: Final = {
    aten.t.default,
    aten.numpy_T.default,
    aten.transpose.int,
    aten.permute.default,
    aten.reshape.default,
    aten.squeeze.dim,
    aten.unsqueeze.default,
    aten.select.int,
    aten.slice.Tensor,
}


def value_of(op: Any) -> Any:
    """The fake tensor (or symbolic number) that an operation gave when it was exported."""
    return op.meta.get("val") if isinstance(op, Op) else op


def is_size(op: Op) -> bool:
    """Whether an operation's value is a size or other symbolic number."""
    return isinstance(value_of(op), (torch.SymInt, torch.SymFloat, torch.SymBool, int, float, bool))


def name_linear(graph: torch.fx.Graph, op: Op, constants: Constants) -> None:
    """Replace an operation that is a linear map by fixed weights with a `Linear`."""
    found = _parts(op, constants)
    if found is None:
        return
    x, weight, bias = found
    last = op
    if value_of(op).ndim == 2:
        x, last = _without_flattening(x, op)
    with graph.inserting_after(last):
        named = graph.create_node(
            "call_function", Linear(weight, bias), (x,), name=f"{op.name}_map"
        )
    named.meta["val"] = value_of(last)
    last.replace_all_uses_with(named)


def _parts(op: Op, constants: Constants) -> tuple[Op, torch.Tensor, torch.Tensor | None] | None:
    """The map's input, weight [out, in] and bias, if the operation is one."""
    args = op.args
    bias_op: Any = None
    if op.target is aten.linear.default:
        x, weight_op = args[:2]
        bias_op = args[2] if len(args) > 2 else None
    elif op.target is aten.addmm.default and not op.kwargs:
        bias_op, x, weight_op = args
    elif op.target in (aten.mm.default, aten.matmul.default):
        x, weight_op = args
    else:
        return None
    weight = _fixed(weight_op, constants)
    bias = None if bias_op is None else _fixed(bias_op, constants)
    if weight is None or weight.ndim != 2 or not isinstance(x, Op) or x.name in constants:
        return None
    if bias_op is not None and (bias is None or bias.ndim != 1):
        return None
    return x, weight if op.target is aten.linear.default else weight.t(), bias


def _without_flattening(x: Op, op: Op) -> tuple[Op, Op]:
    """Around a matrix product, the reshapes to two dimensions and back, if that is what they are.

    Returns:
        The input before, and the operation after.
    """
    users = list(op.users)
    if x.target is not aten.reshape.default or len(users) != 1:
        return x, op
    back = users[0]
    if back.target is not aten.reshape.default or back.args[0] is not op:
        return x, op
    wide: Any = x.args[0]
    before, after = value_of(wide).shape, value_of(back).shape
    if [str(s) for s in before[:-1]] != [str(s) for s in after[:-1]]:
        return x, op
    if str(before[-1]) != str(value_of(x).shape[-1]):
        return x, op
    return wide, back


def _fixed(op: Any, constants: Constants) -> torch.Tensor | None:
    """A weight, or a view of one that shares its memory; None for anything else."""
    if not isinstance(op, Op):
        return None
    if op.name in constants:
        return constants[op.name]
    if op.target not in _VIEWS_OF_WEIGHTS:
        return None
    base = _fixed(op.args[0], constants)
    if base is None or any(isinstance(a, (Op, torch.SymInt)) for a in _leaves(op.args[1:])):
        return None
    target: Any = op.target
    view: torch.Tensor = target(base, *op.args[1:], **op.kwargs)
    same = view.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
    return view if same else None


def _leaves(args: Any) -> list[Any]:
    if isinstance(args, (list, tuple)):
        return [leaf for one in args for leaf in _leaves(one)]
    return [args]
