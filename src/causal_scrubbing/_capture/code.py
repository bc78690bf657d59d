"""A piece of an exported graph as a program over its outside values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.fx import Node as Op

from causal_scrubbing._capture.linear import value_of
from causal_scrubbing._capture.program import Given, Made, Piece, Program, Size, Step


class Writer:
    """Writes the program of one piece.

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
        self._known: dict[Op, Given | Made] = {op: Given(i) for i, op in enumerate(arguments)}
        self._count = len(arguments)
        self._constants = constants
        self._shape_of = shape_of

    def write(self, ops: Sequence[Op], result: Op) -> Piece:
        """The function that runs these operations, in this order, and returns one's value."""
        steps = []
        for i, op in enumerate(ops):
            target: Any = op.target
            args = tuple(self._value(a) for a in op.args)
            steps.append(Step(target, args, {k: self._value(v) for k, v in op.kwargs.items()}))
            self._known[op] = Made(i)
        return Piece(Program(self._count, tuple(steps), self._known[result]))

    def _value(self, value: Any) -> Any:
        if isinstance(value, Op):
            if value in self._known:
                return self._known[value]
            if value.name in self._constants:
                return self._constants[value.name]
            return self._value(value_of(value))
        if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return self._size(value.node.expr)
        if isinstance(value, (tuple, list)):
            # The exporter's lists are lists of its own.
            found = [self._value(v) for v in value]
            return tuple(found) if isinstance(value, tuple) else found
        if isinstance(value, slice):
            return slice(*(self._value(v) for v in (value.start, value.stop, value.step)))
        return value

    def _size(self, expression: Any) -> Any:
        """A size as an expression of the arguments' shapes."""
        if expression.is_Integer:
            return int(expression)
        symbols = sorted(expression.free_symbols, key=str)
        return Size(expression, tuple(self._shape_of[symbol] for symbol in symbols))
