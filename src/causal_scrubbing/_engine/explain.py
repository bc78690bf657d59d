"""A run's plan as a person reads it: what is gathered, computed and shared, and what it costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from causal_scrubbing._data import Ints
from causal_scrubbing._display import Displayed
from causal_scrubbing._engine.cost import Closures
from causal_scrubbing._engine.memory import show_bytes, show_flops
from causal_scrubbing._engine.run import Actual, Executor, Rehearsal
from causal_scrubbing._engine.said import Said
from causal_scrubbing._format import listed, plural
from causal_scrubbing._hypothesis import Tree

_SHOWN: Final = 24
_MOST_TIMED: Final = 256
_SHARE_TIMED: Final = 0.05
"""Most samples, and the largest part of all, that are run to know what all of them take."""


@dataclass(frozen=True)
class Operation:
    """One step of the program, done for every sample.

    Attributes:
        kind: "gather" reads the table of clean activations, "compute" calls a node's function,
            "sum" adds.
        node: the node whose value it is.
        reads: draw key of a gather; nodes read by the others.
        readers: how many steps and results read it; more than one is shared work.
        flops: floating-point operations a sample.
        bytes: of the value, a sample.
    """

    kind: str
    node: str
    reads: tuple[str, ...]
    readers: int
    flops: float
    bytes: float


@dataclass(frozen=True)
class Stored:
    """Nodes whose clean activations are kept for the same rows.

    Attributes:
        nodes: their names.
        draws: the draws they are read on.
        rows: distinct rows needed.
        bytes: of all of them; 0 where they are fields, read where they lie.
    """

    nodes: tuple[str, ...]
    draws: tuple[str, ...]
    rows: int
    bytes: float


@dataclass(frozen=True)
class Flops:
    """Floating-point operations, matrix products counted by `torch.utils.flop_counter`.

    Attributes:
        table: evaluating clean rows, repeats included.
        samples: what is recomputed for each sample.
        floor: each distinct (node, row) once, and what is recomputed.
        naive: one forward pass for every leaf, every draw of unimportant parents, and every
            treeified node, for every sample.
        known: evaluating the model on rows that the samples do not need, for the exact mean
            E_model; work on pairs of rows for E_randomized is not counted. It is not in `floor`.
    """

    table: float
    samples: float
    floor: float
    naive: float
    known: float = 0.0

    @property
    def total(self) -> float:
        """All operations of the plan."""
        return self.table + self.samples + self.known

    @property
    def sampling(self) -> float:
        """Operations of clean rows and samples, which is what the floor is of."""
        return self.table + self.samples


@dataclass(frozen=True)
class Explanation(Displayed):
    """A plan like a query plan: `print` it, or take `to_dict`.

    Attributes:
        samples: samples to compute.
        rows: rows of the dataset.
        operations: the program of a batch.
        stored: the table of clean activations.
        storage: where the table is.
        batch_size: samples computed at once.
        row_batch: clean rows evaluated at once.
        blocks: pieces of samples that have the table to themselves.
        tree_nodes: values a sample has in the treeified hypotheses, shared or not.
        flops: work, against the floor and the naive method.
        table_bytes: memory for the table.
        working_bytes: memory for a batch.
        budget: bytes allowed.
        notes: choices made, in words.
        executor: who computes the samples where it is not this process, and how, in words.
        expected_seconds: from timing a small piece, or None if it was not timed.
        expected_measuring: seconds of these for metrics and comparisons of outputs.
        actual: what the run took, once it has run.
    """

    samples: int
    rows: int
    operations: tuple[Operation, ...]
    stored: tuple[Stored, ...]
    storage: str
    batch_size: int
    row_batch: int
    blocks: int
    tree_nodes: int
    flops: Flops
    table_bytes: float
    working_bytes: float
    budget: int
    notes: tuple[str, ...] = ()
    expected_seconds: float | None = None
    expected_measuring: float | None = None
    actual: Mapping[str, Any] | None = None
    executor: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        body = asdict(self)
        body["flops"]["total"] = self.flops.total
        return body

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Explanation:
        """The plan that `to_dict` wrote, also after a way through JSON."""
        flops = {k: v for k, v in body["flops"].items() if k != "total"}
        return cls(
            **{
                **body,
                "operations": tuple(Operation(**_tuples(one)) for one in body["operations"]),
                "stored": tuple(Stored(**_tuples(one)) for one in body["stored"]),
                "flops": Flops(**flops),
                "notes": tuple(body["notes"]),
            }
        )

    def __repr__(self) -> str:
        samples = plural(self.samples, "sample")
        return f"Explanation({self.samples:,} {samples}; print it to see the plan)"

    def __str__(self) -> str:
        return _text(self)


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}


def piece_size(plan: Explanation, batch_size: int) -> int:
    """How many samples to run to know what all take: few enough to cost a small part of it.

    Args:
        plan: of all samples.
        batch_size: samples computed at once.
    """
    rows = max((one.rows for one in plan.stored if one.bytes), default=plan.samples)
    return max(1, min(batch_size, _MOST_TIMED, int(_SHARE_TIMED * min(plan.samples, rows))))


def expected_seconds(
    executor: Executor,
    plan: Explanation,
    rows: Mapping[str, Ints],
    run: Callable[[Mapping[str, Ints]], object],
) -> float:
    """Seconds that clean rows and samples will take, from a few samples that are run.

    They are run twice, since the first time is slower, and then one alone, for what a batch takes
    however small it is.

    Args:
        executor: the work.
        plan: of all samples.
        rows: rows by draw variable of a few samples; one row for all variables of a sample will do,
            and needs the fewest clean rows.
        run: runs samples by the executor.
    """
    actual, seconds = executor.actual, []
    before = actual.table_seconds
    for piece in (rows, rows, {variable: found[:1] for variable, found in rows.items()}):
        start = actual.sample_seconds
        run(piece)
        seconds.append(actual.sample_seconds - start)
    closures = Closures(executor.graph, executor.costs)
    done = sum(n * closures.flops(nodes) for nodes, n in executor.table.effort.rows.items())
    table = (actual.table_seconds - before) * plan.flops.table / done if done else 0.0
    size = len(next(iter(rows.values())))
    batches = math.ceil(plan.samples / executor.batch_size)
    alone = min(seconds[1:])
    each = (seconds[1] - alone) / max(size - 1, 1)
    return table + batches * alone + (plan.samples - batches) * each


def actual_dict(actual: Actual) -> dict[str, Any]:
    """What a run took as plain data."""
    return {
        "samples": actual.samples,
        "seconds": actual.table_seconds + actual.sample_seconds,
        "table_seconds": actual.table_seconds,
        "sample_seconds": actual.sample_seconds,
        "rows": sum(actual.effort.rows.values()),
        "blocks": actual.blocks,
        "batches_halved": actual.shrunk + actual.effort.shrunk,
        "tables_moved": actual.effort.moved,
    }


def explain_run(
    executor: Executor,
    draws: Iterable[Mapping[str, Ints]],
    trees: Sequence[Tree],
    *,
    forwards: int = 2,
) -> Explanation:
    """The plan of running some draws.

    Args:
        executor: the work.
        draws: rows by draw variable, a piece of the samples at a time.
        trees: the treeified hypotheses, for the naive method's cost.
        forwards: whole forward passes a sample that the naive method needs besides: the model's
            own output and the randomized one.
    """
    pieces = list(draws)
    rehearsal = executor.rehearse(pieces)
    layout, costs, program = executor.layout, executor.costs, executor.program
    closures = Closures(executor.graph, costs)
    per_sample = program.flops(costs)
    naive = sum(_naive(tree, closures) for tree in trees)
    naive += forwards * closures.flops([executor.graph.output])
    table = sum(n * closures.flops(nodes) for nodes, n in rehearsal.table.effort.rows.items())
    samples = rehearsal.samples
    flops = Flops(
        table=table,
        samples=samples * per_sample,
        floor=_floor(rehearsal, closures) + samples * per_sample,
        naive=samples * naive,
    )
    said = Said(executor)
    stored = tuple(
        Stored(
            tuple(map(said, column.nodes)),
            tuple(sorted(map(_key, column.variables))),
            int(flags.sum()),
            column.bytes * int(flags.sum()),
        )
        for column, flags in zip(rehearsal.table.columns, rehearsal.needs, strict=True)
    )
    storage = layout.storage
    held = sum(one.bytes for one in stored)
    return Explanation(
        samples=samples,
        rows=len(executor.data),
        operations=_operations(executor),
        stored=stored,
        storage="file" if storage.on_disk else storage.device.type,
        batch_size=executor.batch_size,
        row_batch=layout.row_batch,
        blocks=rehearsal.blocks,
        tree_nodes=sum(_tree_nodes(tree) for tree in trees),
        flops=flops,
        table_bytes=min(held, layout.table_bytes) + layout.index_bytes,
        working_bytes=layout.working_bytes,
        budget=executor.budget.device,
        notes=(*layout.notes, *executor.notes),
    )


def _key(variable: str) -> str:
    """The draw's key, without the hash that tells equal keys of several hypotheses apart."""
    return variable.rsplit("#", 1)[0]


