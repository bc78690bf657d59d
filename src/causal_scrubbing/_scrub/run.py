"""The verb: scrub a hypothesis on data and measure what is left of the behaviour."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict, Unpack, overload

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine import MemoryLimit
from causal_scrubbing._engine import Settings as EngineSettings
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._scrub.behaviour import Metric, named_metrics
from causal_scrubbing._scrub.check import self_check
from causal_scrubbing._scrub.progress import Progress
from causal_scrubbing._scrub.result import Result
from causal_scrubbing._scrub.work import Work, joined

BLOCK = 1 << 16
"""Samples drawn at once; results do not depend on it."""

KEPT_OUTPUTS = 1 << 28
"""Bytes of outputs kept by default for comparing distributions and functions."""


class Options(TypedDict, total=False):
    """The keyword arguments of `scrub`, described there."""

    samples: int
    seed: int
    randomize: str | None
    baseline: Hypothesis | None
    batch_size: int | None
    device: torch.device | str | None
    memory: MemoryLimit
    store: str
    store_dtype: torch.dtype | None
    compile: bool
    keep_outputs: bool | None
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
    samples: int = 1000,
    seed: int = 0,
    randomize: str | None = None,
    baseline: Hypothesis | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    memory: MemoryLimit = None,
    store: str = "auto",
    store_dtype: torch.dtype | None = None,
    compile: bool = False,
    keep_outputs: bool | None = None,
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
        samples: N, the number of independent samples.
        seed: with it a run is the same everywhere.
        randomize: the node whose value E_randomized takes on another row. With a metric it is the
            output unless named; without one it must be named for `recovered` to be defined.
        baseline: a hypothesis whose scrubbed mean stands in for E_randomized.
        batch_size: samples computed at once; results do not depend on it. None chooses it from the
            measured sizes of activations.
        device: where to compute; where the graph says if None.
        memory: bytes for activations, like "4GiB", or one such for "cpu" and one for "cuda"; half
            of what is free if None, at most 4 GiB on a CPU. Results do not depend on it.
        store: "memory" or "disk", where clean activations are kept; "auto" takes a temporary file
            where the budget would mean running clean rows more than twice.
        store_dtype: a lower precision to keep clean activations in, which changes results.
        compile: run batches through `torch.compile`; pays for long runs of many small operations.
        keep_outputs: keep scrubbed and own outputs for `compare_distributions` and
            `compare_functions`; None keeps them where they are small.
        check: make the self-checks first.
        progress: show progress; None shows it on a terminal. Or a function (done, of).

    Returns:
        A `Result`, or a list of them for a list of hypotheses.

    Raises:
        HypothesisError: a feature or field cannot be used on this data.
        ScrubError: a self-check failed, or an argument is wrong.
    """
    single = isinstance(hypothesis, Hypothesis)
    many = _as_list(hypothesis)
    metrics = named_metrics(metric)
    check_arguments(many, data, samples, randomize, baseline)
    _check_device(device)
    checked = [*many, *([] if baseline is None else [baseline])]
    for one in checked:
        one.classes(data)
    if check:
        for one in checked:
            self_check(one, data, device)
    if keep_outputs is None:
        keep_outputs = _output_bytes(many[0], data, device) * samples * len(many) <= KEPT_OUTPUTS
    engine = EngineSettings(batch_size, device, memory, store, store_dtype, compile)
    started = time.perf_counter()
    groups: dict[int, list[int]] = {}
    for i, one in enumerate(many):
        groups.setdefault(id(one.graph), []).append(i)
    results: dict[int, Result] = {}
    with Progress(progress, samples * len(groups)) as bar:
        for members in groups.values():
            swapped = randomize
            if randomize is None and metric is not None and baseline is None:
                swapped = many[members[0]].graph.output
            work = Work(
                [many[i] for i in members],
                data,
                metrics,
                seed=seed,
                randomize=swapped,
                baseline=baseline,
                engine=engine,
                samples=samples,
                keep_outputs=keep_outputs,
            )
            for start in range(0, samples, BLOCK):
                stop = min(start + BLOCK, samples)
                work.block(start, stop)
                bar.advance(stop - start)
            for i, values in zip(members, work.values, strict=True):
                settings = {
                    "samples": samples,
                    "rows": len(data),
                    "seed": seed,
                    "randomize": swapped,
                    "baseline": None if baseline is None else baseline.to_dict(),
                    "batch_size": work.executor.batch_size,
                    "device": str(device or many[i].graph.device or "cpu"),
                    "seconds": time.perf_counter() - started,
                    "metric_in_graph": metric is None,
                    "versions": _versions(),
                }
                outputs = None
                if keep_outputs:
                    pairs = values.outputs
                    outputs = (torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs]))
                results[i] = Result.from_values(
                    many[i],
                    data,
                    scrubbed=joined(values.scrubbed),
                    model=joined(values.model),
                    randomized=joined(values.randomized),
                    draws={key: np.concatenate(found) for key, found in values.draws.items()},
                    moved=joined(values.moved),
                    moved_randomized=joined(values.moved_randomized),
                    outputs=outputs,
                    settings=settings,
                )
    ordered = [results[i] for i in range(len(many))]
    return ordered[0] if single else ordered


def _as_list(given: Hypothesis | Sequence[Hypothesis]) -> list[Hypothesis]:
    if isinstance(given, Hypothesis):
        return [given]
    if not isinstance(given, Sequence):
        raise ScrubError(f"{given!r} is no hypothesis; make one with cs.Hypothesis(graph, claim).")
    return list(given)


def _check_device(device: torch.device | str | None) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ScrubError(f"device={str(device)!r} cannot be used here: {reason}") from error


def check_arguments(
    many: Sequence[Hypothesis],
    data: Dataset,
    samples: int,
    randomize: str | None,
    baseline: Hypothesis | None,
) -> None:
    if not many:
        raise ScrubError("no hypothesis was given: pass one, or a list of at least one.")
    for one in many:
        if not isinstance(one, Hypothesis):
            raise ScrubError(
                f"{one!r} is no hypothesis; make one with cs.Hypothesis(graph, claim)."
            )
    if not isinstance(data, Dataset):
        raise ScrubError(
            f"data is {type(data).__name__}; wrap it: cs.Dataset(tokens=tokens, label=labels)."
        )
    if not isinstance(samples, int) or samples < 1:
        raise ScrubError(f"samples={samples!r}: give the number of samples, at least 1.")
    if baseline is not None and randomize is not None:
        raise ScrubError("give randomize= or baseline=, not both: each defines what 0% is.")
    if baseline is not None and any(one.graph is not baseline.graph for one in many):
        raise ScrubError(
            "the baseline hypothesis is about another graph; make it on the same graph object."
        )
    for one in many:
        if randomize is not None and randomize not in one.graph.names:
            one.graph.find(randomize)  # raises with the nearest names
            raise ScrubError(f"randomize={randomize!r} is a pattern; name one node.")


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
