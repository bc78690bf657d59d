"""Bringing an export into one flat, functional graph, by the shortest way that does it."""

from __future__ import annotations

import operator
from typing import Any, Final

import torch
from torch.fx import Node as Op

aten: Final = torch.ops.aten
_NO_GRAD: Final = torch._higher_order_ops.wrap.wrap_with_set_grad_enabled
_AUTOCAST: Final = torch._higher_order_ops.wrap.wrap_with_autocast


def flatten(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program with parts run under `torch.no_grad` inlined, and no operation in place.

    The exporter's own pass makes operations functional by tracing everything once more, which takes
    twice as long as the export itself; it is run only where something is written in place that
    another operation may see.
    """
    graph = program.graph_module.graph
    for op in list(graph.nodes):
        if op.target is _NO_GRAD:
            _inline(program.graph_module, op, op.args[1], op.args[2:], detached=not op.args[0])
        elif op.target is _AUTOCAST and op.args[2] is False:
            _inline(program.graph_module, op, op.args[4], op.args[5:], detached=False)
    _write_apart(graph)
    graph.eliminate_dead_code()
    return program if _is_functional(graph) else program.run_decompositions({})


def _inline(
    module: torch.fx.GraphModule, op: Op, inner: Any, arguments: Any, *, detached: bool
) -> None:
    """Put the operations of a graph within the graph in place of the one that runs it."""
    part = getattr(module, str(inner.target))
    places = [node for node in part.graph.nodes if node.op == "placeholder"]
    values: dict[Op, Any] = dict(zip(places, arguments, strict=True))
    with module.graph.inserting_before(op):
        results = module.graph.graph_copy(part.graph, values)
        found = list(results) if isinstance(results, (tuple, list)) else [results]
        if detached:
            found = [_detach(module.graph, one) for one in found]
    for user in list(op.users):
        if user.target is operator.getitem:
            position: Any = user.args[1]
            user.replace_all_uses_with(found[position])
            module.graph.erase_node(user)
    module.graph.erase_node(op)


def _detach(graph: torch.fx.Graph, op: Any) -> Any:
    """Gradients stop at what was computed without them."""
    if not isinstance(op, Op) or not isinstance(op.meta.get("val"), torch.Tensor):
        return op
    cut = graph.call_function(torch.ops.aten.detach.default, (op,))
    cut.meta["val"] = op.meta["val"]
    return cut


def _write_apart(graph: torch.fx.Graph) -> None:
    """Replace `add_` by `add`, and so on, where nothing else sees the tensor written to."""
    order = {op: i for i, op in enumerate(graph.nodes)}
    for op in graph.nodes:
        target = op.target
        if target is aten.detach_.default:
            op.target = aten.detach.default
        elif isinstance(target, torch._ops.OpOverload) and target._schema.is_mutable:
            name = target._schema.name.removeprefix("aten::")
            plain = getattr(aten, name.removesuffix("_"), None)
            overload = getattr(plain, target._overloadname, None)
            if name.endswith("_") and overload is not None and _is_private(op, order):
                op.target = overload


def _is_private(op: Op, order: dict[Op, int]) -> bool:
    """Whether an operation writes to memory of its argument's own, not read again or viewed."""
    written = op.args[0]
    if not isinstance(written, Op) or written.op != "call_function":
        return False
    if not _is_fresh(written) or written.meta["val"].dtype != op.meta["val"].dtype:
        return False
    return all(
        user is op or (order[user] < order[op] and _is_fresh(user)) for user in written.users
    )


def _is_fresh(op: Op) -> bool:
    """Whether an operation's value shares no memory with its arguments'."""
    schema = getattr(op.target, "_schema", None)
    return schema is not None and all(value.alias_info is None for value in schema.returns)


def _is_functional(graph: torch.fx.Graph) -> bool:
    """Whether no operation writes to a tensor or holds a graph of its own."""
    for op in graph.nodes:
        if op.op == "get_attr" or isinstance(op.target, torch._ops.HigherOrderOperator):
            return False
        target = op.target
        if isinstance(target, torch._ops.OpOverload) and target._schema.is_mutable:
            return False
    return True
