"""Controls: is every part of a hypothesis needed, and would another do as well?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from causal_scrubbing._ablate import ablate
from causal_scrubbing._data import Dataset
from causal_scrubbing._data.classes import Floats
from causal_scrubbing._errors import HypothesisError, ScrubError
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._hypothesis.means import with_means
from causal_scrubbing._measure import Estimate, holm
from causal_scrubbing._refute.race import confirm
from causal_scrubbing._refute.trials import Piece, Trials
from causal_scrubbing._refute.variants import variants
from causal_scrubbing._report import align
from causal_scrubbing._scrub.behaviour import Metric
from causal_scrubbing._scrub.check import self_check


@dataclass(frozen=True)
class Control:
    """One line of the table.

    Attributes:
        kind: what sort of change it is.
        text: what was changed.
        scrubbed: its estimate.
        recovered: in percent.
        difference: its estimate less the hypothesis's own, sample by sample.
        p: of "no difference", corrected for the number of controls (Holm).
    """

    kind: str
    text: str
    scrubbed: Estimate
    recovered: Estimate
    difference: Estimate
    p: float


@dataclass(frozen=True, eq=False)
class Controls:
    """The controls of a hypothesis, the hypothesis itself first.

    Attributes:
        hypothesis: the hypothesis.
        metric: name of the metric.
        rows: one a control.
        samples: of each.
        seed: of the draws.
    """

    hypothesis: Hypothesis
    metric: str
    rows: tuple[Control, ...]
    samples: int
    seed: int

    def of(self, kind: str) -> tuple[Control, ...]:
        """The controls of one kind."""
        return tuple(row for row in self.rows if row.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "hypothesis": self.hypothesis.to_dict(),
            "metric": self.metric,
            "samples": self.samples,
            "seed": self.seed,
            "rows": [asdict(row) for row in self.rows],
        }

    def to_frame(self) -> pd.DataFrame:
        """The table, one row a control."""
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
                }
                for row in self.rows
            ]
        )

    def __str__(self) -> str:
        rows = []
        for row in self.rows:
            low, high = row.difference.interval
            own = row.kind == "itself"
            rows.append(
                [
                    row.kind,
                    row.text,
                    str(row.scrubbed),
                    str(row.recovered) if row.recovered.defined else "undefined",
                    "" if own else f"{row.difference.mean:+.3g} [{low:+.3g}, {high:+.3g}]",
                    "" if own else f"{row.p:.2g}",
                ]
            )
        head = ("kind", "control", "scrubbed", "recovered", "less the hypothesis's", "p (Holm)")
        return f"{self.metric}, {self.samples} samples\n{align(head, rows)}"


def controls(
    h: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    random: int = 3,
    reinitialised: Graph | None = None,
    samples: int = 2000,
    randomize: str | None = None,
    seed: int = 0,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> Controls:
    """The hypothesis beside its controls, on common random numbers.

    The trivial hypothesis and the model itself; each claim coarsened, refined, taken whole, and
    removed (its node is then unimportant), each `via` removed; features dealt out anew over the
    rows; the same shape on other nodes; the policies for unimportant parents, mean ablation among
    them; zero and resample ablation of the root's unimportant parents; and, where a graph is given
    for it, the same claims about a randomly initialised copy of the model.

    Example::

        print(cs.controls(h, data, cs.metrics.cross_entropy("label")))

    Args:
        h: the hypothesis.
        data: the dataset.
        metric: one metric; None for the graph's own output.
        random: how many random controls of each kind.
        reinitialised: the graph of the same architecture with random weights. Its own recovered is
            shown; its estimate is about another model, so no difference is.
        samples: of each control.
        randomize: as for `scrub`.
        seed: as for `scrub`; it also fixes the random controls.
        batch_size: samples computed at once.
        device: where to compute.

    Raises:
        HypothesisError: a feature cannot be used on the data.
        ScrubError: fewer than two samples, or several metrics.
    """
    if samples < 2:
        raise ScrubError(f"samples={samples!r}: a comparison needs at least 2.")
    self_check(h, data, device)
    made = [one for one in variants(h, seed, random) if _has_means(one.hypothesis, data, device)]
    settings: dict[str, Any] = {
        "randomize": randomize,
        "batch_size": batch_size,
        "device": device,
    }
    trials = Trials([h, *(one.hypothesis for one in made)], data, metric, **settings)
    numbers = range(1, 1 + len(made))
    piece = trials.run([0, *numbers], seed, 0, samples)
    shifts = confirm(piece, 0, list(numbers), 0.0)
    zero = Estimate(0.0, 0.0, (0.0, 0.0), n=samples)
    rows = [
        Control(
            "itself", h.name or "the hypothesis", mean_of(piece.values[0]),
            recovered(piece, piece.values[0]), zero, 1.0,
        )
    ]  # fmt: skip
    for number, one, shift in zip(numbers, made, shifts, strict=True):
        values = piece.values[number]
        difference = Estimate(shift.mean, shift.se, shift.interval, n=samples)
        rows.append(
            Control(
                one.kind, one.text, mean_of(values), recovered(piece, values), difference, shift.p
            )
        )  # fmt: skip
    rows += _ablations(h, data, metric, samples, seed, piece, batch_size, device)
    if reinitialised is not None:
        other = h.with_(graph=reinitialised)
        again = Trials([other], data, metric, **settings).run([0], seed, 0, samples)
        none = Estimate.undefined("it is about another model", n=samples)
        text = "the same claims about a randomly initialised copy"
        rows.append(
            Control(
                "reinitialised", text, mean_of(again.values[0]),
                recovered(again, again.values[0]), none, math.nan,
            )
        )  # fmt: skip
    tested = [row for row in rows[1:] if row.difference.defined]
    adjusted = dict(zip(map(id, tested), holm([row.p for row in tested]).tolist(), strict=True))
    rows = [replace(row, p=adjusted.get(id(row), row.p)) for row in rows]
    return Controls(h, trials.metric_name, tuple(rows), samples, seed)


def _has_means(h: Hypothesis, data: Dataset, device: torch.device | str | None) -> bool:
    """Whether the nodes a hypothesis sets to their mean, if any, hold numbers that have one."""
    try:
        with_means([h], data, device=device)
    except HypothesisError:
        return False
    return True


def _ablations(
    h: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None,
    samples: int,
    seed: int,
    piece: Piece,
    batch_size: int,
    device: torch.device | str | None,
) -> list[Control]:
    """Zero and resample ablation of all the root's unimportant parents, on the same rows."""
    nodes = list(h.tree.claims[0].other_draws)
    if not nodes:
        return []
    options: dict[str, Any] = {"batch_size": batch_size, "device": device}
    kinds = ("zero", "resample")
    found = ablate(
        h.graph, nodes, data, kinds, metric, samples=samples, seed=seed, within=h.within, **options
    )
    name = next(iter(found.model_values))
    rows = []
    for kind in kinds:
        values = found.values[kind][name]
        both = Piece({0: piece.values[0], 1: values}, piece.model, None, piece.reference)
        shift = confirm(both, 0, [1], 0.0)[0]
        difference = Estimate(shift.mean, shift.se, shift.interval, n=samples)
        text = f"{kind} ablation of the root's unimportant parents, the rest untouched"
        rows.append(
            Control(
                "ablation", text, mean_of(values), recovered(piece, values), difference, shift.p
            )
        )  # fmt: skip
    return rows


