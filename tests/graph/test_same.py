"""Two rewrites are one only where everything their functions read is equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._graph import is_same

Fn = Callable[[torch.Tensor], torch.Tensor]
DATA = cs.Dataset(x=torch.arange(4.0), sign=[0, 0, 1, 1])


def written(source: str, **space: Any) -> Fn:
    """A function made of source, its globals given."""
    exec(source, space)
    made: Fn = space["f"]
    return made


def by_global(scale: float) -> Fn:
    return written("def f(x):\n    return scale * x\n", scale=scale)


def by_a_global_of_what_it_calls(scale: float) -> Fn:
    return written("def f(x):\n    return g(x)\n", g=by_global(scale))


def by_a_global_of_an_inner_function(scale: float) -> Fn:
    return written("def f(x):\n    return (lambda y: scale * y)(x)\n", scale=scale)


def by_closure(scale: float) -> Fn:
    return lambda x: scale * x


def by_default(scale: float) -> Fn:
    def f(x: torch.Tensor, by: float = scale) -> torch.Tensor:
        return by * x

    return f


def by_keyword_default(scale: float) -> Fn:
    def f(x: torch.Tensor, *, by: float = scale) -> torch.Tensor:
        return by * x

    return f


def by_tensor(scale: float) -> Fn:
    table = torch.tensor([scale])
    return lambda x: x * table


def by_partial(scale: float) -> Fn:
    return partial(torch.mul, torch.tensor(scale))


class Scaled:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x

    def method(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x


def by_attribute_of_a_global(scale: float) -> Fn:
    return written("def f(x):\n    return box.scale * x\n", box=Scaled(scale))


def by_function_attribute(scale: float) -> Fn:
    def f(x: torch.Tensor) -> torch.Tensor:
        return f.scale * x  # type: ignore[attr-defined]

    f.scale = scale  # type: ignore[attr-defined]
    return f


@dataclass(frozen=True)
class Frozen:
    scale: float

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x


def by_module(scale: float) -> Fn:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, scale)
    return lambda x: layer(x[:, None])[:, 0]


MAKERS = [
    by_global, by_a_global_of_what_it_calls, by_a_global_of_an_inner_function, by_closure,
    by_default, by_keyword_default, by_tensor, by_partial, by_attribute_of_a_global,
    by_function_attribute, by_module, Scaled, Frozen, lambda scale: Scaled(scale).method,
]  # fmt: skip


def base(fn: Fn) -> cs.Graph:
    nodes = {"a": (fn, ["x"]), "y": (torch.clone, ["a"])}
    return cs.Graph.build(inputs=["x"], nodes=nodes, output="y", example=DATA)


@pytest.mark.parametrize("make", MAKERS)
def test_what_a_function_reads_tells_rewrites_apart(make: Callable[[float], Fn]) -> None:
    graph = base(lambda x: 3 * x)

    def rewritten(scale: float) -> cs.Graph:
        return graph.split_sum("a", {"phi": (make(scale), ["x"])}, rest="rest")

    assert is_same(rewritten(1.0), rewritten(1.0))
    assert not is_same(rewritten(1.0), rewritten(2.0))


@pytest.mark.parametrize("make", MAKERS)
def test_graphs_of_other_functions_are_not_one_for_their_names(
    make: Callable[[float], Fn],
) -> None:
    assert is_same(base(make(1.0)), base(make(1.0)))
    assert not is_same(base(make(1.0)), base(make(2.0)))


class Slotted:
    """Keeps its number where nothing reads it."""

    __slots__ = ("scale",)

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x


class Counted(int):
    """An integer and more."""

    more: float

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.more * x


def test_what_cannot_be_compared_is_the_same_only_as_one_object() -> None:
    fn = Slotted(1.0)
    assert is_same(base(fn), base(fn))
    assert not is_same(base(fn), base(Slotted(1.0)))
    one, two = Counted(1), Counted(1)
    one.more, two.more = 1.0, 2.0
    assert not is_same(base(one), base(two))


def test_a_join_does_not_depend_on_the_order_of_different_rewrites() -> None:
    graph = base(lambda x: 3 * x)

    def claimed(scale: float, part: str, feature: str) -> cs.Hypothesis:
        new = graph.split_sum("a", {"phi": (by_global(scale), ["x"])}, rest="rest")
        return cs.Hypothesis(new, cs.claim("y", cs.exact, cs.claim(f"a.{part}", feature, via="*")))

    one, two = claimed(1.0, "phi", "sign"), claimed(2.0, "rest", "x")
    for pair in ((one, two), (two, one)):
        with pytest.raises(cs.CausalScrubbingError, match="cannot join"):
            cs.join(*pair)
