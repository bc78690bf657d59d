"""Where a run's bytes go: what is stored, what is recomputed, how large batches are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine.cost import Closures, NodeCost
from causal_scrubbing._engine.memory import Budget
from causal_scrubbing._engine.place import Choice, reserve
from causal_scrubbing._engine.program import Program, assemble
from causal_scrubbing._engine.storage import Storage
from causal_scrubbing._engine.table import Column
from causal_scrubbing._engine.working import Reading, needed, stored_bytes
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._expressions import Apply, Clean, Expr, Space
from causal_scrubbing._graph import Graph, needed_nodes

STORES: Final = ("auto", "memory", "disk")
"""Where the table may be asked to be."""


@dataclass(frozen=True)
class Layout:
    """How a program is run within a budget.

    Attributes:
        program: the steps done for each batch of samples.
        columns: what the table holds.
        storage: where the table is.
        table_bytes: most bytes the table may take.
        batch_size: samples computed at once.
        row_batch: clean rows evaluated at once.
        index_bytes: what finding rows in the table takes.
        working_bytes: most bytes alive in a batch.
        read_batch: samples whose values whoever asked for them may read at once.
        spare: where else the table may be, and how large, should memory or the disk run out.
        inlined: nodes recomputed from inputs for each sample, being cheaper to make than to store.
        notes: choices made, in words.
    """

    program: Program
    columns: tuple[Column, ...]
    storage: Storage
    table_bytes: float
    batch_size: int
    row_batch: int
    index_bytes: float = 0.0
    working_bytes: float = 0.0
    read_batch: int | None = None
    spare: tuple[tuple[Storage, float], ...] = ()
    inlined: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def simple_layout(space: Space, roots: list[int], batch_size: int, device: torch.device) -> Layout:
    """The layout of a run whose batch size is given and whose memory is not watched."""
    program = assemble(space, roots)
    columns = _columns(program)
    return Layout(program, columns, Storage(device), math.inf, batch_size, batch_size)


def lay_out(
    graph: Graph,
    space: Space,
    roots: list[int],
    data: Dataset,
    costs: Mapping[str, NodeCost],
    budget: Budget,
    device: torch.device,
    *,
    batch_size: int | None,
    store: str,
    store_dtype: torch.dtype | None,
    samples: int | None,
    reading: Reading | None = None,
    program: Program | None = None,
) -> Layout:
    """Choose what is stored where, and how large batches are.

    Args:
        graph: the graph.
        space: the expressions.
        roots: those wanted.
        data: the dataset.
        costs: of every node that is run.
        budget: bytes allowed.
        device: where to compute.
        batch_size: samples at once, or None to choose.
        store: see `Settings`.
        store_dtype: see `Settings`.
        samples: how many will be asked for in all, if known.
        reading: bytes a sample that whoever asked for the values needs to read them.
        program: the steps of these expressions, where they are known.

    Raises:
        ScrubError: `store` is no place, or not even one sample fits the budget.
    """
    if store not in STORES:
        raise ScrubError(f"store={store!r}; it is one of {', '.join(map(repr, STORES))}.")
    chosen = Choice(len(data), budget, device, store, store_dtype, samples)
    program = program or assemble(space, roots)
    columns = _sized(graph, program, data, costs, device, store_dtype, samples)
    need = needed(graph, program, costs, device, store_dtype)
    inlined: tuple[str, ...] = ()
    notes: list[str] = []
    if chosen.is_tight(columns, need):
        inlined = _cheap(graph, program, costs)
        if inlined:
            made, mapped = _inline(graph, space, roots, frozenset(inlined))
            program = assemble(made, roots, mapped)
            columns = _sized(graph, program, data, costs, device, store_dtype, samples)
            need = needed(graph, program, costs, device, store_dtype)
            notes.append(f"{', '.join(inlined)}: recomputed from the fields, cheaper than stored")
    need = chosen.settle(columns, need)
    batch, rows = need.batches(budget.device, device, batch_size, budget.given)
    read = None
    if reading is not None and need.is_large(batch, budget.device):
        need = chosen.settle(columns, replace(need, reading=reading()))
        batch, rows = need.batches(budget.device, device, batch_size, budget.given)
        read = need.readable(batch, budget.device)
        if read < batch:
            notes.append(f"outputs are measured {read:,} at a time, which takes much memory")
    place = chosen.place(columns, need)
    return Layout(
        program,
        columns,
        place.storage,
        place.most,
        batch,
        rows,
        index_bytes=place.index_bytes,
        working_bytes=need.working(batch, rows),
        read_batch=read,
        spare=place.spare,
        inlined=inlined,
        notes=(*notes, *place.notes),
    )


def relaid(
    layout: Layout,
    graph: Graph,
    space: Space,
    roots: list[int],
    data: Dataset,
    costs: Mapping[str, NodeCost],
    device: torch.device,
    *,
    inlined: tuple[str, ...],
    samples: int | None,
) -> Layout:
    """A layout that recomputes the named nodes and no others; see `lay_out` for the rest."""
    program = assemble(space, roots)
    if inlined:
        made, mapped = _inline(graph, space, roots, frozenset(inlined))
        program = assemble(made, roots, mapped)
    columns = _sized(graph, program, data, costs, device, layout.storage.dtype, samples)
    return replace(layout, program=program, columns=columns, inlined=inlined)


# --- the table ---------------------------------------------------------------------------------


def _columns(program: Program) -> tuple[Column, ...]:
    variables: dict[str, set[str]] = {}
    for step in program.gathers:
        variables.setdefault(step.node, set()).add(step.variable)
    groups: dict[frozenset[str], list[str]] = {}
    for node, found in variables.items():
        groups.setdefault(frozenset(found), []).append(node)
    return tuple(Column(tuple(nodes), group, 1.0) for group, nodes in groups.items())


def _sized(
    graph: Graph,
    program: Program,
    data: Dataset,
    costs: Mapping[str, NodeCost],
    device: torch.device,
    store_dtype: torch.dtype | None,
    samples: int | None,
) -> tuple[Column, ...]:
    """Columns with their bytes; fields that lie where they are needed are columns of their own."""
    found: list[Column] = []
    closures = Closures(graph, costs)
    for column in _columns(program):
        fields = tuple(n for n in column.nodes if _in_place(graph, n, data, device))
        rest = tuple(n for n in column.nodes if n not in fields)
        if fields:
            found.append(Column(fields, column.variables, 0.0))
        if rest:
            sizes = [stored_bytes(costs[n], store_dtype) for n in rest]
            found.append(
                Column(
                    rest,
                    column.variables,
                    max(sum(sizes), 1.0),
                    weight=closures.flops(rest),
                    largest=max(sizes),
                    rows=reserve(len(data), samples, len(column.variables)),
                )
            )
    return tuple(found)


def _in_place(graph: Graph, node: str, data: Dataset, device: torch.device) -> bool:
    field = graph.nodes[node].field
    if field is None or field not in data:
        return False
    value = data[str(field)]
    return isinstance(value, torch.Tensor) and value.device == device


# --- recomputing what is cheap -----------------------------------------------------------------


def _cheap(graph: Graph, program: Program, costs: Mapping[str, NodeCost]) -> tuple[str, ...]:
    """Gathered nodes that are made from fields with as little work as reading them takes."""
    found = []
    closures = Closures(graph, costs)
    for node in dict.fromkeys(step.node for step in program.gathers):
        if graph.nodes[node].is_input:
            continue
        numbers = costs[node].bytes / costs[node].dtype.itemsize
        if closures.flops([node]) > 4 * numbers:
            continue
        cone = needed_nodes(graph, [node])
        fields = sum(costs[n].bytes for n in cone if graph.nodes[n].is_input)
        if fields <= costs[node].bytes / 2:
            found.append(node)
    return tuple(found)


def _inline(
    graph: Graph, space: Space, roots: list[int], nodes: frozenset[str]
) -> tuple[Space, list[int]]:
    """The same expressions with some clean nodes written as functions of clean inputs."""
    made = Space()
    made.sums = space.sums
    memo: dict[int, int] = {}

    def clean(node: str, variable: str, inside: bool) -> int:
        parents = graph.nodes[node].parents
        if not (inside or node in nodes) or graph.nodes[node].is_input:
            return made.add(Clean(node, variable))
        return made.add(Apply(node, tuple(clean(p, variable, True) for p in parents)))

    for number in space.cone(roots):
        expr: Expr = space[number]
        if isinstance(expr, Clean):
            memo[number] = clean(expr.node, expr.variable, False)
        elif isinstance(expr, Apply):
            memo[number] = made.add(Apply(expr.node, tuple(memo[i] for i in expr.arguments)))
        else:
            memo[number] = made.total(space.nodes[number], [memo[i] for i in expr.terms])
    return made, [memo[root] for root in roots]
