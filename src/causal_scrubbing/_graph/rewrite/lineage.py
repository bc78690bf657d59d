"""Where a graph comes from: its rewrites as values, and what two graphs have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec, cast

import numpy as np
import torch

from causal_scrubbing._nodes import BaseGraph, G, Rewrite, same

Arguments = ParamSpec("Arguments")


def recorded(
    method: Callable[Concatenate[G, Arguments], G],
) -> Callable[Concatenate[G, Arguments], G]:
    """A rewriting method whose result remembers the call."""
    signature = inspect.signature(method)
    first = next(name for name in list(signature.parameters)[1:])

    @wraps(method)
    def call(self: G, *args: Arguments.args, **options: Arguments.kwargs) -> G:
        new = method(self, *args, **options)
        if new is not self:
            given = dict(list(signature.bind(self, *args, **options).arguments.items())[1:])
            target = None if first in _SILENT else given.pop(first)
            new.rewrite = Rewrite(method.__name__, self, target, given)
        return new

    return cast("Callable[Concatenate[G, Arguments], G]", call)


_SILENT: Final = ("data", "edges", "tolerance")
"""Arguments that say how a rewrite is checked, not what it is."""


def lineage(graph: G) -> list[G]:
    """The graph and those it was rewritten from, all of its class, the oldest first."""
    found = [graph]
    while found[-1].rewrite is not None:
        found.append(cast("G", found[-1].rewrite.before))
    return found[::-1]


def is_same(one: BaseGraph, two: BaseGraph) -> bool:
    """Whether two graphs are one, or have equal nodes and edges made by equal rewrites."""
    return one is two or shared(one, two) == len(lineage(one)) == len(lineage(two))


def shared(one: BaseGraph, two: BaseGraph) -> int:
    """How many graphs, from the oldest on, the lineages of two graphs have in common."""
    count = 0
    for a, b in zip(lineage(one), lineage(two), strict=False):
        if a is not b:
            if a.fingerprint != b.fingerprint or not _alike(a.rewrite, b.rewrite):
                break
            if a.rewrite is None and not _same_nodes(a, b):
                break
        count += 1
    return count


def _same_nodes(one: BaseGraph, two: BaseGraph) -> bool:
    """Whether two graphs that no rewrite made have equal nodes, functions included."""
    return [*one.nodes] == [*two.nodes] and all(
        same(node, two.nodes[name]) for name, node in one.nodes.items()
    )


def _alike(one: Rewrite | None, two: Rewrite | None) -> bool:
    if one is None or two is None:
        return one is two
    told = [
        {k: v for k, v in step.options.items() if k not in _SILENT and v is not None}
        for step in (one, two)
    ]
    return one.kind == two.kind and same(one.target, two.target) and same(*told)


def plain(value: object) -> object:
    """Where a piece lies, as a value that compares and hashes."""
    if isinstance(value, torch.Tensor | np.ndarray | list | tuple | range):
        return tuple(np.asarray(value).tolist())
    return (value.start, value.stop, value.step) if isinstance(value, slice) else value
