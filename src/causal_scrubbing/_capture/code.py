"""A piece of an exported graph as one Python function over its outside values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import torch
from torch.fx import Node as Op

from causal_scrubbing._capture.linear import value_of
from causal_scrubbing._graph import Ref, Size, Step


class Piece:
    """A node's function: operations of the model in a row, compiled to one Python function.

    It holds the model's own weights, not copies.

    Attributes:
        source: the code, for a look.
        steps: the operations, as data.
        result: the step whose value is returned.
    """

    __slots__ = ("_fn", "result", "source", "steps")

    def __init__(
        self, source: str, scope: Mapping[str, Any], steps: Sequence[Step], result: Ref
    ) -> None:
        names = dict(scope)
        exec(_compiled(source), names)
        self._fn: Callable[..., torch.Tensor] = names["piece"]
        self.source = source
        self.steps = tuple(steps)
        self.result = result

    def __call__(self, *arguments: torch.Tensor) -> torch.Tensor:
        return self._fn(*arguments)

    def __repr__(self) -> str:
        return f"Piece({len(self.steps)} operations)"


@lru_cache(maxsize=1024)
def _compiled(source: str) -> CodeType:
    """Layers that repeat have equal code and differ in their weights alone."""
    return compile(source, "<captured>", "exec")


class Writer:
    """Writes the code of one piece.

    Args:
        arguments: operations whose values come from outside, in order.
        constants: placeholder -> fixed tensor.
        shape_of: symbol -> (position among the arguments, dimension) that has its size.
    """

    def __init__(
        self,
        arguments: Sequence[Op],
        constants: Mapping[str, torch.Tensor],
        shape_of: Mapping[Any, tuple[int, int]],
    ) -> None:
        self._names: dict[Op, str] = {op: f"a{i}" for i, op in enumerate(arguments)}
        self._refs = {op: Ref(i, is_argument=True) for i, op in enumerate(arguments)}
        self._count = len(arguments)
        self._constants = constants
        self._shape_of = shape_of
        self._scope: dict[str, Any] = {}
        self._held: dict[int, str] = {}

    def write(self, ops: Sequence[Op], result: Op) -> Piece:
        """The function that runs these operations, in this order, and returns one's value."""
        inside = set(ops)
        last: dict[Op, int] = {}
        for i, op in enumerate(ops):
            for used in op.all_input_nodes:
                last[used] = i
        lines: list[str] = []
        steps: list[Step] = []
        for i, op in enumerate(ops):
            call = self._hold(op.target, "f")
            given = [self._render(a) for a in op.args]
            given += [f"{k}={self._render(v)}" for k, v in op.kwargs.items()]
            target: Any = op.target
            steps.append(Step(target, self._refer(op.args), self._refer(dict(op.kwargs))))
            self._names[op], self._refs[op] = f"v{i}", Ref(i)
            line = f"v{i} = {call}({', '.join(given)})"
            # Values are let go after their last use, as the model's own code would.
            for used in op.all_input_nodes:
                if last[used] == i and used is not result and used in inside:
                    line += f"; {self._names[used]} = None"
            lines.append(line)
        heads = ", ".join(f"a{i}" for i in range(self._count))
        body = "".join(f"    {line}\n" for line in lines)
        source = f"def piece({heads}):\n{body}    return {self._names[result]}\n"
        return Piece(source, self._scope, steps, self._refs[result])

    def _refer(self, value: Any) -> Any:
        """Arguments with values and sizes as `Ref` and `Size`."""
        if isinstance(value, Op):
            if value in self._refs:
                return self._refs[value]
            if value.name in self._constants:
                return self._constants[value.name]
            return self._refer(value_of(value))
        if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
            expression = value.node.expr
            if expression.is_Integer:
                return int(expression)
            symbols = tuple(sorted(expression.free_symbols, key=str))
            return Size(
                _size_function(expression, symbols), tuple(self._shape_of[s] for s in symbols)
            )
        if isinstance(value, tuple | list):
            return type(value)(self._refer(one) for one in value)
        if isinstance(value, slice):
            return slice(*map(self._refer, (value.start, value.stop, value.step)))
        if isinstance(value, dict):
            return {name: self._refer(one) for name, one in value.items()}
        return value

    def _hold(self, value: Any, kind: str) -> str:
        """A name under which the code reaches an object."""
        if id(value) not in self._held:
            name = f"{kind}{len(self._held)}"
            self._held[id(value)] = name
            self._scope[name] = value
        return self._held[id(value)]

    def _render(self, value: Any) -> str:
        if isinstance(value, Op):
            if value in self._names:
                return self._names[value]
            if value.name in self._constants:
                return self._hold(self._constants[value.name], "c")
            return self._size(value_of(value))
        if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return self._size(value)
        if isinstance(value, tuple):
            return "(" + "".join(f"{self._render(v)}, " for v in value) + ")"
        if isinstance(value, list):
            return "[" + ", ".join(self._render(v) for v in value) + "]"
        if isinstance(value, slice):
            parts = (value.start, value.stop, value.step)
            return f"slice({', '.join(self._render(p) for p in parts)})"
        if value is None or isinstance(value, (bool, int, str)):
            return repr(value)
        if isinstance(value, float) and value == value and abs(value) != float("inf"):
            return repr(value)
        return self._hold(value, "k")

    def _size(self, value: Any) -> str:
        """A size as an expression of the arguments' shapes."""
        if not isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return repr(value)
        expression = value.node.expr
        symbols = sorted(expression.free_symbols, key=str)
        if expression.is_Symbol:
            return self._extent(expression)
        if expression.is_Integer:
            return str(int(expression))
        # Sizes print as Python: sums, products, floor divisions and comparisons of symbols.
        fn = _size_function(expression, tuple(symbols))
        return f"{self._hold(fn, 's')}({', '.join(self._extent(s) for s in symbols)})"

    def _extent(self, symbol: Any) -> str:
        position, dim = self._shape_of[symbol]
        return f"a{position}.shape[{dim}]"


@lru_cache(maxsize=4096)
def _size_function(expression: Any, symbols: tuple[Any, ...]) -> Callable[..., Any]:
    """A symbolic size as a function of its symbols' values."""

    @lru_cache(maxsize=4096)
    def size(*values: int) -> bool | int | float:
        found = expression.subs(dict(zip(symbols, values, strict=True)))
        if not hasattr(found, "is_integer"):
            return bool(found)
        return int(found) if found.is_integer else float(found)

    return size
