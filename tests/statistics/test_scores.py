from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics import (
    BLOCKS,
    FloatArray,
    Group,
    Triples,
    bca_interval,
    jackknife,
    quantile_interval,
    resampled_means,
)


def triples(n: int, seed: int = 0, loss: float = 0.1) -> Triples:
    rng = np.random.default_rng(seed)
    model = rng.exponential(0.1, n)
    return Triples("loss", model + rng.exponential(loss, n), model, model + rng.exponential(1.0, n))


def test_means_errors_and_ratio_are_the_definitions() -> None:
    t = triples(500)
    assert t.randomized is not None
    scores = t.estimate()
    for name in ("scrubbed", "model", "randomized"):
        values, estimate = getattr(t, name), getattr(scores, name)
        assert estimate.mean == pytest.approx(values.mean(), rel=1e-14)
        assert estimate.se == pytest.approx(values.std(ddof=1) / math.sqrt(500), rel=1e-10)
        assert estimate.interval[0] < estimate.mean < estimate.interval[1]
        assert estimate.n == 500
    change = t.scrubbed - t.model
    assert scores.gap.mean == pytest.approx(change.mean(), rel=1e-14)
    assert scores.gap.se == pytest.approx(change.std(ddof=1) / math.sqrt(500), rel=1e-10)
    ratio = (t.scrubbed.mean() - t.randomized.mean()) / (t.model.mean() - t.randomized.mean())
    assert scores.recovered.mean == pytest.approx(100 * ratio, rel=1e-12)
    # The delta method's variance of a ratio, written out.
    span = t.model - t.randomized
    residual = (t.scrubbed - t.randomized) - ratio * span
    delta = 100 * residual.std(ddof=1) / math.sqrt(500) / abs(span.mean())
    assert scores.recovered.se == pytest.approx(delta, rel=1e-2)


def test_same_seed_same_numbers_and_another_seed_other_intervals() -> None:
    t = triples(300)
    assert t.estimate(seed=3) == t.estimate(seed=3)
    assert t.estimate(seed=3).gap.interval != t.estimate(seed=4).gap.interval
    assert t.estimate(seed=3).gap.se == t.estimate(seed=4).gap.se


def coverage(draw: Callable[[np.random.Generator], tuple[Triples, str, float]], runs: int) -> float:
    rng = np.random.default_rng(11)
    inside = 0
    for run in range(runs):
        t, which, truth = draw(rng)
        low, high = getattr(t.estimate(seed=run, resamples=400), which).interval
        inside += low <= truth <= high
    return inside / runs


def accept(runs: int, level: float = 0.95) -> tuple[float, float]:
    """Coverages that a correct interval shows in all but about one in ten thousand tests."""
    low, high = stats.binom.interval(0.9999, runs, level)
    return float(low) / runs, float(high) / runs


def test_interval_of_a_skewed_loss_covers_at_its_level() -> None:
    def draw(rng: np.random.Generator) -> tuple[Triples, str, float]:
        loss = rng.exponential(1.0, 120)
        return Triples("loss", loss, loss), "scrubbed", 1.0

    low, high = accept(400)
    assert low <= coverage(draw, 400) <= high


def test_interval_of_recovered_covers_at_its_level() -> None:
    def draw(rng: np.random.Generator) -> tuple[Triples, str, float]:
        model = rng.exponential(0.1, 120)
        scrubbed = model + (rng.random(120) < 0.2) * rng.exponential(1.0, 120)
        return Triples("loss", scrubbed, model, rng.exponential(1.1, 120)), "recovered", 80.0

    low, high = accept(400)
    assert low <= coverage(draw, 400) <= high


def test_interval_of_accuracy_in_a_small_sample_covers_at_its_level() -> None:
    def draw(rng: np.random.Generator) -> tuple[Triples, str, float]:
        right = (rng.random(25) < 0.6).astype(np.float64)
        return Triples("accuracy", right, right), "model", 0.6

    low, high = accept(400)
    assert low - 0.01 <= coverage(draw, 400) <= high + 0.02  # 26 possible means: it is a lattice


