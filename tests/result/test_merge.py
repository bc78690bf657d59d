"""Runs put together are the run of all their samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from resumable import METRIC, problem

import causal_scrubbing as cs

H, DATA = problem(dtype=torch.float64)


def run(samples: int = 200, **options) -> cs.Result:
    return cs.scrub(H, DATA, METRIC, samples=samples, **options)


def assert_same_estimates(one: cs.Result, other: cs.Result) -> None:
    for name in ("model", "scrubbed", "randomized", "gap", "recovered"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.defined == b.defined
        np.testing.assert_allclose(
            [a.mean, a.se, *a.interval], [b.mean, b.se, *b.interval], 1e-9, 1e-12
        )


def test_ranges_of_one_seed_are_the_single_run(tmp_path) -> None:
    whole = run(600, seed=3)
    parts = [run(200, seed=3), run(150, seed=3, start=450), run(250, seed=3, start=200)]
    # In any order, and some merged before.
    for merged in (
        cs.merge([parts[2], parts[0], parts[1]]),
        cs.merge([cs.merge([parts[1], parts[0]]), parts[2]]),
    ):
        assert merged.draws.equals(whole.draws)
        np.testing.assert_allclose(merged.samples, whole.samples, rtol=1e-9, atol=1e-12)
        assert_same_estimates(merged, whole)
        assert merged.summary == whole.summary
        assert merged.stuck == whole.stuck
        assert "samples 0 to 599 of seed 3" in merged.notes[-1]
        for one, other in zip(merged.outputs or (), whole.outputs or (), strict=True):
            torch.testing.assert_close(one, other)
    merged.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run", data=DATA)
    assert cs.verify(tmp_path / "run", data=DATA)
    assert loaded.recovered == merged.recovered
    assert cs.merge([loaded, run(100, seed=4)]).recovered.n == 700
    assert "samples=600, seed=3" in merged.report()


def test_runs_of_other_seeds_are_independent_samples_of_one(tmp_path) -> None:
    seeds = (5, 1)
    merged = cs.merge([run(300, seed=seed) for seed in seeds])
    one = run(300, seed=1)
    assert len(merged) == 600
    np.testing.assert_array_equal(merged.samples["scrubbed"][:300], one.samples["scrubbed"])
    assert merged.scrubbed.se == pytest.approx(one.scrubbed.se / 2**0.5, rel=0.2)
    assert "merged of 2 ranges, seeds 1, 5" in merged.summary
    assert merged.settings["parts"][1] == {"seed": 5, "start": 0, "stop": 300}
    assert merged["squared"].exact == one["squared"].exact == ("model", "randomized")
    found = cs.verify(merged.save(tmp_path / "run"), data=DATA)
    assert found
    assert found.estimates
    assert "cs.merge([" in merged.report()
    with pytest.raises(cs.ScrubError, match="holds no plan: it was merged"):
        merged.explain()
    bundle = merged.bundle(tmp_path / "claim.zip")
    assert cs.verify(bundle)
    with pytest.raises(cs.ScrubError, match="was merged of several runs"):
        cs.rerun(bundle, graph=H.graph, metric=METRIC)


def test_sobol_runs_of_other_seeds_keep_their_scramblings() -> None:
    runs = [run(320, seed=seed, draw="sobol") for seed in (0, 1)]
    merged = cs.merge(runs)
    assert sorted(set(merged.drawn["~scrambling"])) == list(range(32))
    mean = np.mean([one.samples["scrubbed"].mean() for one in runs])
    assert merged.samples["scrubbed"].mean() == pytest.approx(mean)
    with pytest.raises(cs.ScrubError, match=r"as many samples each, .*these have 320, 160"):
        cs.merge([runs[0], run(160, seed=1, draw="sobol")])


def test_a_started_run_is_bundled_and_run_again(tmp_path) -> None:
    late = run(100, start=40)
    assert "seed 0 from sample 40" in late.summary
    again = cs.rerun(late.bundle(tmp_path / "claim.zip"), graph=H.graph, metric=METRIC)
    assert again.ok
    assert again.result.draws.equals(late.draws)


OTHER = H.with_(root=cs.claim("out", cs.exact, cs.claim("b", cs.anything)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [run()], "at least two runs"),
        (lambda: [run(), 3], "run 2 is 3, which is not a result"),
        (lambda: [run(), run(100, start=199)], "samples 199 to 199 of seed 0 are in two"),
        (lambda: [run(), cs.scrub(OTHER, DATA, METRIC)], "they differ in hypothesis"),
        (
            lambda: [run(), cs.scrub(H, DATA, {"other": METRIC["squared"]}, seed=1)],
            "they differ in metrics",
        ),
        (
            lambda: [run(), cs.scrub(H, DATA[:250], METRIC, seed=1)],
            "they differ in data",
        ),
        (
            lambda: [run(), cs.scrub(H, DATA, {"squared": lambda o, r: o[:, 0]}, seed=1)],
            "they differ in values of 'squared' of the model",
        ),
        (
            lambda: [run(draw="balanced"), run(draw="balanced", seed=1)],
            "balances reference rows over the samples of one run",
        ),
        (lambda: [run(), run(seed=1).on("sign")], "run 2 is on the subset 'sign'"),
        (lambda: [run(), run(seed=1, randomize="b")], "they differ in randomize"),
    ],
)
def test_what_is_not_one_run_is_refused(make, message: str) -> None:
    with pytest.raises(cs.ScrubError, match=message):
        cs.merge(make())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": -1}, "start=-1: give the number of the first sample"),
        ({"start": 5, "samples": "auto"}, r'start=5 needs samples= a number, not "auto"'),
        ({"start": 5, "draw": "sobol"}, "start=5 with draw='sobol'"),
    ],
)
def test_a_start_that_cannot_be_is_refused(options, message: str) -> None:
    with pytest.raises(cs.ScrubError, match=message):
        cs.scrub(H, DATA, METRIC, **options)


def test_a_known_mean_of_another_model_is_refused() -> None:
    one, other = run(), run(seed=1)
    known = one.known["squared"]
    off = replace(one, known={"squared": replace(known, model=known.model + 1)})
    with pytest.raises(cs.ScrubError, match="run 1 are not those that another run found"):
        cs.merge([off, other])
