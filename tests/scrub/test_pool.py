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


def test_the_bias_told_holds_where_classes_differ_in_size_and_in_gap() -> None:
    rng = np.random.default_rng(1)
    n = 20_000
    # Half the data in one class that moves little; the rest in small classes that move much.
    kind = np.where(np.arange(n) < n // 2, 0, 1 + np.arange(n) % 20)
    y = torch.as_tensor(rng.normal(size=n) * np.where(kind == 0, 0.1, 3))
    h, _ = problem(n)
    data = cs.Dataset(y=y, kind=kind)
    metric = {"moved": lambda output, rows: (output - rows["y"]) ** 2}
    size, pools = 60, 400
    result = cs.scrub(h, data, metric, samples=40 * pools, pool=size, pools=pools, force=True)
    classes = data.classes("kind")
    inside = [y.numpy()[classes.ids == c].var() for c in range(classes.count)]
    whole = 2 * np.dot(inside, classes.mass)
    shift = result.scrubbed.mean - whole
    told = result.settings["pool"]["bias"]
    assert told == pytest.approx(shift, abs=4 * result.scrubbed.se)
    occupied = (1 - (1 - classes.mass) ** size).sum()
    alike = -whole * occupied / size  # as if all classes had one gap
    assert abs(alike - shift) > 8 * result.scrubbed.se, "the classes must matter"


@pytest.mark.parametrize("by", ["output", "baseline"])
def test_the_bias_of_the_randomized_mean_is_told(by) -> None:
    h, data = problem(20_000)
    size, pools = 50, 400
    metric = {"moved": lambda output, rows: (output - rows["y"]) ** 2}
    options = {}
    if by == "baseline":
        options["baseline"] = cs.Hypothesis(h.graph, cs.claim("out", cs.anything))
    result = cs.scrub(
        h, data, metric, samples=40 * pools, pool=size, pools=pools, force=True, **options
    )
    whole = 2 * data["y"].var(correction=0).item()
    wanted = -whole / size
    told = result.settings["pool"]["bias_randomized"]
    assert told == pytest.approx(wanted, rel=0.05)
    assert result.randomized.mean - whole == pytest.approx(wanted, abs=4 * result.randomized.se)
    assert f"E_randomized by {told:+.3g}" in str(result)


def several(n: int) -> tuple[cs.Hypothesis, cs.Dataset]:
    """A claim that matters, and one on a node that does not, of a much finer feature."""
    _, data = problem(n)
    graph = cs.Graph.build(
        inputs=["y"],
        nodes={
            "dead": (lambda y: y * 0, ["y"]),
            "carrier": (torch.clone, ["y"]),
            "out": (cs.add, ["carrier", "dead"]),
        },
        output="out",
    )
    data = data.with_fields(fine=torch.arange(n) // 40)
    root = cs.claim("out", cs.exact, cs.claim("dead", "fine"), cs.claim("carrier", "kind"))
    return cs.Hypothesis(graph, root, name="several"), data


def test_with_several_free_draws_the_bias_is_said_not_to_be_known(tmp_path) -> None:
    h, data = several(4000)
    metric = {"moved": lambda output, rows: (output - rows["y"]) ** 2}
    options = {"samples": 160, "pool": 100, "force": True}
    result = cs.scrub(h, data, metric, **options, out=tmp_path)
    told = result.settings["pool"]
    assert told["bias"] is None
    assert told["bias_randomized"] < 0
    assert "by how much for E_scrubbed is not known" in str(result)
    assert set(told["self_draw"]) == {"out", "out/dead", "out/carrier"}
    assert told["self_draw"]["out/dead"]["pool"] > 0.5
    assert told["self_draw"]["out/dead"]["data"] == pytest.approx(1 / 40)
    assert cs.load(tmp_path).settings["pool"] == told
    # One of the draws made exact, the other is free alone.
    one = h.with_(root=cs.claim("out", cs.exact, cs.claim("dead", cs.exact),
                                cs.claim("carrier", "kind")))  # fmt: skip
    assert cs.scrub(one, data, metric, **options).settings["pool"]["bias"] < 0
    exact = h.with_(root=cs.claim("out", cs.exact))
    assert cs.scrub(exact, data, metric, **options).settings["pool"]["bias"] == 0
    means = one.with_(
        root=cs.claim("out", cs.exact, cs.claim("carrier", "kind")),
        ablation="mean",
    )
    assert cs.scrub(means, data, metric, **options).settings["pool"]["bias"] is None
    vector = {"both": lambda output, rows: torch.stack([output, -output], 1)}
    assert cs.scrub(one, data, vector, **options).settings["pool"]["bias"] is None


def test_tied_claims_each_have_their_share() -> None:
    h, data = several(2000)
    tied = h.with_(
        root=cs.claim("out", cs.exact, cs.claim("dead", "kind", tie="both"),
                      cs.claim("carrier", "kind", tie="both"))
    )  # fmt: skip
    told = cs.scrub(tied, data, samples=80, pool=400).settings["pool"]
    assert told["self_draw"]["out/dead"] == told["self_draw"]["out/carrier"]
    assert told["bias"] is not None


def test_agreement_is_told_on_the_data_and_in_the_pools(tmp_path) -> None:
    h, data = problem(2000)
    result = cs.scrub(h, data, {"m": lambda o, r: o}, samples=80, pool=40, force=True)
    inside = result.settings["pool"]["agreement"]["out/carrier"]
    whole = next(row for row in result.agreement["table"] if row["draw"] == "out/carrier")
    assert inside["self_draw"] > 10 * whole["self_draw"]
    assert inside["classes"] <= whole["classes"] == CLASSES
    assert 0 <= inside["smallest"] <= 4 < whole["smallest"]
    page = result.report()
    assert "self-draw, in a pool" in page
    assert f"{inside['self_draw']:.2%}" in page
    assert f"{whole['self_draw']:.2%}" in page


def test_rows_alone_in_their_pool_are_stuck_though_not_alone_in_the_data() -> None:
    h, data = several(4000)
    alone = h.with_(root=cs.claim("out", cs.exact, cs.claim("dead", "fine")))
    result = cs.scrub(alone, data, samples=400, pool=40, force=True)
    drawn = result.draws
    fine = data["fine"].numpy()
    pools = Pools.choose(data, 40, 8, 400, 0)
    stuck = np.mean([
        (fine[pools.rows[pool]] == fine[row]).sum() == 1
        for row, pool in zip(drawn["reference"], drawn["pool"], strict=True)
    ])  # fmt: skip
    assert result.stuck == pytest.approx(stuck)
    assert 0.2 < stuck < 1
    assert cs.scrub(alone, data, samples=400).stuck == 0


@pytest.mark.parametrize(("samples", "count"), [(9, 8), (8, 8), (17, 4), (1000, 7)])
def test_all_pools_are_drawn_from_and_alike(samples, count) -> None:
    h, data = problem(100)
    pools = Pools.choose(data, 50, count, samples, seed=2)
    drawn = PoolSampler(h, data, 2, pools).draw(0, samples).rows["~pool"]
    shares = np.bincount(drawn, minlength=count)
    assert len(shares) == count
    assert shares.sum() == samples
    assert shares.max() - shares.min() <= 1
    result = cs.scrub(
        h, data, {"m": lambda o, r: o}, samples=samples, pool=50, pools=count, force=True
    )
    assert result.draws["pool"].nunique() == count == result.settings["pool"]["pools"]


def test_a_baseline_that_a_pool_biases_is_refused_too() -> None:
    h, data = several(2000)
    fine = h.with_(root=cs.claim("out", cs.exact, cs.claim("carrier", "fine")))
    coarse = h.with_(root=cs.claim("out", cs.exact, cs.claim("carrier", "kind")))
    with pytest.raises(cs.ScrubError, match=r"out/carrier: .* in the pool, 2\.5% in all"):
        cs.scrub(coarse, data, {"m": lambda o, r: o}, samples=80, pool=400, baseline=fine)


def test_the_interval_over_pools_covers_the_mean_over_pools() -> None:
    h, data = problem(3000)
    size, share, rounds = 40, 10, 200
    y = data["y"].numpy()
    kept = []
    for seed in range(rounds):
        pools = Pools.choose(data, size, 8, 8 * share, seed)
        draw = PoolSampler(h, data, seed, pools).draw(0, 8 * share)
        moved = (y[draw.rows["out/carrier"]] - y[draw.rows["~ref"]]) ** 2
        triples = cs._statistics.Triples(
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


def test_what_is_beyond_the_mean_counts_pools() -> None:
    h, data = problem(5000)
    metric = {"moved": lambda output, rows: (output - rows["y"]) ** 2}
    options = {"samples": 1200, "pool": 60, "pools": 6, "force": True}
    result = cs.scrub(h, data, metric, keep_outputs=True, **options)
    functions = result.compare_functions()
    assert functions.mean_change.se == pytest.approx(result.gap.se)
    assert functions.mean_change.interval == pytest.approx(result.gap.interval)
    laws = result.compare_distributions()
    assert laws.output is not None
    assert {test.pools for test in (*laws.behaviour.tests, *laws.output.tests)} == {6}
    plain = cs.scrub(h, data, metric, samples=1200)
    assert plain.compare_distributions().behaviour.tests[0].pools == 0
    at = [one.percentiles[1].note for one in (result.worst_cases(), plain.worst_cases())]
    assert at == [None, None]
    assert result.worst_cases().percentiles[1].se > plain.worst_cases().percentiles[1].se
    assert result.split_variance().total.se != plain.split_variance().total.se


def test_a_rise_is_told_in_percentage_points() -> None:
    h, data = problem(2000)
    told = str(cs.scrub(h, data, {"out": lambda output, rows: output}, samples=400, pool=500))
    share = cs.scrub(h, data, {"out": lambda output, rows: output}, samples=400, pool=500)
    drawn = share.settings["pool"]["self_draw"]["out/carrier"]
    rise = 100 * (drawn["pool"] - drawn["data"])
    assert f"up to {rise:.2f} percentage points more often" in told
    assert f"{drawn['data']:.2%} of draws on the data, {drawn['pool']:.2%} in a pool" in told
