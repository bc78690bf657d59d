"""Controls: is every part of a hypothesis needed, and would another do as well?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from causal_scrubbing._controls.variants import Variant, variants
from causal_scrubbing._data import Dataset, Floats
from causal_scrubbing._display import Bar, Displayed, Tabular, plot_forest
from causal_scrubbing._engine import MemoryLimit
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import Executor
from causal_scrubbing._format import plain, plural, short
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._report import align
from causal_scrubbing._simulate import (
    Metric,
    Progress,
    named_metrics,
    self_check,
    try_metrics,
    whole,
)
from causal_scrubbing._statistics import Estimate, Triples, holm, mean_estimate
from causal_scrubbing._trials import Chunk, Trials, Workshop, check_run, confirm

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

EDGES = 200


@dataclass(frozen=True, repr=False)
class Control(Displayed):
    """One line of the table.

    Attributes:
        kind: what sort of change it is.
        text: what was changed.
        scrubbed: its estimate.
        recovered: in percent.
        difference: its estimate less the hypothesis's own, sample by sample.
        p: of "no difference", corrected for the number of controls (Holm). NaN where there is no
            difference to test, and where `same` says that there can be none.
        same: text of an earlier row that permits the same swaps, which is tested once for both.
        draw: the draw that keeps its row here, where that is the whole change; "" for any other.
    """

    kind: str
    text: str
    scrubbed: Estimate
    recovered: Estimate
    difference: Estimate
    p: float
    same: str | None = None
    draw: str = ""

    def __repr__(self) -> str:
        return f"Control({self.text}: scrubbed {self.scrubbed}, recovered {self.recovered})"


@dataclass(frozen=True, eq=False)
class Controls(Tabular):
    """The controls of a hypothesis, the hypothesis itself first.

    Attributes:
        hypothesis: the hypothesis.
        metric: name of the metric.
        rows: one a control.
        samples: of each.
        seed: of the draws.
        notes: controls that could not be made, and why.
    """

    hypothesis: Hypothesis
    metric: str
    rows: tuple[Control, ...]
    samples: int
    seed: int
    notes: tuple[str, ...] = ()

    def of(self, kind: str) -> tuple[Control, ...]:
        """The controls of one kind."""
        return tuple(row for row in self.rows if row.kind == kind)

    def costs(self) -> dict[str, Estimate]:
        """What the resampling of each draw costs: the estimate less that where it keeps its row.

        Returns:
            Key of the draw (see `Hypothesis.agreement`) -> cost, in units of the metric. A draw
            that must agree on every row anyway is not in it.

        Example::

            cs.controls(h, data, metric).costs()["logits/a1.z.h0"]
        """
        found: dict[str, Estimate] = {}
        for row in self.rows:
            if row.draw and row.difference.defined:
                low, high = row.difference.interval
                found[row.draw] = replace(
                    row.difference, mean=0.0 - row.difference.mean, interval=(-high, -low)
                )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, for strict JSON: what is no number is the string "nan"."""
        found: dict[str, Any] = plain(
            {
                "hypothesis": self.hypothesis.to_dict(),
                "metric": self.metric,
                "samples": self.samples,
                "seed": self.seed,
                "rows": self.rows,
                "notes": self.notes,
            }
        )
        return found

    def to_frame(self) -> pd.DataFrame:
        """The table, one row a control."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "kind": row.kind,
                    "control": row.text,
                    "scrubbed": row.scrubbed.mean,
                    "recovered": row.recovered.mean,
                    "difference": row.difference.mean,
                    "low": row.difference.interval[0],
                    "high": row.difference.interval[1],
                    "p": row.p,
                    "same": row.same,
                }
                for row in self.rows
            ]
        )

    def plot(self) -> Figure:
        """What each control's estimate is less the hypothesis's own, sample by sample.

        Returns:
            A figure that a notebook shows by itself; controls that differ (p < 5%) stand out.
        """
        bars = [
            Bar(
                label=f"{row.kind}: {row.text}", mean=row.difference.mean,
                low=row.difference.interval[0], high=row.difference.interval[1],
                text=row.difference.ranged(signed=True) if row.difference.defined else "undefined",
                strong=row.p < 0.05,
            )
            for row in self.rows
            if row.kind != "itself"
        ]  # fmt: skip
        title = self.hypothesis.name or "the hypothesis"
        return plot_forest(bars, title=title, axis=f"{self.metric} less the hypothesis's")

    def __repr__(self) -> str:
        return f"Controls({len(self.rows)} {plural(len(self.rows), 'row')}; print it to see them)"

    def __str__(self) -> str:
        rows = []
        for row in self.rows:
            shown = row.difference.ranged(signed=True)
            if row.kind == "itself":
                shown, p = "", ""
            elif not row.difference.defined:
                shown, p = "undefined", ""
            else:
                p = "same swaps" if math.isnan(row.p) else f"{short(row.p, 2)}"
            scrubbed, share = (
                str(one) if one.defined else "undefined" for one in (row.scrubbed, row.recovered)
            )
            rows.append([row.kind, row.text, scrubbed, share, shown, p])
        head = ("kind", "control", "scrubbed", "recovered", "less the hypothesis's", "p (Holm)")
        lines = [f"{self.metric}, {self.samples} samples", align(head, rows)]
        return "\n".join([*lines, *self.notes])


def controls(
    h: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    random: int = 3,
    edges: int | None = EDGES,
    reinitialised: Graph | None = None,
    samples: int = 2000,
    randomize: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    memory: MemoryLimit = None,
    executor: Executor | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
) -> Controls:
    """The hypothesis beside its controls, on common random numbers.

    - *bound*: the trivial hypothesis, and the model itself.
    - *policy*: other draws for unimportant parents, and their means and zeros in place of draws.
    - *coarsened*, *refined*: each claim carries anything, or drops one feature of several; or
      carries `exact`, or its unimportant parents keep their row.
    - *unexpanded*: each inner claim taken whole, as a leaf.
    - *removed*: each claim removed, so that its node is unimportant.
    - *edge removed*: each edge of the graph that a route takes, closed to all routes into its
      claim. Where a claim has one edge only, that is the claim removed.
    - *random feature*: a claim's feature dealt out anew over the rows, the weight of its classes
      kept; then all features at once.
    - *random nodes*: the same tree on random nodes, each upstream of its parent's, along random
      routes; none permits the same swaps as the hypothesis or another one.
    - *ablation*: the model with nothing but one claim's unimportant parents taken away, where they
      enter that claim: by zeros, means, or another row as the hypothesis draws it.
    - *reinitialised*: the same claims about a randomly initialised copy of the model.

    What could not be made is listed in `notes`.

    Example::

        print(cs.controls(h, data, cs.metrics.cross_entropy("label")))

    Args:
        h: the hypothesis.
        data: the dataset.
        metric: one metric; None for the graph's own output.
        random: how many random controls of each kind.
        edges: how many edges at most are removed one by one; None for all.
        reinitialised: the graph of the same architecture with random weights. Its own recovered is
            shown; its estimate is about another model, so no difference is.
        samples: of each control.
        randomize: as for `scrub`.
        seed: as for `scrub`; it also fixes the random controls.
        batch_size: samples computed at once; from measured sizes if None.
        device: where to compute.
        memory: bytes for activations, as for `scrub`.
        executor: where controls are computed, as for `scrub`.
        progress: as for `scrub`, counted in samples of all controls together.

    Raises:
        HypothesisError: a feature cannot be used on the data.
        MetricError: the metric of the hypothesis, the model or the baseline is not finite.
        ScrubError: fewer than two samples, several metrics, or another argument is wrong.
    """
    check_run(h, data, samples, seed, batch_size, device, randomize, executor)
    whole("samples", samples, "the number of samples to compare", least=2)
    whole("random", random, "how many random controls of each kind", least=0)
    if edges is not None:
        whole("edges", edges, "how many edges to remove, or None for all", least=0)
    together = None if batch_size is None else min(batch_size, samples)
    self_check(h, data, device, batch_size=together)
    with Progress(progress, 0) as bar:
        bar.phase("candidates")
        made, notes = variants(h, data, seed, random, edges, device)
    settings: dict[str, Any] = {
        "randomize": randomize,
        "batch_size": batch_size,
        "device": device,
        "memory": memory,
    }
    try_metrics(named_metrics(metric), h.graph, data, device, check=True)
    numbers = range(1, 1 + len(made))
    other: Control | None = None
    with Workshop(executor) as spread, Progress(progress, samples * (1 + len(made))) as bar:
        settings["spread"] = spread
        trials = Trials([h, *(one.hypothesis for one in made)], data, metric, **settings)
        trials.advance = bar.advance
        chunk = trials.run([0, *numbers], seed, 0, samples, unchecked=numbers)
        if reinitialised is not None:
            other = _about_another(h, reinitialised, data, metric, seed, samples, settings)
    zero = Estimate(0.0, 0.0, (0.0, 0.0), n=samples)
    rows = [
        Control(
            "itself", h.name or "the hypothesis", mean_of(chunk.values[0]),
            recovered(chunk, chunk.values[0]), zero, 1.0,
        )
    ]  # fmt: skip
    rows += _compared(made, chunk, notes)
    if other is None:
        notes.append("not made, reinitialised: pass the graph of such a copy as reinitialised=.")
    else:
        rows.append(other)
    return Controls(h, trials.metric_name, tuple(rows), samples, seed, tuple(notes))


def _compared(made: Sequence[Variant], chunk: Chunk, notes: list[str]) -> list[Control]:
    """Rows of the variants, tested once for all that permit the same swaps."""
    rows: list[Control] = []
    tested: dict[int, float] = {}
    n = len(chunk.model)
    for number, one in enumerate(made, 1):
        values = chunk.values[number]
        same = {None: None, 0: "the hypothesis itself"}.get(one.same, "")
        if same == "" and one.same is not None:
            same = made[one.same - 1].text
        bad = int((~np.isfinite(values)).sum())
        if bad:
            none = Estimate.undefined("the metric is not finite", n=n)
            notes.append(
                f"undefined, {one.text}: {bad} of {n} values of the metric are not finite."
            )
            rows.append(Control(one.kind, one.text, none, none, none, math.nan, same, one.draw))
            continue
        shift = confirm(chunk, 0, [number], 0.0)[0]
        difference = Estimate(shift.mean, shift.se, shift.interval, n=n)
        if one.same is None:
            tested[number] = shift.p
        rows.append(
            Control(
                one.kind, one.text, mean_of(values), recovered(chunk, values), difference,
                math.nan, same, one.draw,
            )
        )  # fmt: skip
    adjusted = dict(zip(tested, holm(list(tested.values())).tolist(), strict=True))
    return [
        replace(row, p=adjusted.get(one.same or number, math.nan) if one.same != 0 else math.nan)
        for number, (row, one) in enumerate(zip(rows, made, strict=True), 1)
    ]


def _about_another(
    h: Hypothesis,
    graph: Graph,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None,
    seed: int,
    samples: int,
    settings: Mapping[str, Any],
) -> Control:
    """The row of the same claims about a randomly initialised copy of the model."""
    if not isinstance(graph, Graph):
        raise ScrubError(
            f"reinitialised= is {type(graph).__name__}; pass the cs.Graph of a model of the same "
            "architecture with random weights."
        )
    other = h.with_(graph=graph, name="the same claims about a randomly initialised copy")
    self_check(other, data, settings["device"])
    chunk = Trials([other], data, metric, **settings).run([0], seed, 0, samples)
    none = Estimate.undefined("it is about another model", n=samples)
    values = chunk.values[0]
    return Control(
        "reinitialised", str(other.name), mean_of(values), recovered(chunk, values), none, math.nan
    )


def mean_of(values: Floats) -> Estimate:
    """The mean with its standard error and 95% interval."""
    return mean_estimate(values)


def recovered(chunk: Chunk, values: Floats, resamples: int = 1000) -> Estimate:
    """100 (E_scrubbed - E_randomized) / (E_model - E_randomized), a ratio of means.

    Undefined where the 95% interval of the denominator contains 0.

    Args:
        chunk: Values of the model and with a random row's.
        values: Of the scrubbed model.
        resamples: Of the interval's bootstrap; 0 for Student's interval, which a search that asks
            for thousands can afford.
    """
    triples = Triples(
        "metric",
        values,
        chunk.model,
        chunk.randomized,
        why_not="there is no randomized baseline",
    )
    return triples.estimate(resamples=resamples).recovered
