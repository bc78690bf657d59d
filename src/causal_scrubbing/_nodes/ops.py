"""Operations the engine and the rewrites understand, rather than only call."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import torch


@dataclass(frozen=True)
class Add:
    """The sum of all parents: the residual stream. Parents on one datum are scrubbed as one sum."""

    def __call__(self, *terms: torch.Tensor) -> torch.Tensor:
        return reduce(torch.add, terms)


@dataclass(frozen=True, eq=False)
class Constant:
    """The same value for every row, batch size one."""

    value: torch.Tensor

    def __call__(self) -> torch.Tensor:
        return self.value


add: Final = Add()
"""The sum of any number of tensors. As a node's function it tells the engine that the node only
adds its parents, which makes scrubbing one of many summands cheap."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear map of one tensor with fixed weights: [..., in] -> [..., out].

    Rewrites know it: a linear map of a tensor cut into pieces is a sum of linear maps of them.

    Attributes:
        weight: [out, in], the model's own tensor or a view of it.
        bias: [out], or None.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class OfSum:
    """A function of the sum of all parents; made by `of_sum`.

    Attributes:
        then: what is done with the sum; None for nothing.
        each: what is taken of each parent before it is added; None for all of it.
    """

    then: Callable[..., Any] | None
    each: Callable[..., Any] | None

    def __call__(self, *terms: torch.Tensor) -> Any:
        total = add(*(terms if self.each is None else map(self.each, terms)))
        return total if self.then is None else self.then(total)


def of_sum(
    then: Callable[..., Any] | None = None, *, each: Callable[..., Any] | None = None
) -> OfSum:
    """As a node's function in `Graph.build`: a function of the sum of its parents.

    It computes what ``lambda *parents: then(sum(map(each, parents)))`` would, and tells the engine
    that the parents are only added (the residual stream), so that those on one datum are read as
    one sum, of what is taken of them.

    Example::

        nodes={"logits": (cs.of_sum(unembed, each=lambda r: r[:, -1]), ["embed", "a0", "m0"])}

    Args:
        then: takes the sum, batch first; None for the sum itself.
        each: takes a parent's value, batch first, and gives what is added; None for all of it.
    """
    return OfSum(then, each)


_SUMS: Final[tuple[Callable[..., Any], ...]] = (torch.add, operator.add, torch.Tensor.add)


def recognise(fn: Callable[..., Any], parents: int) -> Callable[..., Any]:
    """The operation a function is known to be: `torch.add` of two parents is `add`."""
    return add if parents == 2 and any(fn is known for known in _SUMS) else fn


def as_linear(fn: Callable[..., Any] | None) -> Linear | None:
    """The linear map a function is known to be, if any; a bare `torch.nn.Linear` is one."""
    if isinstance(fn, Linear):
        return fn
    # A subclass, or a module with hooks or parametrisations, may do more than its weights say.
    if type(fn) is torch.nn.Linear and not (fn._forward_hooks or fn._forward_pre_hooks):
        return Linear(fn.weight, fn.bias)
    return None
