"""The price of a run before it is paid, and beside what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import Explanation, MemoryLimit, Settings, explain_run, take_layout
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import Hypothesis, with_means
from causal_scrubbing._simulate.behaviour import Metric, named_metrics
from causal_scrubbing._simulate.block_ranges import auto_spans, block_size, spans
from causal_scrubbing._simulate.metric_validation import try_metrics
from causal_scrubbing._simulate.request import Asking
from causal_scrubbing._simulate.simulation import Work

_TRIAL = 256


def explain(
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
    compare: bool = True,
    timed: bool = True,
) -> Explanation:
    """What `scrub` would do and what it would cost, before it is run.

    Example::

        print(cs.explain(h, data, metric, samples=4000))

    Args:
        hypothesis: one hypothesis, or several about one graph, which share work.
        data: the dataset.
        metric: see `scrub`; its time is part of the expected one. Without it the graph's own
            output is the behaviour, as for `scrub`, and nothing is randomized unless named; where
            that output is more than one number a row, so that `scrub` will be given a metric, the
            output is randomized and the metric's time is not known.
        samples: how many samples; "auto" explains the most that may be run.
        tolerance: see `scrub`.
        max_samples: see `scrub`.
        seed: of the draws; the rows needed are those that this seed draws.
        randomize: see `scrub`.
        baseline: see `scrub`.
        batch_size: see `scrub`.
        device: see `scrub`.
        memory: see `scrub`.
        store: see `scrub`.
        store_dtype: see `scrub`.
        out: see `scrub`; nothing is read or written there.
        shared: see `scrub`; the plan is of all the work, whoever does it.
        compare: see `scrub`.
        timed: run up to 256 samples to say how long all will take.

    Raises:
        HypothesisError: a feature or field cannot be used on this data.
        ScrubError: an argument is wrong, or hypotheses are about different graphs.
    """
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
    many, most, auto = asking.hypotheses, asking.most, asking.samples == "auto"
    if any(one.graph is not many[0].graph for one in many):
        raise ScrubError("explain takes hypotheses about one graph object; explain others apart.")
    own_output = metric is None and _one_number(many[0], data, device)
    metrics = named_metrics(metric) if metric is not None or own_output else {}
    try_metrics(metrics, many[0].graph, data, device, check=False)
    settings = {
        "samples": most,
        "seed": asking.seed,
        "randomize": randomize
        if randomize is not None or baseline is not None or own_output
        else many[0].graph.output,
    }
    notes = []
    if auto:
        notes.append(
            f'samples="auto": this is the plan of the most samples, {most:,}; the run stops as '
            f"soon as recovered is known to ±{asking.tolerance:g} percent points"
        )
    if out is not None:
        notes.append(f"finished blocks are kept in {out}; those that are there are not run again")
    grounded = with_means([*many, *([] if baseline is None else [baseline])], data, device=device)
    stand_in = None if baseline is None else grounded.pop()
    cuts = auto_spans(0, most) if auto else spans(most, block_size(most, kept=out is not None))
    asked = Asked(
        tuple(grounded),
        asking.engine,
        stand_in,
        metrics=metrics,
        compare=compare,
        cuts=tuple(cuts),
        notes=tuple(notes),
    )
    return asked.explain(data, settings, timed=timed)


def _one_number(hypothesis: Hypothesis, data: Dataset, device: torch.device | str | None) -> bool:
    with torch.no_grad():
        values = hypothesis.graph.values(data[:1], device=device)
    return values[hypothesis.graph.output].numel() == 1


@dataclass(frozen=True, eq=False)
class Asked:
    """How a run was asked for.

    Attributes:
        hypotheses: all that shared its work.
        engine: how to use the machine.
        baseline: see `scrub`.
        metrics: by name; none where they are not known.
        compare: see `scrub`.
        cuts: first sample of each block, and one past its last.
        layout: how the run used the machine (`note_layout`), None where it is still to be chosen.
        notes: what the plan says besides.
    """

    hypotheses: tuple[Hypothesis, ...]
    engine: Settings
    baseline: Hypothesis | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    compare: bool = True
    cuts: tuple[tuple[int, int], ...] = field(kw_only=True)
    layout: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    _known: dict[bool, Explanation] = field(default_factory=dict, repr=False)

    @property
    def samples(self) -> int:
        """How many samples the run has, whatever subset of them a result is on."""
        return self.cuts[-1][1]

    def explain(
        self, data: Dataset, settings: Mapping[str, Any], *, timed: bool = False
    ) -> Explanation:
        """The plan of the run with these settings, and what it took if they say so.

        A plan is made once; `timed` adds the expected time, by running a small piece.
        """
        if timed not in self._known:
            self._known[timed] = self._known.get(True) or self._plan(data, settings, timed=timed)
        return replace(self._known[timed], actual=settings.get("actual"))

    def _plan(self, data: Dataset, settings: Mapping[str, Any], *, timed: bool) -> Explanation:
        work = self._work(data, settings)
        plan = explain_run(
            work.executor,
            self._pieces(work),
            [sampler.hypothesis.tree for sampler in (*work.samplers, *work.extra)],
            forwards=1 + (settings["randomize"] is not None),
            timed=timed,
        )
        plan = replace(plan, notes=(*plan.notes, *self.notes))
        if plan.expected_seconds is None:
            return plan
        drawing, measuring = work.spent.drawing, self._measuring(data, settings)
        return replace(
            plan,
            expected_seconds=plan.expected_seconds + drawing + measuring,
            expected_measuring=measuring,
        )

    def _measuring(self, data: Dataset, settings: Mapping[str, Any]) -> float:
        """Seconds that metrics and comparisons of outputs will take, from a piece, warm."""
        samples = self.samples
        trial = self._work(data, settings)
        size = min(trial.executor.batch_size, _TRIAL, samples)
        for _ in trial.look([(0, size)]):
            pass
        cold = trial.spent.metrics + trial.spent.comparing
        for _ in trial.look([(0, size)]):
            pass
        warm = trial.spent.metrics + trial.spent.comparing - cold
        return warm * samples / size

    def _work(self, data: Dataset, settings: Mapping[str, Any]) -> Work:
        work = Work(
            self.hypotheses,
            data,
            self.metrics,
            seed=int(settings["seed"]),
            randomize=settings["randomize"],
            baseline=self.baseline,
            engine=self.engine,
            samples=self.samples,
            keep_outputs=False,
            compare=self.compare,
        )
        if self.layout is not None:
            take_layout(work.executor, self.layout)
        return work

    def _pieces(self, work: Work) -> Iterator[Mapping[str, Ints]]:
        for start, stop in self.cuts:
            yield work.draw(start, stop)[0]
