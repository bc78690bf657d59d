"""Which shifts a search would have found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causal_scrubbing._format import short
from causal_scrubbing._trials import LONGER, LOOKS, OPEN, Stage

POWER = 0.8
TYPICAL = 0.9
"""Share of the tried additions that moved any sample whose spread is at most that assumed."""

ENOUGH = 10
"""Samples of the first stage that must show a shift, for its mean there to be near normal."""


@dataclass(frozen=True)
class Power:
    """What a search would have found.

    Attributes:
        shift: the smallest shift found with a chance of 80%; None where that is not known, as no
            addition tried moved any sample.
        sd: the standard deviation from sample to sample that is assumed of it.
        share: the share of the samples that it must lie on, at least.
        unseen: an addition that moves this share of the samples, or more, moved at least one of
            those seen with a chance of 95%: the rule of three (Hanley and Lippman-Hand 1983).
    """

    shift: float | None
    sd: float
    share: float
    unseen: float

    def __str__(self) -> str:
        if self.shift is None:
            return (
                "None of them moved any sample, so that the size of shift that would have been "
                "found is not known; one that moves at least "
                f"{short(self.unseen, 2)} of the samples would have been seen to move one with a "
                "chance of 95%."
            )
        return (
            f"A shift of {short(self.shift)} or more would have been found with a chance of 80%, "
            "had one of those tried made it, its standard deviation from sample to sample been at "
            f"most {short(self.sd)} (that of nine in ten that moved any), and it lain on at least "
            f"{short(self.share, 2)} of the samples."
        )


def power_of(
    stages: Sequence[Stage],
    spreads: Sequence[float],
    samples: int,
    tests: int,
    alpha: float,
    tolerance: float,
) -> Power:
    """The power of a search for an addition of large spread among those it tried.

    Args:
        stages: the stages of the search.
        spreads: standard deviation of each candidate's shift, from sample to sample.
        samples: held-out samples of the first look.
        tests: candidates confirmed.
        alpha: the false alarm level.
        tolerance: shifts within it do not count.
    """
    fewest = stages[0].samples if stages else samples
    moved = [one for one in spreads if one > 0]
    share, unseen = min(1.0, ENOUGH / fewest), min(1.0, 3 / fewest)
    if not moved:
        return Power(None, 0.0, share, unseen)
    sd = float(np.quantile(moved, TYPICAL))
    return Power(detectable(stages, sd, samples, tests, alpha, tolerance), sd, share, unseen)


def detectable(
    stages: Sequence[Stage], sd: float, samples: int, tests: int, alpha: float, tolerance: float
) -> float:
    """The smallest true shift that the whole search finds with a chance of at least 80%.

    Normal approximation: it must pass the cut of each stage, stay open at the first look, and be
    confirmed at Holm's first step on the second. Chances are multiplied, which is too low a chance
    rather than too high: the samples of earlier stages count in later ones.

    Args:
        stages: the stages of the search.
        sd: standard deviation of the shift from sample to sample.
        samples: held-out samples of the first look.
        tests: candidates confirmed.
        alpha: the false alarm level.
        tolerance: shifts within it do not count.
    """
    from scipy import stats

    se = max(sd / math.sqrt(samples), 1e-300)
    level = float(stats.norm.isf(alpha / (2 * LOOKS * max(tests, 1))))
    open_ = float(stats.norm.isf(OPEN / 2))

    def power(shift: float) -> float:
        first = float(stats.norm.sf(level - (shift - tolerance) / se))
        stays = float(stats.norm.sf(open_ - (shift - tolerance) / se))
        later = float(stats.norm.sf(level - math.sqrt(LONGER) * (shift - tolerance) / se))
        chance = max(first, stays * later)
        for stage in stages:
            own = max(sd / math.sqrt(stage.samples), 1e-300)
            chance *= float(stats.norm.sf((stage.cut * (own + stage.floor) - shift) / own))
        return chance

    low, high = 0.0, tolerance + 10 * se * (level + 1)
    for _ in range(60):
        if power(high) >= POWER:
            break
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
