"""Pools: draws stay inside them, their bias is what the formula says, their interval covers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._sampling import Pools, PoolSampler, Sampler

CLASSES = 10


def problem(n: int, *, weighted: bool = False):
    rng = np.random.default_rng(5)
    kind = rng.integers(0, CLASSES, n)
    y = torch.as_tensor(kind + rng.normal(size=n))
    graph = cs.Graph.build(
        inputs=["y"], nodes={"carrier": (torch.clone, ["y"]), "out": (torch.clone, ["carrier"])},
        output="out",
    )  # fmt: skip
    weights = rng.uniform(0.1, 1, n) if weighted else None
    data = cs.Dataset(y=y, kind=kind, weights=weights)
    h = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("carrier", "kind")), name="leaf")
    return h, data


@pytest.mark.parametrize("weighted", [False, True])
def test_draws_from_a_pool_stay_in_it_and_agree(weighted) -> None:
    h, data = problem(500, weighted=weighted)
    pools = Pools.choose(data, 60, 3, 600, seed=1)
    sampler = PoolSampler(h, data, 1, pools)
    whole = sampler.draw(0, 600)
    pieces = [sampler.draw(a, b) for a, b in [(0, 150), (150, 410), (410, 600)]]
    kinds = data["kind"].numpy()
    for key, rows in whole.rows.items():
        assert np.array_equal(rows, np.concatenate([p.rows[key] for p in pieces]))
    for number, members in enumerate(pools.rows):
        assert len(set(members)) == 60
        part = slice(number * 200, (number + 1) * 200)
        assert (whole.rows["~pool"][part] == number).all()
        for key in ("~ref", "out/carrier", "~randomized"):
            assert set(whole.rows[key][part]) <= set(members)
    assert np.array_equal(kinds[whole.rows["~ref"]], kinds[whole.rows["out/carrier"]])
    assert not np.array_equal(pools.rows[0], pools.rows[1])


def test_a_pool_of_all_rows_has_the_law_of_the_whole_dataset() -> None:
    h, data = problem(40, weighted=True)
    sampler = PoolSampler(h, data, 0, Pools.choose(data, 40, 2, 40_000, seed=0))
    counts = np.bincount(sampler.draw(0, 40_000).rows["~ref"], minlength=40)
    expected = 40_000 * data.weights
    assert ((counts - expected) ** 2 / expected).sum() < 80  # chi-square, 39 degrees of freedom
    for inside, whole in sampler.self_draw.values():
        assert inside == pytest.approx(whole)


def test_the_bias_is_what_the_formula_says_for_one_leaf_claim() -> None:
    h, data = problem(20_000)
    size, pools = 100, 400
    metric = {"moved": lambda output, rows: (output - rows["y"]) ** 2}
    result = cs.scrub(h, data, metric, samples=40 * pools, pool=size, pools=pools, force=True)
    classes = data.classes("kind")
    y = data["y"].numpy()
    # E_scrubbed on the whole dataset: twice the variance within a class.
    whole = 2 * sum(y[classes.ids == c].var() * classes.mass[c] for c in range(CLASSES))
    occupied = (1 - (1 - classes.mass) ** size).sum()
    assert result.model.mean == 0
    wanted = (0 - whole) * occupied / size
    assert result.scrubbed.mean - whole == pytest.approx(wanted, abs=4 * result.scrubbed.se)
    assert abs(wanted) > 6 * result.scrubbed.se, "the bias must be large enough to see"
    told = result.settings["pool"]
    assert told["bias"] == pytest.approx(wanted, rel=0.1)
    share = told["self_draw"]["out/carrier"]
    assert share["pool"] == pytest.approx(occupied / size, rel=0.02)
    assert share["data"] == pytest.approx(CLASSES / 20_000)
    assert "400 pools of 100 rows" in str(result)


def test_the_interval_over_pools_covers_the_mean_over_pools() -> None:
    h, data = problem(3000)
    size, share, rounds = 40, 10, 200
    y = data["y"].numpy()
    kept = []
    for seed in range(rounds):
        pools = Pools.choose(data, size, 8, 8 * share, seed)
        draw = PoolSampler(h, data, seed, pools).draw(0, 8 * share)
        moved = (y[draw.rows["out/carrier"]] - y[draw.rows["~ref"]]) ** 2
        triples = cs._measure.Triples(
            "moved", moved, np.zeros_like(moved), pools=draw.rows["~pool"]
        )
        kept.append(triples.estimate().scrubbed)
    truth = np.mean([one.mean for one in kept])
    covered = np.mean([one.interval[0] <= truth <= one.interval[1] for one in kept])
    assert 0.90 <= covered <= 0.99
    assert kept[0].n == 8 * share


def test_a_pool_that_redraws_rows_as_themselves_is_refused_without_force() -> None:
    h, data = problem(2000)
    with pytest.raises(cs.ScrubError, match=r"out/carrier: .*% in the pool, 0\.5% in all.*force=T"):
        cs.scrub(h, data, {"m": lambda o, r: o}, samples=100, pool=50)
    result = cs.scrub(h, data, {"m": lambda o, r: o}, samples=100, pool=50, force=True)
    assert result.settings["pool"]["size"] == 50
    assert set(result.draws["pool"]) == set(range(8))
    assert result.scrubbed.n == 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": 1}, "pool=1: give a number of rows from 2 to the dataset's 2000"),
        ({"pool": 3000}, "pool=3000: give a number"),
        ({"pool": 100, "pools": 1}, "pools=1: the interval is over pools"),
        ({"pool": 100, "samples": 5}, "5 samples are too few for 8 pools"),
    ],
)
def test_pools_that_cannot_be_are_refused(options, message) -> None:
    h, data = problem(2000)
    with pytest.raises(cs.ScrubError, match=message):
        cs.scrub(h, data, {"m": lambda o, r: o}, **{"samples": 100, **options})


def test_a_pooled_run_saves_loads_and_resumes(tmp_path) -> None:
    h, data = problem(2000)
    options = {"samples": 400, "pool": 400, "out": tmp_path}
    first = cs.scrub(h, data, {"m": lambda o, r: o}, **options)
    loaded = cs.load(tmp_path, data=data)
    assert loaded.draws.equals(first.draws)
    assert loaded.scrubbed == first.scrubbed
    assert loaded.on(lambda d: d["kind"] < 5).scrubbed == first.on(lambda d: d["kind"] < 5).scrubbed
    again = cs.scrub(h, data, {"m": lambda o, r: o}, **options)
    assert again.samples.equals(first.samples)


def test_pools_do_not_change_what_an_unpooled_run_draws() -> None:
    h, data = problem(100)
    plain = Sampler(h, data, 3).draw(0, 50).rows["out/carrier"]
    pooled = PoolSampler(h, data, 3, Pools.choose(data, 50, 2, 50, 3)).draw(0, 50)
    assert not np.array_equal(plain, pooled.rows["out/carrier"])
