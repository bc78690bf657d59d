"""From pieces to nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch.fx import Node as Op

from causal_scrubbing._capture.batching import give_rows_back
from causal_scrubbing._capture.code import Writer
from causal_scrubbing._capture.linear import is_size, value_of
from causal_scrubbing._capture.regions import Regions, find_regions, outside
from causal_scrubbing._capture.tidy import tidy
from causal_scrubbing._capture.trace import Traced
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import Linear, Node, add
from causal_scrubbing._places import MARK

aten: Final = torch.ops.aten

_RECURRENT: Final = {
    aten.lstm.input,
    aten.gru.input,
    aten.rnn_tanh.input,
    aten.rnn_relu.input,
}


def same(x: torch.Tensor) -> torch.Tensor:
    """The function of a site whose value other parts of the model read past it."""
    return x


def build_nodes(traced: Traced, output: str) -> list[Node]:
    """The nodes of an exported model: inputs, sites, and hidden ones in between.

    Args:
        traced: the export.
        output: name of the output node.

    Raises:
        GraphError: an operation cannot be part of a node, or two nodes would share a name.
    """
    graph = traced.graph
    end = next(op for op in graph.nodes if op.op == "output")
    result: Any = end.args[0][0]
    end.args = ((result,),)
    tidy(graph, traced.constants)
    _check_operations(graph)
    give_rows_back(graph, traced.rows)
    result = end.args[0][0]
    with graph.inserting_before(end):
        marked = graph.create_node("call_function", MARK, (result, output))
    marked.meta["val"] = value_of(result)
    if isinstance(result, Op) and result.target is MARK and result.args[1] == output:
        marked.args = (result.args[0], output)
        result.replace_all_uses_with(marked)
        graph.erase_node(result)
    end.args = ((marked,),)
    return _Builder(graph, traced).nodes()


class _Builder:
    def __init__(self, graph: torch.fx.Graph, traced: Traced) -> None:
        self.graph = graph
        self.traced = traced
        self.regions: Regions = find_regions(graph, traced.inputs, traced.rows)
        self.names: dict[Op, str] = {}

    def nodes(self) -> list[Node]:
        """All nodes, inputs that nothing reads left out."""
        made: list[Node] = []
        by_field: dict[str, Op] = {}
        for op in self.graph.nodes:
            if op.op == "placeholder" and op.name in self.traced.inputs:
                field = self.traced.inputs[op.name]
                by_field[field] = op
                self.names[op] = field
                made.append(Node(name=field, field=field, sizes=self.traced.shapes[field]))
        self.inputs = by_field
        self._name()
        taken = self._taken_over()
        for root, ops in self.regions.roots.items():
            if root not in taken:
                made.append(self._node(root, ops))
        _check_names(made)
        used = {parent for node in made for parent in node.parents}
        return [node for node in made if not node.is_input or node.name in used]

    def _name(self) -> None:
        for root in self.regions.roots:
            self.names[root] = root.args[1] if root.target is MARK else f"~{root.name}"  # type: ignore[assignment]

    def _taken_over(self) -> set[Op]:
        """Sums and linear maps that only a site reads: the site is that node."""
        cuts = self.regions.adds | self.regions.linears
        return {
            root.args[0]  # type: ignore[misc]
            for root in self.regions.roots
            if root.target is MARK and root.args[0] in cuts and len(root.args[0].users) == 1  # type: ignore[union-attr]
        }

    def _node(self, root: Op, ops: list[Op]) -> Node:
        name = self.names[root]
        value: Any = root
        if root.target is MARK:
            value = root.args[0]
            if value in self._cuts and len(value.users) == 1:
                root, ops = value, [value]
            elif len(ops) == 1:
                sums = value in self.regions.adds
                return Node(name=name, parents=(self.names[value],), fn=add if sums else same)
            else:
                ops = ops[:-1]
        if root in self.regions.adds:
            return Node(name=name, parents=tuple(self.names[a] for a in root.args), fn=add)  # type: ignore[index]
        arguments = outside(ops, self.traced.constants)
        if len(ops) == 1 and isinstance(ops[0].target, Linear):
            linear: Callable[..., Any] = ops[0].target
            return Node(name=name, parents=(self.names[arguments[0]],), fn=linear)
        shape_of, extra = self._shapes(ops, arguments)
        piece = Writer([*arguments, *extra], self.traced.constants, shape_of).write(ops, value)
        return Node(
            name=name,
            parents=tuple(self.names[a] for a in [*arguments, *extra]),
            fn=piece,
            shapes=frozenset(range(len(arguments), len(arguments) + len(extra))),
        )

    @property
    def _cuts(self) -> set[Op]:
        return self.regions.adds | self.regions.linears

    def _shapes(
        self, ops: Iterable[Op], arguments: list[Op]
    ) -> tuple[dict[Any, tuple[int, int]], list[Op]]:
        """Where a piece reads each size, and the inputs it needs for their shape alone."""
        found: dict[Any, tuple[int, int]] = {}
        extra: list[Op] = []
        for symbol in _symbols(ops):
            place = _extent(symbol, arguments)
            if place is None:
                field, dim = self.traced.sizes[symbol]
                source = self.inputs[field]
                if source not in extra:
                    extra.append(source)
                place = (len(arguments) + extra.index(source), dim)
            found[symbol] = place
        return found, extra


def _extent(symbol: Any, arguments: list[Op]) -> tuple[int, int] | None:
    """An argument and its dimension whose size is the symbol."""
    for position, op in enumerate(arguments):
        for dim, size in enumerate(getattr(value_of(op), "shape", ())):
            if isinstance(size, torch.SymInt) and size.node.expr == symbol:
                return position, dim
    return None


def _symbols(ops: Iterable[Op]) -> list[Any]:
    """The sizes that operations read, in a fixed order."""
    found: set[Any] = set()

    def visit(value: Any) -> None:
        if isinstance(value, Op):
            if is_size(value):
                visit(value_of(value))
        elif isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            found.update(value.node.expr.free_symbols)
        elif isinstance(value, (list, tuple)):
            for one in value:
                visit(one)
        elif isinstance(value, slice):
            visit([value.start, value.stop, value.step])

    for op in ops:
        visit(list(op.args))
        visit(list(op.kwargs.values()))
    return sorted((s for s in found if not str(s).startswith(("u", "zuf"))), key=str)


def _check_operations(graph: torch.fx.Graph) -> None:
    """Every operation is a pure function of tensors.

    Raises:
        GraphError: one is random, or holds a graph of its own.
    """
    faults: dict[str, None] = {}
    for op in graph.nodes:
        if op.op == "get_attr":
            faults[f"{op.target}: control flow with a graph of its own (torch.cond, a loop)"] = None
        tags = getattr(op.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags and not _inert(op):
            faults[f"{op.target} in {where(op)} draws random numbers"] = None
    if faults:
        raise GraphError(
            "a node must be a function of its parents, and these operations are not: "
            + "; ".join(list(faults)[:6])
            + ". Call model.eval() if it is in training mode (dropout), or pass the randomness in "
            "as a field of the dataset."
        )


def _inert(op: Op) -> bool:
    """Whether an operation that may be random is not, as it is called here."""
    if op.target is aten.scaled_dot_product_attention.default:
        rate: Any = op.args[4] if len(op.args) > 4 else op.kwargs.get("dropout_p", 0.0)
        return bool(rate == 0.0)
    if op.target in _RECURRENT:
        rate, training = op.args[5:7]
        return bool(rate == 0.0 or training is False)
    return False


def where(op: Op) -> str:
    """The module an operation came from."""
    stack: Mapping[str, Any] = op.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    path = str(paths[-1]) if paths else ""
    path = path.removeprefix("L['self'].").removeprefix("model").removeprefix(".")
    return repr(path) if path else "the model"


def _check_names(nodes: list[Node]) -> None:
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            raise GraphError(
                f"the name {node.name!r} is used twice: for a site, an input field or the output. "
                "Rename the site, or set output=."
            )
        seen.add(node.name)