def _operations(executor: Executor) -> tuple[Operation, ...]:
    program, costs = executor.program, executor.costs
    readers = Counter(place for step in program.steps for place in step.reads)
    readers.update(program.roots.values())
    said = Said(executor)
    node_at = {step.out: said(step.node) for step in program.steps}
    found = []
    for step in program.steps:
        cost = costs[step.node]
        reads = (
            (_key(step.variable),)
            if step.kind == "gather"
            else tuple(node_at[place] for place in step.reads)
        )
        flops = program.step_flops(step, costs)
        found.append(
            Operation(step.kind, said(step.node), reads, readers[step.out], flops, cost.bytes)
        )
    return tuple(found)


def _floor(rehearsal: Rehearsal, closures: Closures) -> float:
    """Each distinct (node, row) that the samples need, upstream of the table, once."""
    columns = rehearsal.table.columns
    if not columns:
        return 0.0
    patterns, counts = np.unique(np.stack(rehearsal.needs), axis=1, return_counts=True)
    cones = [closures.cone(column.nodes) for column in columns]
    total = 0.0
    for pattern, count in zip(patterns.T, counts, strict=True):
        found = 0
        for place in np.flatnonzero(pattern):
            found |= cones[place]
        total += int(count) * closures.weigh(found)
    return total


