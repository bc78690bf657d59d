"""Where a run's bytes go: what is stored, what is recomputed, how large batches are."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine.cost import NodeCost, total_flops
from causal_scrubbing._engine.expr import Apply, Clean, Expr, Space
from causal_scrubbing._engine.memory import Budget, show_bytes
from causal_scrubbing._engine.program import Program, assemble
from causal_scrubbing._engine.table import Column, Storage
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._graph import Graph
from causal_scrubbing._graph.evaluate import needed_nodes

WORKING: Final = {"cpu": 64 << 20, "cuda": 1 << 30}
"""Bytes alive in a batch that make operations long against their overhead: on a CPU more only
spills its caches."""

STORES: Final = ("auto", "memory", "disk")
_WORKING_SHARE: Final = 0.25
_LARGEST_BATCH: Final = 1 << 16
_HOST: Final = torch.device("cpu")


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
        inlined: nodes recomputed from inputs for each sample, being cheaper to make than to store.
        notes: choices made, in words.
    """

    program: Program
    columns: tuple[Column, ...]
    storage: Storage
    table_bytes: float
    batch_size: int
    row_batch: int
    inlined: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def simple_layout(graph: Graph, space: Space, roots: list[int], batch_size: int) -> Layout:
    """The layout of a run whose batch size is given and whose memory is not watched."""
    program = assemble(space, roots)
    columns = _columns(program)
    device = graph.device or _HOST
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

    Raises:
        ScrubError: `store` is no place, or one sample alone does not fit the budget.
    """
    if store not in STORES:
        raise ScrubError(f"store={store!r}; it is one of {', '.join(map(repr, STORES))}.")
    program = assemble(space, roots)
    notes: list[str] = []
    inlined: tuple[str, ...] = ()
    allowed = _table_share(budget.device)
    columns = _sized(graph, program, data, costs, device, store_dtype)
    if _expected(columns, len(data), samples) > allowed:
        inlined = _cheap(graph, program, costs)
        if inlined:
            made, mapped = _inline(graph, space, roots, frozenset(inlined))
            program = assemble(made, roots, mapped)
            columns = _sized(graph, program, data, costs, device, store_dtype)
            notes.append(f"{', '.join(inlined)}: recomputed from the fields, cheaper than stored")
    storage, most, said = _place(columns, len(data), samples, budget, device, store, store_dtype)
    notes += said
    per_sample = max(program.peak(costs), 1.0)
    wanted = [step.node for step in program.gathers]
    per_row = max(_row_peak(graph, wanted, costs), 1.0)
    chosen = batch_size or _batch(per_sample, budget.device, device)
    rows = batch_size or _batch(per_row, budget.device, device)
    if per_sample > budget.device:
        raise ScrubError(
            f"memory: one sample needs {show_bytes(per_sample)} of activations and the budget is "
            f"{show_bytes(budget.device)}. Raise memory=, or split the output off."
        )
    if budget.given and batch_size is not None:
        chosen = max(1, min(chosen, int(budget.device * _WORKING_SHARE / per_sample)))
        rows = max(1, min(rows, int(budget.device * _WORKING_SHARE / per_row)))
    return Layout(program, columns, storage, most, chosen, rows, inlined, tuple(notes))


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
) -> Layout:
    """A layout that recomputes the named nodes and no others; see `lay_out` for the rest."""
    program = assemble(space, roots)
    if inlined:
        made, mapped = _inline(graph, space, roots, frozenset(inlined))
        program = assemble(made, roots, mapped)
    columns = _sized(graph, program, data, costs, device, layout.storage.dtype)
    return replace(layout, program=program, columns=columns, inlined=inlined)


def _table_share(bytes_: int) -> float:
    return bytes_ * (1 - _WORKING_SHARE)


def _batch(per_one: float, budget: int, device: torch.device) -> int:
    working = min(WORKING.get(device.type, WORKING["cuda"]), budget * _WORKING_SHARE)
    most = max(1, min(_LARGEST_BATCH, int(working / per_one)))
    return int(2 ** math.floor(math.log2(most)))


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
) -> tuple[Column, ...]:
    """Columns with their bytes; fields that lie where they are needed are columns of their own."""
    found: list[Column] = []
    for column in _columns(program):
        fields = tuple(n for n in column.nodes if _in_place(graph, n, data, device))
        rest = tuple(n for n in column.nodes if n not in fields)
        if fields:
            found.append(Column(fields, column.variables, 0.0))
        if rest:
            size = sum(_stored(costs[n], store_dtype) for n in rest)
            weight = total_flops(costs, needed_nodes(graph, rest))
            found.append(Column(rest, column.variables, max(size, 1.0), weight))
    return tuple(found)


def _in_place(graph: Graph, node: str, data: Dataset, device: torch.device) -> bool:
    field = graph.nodes[node].field
    if field is None or field not in data:
        return False
    value = data[str(field)]
    return isinstance(value, torch.Tensor) and value.device == device


def _stored(cost: NodeCost, dtype: torch.dtype | None) -> float:
    if dtype is None or not cost.dtype.is_floating_point:
        return cost.bytes
    return cost.bytes * dtype.itemsize / cost.dtype.itemsize


def _expected(columns: tuple[Column, ...], n: int, samples: int | None) -> float:
    """Bytes of the table once these samples are drawn, if draws are spread evenly over n rows."""
    return sum(c.bytes * _touched(n, samples, len(c.variables)) for c in columns)


def _touched(n: int, samples: int | None, variables: int) -> float:
    return n if samples is None else n * -math.expm1(-samples * variables / n)


def _place(
    columns: tuple[Column, ...],
    n: int,
    samples: int | None,
    budget: Budget,
    device: torch.device,
    store: str,
    store_dtype: torch.dtype | None,
) -> tuple[Storage, float, list[str]]:
    notes = []
    if store_dtype is not None:
        notes.append(f"activations are stored as {str(store_dtype).removeprefix('torch.')}")
    most = _table_share(budget.device)
    expected = _expected(columns, n, samples)
    if store == "disk":
        return Storage(_HOST, True, store_dtype), math.inf, [*notes, "the table is a file"]
    if expected <= most:
        return Storage(device, False, store_dtype), most, notes
    if device.type != "cpu" and expected <= budget.host:
        notes.append("the table is in main memory: the device's budget does not hold it")
        return Storage(_HOST, False, store_dtype), float(budget.host), notes
    if store == "auto" and samples is not None:
        again = _recomputing(columns, n, samples, most)
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if again > 2 and free > 2 * expected:
            notes.append(
                f"the table is a file: in memory alone, clean rows would be run {again:.1f} times"
            )
            return Storage(_HOST, True, store_dtype), math.inf, notes
    notes.append("samples are run in blocks whose table fits the budget")
    return Storage(device, False, store_dtype), most, notes


def _recomputing(columns: tuple[Column, ...], n: int, samples: int, most: float) -> float:
    """How often a needed clean row is evaluated if samples are cut into blocks that fit."""
    low, high = 1, samples
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _expected(columns, n, middle) <= most else (low, middle - 1)
    blocks = math.ceil(samples / low)
    return blocks * _expected(columns, n, low) / _expected(columns, n, samples)


def _row_peak(graph: Graph, wanted: list[str], costs: Mapping[str, NodeCost]) -> float:
    """Most bytes alive for one row while the wanted nodes are evaluated."""
    order = needed_nodes(graph, wanted)
    last = {parent: name for name in order for parent in graph.nodes[name].parents}
    keep = set(wanted)
    alive = most = 0.0
    for name in order:
        most = max(most, alive + costs[name].peak)
        alive += costs[name].bytes
        for parent in set(graph.nodes[name].parents):
            if last[parent] == name and parent not in keep:
                alive -= costs[parent].bytes
    return max(most, alive)


# --- recomputing what is cheap -----------------------------------------------------------------


def _cheap(graph: Graph, program: Program, costs: Mapping[str, NodeCost]) -> tuple[str, ...]:
    """Gathered nodes that are made from fields with as little work as reading them takes."""
    found = []
    for node in dict.fromkeys(step.node for step in program.gathers):
        if graph.nodes[node].is_input:
            continue
        cone = needed_nodes(graph, [node])
        fields = sum(costs[n].bytes for n in cone if graph.nodes[n].is_input)
        numbers = costs[node].bytes / costs[node].dtype.itemsize
        if total_flops(costs, cone) <= 4 * numbers and fields <= costs[node].bytes / 2:
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
