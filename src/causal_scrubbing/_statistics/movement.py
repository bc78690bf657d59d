"""Which resampled parts go with the change of the behaviour: a regression on a run's samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.values import FloatArray

SAMPLES_PER_PART: Final = 5
"""Fewer samples than this for each part leave no fit worth showing."""


@dataclass(frozen=True)
class MovementCosts:
    """How much of the mean change goes with the movement of each part.

    Attributes:
        costs: of each part, in units of the behaviour; undefined for a part that never moved.
        explained: share of the variation of the change that the fit explains.
        rest: mean change that the fit gives to no part.
    """

    costs: tuple[Estimate, ...]
    explained: float
    rest: float


def movement_costs(change: FloatArray, moved: FloatArray) -> MovementCosts | None:
    """Fit the change of the behaviour by how far each resampled part moved.

    The fit is least squares without a constant, as nothing changes where nothing moves:
    change = sum over parts of slope x movement. A part's cost is its slope times its mean movement.
    It is an association within one run: parts that move together share their cost in a way that
    the samples do not fix, which the standard errors show (they allow for unequal variance), and
    what two parts do only together goes to either.

    Example::

        movement_costs(np.array([0.0, 1.0, 1.0, ...]), np.array([[0.0], [1.0], [1.0], ...]))

    Args:
        change: scrubbed - model of each sample, [N].
        moved: how far each part moved in each sample, [N, parts]; 0 where it did not.

    Returns:
        The costs; None where there are too few samples for the number of parts that moved.
    """
    scale = moved.mean(axis=0)
    moving = scale > 0
    count = int(moving.sum())
    n = len(change)
    if count and n < SAMPLES_PER_PART * count:
        return None
    still = Estimate.undefined("no activation of this part changed in any sample", n=n)
    costs = [still] * len(scale)
    if not count:
        return MovementCosts(tuple(costs), 0.0, float(change.mean()))
    table = moved[:, moving] / scale[moving]
    inverse = np.linalg.pinv(table.T @ table, rcond=1e-10, hermitian=True)
    slopes = inverse @ (table.T @ change)
    left = change - table @ slopes
    meat = table.T @ (table * (left**2)[:, None])
    spread = inverse @ meat @ inverse * (n / max(n - count, 1))
    errors = np.sqrt(np.clip(np.diag(spread), 0, None))
    for place, slope, error in zip(np.flatnonzero(moving), slopes, errors, strict=True):
        interval = (slope - 1.96 * error, slope + 1.96 * error)
        costs[place] = Estimate(float(slope), float(error), interval, n)
    total = float(((change - change.mean()) ** 2).sum())
    around = float(((left - left.mean()) ** 2).sum())
    explained = 0.0 if total == 0 else max(0.0, 1 - around / total)
    return MovementCosts(tuple(costs), explained, float(left.mean()))
