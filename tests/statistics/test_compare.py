from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from scipy import stats

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics import (
    BLOCKS,
    Triples,
    benjamini_hochberg,
    compare_runs,
    holm,
    own_row_samples,
    swap_test_of_mean,
)


def pair(n: int, shift: float, seed: int = 0) -> tuple[Triples, Triples]:
    rng = np.random.default_rng(seed)
    model = rng.exponential(0.1, n)
    shared = rng.exponential(0.3, n)
    randomized = model + rng.exponential(1.0, n)
    first = model + shared + shift + rng.normal(0, 0.05, n)
    second = model + shared + rng.normal(0, 0.05, n)
    return Triples("a", first, model, randomized), Triples("b", second, model, randomized)


def test_paired_difference_sees_what_two_separate_intervals_do_not() -> None:
    first, second = pair(300, 0.02)
    found = compare_runs(first, second, seed=1)
    change = first.scrubbed - second.scrubbed
    assert found.difference.mean == pytest.approx(change.mean())
    assert found.difference.se == pytest.approx(change.std(ddof=1) / math.sqrt(300))
    assert found.difference.interval[0] > 0
    assert found.p_value < 0.001
    separate = first.estimate().scrubbed, second.estimate().scrubbed
    assert separate[0].interval[0] < separate[1].interval[1]
    recovered = first.estimate().recovered.mean - second.estimate().recovered.mean
    assert found.recovered.mean == pytest.approx(recovered)
    assert found.recovered.interval[1] < 0
    assert "exact if swapping" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_run_against_itself_differs_by_exactly_nothing() -> None:
    first, _ = pair(50, 0.0)
    found = compare_runs(first, first)
    assert (found.difference.mean, found.difference.interval) == (0, (0, 0))
    assert found.recovered.mean == 0
    assert found.p_value == 1


def test_small_samples_try_every_swap() -> None:
    differences = np.array([0.3, -0.1, 0.5, 0.2, 0.9])
    totals = [abs(np.dot(s, differences)) for s in itertools.product((1, -1), repeat=5)]
    expected = np.mean(np.array(totals) >= abs(differences.sum()) - 1e-12)
    assert swap_test_of_mean(differences, seed=0, permutations=99) == (expected, 32)


@pytest.mark.parametrize("n", [30, BLOCKS + 900])
def test_p_values_are_uniform_where_nothing_differs(n: int) -> None:
    rng = np.random.default_rng(4)
    runs = 300 if n == 30 else 40
    p_values = [
        swap_test_of_mean(rng.standard_t(3, n), seed=run, permutations=199)[0]
        for run in range(runs)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_swapping_pools_keeps_the_level_where_samples_depend() -> None:
    rng = np.random.default_rng(4)
    rejected = {"pools": 0, "samples": 0}
    pools = np.repeat(np.arange(10), 20)
    for run in range(200):
        differences = rng.normal(size=10)[pools] + rng.normal(size=200)
        for name, given in (("pools", pools), ("samples", None)):
            p_value, _ = swap_test_of_mean(differences, seed=run, permutations=199, pools=given)
            rejected[name] += p_value <= 0.05
    assert rejected["pools"] <= 22  # 10 expected; 22 is four standard deviations more
    assert rejected["samples"] > 50


def test_unpaired_runs_are_refused() -> None:
    first, second = pair(20, 0.0)
    other, _ = pair(20, 0.0, seed=1)
    with pytest.raises(MetricError, match="the model's own values differ"):
        compare_runs(first, other)
    with pytest.raises(MetricError, match="one has 20 samples and the other 10"):
        compare_runs(first, second.on(np.arange(20) < 10))
    two = np.ones((20, 2))
    with pytest.raises(
        MetricError, match=r"behaviour 'a' is a vector of 2 .* compare a component, a\[0\]"
    ):
        compare_runs(Triples("a", two, two), Triples("b", two, two))
    pooled = Triples("c", second.scrubbed, second.model, pools=np.arange(20))
    with pytest.raises(MetricError, match="other pools"):
        compare_runs(first, pooled)


def test_recovered_difference_is_undefined_where_a_part_is() -> None:
    first, second = pair(40, 0.1)
    bare = Triples("b", second.scrubbed, second.model)
    assert "no randomized values" in str(compare_runs(first, bare).recovered)
    flat = Triples("b", second.scrubbed, second.model, second.model)
    assert "undefined for the second run" in str(compare_runs(first, flat).recovered)


def test_adjusted_p_values() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert holm(p_values).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    adjusted = benjamini_hochberg(p_values)
    assert adjusted.tolist() == pytest.approx([0.02, 0.04, 0.04, 0.02])
    p = np.random.default_rng(0).random(40)
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
    assert len(holm([])) == 0
    with pytest.raises(MetricError, match="numbers from 0 to 1"):
        holm([0.5, 1.5])


def test_holm_keeps_the_chance_of_any_false_rejection() -> None:
    p = np.random.default_rng(0).random((2000, 8))
    rejections = np.mean([holm(row).min() <= 0.05 for row in p])
    assert rejections <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 2000)


def test_samples_that_test_nothing() -> None:
    data = Dataset(x=[0, 0, 1, 2], y=[0, 1, 1, 2])
    classes = [data.classes("x"), data.classes("y")]
    rows = np.array([0, 2, 3, 3])
    # x: rows 2 and 3 stand alone; y: rows 0 and 3.
    assert own_row_samples(classes, [rows, rows]).tolist() == [False, False, True, True]
    assert own_row_samples(classes[:1], [rows]).tolist() == [False, True, True, True]
    assert not own_row_samples(classes, [rows, np.array([1, 1, 1, 1])]).any()