def mean_of(values: Floats) -> Estimate:
    """The mean with its standard error and normal 95% interval."""
    mean, se = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, se, (mean - 1.96 * se, mean + 1.96 * se), n=len(values))


def recovered(piece: Piece, values: Floats) -> Estimate:
    """100 (E_scrubbed - E_randomized) / (E_model - E_randomized), with a linearised interval.

    A ratio of means; its standard error is that of the residuals from the ratio (Cochran 1977,
    Sampling Techniques, 6.4). Undefined where the 95% interval of the denominator contains 0.
    """
    n = len(values)
    if piece.randomized is None:
        return Estimate.undefined("there is no randomized baseline", n=n, unit="%")
    above, below = values - piece.randomized, piece.model - piece.randomized
    spread = 1.96 * float(below.std(ddof=1)) / math.sqrt(n)
    if abs(float(below.mean())) <= spread:
        return Estimate.undefined("model and randomized cannot be told apart", n=n, unit="%")
    ratio = float(above.mean() / below.mean())
    residuals = (above - ratio * below) / float(below.mean())
    se = 100 * float(np.std(residuals, ddof=1)) / math.sqrt(n)
    mean = 100 * ratio
    return Estimate(mean, se, (mean - 1.96 * se, mean + 1.96 * se), n=n, unit="%")
