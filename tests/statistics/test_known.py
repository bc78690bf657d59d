"""Estimates that use what is known: exact means, control variates, strata, functions of means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics import (
    FloatArray,
    IntArray,
    KnownMeans,
    Scores,
    Strata,
    Triples,
    along_last,
    compare_runs,
    mean_estimate,
    ratio_estimate,
    vector_distance,
)

N_ROWS = 300


def accept(runs: int, level: float = 0.95) -> tuple[float, float]:
    low, high = stats.binom.interval(0.9999, runs, level)
    return float(low) / runs, float(high) / runs


class Problem:
    """A behaviour on 300 rows whose scrubbed mean given a row is known."""

    def __init__(self, weights: FloatArray | None = None, slope: float = 0.6) -> None:
        rng = np.random.default_rng(1)
        self.weights = np.full(N_ROWS, 1 / N_ROWS) if weights is None else weights
        self.model = rng.exponential(1.0, N_ROWS)
        self.scrubbed = slope * self.model + 0.3
        self.randomized = 2 + 0.2 * self.model
        self.known = KnownMeans(self.weights, self.model, self.randomized[None])
        self.truth = float(self.weights @ self.scrubbed)

    def at(self, rows: IntArray, rng: np.random.Generator, **given: Any) -> Triples:
        noise = rng.normal(0, 0.3, len(rows))
        base = Triples("loss", self.scrubbed[rows] + noise, self.model[rows], rows=rows)
        return Triples(
            base.name, base.scrubbed, base.model, **{"rows": rows, "known": self.known, **given}
        )

    def draw(self, n: int, rng: np.random.Generator, **given: Any) -> Triples:
        return self.at(rng.choice(N_ROWS, n, p=self.weights).astype(np.int64), rng, **given)


def balanced(n: int, weights: FloatArray, rng: np.random.Generator) -> IntArray:
    """Rows as equally often as n and the weights allow, the rest by systematic sampling."""
    sure = np.floor(n * weights + 1e-9).astype(np.int64)
    order = rng.permutation(len(weights))
    ends = np.concatenate([[0.0], np.cumsum((n * weights - sure)[order])])
    sure[order] += np.diff(np.floor(ends - rng.random() + 1e-9)).astype(np.int64)
    return np.repeat(np.arange(len(weights)), sure)


def test_known_means_have_no_error_and_take_noise_off_the_rest() -> None:
    problem, rng = Problem(), np.random.default_rng(0)
    t = problem.draw(400, rng)
    scores = t.estimate()
    exact_model, exact_random = problem.model.mean(), problem.randomized.mean()
    assert scores.exact == ("model", "randomized")
    assert scores.model.mean == pytest.approx(exact_model, rel=1e-14)
    assert (scores.model.se, scores.randomized.se) == (0, 0)
    assert scores.model.interval == (scores.model.mean, scores.model.mean)
    assert scores.gap.mean == pytest.approx(scores.scrubbed.mean - exact_model, rel=1e-12)
    ratio = (scores.scrubbed.mean - exact_random) / (exact_model - exact_random)
    assert scores.recovered.mean == pytest.approx(100 * ratio, rel=1e-10)
    # What is left is the noise about the regression line, 0.3 a sample.
    assert scores.scrubbed.se == pytest.approx(0.3 / 20, rel=0.1)
    raw = t.scrubbed.std(ddof=1) / 20
    assert scores.factors["scrubbed"] == pytest.approx((raw / scores.scrubbed.se) ** 2, rel=1e-9)
    assert scores.factors["scrubbed"] > 3
    assert Scores.from_dict(scores.to_dict()) == scores


def test_no_sample_corrects_itself_so_there_is_no_bias_at_any_size() -> None:
    """With five samples a slope fitted on all of them would be biased by a fifth of its noise."""
    rng = np.random.default_rng(3)
    values = rng.exponential(1.0, 40)
    scrubbed = values**2
    known = KnownMeans(np.full(40, 1 / 40), values)
    means = []
    for _ in range(4000):
        rows = rng.integers(0, 40, 5)
        columns = Triples("m", scrubbed[rows], values[rows], rows=rows, known=known).columns()
        means.append(columns.main["gap"].mean())
    error = (np.mean(means) - (scrubbed.mean() - values.mean())) / (np.std(means) / math.sqrt(4000))
    assert abs(error) < 4


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_a_true_hypothesis_has_no_gap_to_the_bit(n: int) -> None:
    problem, rng = Problem(), np.random.default_rng(0)
    rows = rng.integers(0, N_ROWS, n)
    same = problem.model[rows]
    scores = Triples("m", same, same, rows=rows, known=problem.known).estimate()
    assert scores.gap.mean == 0
    assert scores.scrubbed.mean == scores.model.mean
    if n > 1:
        assert scores.recovered.interval == (100, 100)
        assert "no sample of" in scores.notes[0]


def coverage(
    make: Callable[[np.random.Generator], tuple[Triples, float]], runs: int = 250
) -> tuple[float, float]:
    """How often the interval of scrubbed covers, and the variance of its z-scores."""
    rng = np.random.default_rng(8)
    inside, scores = 0, []
    for run in range(runs):
        t, truth = make(rng)
        found = t.estimate(seed=run, resamples=200).scrubbed
        inside += found.interval[0] <= truth <= found.interval[1]
        scores.append((found.mean - truth) / found.se)
    assert abs(np.mean(scores)) < 4 * np.std(scores) / math.sqrt(runs)
    return inside / runs, float(np.var(scores))


def test_intervals_with_known_means_cover_at_their_level() -> None:
    problem = Problem()
    found, variance = coverage(lambda rng: (problem.draw(100, rng), problem.truth))
    assert accept(250)[0] <= found
    assert 0.7 < variance < 1.4


@pytest.mark.parametrize("n", [900, 1000])
def test_rows_drawn_in_balance_leave_the_draws_noise_alone(n: int) -> None:
    weights = np.ones(N_ROWS)
    weights[4] = 80
    problem = Problem(weights / weights.sum(), slope=-2.0)

    def make(rng: np.random.Generator) -> tuple[Triples, float]:
        rows = balanced(n, problem.weights, rng)
        return problem.at(rows, rng, balanced=True), problem.truth

    found, variance = coverage(make, 150)
    assert accept(150)[0] <= found
    assert 0.6 < variance < 1.5
    se = make(np.random.default_rng(0))[0].estimate(resamples=200).scrubbed.se
    assert se == pytest.approx(0.3 / math.sqrt(n), rel=0.35)


def test_strata_weigh_rows_as_the_data_does_and_have_two_samples_each() -> None:
    weights = np.array([0.5, 0.25, 0.125, 0.0625, 0.0625])
    rows = np.array([0] * 5 + [1] * 2 + [2] + [4])
    strata = Strata.of(rows, weights, np.arange(9.0))
    assert np.bincount(strata.labels).min() >= 2
    for row in (0, 1, 2):  # certain at nine samples: their samples count the row's weight
        assert strata.factors[rows == row].sum() == pytest.approx(9 * weights[row])
    assert strata.factors[rows == 4].sum() == 1
    kept = strata.on(rows < 2)
    assert kept.factors.sum() == pytest.approx(7)


def test_a_subset_and_a_head_keep_what_is_known() -> None:
    problem, rng = Problem(), np.random.default_rng(0)
    t = problem.draw(600, rng)
    inside = problem.model > 1
    assert t.rows is not None
    part = t.on(inside[t.rows], of_rows=inside).estimate()
    assert part.model.mean == pytest.approx(problem.model[inside].mean())
    assert part.model.se == 0
    assert part.randomized.mean == pytest.approx(problem.randomized[inside].mean())
    assert t.on(inside[t.rows]).estimate().model.se > 0  # rows that nothing is known of
    head = t.head(50).estimate()
    assert (head.model.mean, head.scrubbed.n) == (t.estimate().model.mean, 50)
    with pytest.raises(MetricError, match="of_rows must be 300 booleans"):
        t.on(inside[t.rows], of_rows=inside[:5])


def test_pairs_that_are_not_all_taken_have_an_error_of_their_own() -> None:
    problem, rng = Problem(), np.random.default_rng(0)
    some = problem.randomized + rng.normal(0, 1, (16, N_ROWS))
    known = KnownMeans(problem.weights, problem.model, some, pairs=16 * N_ROWS)
    scores = problem.draw(400, rng, known=known).estimate()
    assert scores.exact == ("model",)
    assert scores.randomized.mean == pytest.approx(some.mean())
    assert scores.randomized.se == pytest.approx(some.mean(axis=1).std(ddof=1) / 4)


def test_two_runs_are_compared_with_what_is_known_of_both() -> None:
    problem, rng = Problem(), np.random.default_rng(0)
    rows = rng.integers(0, N_ROWS, 400)
    one = problem.at(rows, rng)
    other = Triples("loss", one.model + 0.5, one.model, rows=rows, known=problem.known)
    found = compare_runs(one, other)
    wanted = one.estimate().scrubbed.mean - other.estimate().scrubbed.mean
    assert found.difference.mean == pytest.approx(wanted)
    points = one.estimate().recovered.mean - other.estimate().recovered.mean
    assert found.recovered.mean == pytest.approx(points)
    assert compare_runs(one, one).recovered.interval == (0, 0)
    unknown = Triples("loss", other.scrubbed, other.model)
    with pytest.raises(MetricError, match="known to one of them alone"):
        compare_runs(one, unknown)


def correlation(m: FloatArray) -> FloatArray:
    """Of columns x, y, x y, x^2, y^2."""
    found: FloatArray = (m[2] - m[0] * m[1]) / ((m[3] - m[0] ** 2) * (m[4] - m[1] ** 2)) ** 0.5
    return found


def columns_of(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.stack([x, y, x * y, x * x, y * y], axis=-1)


def test_a_function_of_means_has_its_own_interval() -> None:
    rng = np.random.default_rng(2)
    n = 200
    y = rng.normal(size=n)
    x = y + rng.normal(size=n)
    truth = np.corrcoef(x, y)[0, 1]
    known = KnownMeans(np.full(n, 1 / n), columns_of(x, y))
    inside = 0
    for run in range(150):
        rows = rng.integers(0, n, 300)
        swapped = rng.permutation(300)
        scrubbed = columns_of(np.where(rng.random(300) < 0.5, x[rows], x[rows][swapped]), y[rows])
        model = columns_of(x, y)[rows]
        t = Triples("r", scrubbed, model, rows=rows, known=known, of_means=correlation)
        found = t.estimate(seed=run, resamples=200)
        assert found.model.mean == pytest.approx(truth)
        inside += found.scrubbed.interval[0] <= truth / 2 <= found.scrubbed.interval[1]
    assert inside / 150 >= accept(150)[0]
    same = Triples("r", model, model, rows=rows, known=known, of_means=correlation).estimate()
    assert same.gap.mean == 0
    none = Triples("r", model, model, rows=rows, known=known, of_means=lambda m: (m[0] - 99) ** 0.5)
    assert "no finite value at the means of scrubbed, model" in str(none.estimate().scrubbed)


def test_functions_of_means_may_be_written_for_one_vector_or_for_many() -> None:
    means = np.random.default_rng(0).random((50, 5)) + 1
    wanted = means[:, 0] / means[:, 1]
    for fn in (
        lambda m: m[0] / m[1],
        lambda m: float(m[0]) / float(m[1]),
        lambda m: (m[0] / m[1]).clone(),  # torch's
        lambda m: math.exp(math.log(m[0]) - math.log(m[1])),
    ):
        np.testing.assert_allclose(along_last(fn)(means), wanted)
    assert np.isnan(along_last(lambda m: math.sqrt(-m[0]))(means[:1]))
    with pytest.raises(MetricError, match="gave 5 numbers"):
        along_last(lambda m: m)(means[:1])
    with pytest.raises(MetricError, match="the function of means failed: IndexError"):
        along_last(lambda m: m[7])(means[:1])


def test_a_vector_is_recovered_by_distances_with_intervals() -> None:
    rng = np.random.default_rng(2)
    n, inside = 200, 0
    model = rng.normal(size=(n, 3))
    elsewhere = model.mean(axis=0) + np.array([4.0, 0, 0])
    known = KnownMeans(np.full(n, 1 / n), model, np.broadcast_to(elsewhere, (1, n, 3)))
    for run in range(150):
        rows = rng.integers(0, n, 200)
        scrubbed = model[rows] + [0, 1.0, 0] + rng.normal(size=(200, 3))
        t = Triples("v", scrubbed, model[rows], rows=rows, known=known)
        found = t.estimate(seed=run, resamples=200).recovered
        inside += found.interval[0] <= 75 <= found.interval[1]
    assert inside / 150 >= accept(150)[0]
    assert found.mean == pytest.approx(75, abs=8)
    assert vector_distance("max", np.array([1.0, 5]), np.array([2.0, 2])) == 3


HEAVY = np.where(np.arange(400) == 7, 399.0, 1.0)


def test_a_row_with_half_the_mean_is_noted_drawn_or_not() -> None:
    known = KnownMeans(np.full(400, 1 / 400), HEAVY)
    rng = np.random.default_rng(0)
    missed = {True: 0, False: 0}
    for run in range(40):
        rows = rng.integers(0, 400, 100)
        scrubbed = np.where(rows == 7, 0.5, 1.0) * HEAVY[rows]
        found = Triples("loss", scrubbed, HEAVY[rows], rows=rows, known=known).estimate(seed=run)
        low, high = found.scrubbed.interval
        told = any("(7)" in note for note in found.notes)
        drawn = bool((rows == 7).any())
        assert told
        assert drawn != any("never a reference row" in note for note in found.notes)
        missed[drawn] += not low <= 0.5 * HEAVY[7] / 400 + 399 / 400 <= high
    assert missed[False] > 20  # no interval could know


def test_means_that_hang_on_few_samples_or_on_one_weight_are_noted() -> None:
    rng = np.random.default_rng(0)
    values = np.ones(500) + 0.01 * rng.random(500)
    values[:2] += 100
    notes = Triples("loss", values, np.ones(500)).estimate().notes
    assert "the mean of loss hangs on few samples: 5 of 500 hold" in notes[0]
    weights = np.full(N_ROWS, 1.0)
    weights[11] = 150
    problem = Problem(weights / weights.sum())
    notes = problem.draw(400, rng).estimate().notes
    assert "1 row of the data (11) has 33.4% of the weight" in notes[0]
    assert not Problem().draw(400, rng).estimate().notes


def test_what_is_not_all_recovered_is_never_shown_as_if_it_were() -> None:
    rng = np.random.default_rng(0)
    model = np.full(400, 1e-6)
    scrubbed = model + 3e-4 * rng.exponential(1.0, 400)
    known = KnownMeans(np.full(400, 1 / 400), model, np.full((1, 400), 58.0))
    found = Triples("loss", scrubbed, model, rows=np.arange(400), known=known).estimate()
    text = str(found.recovered)
    assert "100.0" not in text
    assert found.recovered.mean == pytest.approx(100 - 5e-4, abs=1e-4)
    assert found.recovered.note is not None
    assert "on a log scale" in found.recovered.note
    wanted = 100 * math.log(scrubbed.mean() / 58) / math.log(1e-6 / 58)
    assert found.log_recovered.mean == pytest.approx(wanted)
    true = Triples("loss", model, model, rows=np.arange(400), known=known).estimate()
    assert str(true.recovered) == "100.0% [100.0, 100.0]"


def test_one_interval_for_any_mean_or_ratio() -> None:
    rng = np.random.default_rng(0)
    values, base = rng.exponential(1.0, 300), rng.exponential(1.0, 300) + 3
    mean, direct = mean_estimate(values), Triples("m", values, values).estimate().model
    assert (mean.mean, *mean.interval) == pytest.approx((direct.mean, *direct.interval))
    ratio = ratio_estimate(values, base, scale=100, unit="%")
    assert ratio.mean == pytest.approx(100 * values.mean() / base.mean())
    assert ratio.interval[0] < ratio.mean < ratio.interval[1]
    assert ratio_estimate(values, 2.0).se == pytest.approx(mean.se / 2)


def test_what_is_known_must_fit_the_samples() -> None:
    one = np.ones(4)
    with pytest.raises(MetricError, match="give one value for each row in each"):
        KnownMeans(np.ones(3) / 3, one)
    with pytest.raises(MetricError, match="are not one metric's"):
        Triples("m", one, one, known=KnownMeans(one / 4, np.ones((4, 2))))
    with pytest.raises(MetricError, match="needs the reference rows"):
        Triples("m", one, one, balanced=True)
    with pytest.raises(MetricError, match="reference row of each of the 4 samples"):
        Triples("m", one, one, rows=np.zeros(3, np.int64))
    with pytest.raises(MetricError, match="on every row of the data"):
        Triples("m", one, one, known=KnownMeans(one / 4, one * np.nan))
