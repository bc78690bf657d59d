"""A function as the list of operations it runs, for those who look inside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch


@dataclass(frozen=True)
class Ref:
    """A value that a step reads.

    Attributes:
        number: of the argument or of the earlier step whose value it is.
        is_argument: whether it is an argument of the whole function.
    """

    number: int
    is_argument: bool = False


@dataclass(frozen=True, eq=False)
class Size:
    """A number that follows from sizes of the function's arguments.

    Attributes:
        fn: takes those sizes.
        of: argument and dimension of each.
    """

    fn: Callable[..., Any]
    of: tuple[tuple[int, int], ...]

    def __call__(self, arguments: Sequence[torch.Tensor]) -> Any:
        return self.fn(*(arguments[number].shape[dim] for number, dim in self.of))


@dataclass(frozen=True, eq=False)
class Step:
    """One operation.

    Attributes:
        target: what is called.
        args: its arguments; lists and tuples may hold `Ref` and `Size`.
        kwargs: its keyword arguments, likewise.
    """

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class HasSteps(Protocol):
    """A function that tells its operations.

    Attributes:
        steps: in order.
        result: whose value it returns.
    """

    steps: tuple[Step, ...]
    result: Ref


def put_in(template: Any, put: Callable[[Any], Any]) -> Any:
    """Arguments with something in place of each `Ref` and `Size` in them."""
    if isinstance(template, Ref | Size):
        return put(template)
    if isinstance(template, list):
        return [put_in(one, put) for one in template]
    if isinstance(template, tuple):
        return tuple(put_in(one, put) for one in template)
    if isinstance(template, slice):
        return slice(
            put_in(template.start, put), put_in(template.stop, put), put_in(template.step, put)
        )
    if isinstance(template, Mapping):
        return {name: put_in(one, put) for name, one in template.items()}
    return template
