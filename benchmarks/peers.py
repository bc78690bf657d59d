"""What the engine is timed against, given the very draws it was given.

- `naive`: treeified evaluation, a batch at a time: one forward pass for every leaf, for every draw
  of unimportant parents, and for every node of the tree, nothing shared by samples or claims.
- `floor_seconds`: each distinct clean (node, row) once, and the recomputed nodes, sums among them,
  in isolation.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

import causal_scrubbing as cs
from causal_scrubbing._engine import Executor
from causal_scrubbing._engine.program import Step, _make
from causal_scrubbing._graph import evaluate, made
from causal_scrubbing._hypothesis.routes import ChildSource, CopySource

Rows = Mapping[str, np.ndarray]


def naive(h: cs.Hypothesis, data: cs.Dataset, rows: Rows, batch: int = 512) -> torch.Tensor:
    """The root's value of every sample, computed for each sample anew."""
    samples = len(next(iter(rows.values())))
    with torch.no_grad():
        return torch.cat(
            [
                _naive_batch(h, data, {k: v[i : i + batch] for k, v in rows.items()})
                for i in range(0, samples, batch)
            ]
        )


def _naive_batch(h: cs.Hypothesis, data: cs.Dataset, rows: Rows) -> torch.Tensor:
    graph = h.graph
    values: dict[int, torch.Tensor] = {}
    for entry in reversed(h.tree.claims):
        own = data.take(rows[entry.draw])
        node = entry.claim.node
        if entry.routes is None:
            values[entry.index] = evaluate(graph, own, [node], device=graph.device)[node]
            continue
        others: dict[str, torch.Tensor] = {}
        for key in dict.fromkeys(entry.other_draws.values()):
            nodes = [n for n, draw in entry.other_draws.items() if draw == key]
            others |= evaluate(graph, data.take(rows[key]), nodes, device=graph.device)
        copies: dict[object, torch.Tensor] = {}
        position = {name: i for i, name in enumerate(graph.names)}
        for copy in sorted(entry.routes.copies, key=lambda c: position[c[0]]):
            parents = {}
            for parent, source in entry.routes.copies[copy].items():
                if isinstance(source, ChildSource):
                    parents[parent] = values[entry.children[source.child]]
                elif isinstance(source, CopySource):
                    parents[parent] = copies[source.copy]
                else:
                    parents[parent] = others[source.node]
            copies[copy] = evaluate(graph, own, [copy[0]], given=parents, device=graph.device)[
                copy[0]
            ]
        values[entry.index] = copies[entry.routes.top]
    return values[0]


def forward(graph: cs.Graph, data: cs.Dataset, rows: np.ndarray, batch: int = 512) -> torch.Tensor:
    """The model's own output on some rows, each evaluated as often as it comes."""
    with torch.no_grad():
        return torch.cat(
            [
                evaluate(
                    graph, data.take(rows[i : i + batch]), [graph.output], device=graph.device
                )[graph.output]
                for i in range(0, len(rows), batch)
            ]
        )


def clock() -> float:
    """Processor seconds of this process; on a GPU, seconds once it has done what it was given."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def unit() -> str:
    """What `clock` counts, in words."""
    return "seconds by the clock" if torch.cuda.is_available() else "processor seconds"


def where() -> str:
    """What the numbers were measured with, for the head of the table."""
    if not torch.cuda.is_available():
        return "Processor seconds of one thread; no GPU."
    return (
        f"Seconds by the clock, of one thread, and of {torch.cuda.get_device_name()} for the "
        "synthetic model; sampling and libraries: processor seconds of one thread."
    )


def best_of(times: int, run: Callable[[], object]) -> float:
    """Shortest of several timings in seconds: others use the machine too."""
    return min(_timed(run) for _ in range(times))


def typical(run: Callable[[], object], times: int = 5) -> float:
    """The median of several timings in seconds."""
    return statistics.median(_timed(run) for _ in range(times))


def _timed(run: Callable[[], object]) -> float:
    began = clock()
    run()
    return clock() - began


def floor_seconds(executor: Executor, rows: Rows) -> float:
    """Seconds for the distinct clean pairs and the recomputed nodes, with no other work at all.

    Clean rows are evaluated in the engine's own batches, without keeping anything, and scaled by
    the share of that work which the distinct pairs are; every function is called on inputs that
    are there already.
    """
    graph, data, program = executor.graph, executor.data, executor.program
    read = {step.variable for step in program.gathers}
    rows = {variable: rows[variable] for variable in read}
    dry = executor.rehearse([rows])
    batches: list[tuple[list[str], np.ndarray]] = []
    spy = executor._make_table(dry=True)
    spy._evaluate = lambda _, nodes, part, wants: batches.append((list(nodes), part))
    spy.dry = False
    spy.ensure(rows)

    def clean() -> None:
        with torch.no_grad():
            for nodes, part in batches:
                for _ in made(graph, data.take(part), nodes, device=executor.device):
                    pass

    from causal_scrubbing._engine.cost import Closures
    from causal_scrubbing._engine.explain import _floor

    closures = Closures(graph, executor.costs)
    done = sum(n * closures.flops(nodes) for nodes, n in dry.table.effort.rows.items())
    share = _floor(dry, closures) / done if done else 1.0
    seconds = typical(clean, 1) * min(share, 1.0)

    size = min(executor.batch_size, len(next(iter(rows.values()))))
    part = {v: torch.as_tensor(r[:size]) for v, r in rows.items()}
    table = executor.table
    table.ensure({v: r[:size] for v, r in rows.items()})
    values: list[torch.Tensor | None] = [None] * program.places
    computing = 0.0
    with torch.no_grad():
        for step in program.steps:
            if step.kind == "gather":
                index = table.index(step.node, part[step.variable])
                values[step.out] = table.gather(step.node, index)
            else:
                values[step.out] = _make(graph, step, values)
                computing += typical(lambda s=step: _call(graph, s, values))
            for place in step.frees:
                values[place] = None if step.kind == "gather" else values[place]
    samples = len(next(iter(rows.values())))
    return seconds + computing * samples / size


def _call(graph: cs.Graph, step: Step, values: list[torch.Tensor | None]) -> None:
    _make(graph, step, values)
