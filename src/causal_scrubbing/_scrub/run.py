"""The verb: scrub a hypothesis on data and measure what is left of the behaviour."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine import MemoryLimit, note_layout
from causal_scrubbing._hypothesis import Hypothesis, with_means
from causal_scrubbing._result import Result, keep
from causal_scrubbing._simulate import (
    Asked,
    Asking,
    Metric,
    Progress,
    Work,
    auto_spans,
    block_size,
    drive,
    drive_until,
    folder_name,
    identity,
    joined,
    named_metrics,
    open_checkpoint,
    self_check,
    spans,
    take_up,
    try_metrics,
)

KEPT_OUTPUTS = 1 << 28
"""Bytes of outputs kept by default for comparing distributions and functions."""


class Options(TypedDict, total=False):
    """The keyword arguments of `scrub`, described there."""

    samples: int | Literal["auto"]
    tolerance: float
    max_samples: int
    seed: int
    randomize: str | None
    baseline: Hypothesis | None
    batch_size: int | None
    device: torch.device | str | None
    memory: MemoryLimit
    store: str
    store_dtype: torch.dtype | str | None
    out: str | Path | None
    shared: bool
    keep_outputs: bool | None
    compare: bool
    check: bool
    progress: bool | Callable[[int, int], None] | None


@overload
def scrub(
    hypothesis: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    **options: Unpack[Options],
) -> Result: ...


@overload
def scrub(
    hypothesis: Sequence[Hypothesis],
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    **options: Unpack[Options],
) -> list[Result]: ...


def scrub(
    hypothesis: Hypothesis | Sequence[Hypothesis],
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    samples: int | Literal["auto"] = 1000,
    tolerance: float = 1.0,
    max_samples: int = 1_000_000,
    seed: int = 0,
    randomize: str | None = None,
    baseline: Hypothesis | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    memory: MemoryLimit = None,
    store: str = "auto",
    store_dtype: torch.dtype | str | None = None,
    out: str | Path | None = None,
    shared: bool = False,
    keep_outputs: bool | None = None,
    compare: bool = True,
    check: bool = True,
    progress: bool | Callable[[int, int], None] | None = None,
) -> Result | list[Result]:
    """Make every activation swap a hypothesis permits, at random, and measure the behaviour left.

    Behaviour-preserving resampling ablation (Chan et al. 2022, "Causal scrubbing", Algorithm): for
    each of N samples a reference row is drawn, then a datum for every block of the hypothesis that
    agrees with what it must, and the treeified graph is run on them.

    Example::

        result = cs.scrub(h, data, metric=cs.metrics.cross_entropy("label"), samples=4000)
        print(result)

    Args:
        hypothesis: one hypothesis, or several, which share clean activations and random numbers.
        data: the dataset D; every expectation is over draws from it.
        metric: a function (output, rows) -> one number a row; several by name; None where the
            graph's own output is one number a row, the metric being inside the graph.
        samples: N, the number of independent samples; "auto" runs until recovered is known.
        tolerance: with "auto", half-width of recovered's 95% interval to reach, in percent points.
        max_samples: with "auto", samples at which to stop in any case.
        seed: with it a run is the same everywhere.
        randomize: the node whose value E_randomized takes on another row. With a metric it is the
            output unless named; without one it must be named for `recovered` to be defined.
        baseline: a hypothesis whose scrubbed mean stands in for E_randomized.
        batch_size: samples computed at once; results do not depend on it. None chooses it from the
            measured sizes of activations.
        device: where to compute; where the graph says if None.
        memory: bytes for activations and for measuring outputs, like "4GiB", or one such for "cpu"
            and one for "cuda"; half of what is free if None, at most 4 GiB on a CPU. Results do not
            depend on it. What does not fit is refused with the least that would do.
        store: "memory" or "disk", where clean activations are kept; "auto" takes a temporary file
            where the budget would mean running clean rows more than twice.
        store_dtype: a lower precision to keep clean activations in ("bfloat16"), which changes
            results; the result says so.
        out: a folder. Finished blocks are kept there, an interrupted run goes on where it stopped,
            with equal results, and the finished result is saved there (one folder each where
            several hypotheses are given). With "auto" a smaller tolerance goes on from the blocks
            of a larger one. Metrics and models are code: that they are the same is told from what
            they give on a few rows, and other ones are refused.
        shared: other processes that make this call too, each on a device or machine of its own,
            take part in the run in `out`: each computes blocks that no other does, and all return
            the whole result. Values equal those of a run by one process up to rounding.
        keep_outputs: keep scrubbed and own outputs for `compare_distributions` and
            `compare_functions`; None keeps them where they are small.
        compare: compare each scrubbed output with the model's own, for `compare_functions`; False
            saves that work where outputs are wide.
        check: make the self-checks first (that nodes and metrics are functions of a row), and
            check rewrites made without data. Metrics are tried on a few rows in any case.
        progress: show progress; None shows it on a terminal. Or a function (done, of).

    Returns:
        A `Result`, or a list of them for a list of hypotheses.

    Raises:
        HypothesisError: a feature or field cannot be used on this data.
        ScrubError: a self-check failed, or an argument is wrong.
    """
    metrics = named_metrics(metric)
    asking = Asking.of(
        hypothesis,
        data,
        samples=samples,
        tolerance=tolerance,
        max_samples=max_samples,
        seed=seed,
        randomize=randomize,
        baseline=baseline,
        batch_size=batch_size,
        device=device,
        memory=memory,
        store=store,
        store_dtype=store_dtype,
        out=out,
        shared=shared,
    )
    many, engine, folder = asking.hypotheses, asking.engine, asking.folder
    samples, most, seed = asking.samples, asking.most, asking.seed
    checked = [*many, *([] if baseline is None else [baseline])]
    if check:
        for one in checked:
            one.graph.verify(data)
            self_check(one, data, device)
    for graph in {id(one.graph): one.graph for one in many}.values():
        try_metrics(metrics, graph, data, device, check=check)
    # Means for mean ablation are constants of the graph that is run, not of the one reported.
    grounded = with_means(checked, data, device=device)
    stand_in = None if baseline is None else grounded[-1]
    asked_outputs = keep_outputs
    if keep_outputs is None:
        keep_outputs = _output_bytes(many[0], data, device) * most * len(many) <= KEPT_OUTPUTS
    groups: dict[int, list[int]] = {}
    for i, one in enumerate(many):
        groups.setdefault(id(one.graph), []).append(i)
    common: dict[str, Any] = {
        "seed": seed,
        "baseline": None if baseline is None else baseline.to_dict(),
        "metric_in_graph": metric is None,
        "reads_logits": any(getattr(one, "reads_logits", False) for one in metrics.values()),
    }
    how = {
        "batch_size": engine.batch_size,
        "memory": dict(memory) if isinstance(memory, Mapping) else memory,
        "store": store,
        "store_dtype": None
        if engine.store_dtype is None
        else str(engine.store_dtype).removeprefix("torch."),
    }
    results: dict[int, Result] = {}
    with Progress(progress, most * len(groups)) as bar:
        for number, members in enumerate(groups.values()):
            started = time.perf_counter()
            hypotheses = [grounded[i] for i in members]
            swapped = randomize
            if randomize is None and metric is not None and baseline is None:
                swapped = hypotheses[0].graph.output
            common["randomize"] = swapped
            work = Work(
                hypotheses,
                data,
                metrics,
                seed=seed,
                randomize=swapped,
                baseline=stand_in,
                engine=engine,
                samples=most,
                keep_outputs=keep_outputs,
                compare=compare,
            )
            what = identity(
                work,
                hypotheses,
                data,
                samples=samples,
                settings={
                    **common,
                    "outputs": [asked_outputs, compare],
                    "engine": how,
                    "versions": {k: v for k, v in _versions().items() if k != "platform"},
                },
            )
            blocks = None if folder is None else folder / f"blocks{number or ''}"
            with open_checkpoint(blocks, what, shared=shared) as checkpoint:
                take_up(work, checkpoint)
                stopped = None
                if samples == "auto":
                    done, stopped = drive_until(work, asking.tolerance, most, seed, bar, checkpoint)
                else:
                    done = samples
                    drive(work, done, bar, checkpoint)
                settings = {
                    "samples": done,
                    "rows": len(data),
                    **common,
                    **how,
                    "batch_size": work.executor.batch_size,
                    "device": str(device or hypotheses[0].graph.device or "cpu"),
                    "seconds": time.perf_counter() - started,
                    "actual": work.actual(),
                    "versions": _versions(),
                }
                cuts = tuple(auto_spans(0, done)) if samples == "auto" else None
                asked = Asked(
                    tuple(hypotheses),
                    engine,
                    stand_in,
                    metrics=metrics,
                    compare=compare,
                    cuts=cuts or tuple(spans(done, block_size(done, kept=folder is not None))),
                    layout=note_layout(work.executor),
                )
                for place, i in enumerate(members):
                    result = _result(many[i], data, work, place, settings, stopped, asked)
                    results[i] = result
                    if folder is not None:
                        where = folder if asking.single else folder / folder_name(many[i], i)
                        keep(result, where, checkpoint)
    ordered = [results[i] for i in range(len(many))]
    return ordered[0] if asking.single else ordered


def _result(
    hypothesis: Hypothesis,
    data: Dataset,
    work: Work,
    place: int,
    settings: Mapping[str, Any],
    stopped: str | None,
    asked: Asked,
) -> Result:
    """The result of one hypothesis of a finished work."""
    values = work.values[place]
    outputs = None
    if work.keep_outputs:
        outputs = (
            torch.cat([pair[0] for pair in values.outputs]),
            torch.cat([pair[1] for pair in values.outputs]),
        )
    scrubbed, model = joined(values.scrubbed), joined(values.model)
    randomized = joined(values.randomized)
    notes = [] if stopped is None else [stopped]
    if settings["store_dtype"] is not None:
        notes.append(
            f"activations were stored as {settings['store_dtype']}, which changes results by "
            "rounding"
        )
    draws = {key: np.concatenate(found) for key, found in values.draws.items()}
    values.draws.clear()
    result = Result.from_values(
        hypothesis,
        data,
        scrubbed=scrubbed,
        model=model,
        randomized=randomized,
        draws=draws,
        moved=joined(values.moved),
        moved_randomized=joined(values.moved_randomized),
        outputs=outputs,
        settings=settings,
    )
    return replace(result, notes=(*result.notes, *notes), asked=asked)


def _output_bytes(hypothesis: Hypothesis, data: Dataset, device: torch.device | str | None) -> int:
    with torch.no_grad():
        values = hypothesis.graph.values(data[:1], device=device)
    output = values[hypothesis.graph.output]
    return 2 * output.numel() * output.element_size()


def _versions() -> dict[str, str]:
    try:
        own = version("causal-scrubbing")
    except PackageNotFoundError:
        own = "not installed"
    return {
        "causal-scrubbing": own,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
    }
