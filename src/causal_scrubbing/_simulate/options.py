"""The keyword arguments of a run, spelled out once: their types, meanings and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, ParamSpec, TypedDict, TypeVar

import torch

from causal_scrubbing._engine import MemoryLimit
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import Executor
from causal_scrubbing._graph import hint
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._statistics import Distance

P = ParamSpec("P")
T = TypeVar("T")


class Options(TypedDict, total=False):
    """The keyword arguments of `scrub`; `explain` takes those that matter to a plan.

    Attributes:
        samples: N, the number of independent samples; "auto" runs until recovered is known.
        start: number of the first sample of the seed, 0 unless given. Samples 500 to 999 are those
            a run of 1,000 has in its second half; `merge` puts such runs together.
        tolerance: with "auto", the half-width of recovered's 95% interval to reach, in percentage
            points.
        max_samples: with "auto", the number of samples at which to stop in any case.
        seed: a run with the same seed gives the same numbers everywhere.
        draw: how reference rows are drawn. "independent" draws each from D by itself. "balanced"
            takes each row as equally often as the number of samples and the weights allow. "sobol"
            takes all draws from scrambled Sobol' points, rows lying in an order along which the
            behaviour changes smoothly; intervals come from 16 independent scramblings.
        randomize: the node whose value E_randomized takes on another row. With a metric it is the
            output unless named. Without a metric it must be named for `recovered` to be defined.
        baseline: a hypothesis whose scrubbed mean stands in for E_randomized.
        distance: for a metric that gives a vector a row, how far apart two mean vectors are:
            "euclidean", "manhattan", "max", or a function of two vectors.
        batch_size: samples computed at once. Results do not depend on it. None chooses it from the
            measured sizes of activations.
        device: where to compute; where the graph says if None.
        memory: bytes for activations and for measuring outputs, like "4GiB", or one such for "cpu"
            and one for "cuda". None takes half of what is free, at most 4 GiB on a CPU. Results do
            not depend on it. A budget that is too small is refused with the least that would do.
        store: "memory" or "disk", where clean activations are kept. "auto" takes a temporary file
            where the budget would mean running clean rows more than twice.
        store_dtype: a lower precision to keep clean activations in ("bfloat16"). It changes
            results, and the result says so.
        out: a folder, or an address that fsspec opens, like ``s3://bucket/run``. Finished blocks
            are kept there, an interrupted run continues where it stopped, with equal results, on
            this machine or another, with an executor or without, and the finished result is saved
            there (one folder each where several hypotheses are given). With "auto" a smaller
            tolerance continues from the blocks of a larger one. Metrics and models are code: that
            they are the same is judged from what they give on a few rows, and other ones are
            refused.
        executor: where blocks of samples are computed: None in this process, or one of
            `cs.executors`, such as ``cs.executors.Processes(2)``. Draws are equal to the bit and
            values up to rounding, however many workers there are and whether some of them die.
        autocast: run inside an active `torch.autocast`, which changes values, and record it. It is
            refused otherwise.
        keep_outputs: keep scrubbed and own outputs for `compare_distributions` and
            `compare_functions`; None keeps them where they are small.
        compare: compare each scrubbed output with the model's own, for `compare_functions`. False
            saves that work where outputs are wide.
        check: make the self-checks (that nodes and metrics are functions of a row), and check
            rewrites made without data. Metrics are tried on a few rows in any case.
        progress: True or False shows progress or not; None shows it on a terminal and in a
            notebook. A function is called with (done, of) after each block, and about twice a
            second inside one.
    """

    samples: int | Literal["auto"]
    start: int
    tolerance: float
    max_samples: int
    seed: int
    draw: str
    randomize: str | None
    baseline: Hypothesis | None
    distance: str | Distance
    batch_size: int | None
    device: torch.device | str | None
    memory: MemoryLimit
    store: str
    store_dtype: torch.dtype | str | None
    out: str | Path | None
    executor: Executor | None
    autocast: bool
    keep_outputs: bool | None
    compare: bool
    check: bool
    progress: bool | Callable[[int, int], None] | None


EXECUTOR: Final = (
    "executor=cs.executors.Processes(2) spreads a run over processes of this machine, and "
    "cs.executors.Ray() over a cluster, from one call."
)
"""What takes the place of ``shared=True``."""

DEFAULTS: Final = Options(
    samples=1000,
    start=0,
    tolerance=1.0,
    max_samples=1_000_000,
    seed=0,
    draw="independent",
    randomize=None,
    baseline=None,
    distance="euclidean",
    batch_size=None,
    device=None,
    memory=None,
    store="auto",
    store_dtype=None,
    out=None,
    executor=None,
    autocast=False,
    keep_outputs=None,
    compare=True,
    check=True,
    progress=None,
)
"""What holds where an option is not given."""


def takes_options(*without: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Show the options in the signature of a function that takes them as ``**options``.

    Args:
        without: options that the function does not take.
    """

    def show(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        named = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Options.__annotations__[name],
            )
            for name, default in DEFAULTS.items()
            if name not in without
        ]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=sorted([*own, *named], key=lambda p: p.kind)
        )
        return function

    return show


def filled(verb: str, options: Mapping[str, Any], *, without: Iterable[str] = ()) -> Options:
    """The options of a call with the defaults of those that were not given.

    Args:
        verb: the function called, for messages.
        options: as given.
        without: options that this function does not take.

    Raises:
        ScrubError: an option is one of earlier versions.
        TypeError: there is no option of a given name.
    """
    known = [name for name in DEFAULTS if name not in set(without)]
    for name in options:
        if name == "shared":
            raise ScrubError(f"shared={options[name]!r} is gone: {EXECUTOR}")
        if name not in known:
            raise TypeError(
                f"{verb}() got an unexpected keyword argument {name!r}.{hint(name, known)}"
            )
    return Options(**{**DEFAULTS, **options})  # type: ignore[typeddict-item]