def _naive(tree: Tree, closures: Closures) -> float:
    """Operations a sample of one forward pass for each node of the tree."""
    total = 0.0
    for entry in tree.claims:
        if entry.routes is None:
            total += closures.flops([entry.claim.node])
            continue
        by_draw: dict[str, list[str]] = {}
        for node, draw in entry.other_draws.items():
            by_draw.setdefault(draw, []).append(node)
        total += sum(closures.flops(nodes) for nodes in by_draw.values())
        total += sum(
            closures.between(copy[0], sources) for copy, sources in entry.routes.copies.items()
        )
    return total


def _tree_nodes(tree: Tree) -> int:
    return sum(
        1 if entry.routes is None else len(entry.routes.copies) + len(entry.other_draws)
        for entry in tree.claims
    )


# --- as text -----------------------------------------------------------------------------------


def _text(plan: Explanation) -> str:
    flops = plan.flops
    kinds = Counter(one.kind for one in plan.operations)
    shared = sum(one.readers > 1 for one in plan.operations)
    lines = [
        f"plan for {plan.samples:,} {plural(plan.samples, 'sample')} of {plan.rows:,} "
        f"{plural(plan.rows, 'row')}",
        f"clean rows, once each ({plan.storage}, {plan.row_batch:,} "
        f"{plural(plan.row_batch, 'row')} at a time):",
    ]
    for one in _shorten(sorted(plan.stored, key=lambda s: -s.bytes)):
        lines.append(
            f"  {one.rows:>9,} {plural(one.rows, 'row'):<4}  "
            f"{show_bytes(one.bytes) if one.bytes else 'field':>9}  "
            f"{listed(one.nodes, 4)} on {listed(one.draws, 4)}"
        )
    lines.append(
        f"for each sample ({plan.batch_size:,} at a time): {kinds['gather']} gathered, "
        f"{kinds['compute']} computed, {kinds['sum']} {plural(kinds['sum'], 'sum')}; {shared} read "
        f"more than once, {plan.tree_nodes} {plural(plan.tree_nodes, 'value')} in the trees"
    )
    work = [one for one in plan.operations if one.kind != "gather"]
    for operation in _shorten(sorted(work, key=lambda o: -o.flops)):
        lines.append(
            f"  {operation.kind:>8} {operation.node} of {listed(operation.reads, 4)}"
            f"  [{show_flops(operation.flops)}, {show_bytes(operation.bytes)} a sample]"
        )
    lines.append(
        f"work: {show_flops(flops.sampling)} = {show_flops(flops.table)} on clean rows + "
        f"{show_flops(flops.samples)} on samples"
    )
    if flops.known:
        lines.append(f"  and {show_flops(flops.known)} on other rows, to know E_model exactly")
    if flops.sampling:
        lines.append(
            f"  {_to_floor(flops)} ({show_flops(flops.floor)}); "
            f"the naive method would take {show_flops(flops.naive)}, "
            f"{_ratio(flops.naive, flops.sampling)} as much"
        )
    lines.append(
        f"memory: table {show_bytes(plan.table_bytes)} + batch {show_bytes(plan.working_bytes)}, "
        f"of {show_bytes(plan.budget)}; {plan.blocks} {plural(plan.blocks, 'block')} of samples"
    )
    if plan.executor is not None:
        lines.append(f"executor: {plan.executor}")
    if plan.expected_seconds is not None:
        of = plan.expected_measuring
        part = "" if of is None else f", {of:.3g} s of it for metrics and comparing outputs"
        lines.append(f"expected time: {plan.expected_seconds:.3g} s{part}")
    if plan.actual is not None:
        lines.append(
            f"actual time: {plan.actual['seconds']:.3g} s = "
            + " + ".join(f"{seconds:.3g} s {words}" for words, seconds in _parts(plan.actual))
        )
        found = plan.samples - plan.actual["samples"]
        if found > 0:
            were = plural(found, "sample was", "samples were")
            lines.append(f"  {found:,} {were} finished before, or by workers")
    lines += [f"note: {note}" for note in plan.notes]
    return "\n".join(lines)


def _parts(actual: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What a run spent its time on, in words; what took none is left out."""
    words = {
        "drawing_seconds": "on draws",
        "table_seconds": f"on {actual['rows']:,} {plural(actual['rows'], 'clean row')}",
        "sample_seconds": f"on {actual['samples']:,} {plural(actual['samples'], 'sample')}",
        "metrics_seconds": "on metrics",
        "comparing_seconds": "comparing outputs",
    }
    for key, word in words.items():
        if actual.get(key, 0.0) > 0:
            yield word, actual[key]


def _to_floor(flops: Flops) -> str:
    if not flops.floor or flops.sampling / flops.floor < 1.005:
        return "at the floor"
    return f"{_ratio(flops.sampling, flops.floor)} the floor"


def _ratio(one: float, other: float) -> str:
    return f"{one / other:.3g} times" if other else "undefined times"


def _shorten(found: Sequence[Any]) -> Sequence[Any]:
    return found[:_SHOWN]
