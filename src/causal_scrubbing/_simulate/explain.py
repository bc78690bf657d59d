"""The price of a run before it is paid, and beside what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import (
    Explanation,
    Sharing,
    expected_seconds,
    explain_run,
    piece_size,
    take_layout,
    weigh_sharing,
)
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import Executor, memory_folder
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis
from causal_scrubbing._simulate.behaviour import Metric
from causal_scrubbing._simulate.block_ranges import auto_spans, block_size, spans
from causal_scrubbing._simulate.metric_validation import try_metrics
from causal_scrubbing._simulate.options import Options, takes_options
from causal_scrubbing._simulate.request import Request
from causal_scrubbing._simulate.simulation import Simulation

_WITHOUT = ("keep_outputs", "check", "progress")


@takes_options(*_WITHOUT)
def explain(
    hypothesis: Hypothesis | Sequence[Hypothesis],
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    timed: bool = True,
    **options: Unpack[Options],
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
        timed: run a few samples to say how long all will take: a twentieth, at most 256.
        **options: those of `scrub` that matter to a plan, see `Options`. With ``samples="auto"``
            the most samples that may be run are explained; nothing is read or written in `out`.

    Returns:
        The plan; print it.

    Raises:
        HypothesisError: a feature or field cannot be used on this data.
        ScrubError: an argument is wrong, or hypotheses are about different graphs.
    """
    request = Request.of("explain", hypothesis, data, metric, options, without=_WITHOUT)
    graph, most = request.hypotheses[0].graph, request.most
    if any(one.graph is not graph for one in request.hypotheses):
        raise ScrubError(
            "explain takes hypotheses about one graph object; explain others separately."
        )
    if metric is None and not _one_number(request):
        request = replace(request, metrics={}, metric_in_graph=False)
    try_metrics(request.metrics, graph, data, request.engine.device, check=False)
    auto, out = request.samples == "auto", request.folder
    notes = []
    if auto:
        notes.append(
            f'samples="auto": this is the plan of the most samples, {most:,}; the run stops as '
            f"soon as recovered is known to ±{request.tolerance:g} percentage points"
        )
    if out is not None:
        notes.append(f"finished blocks are kept in {out}; those that are there are not run again")
    hypotheses, baseline = request.grounded()
    block = block_size(most, kept=out is not None or request.executor is not None)
    cuts = auto_spans(0, most) if auto else spans(most, block, request.start)
    plan = RunPlan(request, hypotheses, baseline, tuple(cuts), notes=tuple(notes))
    return plan.explain(timed=timed)


def _one_number(request: Request) -> bool:
    graph = request.hypotheses[0].graph
    with torch.no_grad():
        values = graph.values(request.data[:1], device=request.engine.device)
    return values[graph.output].numel() == 1


def weigh(executor: Executor | None, work: Simulation) -> Sharing | None:
    """Whether workers share clean rows, and why; None where there are no workers."""
    if executor is None:
        return None
    if not getattr(executor, "shares_memory", False):
        return Sharing(False, "each worker runs the clean rows that its blocks need")
    return weigh_sharing(work.executor, Path(memory_folder()))


@dataclass(frozen=True, eq=False)
class RunPlan:
    """How a run is made, to explain it before or after.

    Attributes:
        request: what was asked.
        hypotheses: all that share its work, as they are run.
        baseline: the hypothesis that stands in for E_randomized, as it is run, or None.
        cuts: first sample of each block, and one past its last.
        layout: how the run used the machine (`note_layout`), None where it is still to be chosen.
        notes: what the plan says besides.
        weighed: whether workers share clean rows, where that is known.
    """

    request: Request
    hypotheses: tuple[Hypothesis, ...]
    baseline: Hypothesis | None
    cuts: tuple[tuple[int, int], ...]
    layout: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    weighed: Sharing | None = None
    _known: dict[bool, Explanation] = field(default_factory=dict, repr=False)

    @property
    def samples(self) -> int:
        """How many samples the run has, whatever subset of them a result is on."""
        return self.cuts[-1][1] - self.cuts[0][0]

    def explain(
        self, actual: Mapping[str, Any] | None = None, *, timed: bool = False
    ) -> Explanation:
        """The plan of the run, made once.

        Args:
            actual: what the run took, if it was made.
            timed: add the expected time, by running a small piece.
        """
        if timed not in self._known:
            self._known[timed] = self._known.get(True) or self._plan(timed=timed)
        return replace(self._known[timed], actual=actual)

    def _plan(self, *, timed: bool) -> Explanation:
        work = self._work()
        pieces = list(self._pieces(work))
        plan = explain_run(
            work.executor,
            pieces,
            [sampler.hypothesis.tree for sampler in (*work.samplers, *work.extra)],
            forwards=1 + (work.randomize is not None),
        )
        weighed = self.weighed or weigh(self.request.executor, work)
        if weighed is not None:
            plan = replace(plan, executor=f"{self.request.executor!r}; {weighed.words}")
        flops = replace(plan.flops, known=work.knowing(pieces))
        plan = replace(plan, flops=flops, notes=(*plan.notes, *self.notes))
        return self._expect(work, plan) if timed else plan

    def _expect(self, work: Simulation, plan: Explanation) -> Explanation:
        """The plan with the expected time, from a few samples that are run and measured."""
        drawing, spent, measuring = work.spent.drawing, work.spent, []
        size = piece_size(plan, work.executor.batch_size)

        def run(rows: Mapping[str, Ints]) -> None:
            before = spent.metrics + spent.comparing
            work.compute(0, rows)
            measuring.append(spent.metrics + spent.comparing - before)

        drawn = work.draw(0, size)[0]
        rows = dict.fromkeys(drawn, drawn[REFERENCE])
        seconds = expected_seconds(work.executor, plan, rows, run)
        measured = measuring[1] * self.samples / size  # the second time, warm
        return replace(
            plan,
            expected_seconds=seconds + drawing + measured,
            expected_measuring=measured,
        )

    def _work(self) -> Simulation:
        work = Simulation(
            self.request,
            self.hypotheses,
            self.baseline,
            samples=self.samples,
            keep_outputs=False,
        )
        if self.layout is not None:
            take_layout(work.executor, self.layout)
        return work

    def _pieces(self, work: Simulation) -> Iterator[Mapping[str, Ints]]:
        for start, stop in self.cuts:
            yield work.draw(start, stop)[0]
