"""Where a graph comes from: its rewrites as values, and what two graphs have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, cast

import numpy as np
import torch

if TYPE_CHECKING:
    from causal_scrubbing._graph.graph import Graph

Arguments = ParamSpec("Arguments")


@dataclass(frozen=True, eq=False)
class Rewrite:
    """One rewrite: what it was called with, and the graph it was done to.

    Attributes:
        kind: name of the method.
        before: the graph it was called on.
        target: its first argument, a pattern, a name or a mapping of names; None if it has none.
        options: its other arguments.
    """

    kind: str
    before: Graph
    target: Any
    options: Mapping[str, Any]


def recorded(
    method: Callable[Concatenate[Any, Arguments], Graph],
) -> Callable[Concatenate[Any, Arguments], Graph]:
    """A rewriting method whose result remembers the call."""
    signature = inspect.signature(method)
    first = next(name for name in list(signature.parameters)[1:])

    @wraps(method)
    def call(self: Any, *args: Arguments.args, **options: Arguments.kwargs) -> Graph:
        new = method(self, *args, **options)
        if new is not self:
            given = dict(list(signature.bind(self, *args, **options).arguments.items())[1:])
            target = None if first in _SILENT else given.pop(first)
            new.rewrite = Rewrite(method.__name__, self, target, given)
        return new

    return cast("Callable[Concatenate[Any, Arguments], Graph]", call)


_SILENT: Final = ("data", "edges")
"""Arguments that say how a rewrite is checked, not what it is."""


def lineage(graph: Graph) -> list[Graph]:
    """The graph and those it was rewritten from, the oldest first."""
    found = [graph]
    while found[-1].rewrite is not None:
        found.append(found[-1].rewrite.before)
    return found[::-1]


def is_same(one: Graph, two: Graph) -> bool:
    """Whether two graphs are one, or have equal nodes and edges made by equal rewrites."""
    return one is two or shared(one, two) == len(lineage(one)) == len(lineage(two))


def shared(one: Graph, two: Graph) -> int:
    """How many graphs, from the oldest on, the lineages of two graphs have in common."""
    count = 0
    for a, b in zip(lineage(one), lineage(two), strict=False):
        if a is not b and (a.fingerprint != b.fingerprint or not _alike(a.rewrite, b.rewrite)):
            break
        count += 1
    return count


def _alike(one: Rewrite | None, two: Rewrite | None) -> bool:
    if one is None or two is None:
        return one is two
    told = [
        {k: v for k, v in step.options.items() if k not in _SILENT and v is not None}
        for step in (one, two)
    ]
    try:
        return one.kind == two.kind and same(one.target, two.target) and same(*told)
    except (RecursionError, RuntimeError, TypeError, ValueError):
        return False  # a function that holds itself, or what cannot be compared


def same(one: object, two: object) -> bool:
    """Whether two arguments of a rewrite are equal, functions by their code and what they hold."""
    if one is two:
        return True
    if isinstance(one, FunctionType) and isinstance(two, FunctionType):
        return one.__code__ == two.__code__ and all(
            same(getattr(one, part), getattr(two, part)) for part in _HELD
        )
    if isinstance(one, CellType) and isinstance(two, CellType):
        return same(one.cell_contents, two.cell_contents)
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return one.dtype == two.dtype and torch.equal(one.detach().cpu(), two.detach().cpu())
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return np.array_equal(one, two)
    if is_dataclass(one) and type(one) is type(two):
        return all(same(getattr(one, f.name), getattr(two, f.name)) for f in fields(one))
    return bool(one == two)


_HELD = ("__closure__", "__defaults__", "__kwdefaults__")


def plain(value: object) -> object:
    """Where a piece lies, as a value that compares and hashes."""
    if isinstance(value, torch.Tensor | np.ndarray | list | tuple | range):
        return tuple(np.asarray(value).tolist())
    return (value.start, value.stop, value.step) if isinstance(value, slice) else value
