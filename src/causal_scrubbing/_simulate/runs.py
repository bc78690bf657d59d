"""From a request to what its runs found: checks, draws, plans, runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from causal_scrubbing._engine import Checkpoint, Sharing, note_layout
from causal_scrubbing._executors import Workers, packed
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._simulate.block_ranges import auto_spans, block_size, spans
from causal_scrubbing._simulate.environment import environment
from causal_scrubbing._simulate.explain import RunPlan, weigh
from causal_scrubbing._simulate.metric_validation import try_metrics
from causal_scrubbing._simulate.progress import Progress
from causal_scrubbing._simulate.record import RunRecord, Sampled, versions
from causal_scrubbing._simulate.remote import RemoteWork
from causal_scrubbing._simulate.request import Request
from causal_scrubbing._simulate.run_loop import (
    drive,
    drive_until,
    identity,
    open_checkpoint,
    take_up,
)
from causal_scrubbing._simulate.self_check import Checked, self_check
from causal_scrubbing._simulate.simulation import Simulation
from causal_scrubbing._simulate.swaps import look_at_swaps

KEPT_OUTPUTS: Final = 1 << 28
"""Bytes of outputs kept by default for comparing distributions and functions."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run of all hypotheses about one graph.

    Attributes:
        numbers: of its hypotheses in the request.
        sampled: what was found for each.
        record: how it was made.
        stopped: why it had as many samples as it had, in words, or None.
        plan: how it was made, to explain it.
    """

    numbers: tuple[int, ...]
    sampled: tuple[Sampled, ...]
    record: RunRecord
    stopped: str | None
    plan: RunPlan


def simulate(request: Request) -> Iterator[Run]:
    """Make the runs of a request, one for each graph.

    Args:
        request: what is asked.

    Yields:
        Each run when it is finished.

    Raises:
        ScrubError: a self-check failed, or a folder holds another run.
        MetricError: a metric gives no number a row.
    """
    hypotheses, baseline = request.grounded()
    works = [
        Simulation(
            request,
            tuple(hypotheses[i] for i in numbers),
            baseline,
            samples=request.most,
            keep_outputs=_keeps_outputs(request),
        )
        for numbers in request.groups
    ]
    with Progress(request.progress, request.most * len(works)) as bar:
        bar.phase("checking")
        checked = [_check(request, work) for work in works]
        bar.phase("samples")
        for place, numbers in enumerate(request.groups):
            began = time.perf_counter()
            work = works.pop(0)  # its table is freed before the next one is filled
            work.bar = bar
            what = _identity(request, work)
            checkpoint = open_checkpoint(request.folder, f"blocks{place or ''}", what)
            take_up(work, checkpoint)
            weighed = weigh(request.executor, work)
            with _workers(request, work, baseline, weighed) as work.workers:
                done, stopped = _drive(request, work, bar, checkpoint)
            work.workers = None
            bar.phase("metrics")
            work.know()
            looked = checked[place]
            if looked is not None:
                looked = replace(looked, samples=work.check_again())
            found = [
                work.sampled(i, request.hypotheses[number]) for i, number in enumerate(numbers)
            ]
            if request.check:
                span = (request.start, request.start + done)
                swaps = look_at_swaps(
                    work.samplers, request.data, span, work.executor.device, work.worth(done)
                )
                found = [replace(a, swaps=b) for a, b in zip(found, swaps, strict=True)]
            bar.phase("intervals")
            yield Run(
                numbers=tuple(numbers),
                sampled=tuple(found),
                record=_record(request, work, done, time.perf_counter() - began, looked),
                stopped=stopped,
                plan=_plan(request, work, baseline, done, weighed),
            )


def _check(request: Request, work: Simulation) -> Checked | None:
    """Try the metrics of a run on a few rows, and make its self-checks.

    Raises:
        ScrubError: a graph or a metric is not what the method takes it for.
    """
    data, device = request.data, request.engine.device
    graph = work.outputs.graph
    looked = None
    try_metrics(request.metrics, graph, data, device, check=request.check)
    if request.check:
        graph.verify(data)
        most = min(max(len(data), request.most), work.worth(request.most))
        looked = self_check(
            [sampler.hypothesis for sampler in (*work.samplers, *work.extra)],
            data,
            device,
            batch_size=min(work.executor.layout.row_batch, most),
        )
    return looked


def _workers(
    request: Request, work: Simulation, baseline: Hypothesis | None, weighed: Sharing | None
) -> AbstractContextManager[Workers | None]:
    """The workers of a run, or None where this process computes it."""
    if request.executor is None:
        return nullcontext()
    alone = replace(request, progress=None, folder=None, executor=None)
    remote = RemoteWork(
        alone,
        tuple(sampler.hypothesis for sampler in work.samplers),
        baseline,
        request.most,
        work.keep_outputs,
        note_layout(work.executor),
        work.source,
        _cuts(request),
        weighed is not None and weighed.pays,
    )
    return request.executor.open(packed(remote))


def _cuts(request: Request) -> list[tuple[int, int]]:
    """The blocks of a run by workers; none where it is not known how many there will be."""
    if request.samples == "auto":
        return []
    block = block_size(request.samples, kept=True)
    return list(spans(request.samples, block, request.start))


def _drive(
    request: Request, work: Simulation, bar: Progress, checkpoint: Checkpoint | None
) -> tuple[int, str | None]:
    """Run all samples: how many there were, and why so many."""
    if request.samples == "auto":
        return drive_until(work, request.tolerance, request.most, request.seed, bar, checkpoint)
    drive(work, request.samples, bar, checkpoint, request.start)
    return request.samples, None


def _keeps_outputs(request: Request) -> bool:
    if request.keep_outputs is not None:
        return request.keep_outputs
    graph = request.hypotheses[0].graph
    with torch.no_grad():
        output = graph.values(request.data[:1], device=request.engine.device)[graph.output]
    size = 2 * output.numel() * output.element_size()
    return size * request.most * len(request.hypotheses) <= KEPT_OUTPUTS


def _asked(request: Request, work: Simulation) -> dict[str, Any]:
    """What results depend on besides hypotheses, data and code."""
    return {
        "seed": request.seed,
        "start": request.start,
        "draw": request.draw,
        "order": work.order,
        "baseline": None if request.baseline is None else request.baseline.to_dict(),
        "metric_in_graph": request.metric_in_graph,
        "reads_logits": any(
            getattr(one, "reads_logits", False) for one in request.metrics.values()
        ),
        "randomize": work.randomize,
    }


def _engine(request: Request) -> dict[str, Any]:
    """How the machine was asked to be used, as plain data."""
    memory, dtype = request.engine.memory, request.engine.store_dtype
    return {
        "batch_size": request.engine.batch_size,
        "memory": dict(memory) if isinstance(memory, Mapping) else memory,
        "store": request.engine.store,
        "store_dtype": None if dtype is None else str(dtype).removeprefix("torch."),
    }


def _identity(request: Request, work: Simulation) -> dict[str, Any]:
    return identity(
        work,
        [sampler.hypothesis for sampler in work.samplers],
        request.data,
        samples=request.samples,
        settings={
            **_asked(request, work),
            "outputs": [request.keep_outputs, request.compare],
            "engine": _engine(request),
            "autocast": environment()["autocast"],
            "versions": {k: v for k, v in versions().items() if k != "platform"},
        },
    )


def _record(
    request: Request, work: Simulation, samples: int, seconds: float, checked: Checked | None
) -> RunRecord:
    graph = work.outputs.graph
    engine = {**_engine(request), "batch_size": work.executor.batch_size}
    return RunRecord(
        samples=samples,
        rows=len(request.data),
        **_asked(request, work),
        **engine,
        device=str(request.engine.device or graph.device or "cpu"),
        seconds=seconds,
        actual=work.actual(),
        versions=versions(),
        environment=environment(),
        self_check=checked,
    )


def _plan(
    request: Request,
    work: Simulation,
    baseline: Hypothesis | None,
    samples: int,
    weighed: Sharing | None,
) -> RunPlan:
    auto = request.samples == "auto"
    block = block_size(samples, kept=request.folder is not None or request.executor is not None)
    cuts = auto_spans(0, samples) if auto else spans(samples, block, request.start)
    members = tuple(sampler.hypothesis for sampler in work.samplers)
    layout = note_layout(work.executor)
    return RunPlan(request, members, baseline, tuple(cuts), layout, weighed=weighed)