def test_a_baseline_from_another_run_carries_its_own_uncertainty() -> None:
    def draw(rng: np.random.Generator) -> tuple[Triples, str, float]:
        model = rng.exponential(0.1, 200)
        scrubbed = model + 0.2
        return Triples("loss", scrubbed, model, baseline=rng.normal(1.1, 1, 60)), "recovered", 80.0

    low, high = accept(400)
    assert low <= coverage(draw, 400) <= high
    rng = np.random.default_rng(0)
    model = rng.exponential(0.1, 200)
    few, many = (
        Triples("loss", model + 0.2, model, baseline=rng.normal(1.1, 1, m)).estimate()
        for m in (60, 6000)
    )
    assert few.recovered.se > 5 * many.recovered.se
    assert (few.randomized.n, few.recovered.n) == (60, 200)


def test_interval_over_pools_covers_where_one_over_samples_does_not() -> None:
    rng = np.random.default_rng(5)
    inside = {"pools": 0, "samples": 0}
    for run in range(400):
        pools = np.repeat(np.arange(8), 30)
        values = rng.normal(0, 0.5, 8)[pools] + rng.normal(0, 1, 240)
        for name, given in (("pools", pools), ("samples", None)):
            t = Triples("m", values, values, pools=given)
            low, high = t.estimate(seed=run, resamples=200).model.interval
            inside[name] += low <= 0 <= high
    low, high = accept(400)
    assert low <= inside["pools"] / 400 <= high
    assert inside["samples"] / 400 < low


def test_pools_of_equal_size_are_students_interval_of_pool_means() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=60)
    estimate = Triples("m", values, values, pools=np.repeat([7, 3, 9], 20)).estimate().model
    means = values.reshape(3, 20).mean(axis=1)
    se = means.std(ddof=1) / math.sqrt(3)
    assert estimate.se == pytest.approx(se, rel=1e-10)
    half = se * float(stats.t.ppf(0.975, 2))
    assert estimate.interval == pytest.approx((means.mean() - half, means.mean() + half))
    one = Triples("m", values, values, values + 1, pools=np.zeros(60, np.int64)).estimate()
    assert one.model.note == "one pool: it has no standard error"
    assert "one pool" in str(one.recovered)


def test_recovered_is_exact_at_both_ends() -> None:
    t = triples(200)
    assert t.randomized is not None
    same = Triples("loss", t.model, t.model, t.randomized).estimate()
    assert same.recovered.mean == 100
    assert same.recovered.interval == (100, 100)
    assert same.gap.mean == same.gap.se == 0
    nothing = Triples("loss", t.randomized, t.model, t.randomized).estimate()
    assert nothing.recovered.mean == 0
    assert nothing.recovered.interval == (0, 0)


def test_recovered_is_undefined_where_the_denominator_may_be_zero() -> None:
    rng = np.random.default_rng(0)
    model = rng.normal(size=100)
    scores = Triples("loss", model, model, rng.normal(size=100)).estimate(level=0.5)
    assert not scores.recovered.defined
    assert "cannot be told apart" in str(scores.recovered)
    assert "Draw more samples" in str(scores.recovered)
    constant = Triples("loss", model, model, model).estimate()
    assert "[0.000, 0.000] and contains 0" in str(constant.recovered)
    moved = Triples("loss", model + 1, model, model).estimate()
    assert "[0.000, 0.000] and contains 0" in str(moved.recovered)


def test_without_a_baseline_recovered_says_what_to_do() -> None:
    scores = Triples("loss", np.ones(5), np.ones(5)).estimate()
    assert "randomize='NODE'" in str(scores.recovered)
    assert not scores.randomized.defined
    why = Triples("loss", np.ones(5), np.ones(5), why_not="not asked for").estimate()
    assert str(why.recovered) == "undefined: not asked for"


@pytest.mark.parametrize(("shift", "words"), [(-0.5, "above 100%"), (2.0, "below 0%")])
def test_outside_zero_to_hundred_is_explained(shift: float, words: str) -> None:
    t = triples(100)
    scores = Triples("loss", t.model + shift, t.model, t.randomized).estimate()
    assert scores.recovered.note is not None
    assert scores.recovered.note.startswith(words)
    assert triples(100).estimate().recovered.note is None


