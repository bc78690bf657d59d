"""The race: successive halving over samples, the best of each place kept before near-duplicates."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from causal_scrubbing._data import Floats, Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import NUMBER, Between, Fixed, Shape
from causal_scrubbing._statistics import ranked
from causal_scrubbing._trials.trials import Trials

FEWEST = 50
"""Samples below which a stage of the search ranks noise."""

NEARLY = 0.9
"""Share of the best score at a place that a smaller candidate needs to stand for the place."""

Score = Callable[[Sequence[int], Floats, Floats], Floats]
"""(candidates, their mean shifts, standard errors) to how promising each is."""


@dataclass
class Stage:
    """One stage of a search.

    Attributes:
        candidates: numbers of those in the race.
        samples: samples each of them has, those of earlier stages included.
        kept: numbers of those that go on, most promising first.
        cut: the score that a candidate needed to be kept.
        floor: what was added to every standard error, the median one.
        mean: mean shift of each candidate.
        sd: standard deviation of each one's shift from sample to sample.
    """

    candidates: list[int]
    samples: int
    kept: list[int]
    cut: float
    floor: float
    mean: dict[int, float]
    sd: dict[int, float]


@dataclass
class Plan:
    """Samples of each stage, within a budget.

    Attributes:
        sizes: (candidates, samples each has by the end of the stage).
        spent: samples over all candidates, the base hypothesis's apart.
    """

    sizes: list[tuple[int, int]] = field(default_factory=list)
    spent: int = 0


def rounds(candidates: int, keep: int) -> int:
    """Stages that leave the better third each, from so many candidates down to `keep`."""
    return max(1, math.ceil(math.log(max(candidates, 1) / max(keep, 1), 3)))


def plan(candidates: int, keep: int, budget: int) -> Plan:
    """Successive halving (Karnin, Koren and Somekh 2013): each stage spends an equal share.

    Each stage keeps the better third; samples of earlier stages count in later ones.

    Raises:
        ScrubError: the budget is too small for so many candidates.
    """
    made = Plan()
    stages = rounds(candidates, keep)
    if candidates <= keep:
        return made
    share = budget // stages
    left, samples = candidates, 0
    for number in range(stages):
        fresh = share // left
        if fresh < FEWEST:
            raise ScrubError(
                f"budget={budget} gives {fresh} samples to each of {left} candidates in a stage, "
                f"and {FEWEST} is the least; give a budget of at least {FEWEST * left * stages}, "
                "or fewer features."
            )
        samples += fresh
        made.sizes.append((left, samples))
        made.spent += fresh * left
        left = keep if number == stages - 1 else max(keep, math.ceil(left / 3))
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
    done: Callable[[str, Shape], Any] = lambda *_: None,
    finish: Callable[[str, Any], None] = lambda *_: None,
    place: Callable[[int], Hashable] = lambda number: number,
    promise: float = 1.0,
    bits: Callable[[int], float] = lambda _: 0.0,
    least: float = 0.0,
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
        done: a stage's record by its name, where it was finished before; it must have a shape.
        finish: called with each finished stage's name and record.
        place: what a candidate changes. In each stage half of those kept are taken in turn from
            each place, in the last one the best of each promising place first, so that many
            refinements of one claim crowd out no other.
        promise: the score above which a place is promising; 1 is a shift of about two standard
            errors.
        bits: how much a candidate claims; of those of a place that do nearly as well, the smallest
            stands for it.
        least: mean shifts up to this size are rounding, and count as none.

    Returns:
        Those left, most promising first, and the stages.
    """
    left = list(candidates)
    sums = {i: np.zeros(2) for i in left}
    stages: list[Stage] = []
    before = 0
    for number, (_, samples) in enumerate(sizes.sizes):
        name = f"stage {number + 1}"
        record = done(name, {"sums": {str(i): Fixed((NUMBER, Between(0, inf))) for i in left}})
        if record is None:
            chunk = trials.run([base, *left], seed, before, samples)
            for i in left:
                shift = chunk.values[i] - chunk.values[base]
                sums[i] = sums[i] + [shift.sum(), (shift**2).sum()]
            record = {"sums": {str(i): sums[i].tolist() for i in left}}
            finish(name, record)
        sums = {i: np.asarray(record["sums"][str(i)]) for i in left}
        table = np.array([sums[i] for i in left])
        mean = table[:, 0] / samples
        variance = np.maximum(table[:, 1] / samples - mean**2, 0) * samples / (samples - 1)
        se = np.sqrt(variance / samples)
        mean = np.where(np.abs(mean) <= least, 0.0, mean)
        values = score(left, mean, se)
        order = ranked(values)
        following = [size for size, _ in sizes.sizes[number + 1 : number + 2]]
        size = following[0] if following else keep
        places = [place(i) for i in left]
        if following:
            chosen = _mixed(order, places, size)
        else:
            good = [i for i in order if values[i] > promise]
            chosen = _best_of_places(good, places, values, [bits(i) for i in left], size)
            chosen |= set([i for i in order if i not in chosen][: size - len(chosen)])
        # What a candidate surely needs: to be above the best of those left out.
        out = [i for i in order if i not in chosen]
        cut = float(values[out[0]]) if out else float("-inf")
        stages.append(
            Stage(
                left,
                samples,
                [left[i] for i in order if i in chosen],
                cut,
                float(np.median(se)) if len(se) else 0.0,
                dict(zip(left, mean.tolist(), strict=True)),
                dict(zip(left, np.sqrt(variance).tolist(), strict=True)),
            )
        )
        kept = stages[-1].kept
        left, before = kept, samples
    return left[:keep], stages


def _mixed(order: Sequence[int], places: Sequence[Hashable], size: int) -> set[int]:
    """Half of those that go on by score; the others in turn from each place, its best first."""
    chosen = set(order[: (size + 1) // 2])
    turns: dict[Hashable, int] = {}
    turn: dict[int, int] = {}
    for i in order:
        turn[i] = turns[places[i]] = turns.get(places[i], 0) + 1
    rest = sorted((i for i in order if i not in chosen), key=lambda i: turn[i])
    return chosen | set(rest[: size - len(chosen)])


def _best_of_places(
    order: Sequence[int],
    places: Sequence[Hashable],
    values: Floats,
    bits: Sequence[float],
    size: int,
) -> set[int]:
    """The smallest that does nearly best at each place, up to three quarters of what is kept."""
    best: dict[Hashable, float] = {}
    stands: dict[Hashable, int] = {}
    for i in order:
        top = best.setdefault(places[i], float(values[i]))
        now = stands.setdefault(places[i], i)
        if values[i] >= (NEARLY - 1e-6) * top and bits[i] < bits[now]:
            stands[places[i]] = i
    return set(list(stands.values())[: -(-3 * size // 4)])


def by_row(values: Floats, reference: Ints) -> list[tuple[int, float, int]]:
    """Reference rows by their part of the mean shift: (row, that part, its samples)."""
    rows, inverse, counts = np.unique(reference, return_inverse=True, return_counts=True)
    sums = np.bincount(inverse.reshape(-1), weights=values) / len(values)
    order = ranked(np.abs(sums))
    return [(int(rows[i]), float(sums[i]), int(counts[i])) for i in order]
