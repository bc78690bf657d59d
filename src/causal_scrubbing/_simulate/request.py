"""What is asked of a run: built once, checked once, before any work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine import Settings, read_budget
from causal_scrubbing._executors import Executor
from causal_scrubbing._files import AbstractStore, open_store
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Hypothesis, with_means
from causal_scrubbing._sampling import make_source
from causal_scrubbing._simulate.arguments import (
    check_arguments,
    check_auto,
    check_batch_size,
    check_device,
    check_executor,
    check_most,
    check_samples_or_auto,
    check_seed,
    check_sharded,
    check_size,
    check_start,
    check_store,
    check_store_dtype,
    check_tolerance,
)
from causal_scrubbing._simulate.behaviour import Metric, named_metrics
from causal_scrubbing._simulate.environment import refuse_autocast
from causal_scrubbing._simulate.options import filled
from causal_scrubbing._statistics import Distance, check_distance


@dataclass(frozen=True, eq=False)
class Request:
    """The checked arguments of a run.

    Attributes:
        hypotheses: at least one.
        single: whether one was given, not a list of them.
        data: the dataset.
        metrics: by name, the main one first.
        metric_in_graph: whether no metric was given, the graph's own output being the behaviour.
        samples: their number, or "auto".
        start: number of the first sample.
        most: the most samples that may be run.
        tolerance: see `Options`.
        seed: of all draws.
        draw: see `Options`.
        randomize: the node named, or None.
        baseline: see `Options`.
        distance: see `Options`.
        engine: how to use the machine.
        folder: where finished blocks are kept, or None.
        executor, keep_outputs, compare, check, progress: see `Options`.
    """

    hypotheses: tuple[Hypothesis, ...]
    single: bool
    data: Dataset
    metrics: Mapping[str, Metric]
    metric_in_graph: bool
    samples: int | Literal["auto"]
    start: int
    most: int
    tolerance: float
    seed: int
    draw: str
    randomize: str | None
    baseline: Hypothesis | None
    distance: str | Distance
    engine: Settings
    folder: AbstractStore | None
    executor: Executor | None
    keep_outputs: bool | None
    compare: bool
    check: bool
    progress: bool | Callable[[int, int], None] | None

    @classmethod
    def of(
        cls,
        verb: str,
        hypothesis: Hypothesis | Sequence[Hypothesis],
        data: Dataset,
        metric: Metric | Mapping[str, Metric] | None,
        options: Mapping[str, Any],
        *,
        without: Sequence[str] = (),
    ) -> Request:
        """Check the arguments of a run.

        Args:
            verb: the function called, for messages.
            hypothesis: one hypothesis, or several.
            data: the dataset.
            metric: one metric, several by name, or None for the graph's own output.
            options: those given, see `Options`.
            without: options that this function does not take.

        Raises:
            HypothesisError: a feature or field cannot be used on this data.
            GraphError: there is no node of the name `randomize`.
            ScrubError: an argument is wrong; the message names it.
            TypeError: there is no option of a given name.
        """
        given = filled(verb, options, without=without)
        baseline, out = given["baseline"], given["out"]
        metrics = named_metrics(metric)
        many = check_arguments(hypothesis, data, given["randomize"], baseline)
        number, seed = check_samples_or_auto(given["samples"]), check_seed(given["seed"])
        start = check_start(given["start"], number, given["draw"])
        if not given["autocast"]:
            refuse_autocast()
        device = check_device(given["device"])
        check_store(given["store"])
        read_budget(given["memory"], device or many[0].graph.device or torch.device("cpu"))
        engine = Settings(
            check_batch_size(given["batch_size"]),
            given["device"],
            given["memory"],
            given["store"],
            check_store_dtype(given["store_dtype"]),
        )
        most, tolerance = number, given["tolerance"]
        if most == "auto":
            most, tolerance = check_most(given["max_samples"]), check_tolerance(tolerance)
            check_auto(many)
        check_size(most, len(many), len(metrics), sum(len(one.tree.blocks) for one in many))
        folder = None if out is None else open_store(out, "out=")
        check_executor(given["executor"])
        check_sharded(many, folder, given["executor"])
        if given["draw"] != "sobol":
            make_source(given["draw"], data, seed, None if number == "auto" else number)
        for one in [*many, *([] if baseline is None else [baseline])]:
            one.classes(data)
        return cls(
            hypotheses=many,
            single=isinstance(hypothesis, Hypothesis),
            data=data,
            metrics=metrics,
            metric_in_graph=metric is None,
            samples=number,
            start=start,
            most=most,
            tolerance=tolerance,
            seed=seed,
            draw=given["draw"],
            randomize=given["randomize"],
            baseline=baseline,
            distance=check_distance(given["distance"]),
            engine=engine,
            folder=folder,
            executor=given["executor"],
            keep_outputs=given["keep_outputs"],
            compare=given["compare"],
            check=given["check"],
            progress=given["progress"],
        )

    @property
    def checked(self) -> tuple[Hypothesis, ...]:
        """The hypotheses, and the one that stands in for E_randomized where there is one."""
        return self.hypotheses if self.baseline is None else (*self.hypotheses, self.baseline)

    def randomized_at(self, graph: Graph) -> str | None:
        """The node whose value E_randomized takes on another row, or None where there is none."""
        if self.randomize is None and not self.metric_in_graph and self.baseline is None:
            return graph.output
        return self.randomize

    def grounded(self) -> tuple[tuple[Hypothesis, ...], Hypothesis | None]:
        """The hypotheses and the baseline as they are run.

        Means for mean ablation are constants of the graph that is run, not of the one reported.
        """
        found = tuple(with_means(self.checked, self.data, device=self.engine.device))
        return (found, None) if self.baseline is None else (found[:-1], found[-1])

    @property
    def groups(self) -> list[list[int]]:
        """Numbers of the hypotheses about each graph: those share work."""
        found: dict[int, list[int]] = {}
        for i, one in enumerate(self.hypotheses):
            found.setdefault(id(one.graph), []).append(i)
        return list(found.values())