def test_one_sample_has_a_mean_and_nothing_else() -> None:
    scores = triples(1).estimate()
    assert scores.gap.defined
    assert math.isnan(scores.gap.se)
    assert scores.gap.note == "one sample: it has no standard error"
    assert "one sample cannot show" in str(scores.recovered)


@pytest.mark.parametrize("n", [2, 3, 9, 10, 11])
def test_few_samples_do_not_fail(n: int) -> None:
    low, high = triples(n).estimate().gap.interval
    assert low < high


@pytest.mark.parametrize("n", [3, 40, BLOCKS + 5])
def test_constants_are_constant_to_the_bit(n: int) -> None:
    scores = Triples("m", np.full(n, 0.1), np.full(n, 0.3), np.full(n, 0.7)).estimate()
    assert scores.scrubbed.interval == (0.1, 0.1)
    assert scores.gap.interval == (0.1 - 0.3, 0.1 - 0.3)
    assert scores.recovered.se == 0
    assert scores.recovered.mean == pytest.approx(150)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([1.0, math.nan, math.inf], "2 of 3 scrubbed values are not finite .1 NaN, 1 infinite; "),
        ([1.0, 2.0], r"model has shape \[3\] and scrubbed \[2\]"),
        ([], "there is no sample"),
    ],
)
def test_values_no_statistic_can_use_are_refused(bad: list[float], words: str) -> None:
    with pytest.raises(MetricError, match=f"metric 'loss'.*{words}"):
        Triples("loss", np.array(bad), np.ones(3))


def test_settings_and_inputs_are_checked() -> None:
    one = np.ones(4)
    with pytest.raises(MetricError, match="both randomized and baseline"):
        Triples("m", one, one, one, baseline=one)
    with pytest.raises(MetricError, match=r"baseline has shape .* same metric"):
        Triples("m", one, one, baseline=np.ones((4, 2)))
    with pytest.raises(MetricError, match="pools must be 4 integers"):
        Triples("m", one, one, pools=np.zeros(3, np.int64))
    with pytest.raises(MetricError, match="level is 95"):
        Triples("m", one, one).estimate(level=95)
    with pytest.raises(MetricError, match="resamples is 10"):
        Triples("m", one, one).estimate(resamples=10)


def test_a_subset_is_the_estimate_of_the_kept_samples() -> None:
    t = triples(400)
    mask = np.arange(400) % 3 == 0
    assert t.randomized is not None
    direct = Triples("loss", t.scrubbed[mask], t.model[mask], t.randomized[mask])
    assert t.on(mask).estimate() == direct.estimate()
    with pytest.raises(MetricError, match="keeps none of the 400 samples"):
        t.on(np.zeros(400, bool))
    with pytest.raises(MetricError, match="must be 400 booleans"):
        t.on(np.arange(5))


def test_a_subset_needs_the_same_subset_of_a_baseline_on_other_rows() -> None:
    rng = np.random.default_rng(0)
    t = Triples("loss", rng.normal(size=50), rng.normal(size=50), baseline=rng.normal(9, 1, 30))
    mask = np.arange(50) < 20
    assert "was not restricted" in str(t.on(mask).estimate().recovered)
    assert t.on(mask, baseline=np.arange(30) < 10).estimate().randomized.n == 10


def test_blocks_give_the_same_uncertainty_as_single_samples() -> None:
    rng = np.random.default_rng(0)
    values = np.sort(rng.exponential(1.0, BLOCKS * 4 + 123))  # sorted: blocks must not see order
    group = Group(values[:, None])
    means = resampled_means([group], seed=0, resamples=1000)[:, 0]
    se = float(jackknife([group], lambda m: m).se[0])
    assert means.std(ddof=1) == pytest.approx(se, rel=0.1)
    assert means.mean() == pytest.approx(values.mean(), abs=se / 5)


