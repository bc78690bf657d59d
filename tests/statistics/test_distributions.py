from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist

from causal_scrubbing._errors import MetricError
from causal_scrubbing._metrics import output_measures
from causal_scrubbing._statistics import compare_distributions, compare_functions


def test_scalars_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=200).round(1), rng.normal(0.5, 2, size=200).round(1)
    found = compare_distributions("loss", x, y)
    assert found.distance == pytest.approx(stats.wasserstein_distance(x, y))
    wasserstein, swaps, textbook = found.tests
    assert wasserstein.statistic == pytest.approx(found.distance)
    assert swaps.statistic == pytest.approx(textbook.statistic)
    assert textbook.p_value == pytest.approx(stats.ks_2samp(x, y, method="asymp").pvalue)
    assert wasserstein.p_value == 1 / 1000
    assert found.model[3] == np.median(x)
    json.dumps(found.to_dict(), allow_nan=False)
    assert "independent of each other" in str(found)


def test_equal_samples_are_at_distance_zero_exactly() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3)) * 1e-9
    for part in (values, values[:, 0]):
        found = compare_distributions("x", part, part, note="equal by construction")
        assert found.distance == 0
        assert [test.p_value for test in found.tests] == [1.0] * len(found.tests)
        assert str(found).endswith("equal by construction")


def test_energy_distance_is_its_definition() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.normal(0.5, 1, size=(60, 3))
    found = compare_distributions("out", torch.tensor(x).reshape(60, 3, 1), torch.tensor(y))
    expected = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    assert found.energy == pytest.approx(expected)
    assert found.tests[0].p_value < 0.01
    assert 0 < found.distance < float(np.linalg.norm(x - y, axis=1).mean())
    assert "sliced Wasserstein" in str(found)


@pytest.mark.parametrize("width", [1, 3])
def test_p_values_are_uniform_for_exchangeable_pairs_that_depend(width: int) -> None:
    rng = np.random.default_rng(1)
    found: list[list[float]] = []
    for run in range(150):
        shared = rng.exponential(1.0, size=(40, width))
        x, y = (shared + rng.normal(0, 0.3, size=shared.shape) for _ in range(2))
        tests = compare_distributions("x", x, y, seed=run, permutations=99).tests
        found.append([test.p_value for test in tests])
    p_values = np.array(found)
    exact = p_values[:, :2] if width == 1 else p_values
    for column in exact.T:
        assert (column <= 0.05).mean() <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 150)
        assert (column <= 0.5).mean() >= 0.3
    if width == 1:  # what its assumption says: dependence makes the textbook test timid
        assert (p_values[:, 2] <= 0.5).mean() < 0.1


def test_swaps_hold_their_level_for_equal_laws_that_do_not_exchange() -> None:
    rng = np.random.default_rng(2)
    # A cyclic shift of a uniform has the same law; the pair (u, u + 0.3 mod 1) is not exchangeable.
    rejected = 0
    for run in range(200):
        u = rng.random(200)
        tests = compare_distributions("u", u, (u + 0.3) % 1, seed=run, permutations=99).tests
        rejected += tests[0].p_value <= 0.05
    assert rejected <= 10 + 4 * math.sqrt(200 * 0.05 * 0.95)


def test_many_samples_are_tested_on_some_of_the_pairs() -> None:
    x = np.random.default_rng(0).normal(size=12_000)
    found = compare_distributions("x", x, x + 0.2, permutations=99)
    assert found.n == 12_000
    assert found.tests[0].pairs == 10_000
    assert found.distance == pytest.approx(0.2)


def test_bad_samples_are_refused() -> None:
    with pytest.raises(MetricError, match=r"shape \[3, 1\] and the scrubbed \[2, 1\]"):
        compare_distributions("x", np.ones(3), np.ones(2))
    with pytest.raises(MetricError, match="1 of 2 scrubbed values are not finite"):
        compare_distributions("x", np.ones(2), np.array([1.0, np.nan]))


