"""A node's function as operations with known shapes, found by running it on a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import torch

from causal_scrubbing._graph import HasSteps, Join, Node, Ref, Size, Step, Take, put_in

ROWS: Final = 3
"""Rows that functions are traced on, and again on one less, to know which sizes count rows."""


@dataclass(frozen=True)
class Rows:
    """A size that is a multiple of the number of rows."""

    times: int


@dataclass(eq=False)
class Operation:
    """One operation of a node.

    Attributes:
        name: of its kind, such as "add"; of several calls of one function the same.
        step: what is called; sizes are numbers, or `Rows`.
        shape: of its value, the rows' axis included; None for what is not one tensor.
        constant: its value, where that is the same for every row; its first axis then has size 1
            if it has one for rows.
        is_batched: whether the value's first axis is that of rows, and no other counts them.
        parts: shapes of the parts of a value that is several tensors.
    """

    name: str
    step: Step
    shape: tuple[int, ...] | None = None
    constant: torch.Tensor | None = None
    is_batched: bool = False
    parts: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def reads(self) -> list[Ref]:
        """The values it reads, in order of reading, each once."""
        found: dict[Ref, None] = {}
        for arguments in (self.step.args, self.step.kwargs):
            put_in(arguments, lambda one: found.setdefault(one))
        return [one for one in found if isinstance(one, Ref)]


@dataclass(eq=False)
class Trace:
    """The operations of a node.

    Attributes:
        operations: in order.
        result: the operation whose value is the node's.
        arguments: shapes of the node's arguments.
        fixed: arguments that are the same for every row, and their values.
    """

    operations: list[Operation] = field(default_factory=list)
    result: int = 0
    arguments: list[tuple[int, ...]] = field(default_factory=list)
    fixed: dict[int, torch.Tensor] = field(default_factory=dict)

    def shape(self, ref: Ref) -> tuple[int, ...] | None:
        """The shape of an argument's or operation's value."""
        if ref.is_argument:
            return self.arguments[ref.number]
        return self.operations[ref.number].shape

    def constant(self, ref: Ref) -> torch.Tensor | None:
        """A value that is the same for every row, or None."""
        if ref.is_argument:
            return self.fixed.get(ref.number)
        return self.operations[ref.number].constant


def trace(node: Node, arguments: Sequence[torch.Tensor], fixed: Sequence[bool]) -> Trace | None:
    """What a node does with its arguments; None where that cannot be told.

    Args:
        node: the node.
        arguments: their values on a few rows, [ROWS, ...].
        fixed: whether each is the same for every row; its first axis may then have size 1.
    """
    fn: Any = node.fn
    if isinstance(fn, HasSteps):
        steps, result = fn.steps, fn.result
    else:
        refs = tuple(Ref(i, is_argument=True) for i in range(len(arguments)))
        steps, result = (Step(fn, refs),), Ref(0)
    if result.is_argument:
        steps, result = (*steps, Step(same, (result,))), Ref(len(steps))
    given = [
        one[:1] if is_fixed and one.ndim and bool((one == one[:1]).all()) else one
        for one, is_fixed in zip(arguments, fixed, strict=True)
    ]
    # A value that is the same for every row may still say how many there are.
    counted = [one is not kept for one, kept in zip(arguments, given, strict=True)]
    steps, held = _lifted(steps, len(given))
    given += held
    fixed = [*fixed, *([True] * len(held))]
    few = [one if is_fixed else one[: ROWS - 1] for one, is_fixed in zip(given, fixed, strict=True)]
    sizes = [
        (one, one[: ROWS - 1] if counts else less)
        for one, counts, less in zip(arguments, counted, few, strict=False)
    ]
    found = Trace(
        result=result.number,
        arguments=[tuple(one.shape) for one in given],
        fixed={i: given[i] for i, is_fixed in enumerate(fixed) if is_fixed},
    )
    more, less = list[Any](), list[Any]()
    for step in steps:
        operation = _operation(step, given, few, sizes, more, less, found)
        if operation is None:
            return None
        found.operations.append(operation)
    return found if found.operations[found.result].shape is not None else None


def _lifted(steps: Sequence[Step], count: int) -> tuple[tuple[Step, ...], list[torch.Tensor]]:
    """Steps whose fixed tensors are arguments beyond the first `count`, and those tensors."""
    held: dict[int, tuple[Ref, torch.Tensor]] = {}

    def lift(one: Any) -> Any:
        if isinstance(one, torch.Tensor):
            new = Ref(count + len(held), is_argument=True)
            return held.setdefault(id(one), (new, one))[0]
        if isinstance(one, list):
            return [lift(inner) for inner in one]
        if isinstance(one, tuple):
            return tuple(lift(inner) for inner in one)
        if isinstance(one, dict):
            return {name: lift(inner) for name, inner in one.items()}
        return one

    found = tuple(Step(one.target, lift(one.args), lift(dict(one.kwargs))) for one in steps)
    return found, [tensor for _, tensor in held.values()]


def same(x: torch.Tensor) -> torch.Tensor:
    """The value itself."""
    return x


def kind(target: Any) -> str:
    """The name of a kind of operation."""
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.removeprefix("aten::")
    return str(getattr(target, "__name__", type(target).__name__))


def _operation(
    step: Step,
    arguments: Sequence[torch.Tensor],
    few: Sequence[torch.Tensor],
    sizes: Sequence[tuple[torch.Tensor, torch.Tensor]],
    more: list[Any],
    less: list[Any],
    found: Trace,
) -> Operation | None:
    """Run one operation both ways and see what its value is."""
    whole, part = [one for one, _ in sizes], [one for _, one in sizes]

    def put(values: list[Any], outside: Sequence[torch.Tensor]) -> Any:
        def of(one: Any) -> Any:
            if isinstance(one, Size):
                return one(whole if outside is arguments else part)
            return outside[one.number] if one.is_argument else values[one.number]

        return of

    def sized(one: Any) -> Any:
        if isinstance(one, Ref):
            return one
        large, small = one(whole), one(part)
        if large == small:
            return large
        times, over = divmod(large, ROWS)
        return Rows(times) if not over and small == times * (ROWS - 1) else one

    for values, outside in ((more, arguments), (less, few)):
        with torch.no_grad():
            given = put_in(step.args, put(values, outside))
            named = put_in(step.kwargs, put(values, outside))
            values.append(step.target(*given, **named))
    fixed = Step(step.target, put_in(step.args, sized), put_in(step.kwargs, sized))
    value, other = more[-1], less[-1]
    if kind(step.target) == "cat":  # a cache of keys, which is empty, and the keys
        full = [ref for ref in Operation("cat", step).reads
                if (arguments if ref.is_argument else more)[ref.number].numel()]  # fmt: skip
        fixed = Step(same, (full[0],)) if len(full) == 1 == _uses(step, full[0]) else fixed
    if isinstance(step.target, Take | Join):
        whole = value if isinstance(step.target, Join) else put(more, arguments)(step.args[0])
        fixed = replace(fixed, target=_counted_from_the_front(step.target, whole.ndim))
    operation = Operation(kind(fixed.target), fixed)
    if isinstance(value, tuple | list) and all(isinstance(one, torch.Tensor) for one in value):
        operation.parts = tuple(tuple(one.shape) for one in value)
        operation.is_batched = all(map(_is_batched, value, other))
        return operation if operation.is_batched else None
    if not isinstance(value, torch.Tensor):
        return None
    operation.shape = tuple(value.shape)
    if any(found.constant(ref) is None for ref in operation.reads):
        operation.is_batched = _is_batched(value, other)
    else:
        first = value[:1] if value.shape != other.shape else value
        if first is not value and not (_is_batched(value, other) and bool((value == first).all())):
            return None
        operation.constant = first
        operation.shape = tuple(first.shape)
    return operation


def _counted_from_the_front(target: Take | Join, size: int) -> Take | Join:
    """A part, or parts put together, whose axis is no negative number, as the rules want it."""
    return target if target.axis >= 0 else replace(target, axis=target.axis % size)


def _uses(step: Step, ref: Ref) -> int:
    """How often a step reads a value."""
    found: list[bool] = []
    put_in(step.args, lambda one: found.append(one == ref))
    return sum(found)


def _is_batched(value: torch.Tensor, other: torch.Tensor) -> bool:
    one, two = tuple(value.shape), tuple(other.shape)
    return one[:1] == (ROWS,) and two[:1] == (ROWS - 1,) and one[1:] == two[1:]