def test_a_ratio_that_hangs_on_one_sample_has_no_error() -> None:
    values = np.array([[1.0, 1.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])

    def ratio(means: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            return means[..., :1] / means[..., 1:]

    assert np.isnan(jackknife([Group(values)], ratio).se).all()


def test_acceleration_is_the_skewness_of_the_mean() -> None:
    values = np.random.default_rng(0).exponential(1.0, 50)
    found = float(jackknife([Group(values[:, None])], lambda m: m).acceleration[0])
    assert found == pytest.approx(float(stats.skew(values)) / (6 * math.sqrt(50)), rel=1e-9)


def test_vector_gap_is_a_distance_with_an_interval_that_covers_zero() -> None:
    rng = np.random.default_rng(2)
    inside = {0.0: 0, 0.5: 0}
    for run in range(200):
        for length in inside:
            model = rng.normal(size=(100, 4))
            scrubbed = model + rng.normal(size=(100, 4)) + np.array([length, 0, 0, 0])
            low, high = Triples("v", scrubbed, model).estimate(seed=run, resamples=200).gap.interval
            inside[length] += low <= length <= high
    assert min(inside.values()) >= accept(200)[0] * 200


def test_vector_behaviours_take_any_distance_and_have_components() -> None:
    rng = np.random.default_rng(0)
    model, shift = rng.normal(size=(80, 3)), np.array([3.0, 4.0, 0.0])
    t = Triples("v", model + shift, model, rng.normal(5, 1, size=(80, 3)))

    def l1(a: FloatArray, b: FloatArray) -> float:
        return float(np.abs(a - b).sum())

    for distance, truth in (("euclidean", 5), ("manhattan", 7), ("max", 4), (l1, 7)):
        gap = t.estimate(distance=distance).gap
        assert gap.mean == pytest.approx(truth)
        assert gap.interval[0] <= truth <= gap.interval[1]
    scores = t.estimate()
    assert "vector of 3 numbers" in str(scores.scrubbed)
    assert t.randomized is not None
    far = float(np.linalg.norm((t.randomized - model).mean(axis=0)))
    assert scores.recovered.mean == pytest.approx(100 * (1 - 5 / far))
    assert scores.recovered.interval[0] < scores.recovered.mean < scores.recovered.interval[1]
    assert t.component(1).estimate().gap.mean == pytest.approx(4)
    assert t.component(1).name == "v[1]"
    assert "one sample" in str(Triples("v", model[:1], model[:1]).estimate().gap.note)
    with pytest.raises(MetricError, match="take one of"):
        t.estimate(distance="cosine")
    with pytest.raises(MetricError, match="a distance must be a number from 0 up"):
        t.estimate(distance=lambda a, b: -1.0)
    with pytest.raises(MetricError, match="the distance failed: IndexError"):
        t.estimate(distance=lambda a, b: a[9])
    torch_like = t.estimate(distance=lambda a, b: (a - b).norm())
    assert torch_like.gap.mean == pytest.approx(5)


def test_quantile_interval_is_distribution_free_and_open_where_it_must_be() -> None:
    ordered = np.arange(1.0, 101.0)
    low, high = quantile_interval(ordered, 0.5, 0.95)
    assert (low, high) == (40, 61)  # the textbook ranks for the median of 100
    assert quantile_interval(ordered, 0.999, 0.95)[1] == math.inf
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        low, high = quantile_interval(np.sort(rng.random(60)), 0.9, 0.95)
        inside += low <= 0.9 <= high
    assert inside / 400 >= accept(400)[0]


def test_rounding_of_replicates_that_equal_the_estimate_moves_no_interval() -> None:
    """Resampled means of a yes-or-no metric tie with the estimate, but for rounding."""
    rng = np.random.default_rng(0)
    exact = rng.binomial(50, 0.5, 1000) / 50
    ends = [
        bca_interval(exact + noise, 0.5, 0.0, n=50, level=0.95)
        for noise in (0.0, 1e-15, -1e-15, rng.choice([-1e-15, 1e-15], 1000))
    ]
    np.testing.assert_allclose(ends, [ends[0]] * 4, atol=1e-12)
