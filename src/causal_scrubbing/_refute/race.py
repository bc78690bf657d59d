"""The search: successive halving over samples, then a held-out confirmation of what is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from causal_scrubbing._data.classes import Floats, Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._measure import holm
from causal_scrubbing._refute.trials import Piece, Trials

FEWEST = 50
"""Samples below which a stage of the search ranks noise."""

Score = Callable[[Sequence[int], Floats, Floats], Floats]
"""(candidates, their mean shifts, standard errors) to how promising each is."""


@dataclass
class Stage:
    """One stage of a search.

    Attributes:
        candidates: numbers of those in the race.
        samples: samples each of them has, those of earlier stages included.
        kept: numbers of those that go on, most promising first.
        cut: the score of the last one kept.
        sd: typical standard deviation of a sample's shift.
    """

    candidates: list[int]
    samples: int
    kept: list[int]
    cut: float
    sd: float


@dataclass
class Plan:
    """Samples of each stage, within a budget.

    Attributes:
        sizes: (candidates, samples each has by the end of the stage).
        spent: samples over all candidates, the base hypothesis's apart.
    """

    sizes: list[tuple[int, int]] = field(default_factory=list)
    spent: int = 0


def plan(candidates: int, keep: int, budget: int) -> Plan:
    """Successive halving (Karnin, Koren and Somekh 2013): each stage spends an equal share.

    Each stage keeps the better third; samples of earlier stages count in later ones.

    Raises:
        ScrubError: the budget is too small for so many candidates.
    """
    made = Plan()
    rounds = max(1, math.ceil(math.log(max(candidates, 1) / max(keep, 1), 3)))
    if candidates <= keep:
        return made
    share = budget // rounds
    left, samples = candidates, 0
    for number in range(rounds):
        fresh = share // left
        if fresh < FEWEST:
            raise ScrubError(
                f"budget={budget} gives {fresh} samples to each of {left} candidates in a stage, "
                f"and {FEWEST} is the least; give a budget of at least {FEWEST * left * rounds}, "
                "or fewer features."
            )
        samples += fresh
        made.sizes.append((left, samples))
        made.spent += fresh * left
        left = keep if number == rounds - 1 else max(keep, math.ceil(left / 3))
    return made


def promising(_: Sequence[int], mean: Floats, se: Floats) -> Floats:
    """How surely a candidate moves the estimate, in either direction.

    The standard errors are held away from zero by their median, so that a candidate whose few
    samples happen to agree does not win (Tusher, Tibshirani and Chu 2001).
    """
    floor = float(np.median(se)) if len(se) else 0.0
    return np.asarray(np.abs(mean) / np.maximum(se + floor, 1e-300), dtype=np.float64)


def search(
    trials: Trials,
    base: int,
    candidates: Sequence[int],
    sizes: Plan,
    keep: int,
    seed: int,
    score: Score,
    done: Callable[[str], Any] = lambda _: None,
    finish: Callable[[str, Any], None] = lambda *_: None,
) -> tuple[list[int], list[Stage]]:
    """Race the candidates' shifts from the base hypothesis.

    Args:
        trials: all hypotheses.
        base: number of the hypothesis that shifts are from.
        candidates: numbers of the candidates.
        sizes: the plan of stages.
        keep: how many shall be left.
        seed: of the search's samples, which no confirmation uses.
        score: what makes a candidate promising.
        done: a stage's record by its name, where it was finished before.
        finish: called with each finished stage's name and record.

    Returns:
        Those left, most promising first, and the stages.
    """
    left = list(candidates)
    sums = {i: np.zeros(2) for i in left}
    stages: list[Stage] = []
    before = 0
    for number, (_, samples) in enumerate(sizes.sizes):
        name = f"stage {number + 1}"
        record = done(name)
        if record is None:
            piece = trials.run([base, *left], seed, before, samples)
            for i in left:
                shift = piece.values[i] - piece.values[base]
                sums[i] = sums[i] + [shift.sum(), (shift**2).sum()]
            record = {"sums": {str(i): sums[i].tolist() for i in left}}
            finish(name, record)
        sums = {int(i): np.asarray(pair) for i, pair in record["sums"].items()}
        table = np.array([sums[i] for i in left])
        mean = table[:, 0] / samples
        variance = np.maximum(table[:, 1] / samples - mean**2, 0) * samples / (samples - 1)
        values = score(left, mean, np.sqrt(variance / samples))
        order = np.argsort(-values, kind="stable")
        following = [size for size, _ in sizes.sizes[number + 1 : number + 2]]
        size = following[0] if following else keep
        kept = [left[i] for i in order[:size]]
        sd = float(np.median(np.sqrt(variance)))
        stages.append(Stage(left, samples, kept, float(values[order[size - 1]]), sd))
        left, before = kept, samples
    return left[:keep], stages


@dataclass(frozen=True)
class Shift:
    """A candidate's shift on held-out samples.

    Attributes:
        mean: mean of candidate minus base.
        se: its standard error.
        interval: 95% interval, Student's.
        p: of "the shift is within the tolerance", before correction.
        adjusted: after Holm's correction for the number confirmed.
        values: the shift of each sample.
    """

    mean: float
    se: float
    interval: tuple[float, float]
    p: float
    adjusted: float
    values: Floats


def confirm(
    piece: Piece,
    base: int,
    candidates: Sequence[int],
    tolerance: float,
    family: int | None = None,
    side: float = 0.0,
) -> list[Shift]:
    """Test the shifts on samples that had no part in choosing the candidates.

    The test is Student's on the paired differences, of the shift lying within the tolerance. The
    samples are fresh, so that only the number confirmed needs correcting for.

    Args:
        piece: values on the held-out samples.
        base: number of the base hypothesis.
        candidates: numbers of those to confirm.
        tolerance: shifts within it do not count.
        family: tests corrected for, at least the number of candidates.
        side: 0 for shifts either way; 1 or -1 for one direction only.
    """
    found = []
    for i in candidates:
        shift = piece.values[i] - piece.values[base]
        n = len(shift)
        mean, sd = float(shift.mean()), float(shift.std(ddof=1))
        se = sd / math.sqrt(n)
        half = float(stats.t.ppf(0.975, n - 1)) * se
        beyond = (abs(mean) if side == 0 else side * mean) - tolerance
        if se == 0:
            p = 0.0 if beyond > 0 else 1.0
        else:
            tail = float(stats.t.sf(beyond / se, n - 1))
            p = min(1.0, tail if side else 2 * tail)
        found.append((mean, se, (mean - half, mean + half), p, shift))
    padded = [one[3] for one in found] + [1.0] * max(0, (family or 0) - len(found))
    adjusted = holm(padded)[: len(found)].tolist()
    return [
        Shift(mean, se, interval, p, q, shift)
        for (mean, se, interval, p, shift), q in zip(found, adjusted, strict=True)
    ]


def detectable(
    stages: Sequence[Stage], sd: float, samples: int, tests: int, alpha: float, tolerance: float
) -> float:
    """The smallest true shift that the whole search finds with a chance of at least 80%.

    Normal approximation: it must pass the cut of each stage and the confirmation at Holm's first
    step. A candidate of typical spread is assumed; one that moves a few inputs much needs more.

    Args:
        stages: the stages of the search.
        sd: typical standard deviation of a sample's shift in the confirmation.
        samples: held-out samples.
        tests: candidates confirmed.
        alpha: the false alarm level.
        tolerance: shifts within it do not count.
    """
    se = max(sd / math.sqrt(samples), 1e-300)
    level = float(stats.norm.isf(alpha / (2 * max(tests, 1))))

    def power(shift: float) -> float:
        chance = float(stats.norm.sf(level - (shift - tolerance) / se))
        for stage in stages:
            own = max(stage.sd / math.sqrt(stage.samples), 1e-300)
            # The score divides by twice the typical standard error.
            chance *= float(stats.norm.sf(2 * stage.cut - shift / own))
        return chance

    low, high = 0.0, tolerance + 10 * se * (level + 1)
    for _ in range(60):
        if power(high) >= 0.8:
            break
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= 0.8 else (middle, high)
    return high


def by_row(values: Floats, reference: Ints) -> list[tuple[int, float, int]]:
    """Reference rows by their part of the mean shift: (row, that part, its samples)."""
    rows, inverse, counts = np.unique(reference, return_inverse=True, return_counts=True)
    sums = np.bincount(inverse.reshape(-1), weights=values) / len(values)
    order = np.argsort(-np.abs(sums), kind="stable")
    return [(int(rows[i]), float(sums[i]), int(counts[i])) for i in order]
