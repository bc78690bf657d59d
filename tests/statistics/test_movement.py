from __future__ import annotations

import numpy as np
import pytest

from causal_scrubbing._statistics import movement_costs


def test_costs_of_parts_that_add_are_found_and_sum_to_the_mean_change() -> None:
    random = np.random.default_rng(0)
    moved = (random.random((4000, 3)) < [0.5, 0.2, 0.9]).astype(float)
    change = moved @ np.array([2.0, -1.0, 0.0]) + 0.1 * random.standard_normal(4000)
    fit = movement_costs(change, moved)
    assert fit is not None
    means = [cost.mean for cost in fit.costs]
    assert means == pytest.approx(moved.mean(0) * [2, -1, 0], abs=0.02)
    assert sum(means) + fit.rest == pytest.approx(change.mean())
    assert fit.explained > 0.98
    low, high = fit.costs[2].interval
    assert low <= 0 <= high
    assert fit.costs[0].interval[0] > 0.9


def test_the_interval_covers_the_cost_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        moved = random.exponential(size=(300, 2))
        noise = random.standard_normal(300) * moved[:, 0]  # unequal variance
        fit = movement_costs(moved @ np.array([1.0, 0.5]) + noise, moved)
        assert fit is not None
        low, high = fit.costs[0].interval
        covered += low <= moved[:, 0].mean() <= high
    assert 180 <= covered <= 200


def test_parts_that_move_together_share_their_cost() -> None:
    one = (np.arange(100) % 2).astype(float)
    fit = movement_costs(one, np.stack([one, one], 1))
    assert fit is not None
    assert sum(cost.mean for cost in fit.costs) == pytest.approx(0.5)


def test_what_never_moved_has_no_cost_and_few_samples_no_fit() -> None:
    fit = movement_costs(np.zeros(10), np.zeros((10, 2)))
    assert fit is not None
    assert not any(cost.defined for cost in fit.costs)
    assert "no activation of this part changed" in str(fit.costs[0].reason)
    assert movement_costs(np.ones(9), np.ones((9, 2))) is None
