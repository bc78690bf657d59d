from __future__ import annotations

import json
import math

import numpy as np
import pytest

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics import split_variance, worst_cases


def test_percentiles_and_their_intervals() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, 1001.0))
    found = worst_cases("loss", values)
    assert found.percentiles[1].mean == pytest.approx(np.quantile(values, 0.9))
    low, high = found.percentiles[1].interval
    # Normal approximation of the binomial ranks: 900 -+ 1.96 sqrt(90).
    assert low == pytest.approx(900 - 18.6, abs=2)
    assert high == pytest.approx(900 + 18.6, abs=2)
    assert found.worst == 1000
    json.dumps(found.to_dict(), allow_nan=False)
    assert "99.0%" in str(found)


def test_scores_are_worst_where_they_are_small() -> None:
    values = np.arange(1.0, 1001.0)
    losses, scores = worst_cases("m", values), worst_cases("m", -values, lower_is_better=False)
    assert scores.worst == -1000
    for loss, score in zip(losses.percentiles, scores.percentiles, strict=True):
        assert score.mean == -loss.mean
        assert score.interval == (-loss.interval[1], -loss.interval[0])


def test_too_few_samples_to_bound_a_percentile_say_how_many_it_takes() -> None:
    found = worst_cases("m", np.arange(100.0), probabilities=(0.99,)).percentiles[0]
    assert found.interval[1] == math.inf
    assert found.note == "100 samples cannot bound it, it takes 368"
    assert worst_cases("m", np.arange(368.0), probabilities=(0.99,)).percentiles[0].note is None
    assert worst_cases("m", np.arange(367.0), probabilities=(0.99,)).percentiles[0].note is not None
    with pytest.raises(MetricError, match=r"probabilities \[1.0\] are not strictly"):
        worst_cases("m", np.arange(9.0), probabilities=(0.5, 1.0))
    with pytest.raises(MetricError, match="gives vectors"):
        worst_cases("m", np.ones((3, 2)))


def test_interval_of_a_worst_case_covers_at_least_at_its_level() -> None:
    rng = np.random.default_rng(0)
    truth = -math.log(0.05)
    inside = 0
    for _ in range(500):
        values = rng.exponential(1.0, 150)
        low, high = worst_cases("m", values, probabilities=(0.95,)).percentiles[0].interval
        inside += low <= truth <= high
    assert inside / 500 >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / 500)


@pytest.mark.parametrize("weighted", [False, True])
def test_variance_split_is_unbiased_and_its_intervals_cover(weighted: bool) -> None:
    # 60 rows whose own spread grows with the row's number and with its weight: repeats favour
    # heavy rows, so a plain pooled estimate would be off.
    rng = np.random.default_rng(0)
    rows = np.arange(60)
    weights = np.where(rows < 30, 1.0, 4.0 if weighted else 1.0)
    weights = weights / weights.sum()
    means, spreads = np.sin(rows), np.where(rows < 30, 0.5, 1.5)
    within = float((weights * spreads**2).sum())
    between = float((weights * means**2).sum() - (weights * means).sum() ** 2)
    found, inside = [], np.zeros(3)
    for run in range(300):
        drawn = rng.choice(60, size=80, p=weights)
        values = means[drawn] + spreads[drawn] * rng.normal(size=80)
        split = split_variance("m", values, drawn, weights=weights[drawn], seed=run)
        estimates = (split.total, split.rows, split.resampling)
        found.append([estimate.mean for estimate in estimates])
        for i, truth in enumerate((within + between, between, within)):
            low, high = estimates[i].interval
            inside[i] += low <= truth <= high
    average, error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(300)
    assert np.abs(average - [within + between, between, within]).max() < 4 * error.max()
    assert (inside / 300 > 0.9).all()


def test_uniform_rows_are_the_textbook_analysis_of_variance() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(10), 5)
    values = rng.normal(size=10)[rows] + rng.normal(size=50)
    table = values.reshape(10, 5)
    found = split_variance("m", values, rows)
    assert found.resampling.mean == pytest.approx(table.var(axis=1, ddof=1).mean())
    assert found.total.mean == pytest.approx(values.var(ddof=1))
    assert found.rows.mean + found.resampling.mean == pytest.approx(found.total.mean)
    assert found.repeated == 10
    json.dumps(found.to_dict(), allow_nan=False)
    assert "10 rows were scrubbed more than once" in str(found)


def test_a_split_that_cannot_be_estimated_says_so() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=30)
    once = split_variance("m", values, np.arange(30))
    assert once.total.defined
    assert "no reference row was drawn twice" in str(once.resampling)
    assert "scrub the same reference rows several times" in str(once.rows)
    one = split_variance("m", values[:1], np.arange(1))
    assert "one sample has no variance" in str(one.total)
    few = split_variance("m", values, np.r_[0, np.arange(29)])
    assert few.resampling.note == "too few reference rows were drawn twice for a standard error"
    noise = split_variance("m", np.r_[np.ones(15), -np.ones(15)], np.r_[:15, :15])
    assert noise.rows.note == "below zero by sampling noise: the truth is near zero"


def test_rare_rows_keep_their_precision() -> None:
    weights = np.full(4, 1e-9)
    values, rows = np.array([1.0, 3.0, 2.0, 2.0]), np.array([0, 0, 1, 1])
    found = split_variance("m", values, rows, weights=weights)
    assert found.resampling.mean == pytest.approx(1.0)


def pooled(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples from pools of a fixed population of 1,000 rows: values, rows, pool of each."""
    population = np.random.default_rng(99).exponential(size=1000)
    rng = np.random.default_rng(seed)
    members = [rng.choice(1000, 50, replace=False) for _ in range(12)]
    rows = np.concatenate([rng.choice(one, 100) for one in members])
    return population[rows], rows, np.repeat(np.arange(12), 100)


def test_intervals_of_worst_cases_and_variance_cover_in_pools() -> None:
    population = np.random.default_rng(99).exponential(size=1000)
    covered = np.zeros((2, 3))
    for seed in range(100):
        values, rows, pools = pooled(seed)
        for which, ids in enumerate((None, pools)):
            found = worst_cases("x", values, probabilities=(0.5, 0.9), pools=ids)
            total = split_variance("x", values, rows, pools=ids, seed=seed).total
            truths = [*np.quantile(population, (0.5, 0.9)), population.var()]
            for place, (one, truth) in enumerate(
                zip((*found.percentiles, total), truths, strict=True)
            ):
                covered[which, place] += one.interval[0] <= truth <= one.interval[1]
    assert (covered[0] < 85).all()  # what single samples would say
    assert (covered[1] >= 88).all()


def test_pools_that_cannot_bound_or_split_say_so() -> None:
    values, rows, pools = pooled(0)
    one = worst_cases("x", values, probabilities=(0.9,), pools=np.zeros_like(pools))
    assert "1200 samples from 1 pool cannot bound it, take more pools" in str(
        one.percentiles[0].note
    )
    assert split_variance("x", values, rows, pools=np.zeros_like(pools)).total.note == (
        "one pool: it has no standard error"
    )
    weights = np.linspace(1, 2, 1000)[rows] / 1500
    split = split_variance("x", values, rows, pools=pools, weights=weights)
    assert split.total.defined
    assert "unequal weights and samples come from pools" in str(split.rows)
    assert not split.resampling.defined
