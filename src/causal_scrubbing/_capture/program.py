"""The operations of a piece as plain values: what is called, on what, in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

import torch

from causal_scrubbing import _graph as nodes


@dataclass(frozen=True)
class Given:
    """An argument of the piece, by position."""

    index: int


@dataclass(frozen=True)
class Made:
    """The value of an earlier step, by position."""

    index: int


@dataclass(frozen=True)
class Size:
    """A size computed from sizes of arguments.

    Attributes:
        expression: in sympy's terms.
        extents: for each of its symbols, sorted by name: argument and dimension.
    """

    expression: Any
    extents: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Step:
    """One call.

    Attributes:
        target: what is called.
        args: plain values, tensors the piece holds, `Given`, `Made` and `Size`, nested in lists,
            tuples and slices.
        kwargs: the same by name.
    """

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        # Operators of torch are sent to other processes by their names.
        target: Any = self.target
        if isinstance(target, torch._ops.OpOverload):
            target = _Operator(target.namespace, target._opname, target._overloadname)
        return _step, (target, self.args, self.kwargs)


@dataclass(frozen=True)
class _Operator:
    """An operator of torch by its names."""

    space: str
    name: str
    overload: str


def _step(target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Step:
    if isinstance(target, _Operator):
        space = getattr(torch.ops, target.space)
        target = getattr(getattr(space, target.name), target.overload)
    return Step(target, args, kwargs)


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in order, over so many arguments, and which value is the piece's."""

    arguments: int
    steps: tuple[Step, ...]
    result: Given | Made


class Piece:
    """A node's function: operations of the model in a row, compiled to one Python function.

    It holds the model's own weights, not copies.

    Attributes:
        program: the operations.
        source: the code, for a look.
        operations: how many operations it runs.
    """

    __slots__ = ("_fn", "_steps", "operations", "program", "source")

    def __init__(self, program: Program) -> None:
        writer = _Writer()
        self.source = writer.write(program)
        names = writer.scope
        exec(_compiled(self.source), names)
        self._fn: Callable[..., torch.Tensor] = names["piece"]
        self.program = program
        self.operations = len(program.steps)
        self._steps: tuple[nodes.Step, ...] | None = None

    @property
    def steps(self) -> tuple[nodes.Step, ...]:
        """The operations, as the rooms above read them."""
        if self._steps is None:
            self._steps = tuple(
                nodes.Step(step.target, _shown(step.args), _shown(step.kwargs))
                for step in self.program.steps
            )
        return self._steps

    @property
    def result(self) -> nodes.Ref:
        """The operation whose value is returned."""
        found: nodes.Ref = _shown(self.program.result)
        return found

    def __call__(self, *arguments: torch.Tensor) -> torch.Tensor:
        return self._fn(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return Piece, (self.program,)

    def __repr__(self) -> str:
        return f"Piece({self.operations} operations)"


def _shown(value: Any) -> Any:
    """Arguments of a step as the rooms above read them."""
    if isinstance(value, Given):
        return nodes.Ref(value.index, is_argument=True)
    if isinstance(value, Made):
        return nodes.Ref(value.index)
    if isinstance(value, Size):
        symbols = tuple(sorted(value.expression.free_symbols, key=str))
        return nodes.Size(_size_function(value.expression, symbols), value.extents)
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if isinstance(value, tuple):
        return tuple(_shown(one) for one in value)
    if isinstance(value, Mapping):
        return {name: _shown(one) for name, one in value.items()}
    if isinstance(value, slice):
        return slice(*map(_shown, (value.start, value.stop, value.step)))
    return value


@lru_cache(maxsize=1024)
def _compiled(source: str) -> CodeType:
    """Layers that repeat have equal code and differ in their weights alone."""
    return compile(source, "<captured>", "exec")


class _Writer:
    """Writes a program as Python: names it makes up, and numbers and texts as they are."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self._held: dict[int, str] = {}

    def write(self, program: Program) -> str:
        last: dict[int, int] = {}
        for i, step in enumerate(program.steps):
            for used in made_in([step.args, step.kwargs]):
                last[used] = i
        lines = []
        for i, step in enumerate(program.steps):
            given = [self._text(a) for a in step.args]
            given += [f"{name}={self._text(v)}" for name, v in step.kwargs.items()]
            line = f"v{i} = {self._hold(step.target, 'f')}({', '.join(given)})"
            # Values are let go after their last use, as the model's own code would.
            for used in dict.fromkeys(made_in([step.args, step.kwargs])):
                if last[used] == i and Made(used) != program.result:
                    line += f"; v{used} = None"
            lines.append(f"    {line}\n")
        heads = ", ".join(f"a{i}" for i in range(program.arguments))
        result = self._text(program.result)
        return f"def piece({heads}):\n{''.join(lines)}    return {result}\n"

    def _hold(self, value: Any, kind: str) -> str:
        """A name under which the code reaches an object."""
        if id(value) not in self._held:
            name = f"{kind}{len(self._held)}"
            self._held[id(value)] = name
            self.scope[name] = value
        return self._held[id(value)]

    def _text(self, value: Any) -> str:
        if isinstance(value, Given):
            return f"a{value.index}"
        if isinstance(value, Made):
            return f"v{value.index}"
        if isinstance(value, Size):
            return self._size(value)
        if isinstance(value, tuple):
            return "(" + "".join(f"{self._text(v)}, " for v in value) + ")"
        if isinstance(value, list):
            return "[" + ", ".join(self._text(v) for v in value) + "]"
        if isinstance(value, slice):
            parts = (value.start, value.stop, value.step)
            return f"slice({', '.join(self._text(p) for p in parts)})"
        if value is None or isinstance(value, (bool, int, str)):
            return repr(value)
        if isinstance(value, float) and value == value and abs(value) != float("inf"):
            return repr(value)
        return self._hold(value, "k")

    def _size(self, size: Size) -> str:
        places = [f"a{position}.shape[{dim}]" for position, dim in size.extents]
        if size.expression.is_Symbol:
            return places[0]
        # Sizes print as Python: sums, products, floor divisions and comparisons of symbols.
        symbols = tuple(sorted(size.expression.free_symbols, key=str))
        fn = _size_function(size.expression, symbols)
        return f"{self._hold(fn, 's')}({', '.join(places)})"


def made_in(value: Any) -> Iterator[int]:
    """Steps whose values a nested argument reads."""
    if isinstance(value, Made):
        yield value.index
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from made_in(one)
    elif isinstance(value, Mapping):
        yield from made_in(list(value.values()))
    elif isinstance(value, slice):
        yield from made_in((value.start, value.stop, value.step))


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