def test_a_cosine_in_place_of_a_sine_is_seen_input_by_input() -> None:
    # The hypothesis cannot tell x from pi/2 - x, so it gives sin(x) or cos(x), each half the time.
    x = (torch.arange(16).double() + 0.5).mul(2 * math.pi / 16).repeat_interleave(2)
    swapped = torch.where(torch.arange(32) % 2 == 0, x, math.pi / 2 - x)
    own, scrubbed = torch.sin(x), torch.sin(swapped)
    target = torch.sin(x + math.pi / 4)
    loss = {"model": (own - target) ** 2, "scrubbed": (scrubbed - target) ** 2}
    found = compare_functions(
        output_measures(scrubbed, own, logits=False),
        model=loss["model"].numpy(),
        scrubbed=loss["scrubbed"].numpy(),
        rows=np.repeat(np.arange(16), 2),
        worst=3,
    )
    assert found.mean_change.mean == pytest.approx(0, abs=1e-12)
    assert found.cancelled == pytest.approx(100)
    squared = {m.name: m for m in found.measures}["squared_error"]
    assert squared.scrubbed.mean == pytest.approx(0.5)
    assert not squared.randomized.defined
    assert found.better.mean == found.worse.mean > 0
    assert found.better.mean + found.worse.mean + found.same.mean == pytest.approx(100)
    # |sin x - cos x| is largest at 3 pi / 4 and 7 pi / 4: rows 5, 6, 13, 14.
    assert {bad.row for bad in found.worst} <= {5, 6, 13, 14}
    assert found.worst[0].samples == 2
    assert "100.0% of the change cancels" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_functions_of_logits() -> None:
    generator = torch.Generator().manual_seed(0)
    own, scrubbed, random = (torch.randn(40, 3, generator=generator) for _ in range(3))
    measures = output_measures(scrubbed, own, logits=True)
    assert list(measures) == ["kl", "agreement", "total_variation", "distance", "squared_error"]
    loss = np.arange(40.0)
    found = compare_functions(
        measures,
        randomized=output_measures(random, own, logits=True),
        model=loss,
        scrubbed=loss + np.where(loss < 10, -1.0, 0.0),
        rows=np.arange(40),
        lower_is_better=False,
    )
    assert (found.better.mean, found.worse.mean, found.same.mean) == (0, 25, 75)
    agreement = {m.name: m for m in found.measures}["agreement"]
    assert agreement.scrubbed.mean == (own.argmax(1) == scrubbed.argmax(1)).double().mean()
    assert agreement.randomized.defined
    assert found.worst[0].measure == measures["kl"].max()
    assert found.cancelled == 0
    assert "a random row's" in str(found)


def test_infinite_kl_has_no_mean_and_nothing_changed_is_said() -> None:
    loss = np.ones(4)
    measures = {"kl": np.array([0.0, np.inf, 0.0, 0.0])}
    found = compare_functions(measures, model=loss, scrubbed=loss, rows=np.arange(4))
    assert "infinite or NaN on 1 of 4" in str(found.measures[0].scrubbed)
    assert math.isnan(found.cancelled)
    assert "nothing changes" in str(found)
    assert found.worst[0].row == 1
    with pytest.raises(MetricError, match="no measure was given"):
        compare_functions({}, model=loss, scrubbed=loss, rows=np.arange(4))
    two = np.ones((4, 2))
    with pytest.raises(MetricError, match="vector of 2 numbers"):
        compare_functions(measures, model=two, scrubbed=two, rows=np.arange(4))


def in_pools(seed: int, width: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of one law, whose members lean apart by pool: model, scrubbed, pool of each."""
    rng = np.random.default_rng(seed)
    pools = np.repeat(np.arange(12), 25)
    lean = rng.normal(size=(12, width))[pools]
    model, noise = rng.normal(size=(2, 300, width))
    return model + lean, noise - lean, pools * 3


@pytest.mark.parametrize("width", [1, 2])
def test_swaps_of_pools_reject_at_their_level(width: int) -> None:
    p_values = []
    for seed in range(60):
        model, scrubbed, pools = in_pools(seed, width)
        options: dict[str, Any] = {"seed": seed, "permutations": 99}
        alone = compare_distributions("x", model, scrubbed, **options)
        whole = compare_distributions("x", model, scrubbed, pools=pools, **options)
        p_values.append((alone.tests[0].p_value, whole.tests[0].p_value))
    rejected = (np.array(p_values) <= 0.05).mean(axis=0)
    assert rejected[0] > 0.3  # what single pairs would say
    assert rejected[1] <= 0.13
    assert len(whole.tests) == (2 if width == 1 else 1)
    assert all(test.pools == 12 for test in whole.tests)
    assert "from 12 pools (pools are swapped whole" in str(whole)
    assert "textbook" not in str(whole)


def test_functions_count_samples_and_say_so() -> None:
    # One input whose four samples go up and down, and three on which nothing moves.
    rows = np.array([7, 7, 7, 7, 1, 2, 3])
    model = np.zeros(7)
    scrubbed = np.array([1.0, -1, 1, -1, 0, 0, 0])
    found = compare_functions({"d": np.abs(scrubbed)}, model=model, scrubbed=scrubbed, rows=rows)
    assert (found.samples, found.rows) == (7, 4)
    assert found.better.mean == pytest.approx(200 / 7)
    assert "7 samples on 4 rows: better 28.6%" in " ".join(str(found).split())
    assert "100.0% of the change cancels between samples" in str(found)
    assert "inputs better" not in str(found)


def test_functions_take_pools_for_units() -> None:
    model, scrubbed, pools = (part.reshape(-1) for part in in_pools(0))
    change = {"distance": np.abs(scrubbed - model)}
    options: dict[str, Any] = {"model": model, "scrubbed": scrubbed, "rows": np.arange(300)}
    alone = compare_functions(change, **options)
    whole = compare_functions(change, pools=pools, **options)
    assert whole.mean_change.se > 2 * alone.mean_change.se
    assert whole.measures[0].scrubbed.se > alone.measures[0].scrubbed.se
