"""Expressions as a list of steps: what is done for each batch of samples, and what it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch

from causal_scrubbing._engine.cost import NodeCost, total
from causal_scrubbing._expressions import Apply, Clean, Space, uses
from causal_scrubbing._graph import Graph, call

Kind: TypeAlias = Literal["gather", "compute", "sum"]


@dataclass(frozen=True)
class Step:
    """One operation on a batch of samples.

    Attributes:
        kind: "gather" reads the table, "compute" calls a node's function, "sum" adds.
        out: where the value goes.
        node: node whose value it is.
        variable: draw variable of a gather.
        reads: places of what is read.
        frees: places that nothing reads afterwards.
    """

    kind: Kind
    out: int
    node: str
    variable: str = ""
    reads: tuple[int, ...] = ()
    frees: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """The steps that make the wanted values, in order.

    Attributes:
        steps: what to do; each expression is made once.
        roots: root expression -> its place.
        places: number of places.
    """

    steps: tuple[Step, ...]
    roots: Mapping[int, int]
    places: int

    @property
    def gathers(self) -> list[Step]:
        """The steps that read the table."""
        return [step for step in self.steps if step.kind == "gather"]

    def peak(
        self,
        costs: Mapping[str, NodeCost],
        stored: Mapping[str, float] | None = None,
        *,
        roots: bool = True,
    ) -> float:
        """Most bytes alive at once for one sample.

        Args:
            costs: of the nodes.
            stored: node -> bytes of its value as it is stored, where that is not as it is read.
            roots: count the wanted values, which are kept to the end, from when they are made.
        """
        stored = stored or {}
        aside = set() if roots else set(self.roots.values())
        alive = most = 0.0
        size: dict[int, float] = {}
        for step in self.steps:
            cost = costs[step.node]
            size[step.out] = cost.bytes
            inside = 2 * cost.bytes
            if step.kind == "compute":
                inside = cost.peak
            elif step.kind == "gather":
                kept = stored.get(step.node, cost.bytes)
                inside = cost.bytes + (kept if kept != cost.bytes else 0.0)
            most = max(most, alive + inside)
            if step.out in aside:
                size[step.out] = 0.0
            alive += size[step.out]
            for place in step.frees:
                alive -= size.pop(place, 0.0)
        return most

    def flops(self, costs: Mapping[str, NodeCost]) -> float:
        """Operations for one sample: the functions called and the sums made."""
        return sum(self.step_flops(step, costs) for step in self.steps)

    def step_flops(self, step: Step, costs: Mapping[str, NodeCost]) -> float:
        """Operations of one step for one sample."""
        cost = costs[step.node]
        if step.kind == "sum":
            return (len(step.reads) - 1) * cost.bytes / cost.dtype.itemsize
        return cost.flops if step.kind == "compute" else 0.0


def assemble(space: Space, names: Sequence[int], roots: Sequence[int] | None = None) -> Program:
    """The program of some expressions of a space.

    Args:
        space: the expressions.
        names: how the program calls its roots.
        roots: the expressions wanted, where they are not their own names.
    """
    roots = names if roots is None else roots
    order = space.cone(list(roots))
    kept = set(roots)
    place = {number: i for i, number in enumerate(order)}
    last: dict[int, int] = {}
    for number in order:
        for read in uses(space[number]):
            last[read] = number
    steps: list[Step] = []
    for number in order:
        expr = space[number]
        if isinstance(expr, Clean):
            steps.append(Step("gather", place[number], expr.node, expr.variable))
            continue
        used = uses(expr)
        frees = tuple(place[i] for i in dict.fromkeys(used) if last[i] == number and i not in kept)
        reads = tuple(place[i] for i in used)
        if isinstance(expr, Apply):
            steps.append(Step("compute", place[number], expr.node, reads=reads, frees=frees))
        else:
            node = space.nodes[number]
            steps.append(Step("sum", place[number], node, reads=reads, frees=frees))
    found = {name: place[root] for name, root in zip(names, roots, strict=True)}
    return Program(tuple(steps), found, len(order))


def calculate(
    graph: Graph, program: Program, gather: Callable[[Step], torch.Tensor]
) -> list[torch.Tensor]:
    """The roots' values of one batch, errors told by node.

    Args:
        graph: the graph.
        program: what to do.
        gather: reads the table for a step, when the step's turn comes.
    """
    values: list[Any] = [None] * program.places
    for step in program.steps:
        if step.kind == "gather":
            values[step.out] = gather(step)
        else:
            values[step.out] = _make(graph, step, values)
            for place in step.frees:
                values[place] = None
    return [values[place] for place in program.roots.values()]


def _make(graph: Graph, step: Step, values: Sequence[Any]) -> torch.Tensor:
    read = [values[place] for place in step.reads]
    return call(graph.nodes[step.node], read) if step.kind == "compute" else total(read)
