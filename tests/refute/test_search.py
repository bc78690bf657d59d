"""What a search tries, tests and tells: ties across claims, rounding, power."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import problems
import pytest
import torch
from hypothesis import given, settings
from refutable import (
    across_claims,
    crowded,
    hash_game,
    interference,
    true_hypothesis,
    true_in_half_precision,
)

import causal_scrubbing as cs
from causal_scrubbing._algebra import block_form, same_swaps
from causal_scrubbing._refute import Candidates, power_of
from causal_scrubbing._refute import search_stages as course
from causal_scrubbing._trials import (
    WIDE,
    additions,
    batches,
    draw_entropy,
    field_features,
    found_features,
    one_test,
    speaking,
)

MODEL = "y taken whole (the model itself)"


def texts(found: cs.Refutation) -> list[str]:
    return [one.text for one in found.findings]


# --- what is found -----------------------------------------------------------------------------


def test_the_split_interference_term_is_caught_at_the_default_settings() -> None:
    tie = "unimportant half1 of y drawn together with unimportant half2 of y"
    for seed in range(12):
        h, data, metric = interference("separate")
        assert tie in texts(cs.refute(h, data, metric, seed=seed)), seed


@pytest.mark.parametrize("kind", ["unimportant", "claimed"])
def test_a_correlation_across_two_claims_is_found_in_nineteen_of_twenty(kind: str) -> None:
    caught = 0
    for seed in range(20):
        h, data = across_claims(kind, seed)
        found = cs.refute(h, data, activations=(), samples=600, seed=seed)
        wanted = {
            "unimportant": "unimportant parents of all claims drawn together",
            "claimed": "y/U/u drawn together with y/V/v, and y/U drawn together with y/V",
        }
        caught += wanted[kind] in texts(found)
    assert caught >= 19


def test_a_parity_of_three_claims_is_found_by_tying_all() -> None:
    s = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 2).repeat(25, 1)
    data = cs.Dataset(p=s[:, 0], q=s[:, 1], r=s[:, 0] * s[:, 1])
    nodes: dict[str, Any] = {"y": (lambda p, q, r: p * q * r, ["p", "q", "r"])}
    graph = cs.Graph.build(inputs=["p", "q", "r"], nodes=nodes, output="y")
    claims = (cs.claim(name, cs.anything) for name in "pqr")
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, *claims))
    found = cs.refute(h, data, samples=1000, activations=())
    assert texts(found) == ["all that y is computed from drawn together", MODEL]


def test_of_one_claim_refined_twelve_ways_and_another_both_are_told() -> None:
    h, data, metric = crowded()
    found = cs.refute(h, data, metric, activations=())
    assert any(text.startswith("y/a carries") for text in texts(found))
    assert any(text.startswith("y/b carries") for text in texts(found))
    assert any(note.startswith("left out of the confirmation") for note in found.notes)


def test_two_additions_that_do_more_than_either_are_tried_as_one() -> None:
    s = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 2).repeat(25, 1)
    data = cs.Dataset(p=s[:, 0], q=s[:, 1])
    nodes: dict[str, Any] = {"u": (torch.clone, ["p"]), "v": (torch.clone, ["p"]),
             "w": (torch.clone, ["q"]), "z": (torch.clone, ["q"])}  # fmt: skip
    nodes["y"] = (lambda u, v, w, z: u * v + w * z, ["u", "v", "w", "z"])
    graph = cs.Graph.build(inputs=["p", "q"], nodes=nodes, output="y")
    claims = (cs.claim(name, cs.anything) for name in "uvwz")
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, *claims))
    found = cs.refute(h, data, samples=1000, activations=(), fields=False)
    pairs = {one.text: one for one in found.findings if one.kind == "both"}
    both = "y/u drawn together with y/v; y/w drawn together with y/z"
    turned = "y/w drawn together with y/z; y/u drawn together with y/v"
    one = pairs.get(both) or pairs[turned]
    assert one.shift.mean == pytest.approx(2, abs=0.2)
    form = block_form(one.hypothesis)
    singles = [t.hypothesis for t in found.tested if t.text in both.split("; ")]
    assert same_swaps(block_form(cs.join(*singles)), form)


def test_where_nothing_is_found_the_gap_is_told_as_the_models_own_addition(monkeypatch) -> None:
    monkeypatch.setattr(course, "candidates", lambda *_, **__: Candidates([]))
    h, data = across_claims("unimportant", 0)
    found = cs.refute(h, data, samples=400)
    assert not found.refuted
    assert any("the model itself, with every draw tied" in note for note in found.notes)
    true, data, metric = true_hypothesis(0)
    assert not cs.refute(true, data, metric, samples=400).notes


# --- no false alarms ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rounding_refutes_no_true_hypothesis(dtype: torch.dtype) -> None:
    for seed in range(12):
        h, data, metric = true_in_half_precision(seed, dtype)
        for one in (None, metric):
            found = cs.refute(h, data, one, samples=300, seed=seed)
            assert not found.refuted, (seed, str(found))
            assert max(abs(t.shift.mean) for t in found.tested) < found.tolerance


def test_a_tolerance_given_rules_over_the_usual_one() -> None:
    h, data, _ = true_in_half_precision(0, torch.bfloat16)
    usual = cs.refute(h, data, samples=100, activations=())
    given = cs.refute(h, data, samples=100, activations=(), tolerance=0.0)
    assert given.tolerance < usual.tolerance


def test_few_samples_with_a_shift_are_not_taken_for_many() -> None:
    rare = np.zeros(4000)
    rare[:4] = 100.0
    assert speaking(rare) == pytest.approx(4)
    assert one_test(rare, 0.0).p >= 2.0**-3
    assert speaking(np.full(30, 2.0)) == pytest.approx(30)
    constant = one_test(np.full(4, 2.0), 0.0)
    assert constant.se == 0
    assert constant.p == pytest.approx(2.0**-3)
    assert one_test(np.full(4, 2.0), 3.0).p == 1


def test_the_power_told_is_had_by_an_addition_on_some_rows() -> None:
    """A planted shift as large as said is found at least as often as said, nearly."""
    kwargs: dict[str, Any] = {"samples": 500, "activations": (), "fields": False}
    hits, runs = 0, 20
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        junk: dict[str, Any] = {
            f"j{i}": torch.as_tensor(rng.integers(0, 2, 400)) for i in range(20)
        }
        few = rng.uniform(size=400) < 0.1
        sign = torch.as_tensor(rng.choice([-1.0, 1.0], 400))
        noise = torch.as_tensor(rng.normal(size=400))
        data = cs.Dataset(few=torch.as_tensor(few), s=sign, noise=noise, **junk)

        def problem(size: float, data: cs.Dataset = data, few: np.ndarray = few) -> cs.Hypothesis:
            nodes: dict[str, Any] = {
                "u": (torch.clone, ["s"]), "v": (torch.clone, ["s"]), "k": (torch.clone, ["few"]),
                "z": (torch.clone, ["noise"]),
                "y": (lambda u, v, k, z: z + size / few.mean() * k * u * v, ["u", "v", "k", "z"]),
            }  # fmt: skip
            graph = cs.Graph.build(inputs=["s", "few", "noise"], nodes=nodes, output="y")
            claims = (cs.claim("u", cs.anything), cs.claim("z", cs.anything))
            return cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("k", cs.exact), *claims))

        none = cs.refute(problem(0.0), data, features=list(junk), seed=seed, **kwargs)
        assert none.detectable is not None
        assert none.power.share <= 0.1
        found = cs.refute(problem(none.detectable), data, features=list(junk), seed=seed, **kwargs)
        hits += any("drawn together" in text for text in texts(found))
    assert hits >= 0.7 * runs


def test_power_is_not_told_where_no_addition_moved_a_sample() -> None:
    h, data, metric = true_hypothesis(1)
    found = cs.refute(h, data, metric, samples=300, activations=())
    assert found.detectable is None
    assert "is not known" in str(found)
    assert found.power.unseen == pytest.approx(3 / found.stages[0]["samples"])
    some = power_of([], [0.0] * 50 + [1.0] * 10, 400, 8, 0.05, 0.0)
    assert some.sd == pytest.approx(1.0)  # those that move nothing do not make the others small


# --- what is tried -----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(h=problems.hypotheses(), data=problems.datasets(most=4))
def test_every_addition_forbids_swaps_only(h: cs.Hypothesis, data: cs.Dataset) -> None:
    made, _ = additions(h, data, field_features(data), ())
    for one in made:
        told = cs.permits(one.hypothesis, h, data)
        assert told.relation in ("second permits more", "equal"), (one.text, str(told))
        assert one.bits == pytest.approx(
            max(0.0, draw_entropy(h, data) - draw_entropy(one.hypothesis, data)), abs=1e-9
        )


def two_sums(unimportant: Any) -> tuple[cs.Hypothesis, cs.Dataset]:
    s = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 2).repeat(25, 1)
    data = cs.Dataset(p=s[:, 0], q=s[:, 1])
    graph = cs.Graph.build(
        inputs=["p", "q"],
        nodes={
            "n": (torch.clone, ["p"]),
            "u": (lambda n, q: n + 0 * q, ["n", "q"]),
            "v": (lambda n, q: n + 0 * q, ["n", "q"]),
            "y": (torch.mul, ["u", "v"]),
        },
        output="y",
    )
    claims = (cs.claim(name, cs.anything, cs.claim("q", cs.anything)) for name in "uv")
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, *claims), unimportant=unimportant), data


def test_one_node_of_two_claims_is_drawn_apart_under_separate_and_that_is_shown() -> None:
    h, data = two_sums("together")
    for search in (cs.refute, cs.improve):
        found = search(h, data, samples=500, activations=())
        assert found.separate.mean == pytest.approx(0, abs=0.2)
        assert found.scores.scrubbed.mean == 1


def test_a_draw_shared_by_claims_is_tried_as_their_own_datum() -> None:
    h, data = two_sums("together")
    made, notes = additions(h, data, field_features(data), ())
    (one,) = [a for a in made if a.text == "unimportant n of y/u, y/v agree on exact"]
    root = one.hypothesis.root
    assert [c.others for c in root.children] == [cs.exact, cs.exact]
    assert [c.feature for c in root.children] == [cs.exact, cs.exact]
    assert cs.permits(one.hypothesis, h, data).relation == "second permits more"
    assert any("no feature but exact can be added" in note for note in notes)


def test_a_group_of_one_claim_is_searched_as_drawn_per_claim() -> None:
    h, data, metric = interference("together")
    found = cs.refute(h, data, metric, samples=300, activations=(), features=["x1"])
    assert any("the unimportant parents of y agree on x1" in c.text for c in found.candidates)
    assert found.hypothesis is h


def test_what_was_tried_is_told_one_by_one() -> None:
    h, data, metric = interference("separate")
    found = cs.refute(h, data, metric, samples=500)
    assert len(found.candidates) == sum(found.tried.values())
    confirmed = [c for c in found.candidates if c.confirmed]
    assert {c.text for c in confirmed} == {t.text for t in found.tested}
    assert all(c.samples > 0 for c in found.candidates if c.kind != "both")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["candidates"]


def test_nodes_and_pairs_that_were_passed_over_are_named() -> None:
    names = [f"j{i}" for i in range(20)]
    data = cs.Dataset(a=torch.arange(40) % 5)
    nodes: dict[str, Any] = {
        n: (lambda a, i=i: torch.cos(a * (i + 1.0)), ["a"]) for i, n in enumerate(names)
    }
    bad = {"bad": (lambda a: torch.where(a == 0, float("inf"), 1.0), ["a"])}
    total = {"y": (lambda *x: sum(x[:-1]) + 0 * x[-1].clamp(max=1), [*names, "bad"])}
    graph = cs.Graph.build(inputs=["a"], nodes={**nodes, **bad, **total}, output="y")
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.nothing), unimportant="separate")
    found = cs.refute(h, data, samples=100, activations="auto")
    assert any("not in those of" in note for note in found.notes)
    assert any("120 of 210 pairs were tried as ties" in note for note in found.notes)
    notes: list[str] = []
    found_features(graph, data, ["bad"], [], 0, notes=notes)
    assert notes == ["no features were looked for in bad: its activations are not all finite"]


def test_a_rival_that_cannot_be_joined_is_told_and_the_search_goes_on() -> None:
    h, data, metric = interference("per-claim")
    routes = [cs.claim("x1", "x1", via=[half]) for half in ("half1", "half2")]
    one, two = (cs.Hypothesis(h.graph, cs.claim("y", cs.exact, c), name="other") for c in routes)
    found = cs.refute(one, data, metric, rivals=[two], samples=200, activations=())
    assert found.tested
    assert any(note.startswith("join with other: cannot join") for note in found.notes)


def test_an_addition_past_the_model_is_no_improvement() -> None:
    x = torch.arange(64)
    data = cs.Dataset(big=x % 2, small=(x // 2) % 2)
    graph = cs.Graph.build(
        inputs=["big", "small"],
        nodes={"v": (lambda a, b: 4.0 * a + b, ["big", "small"]), "y": (torch.clone, ["v"])},
        output="y",
    )

    def metric(y: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        big, small = (y >= 4) == (rows["big"] == 1), (y % 4) == rows["small"]
        one = torch.where(small, 0.0, -5.0)
        return torch.where(big & small, 1.0, torch.where(big, 6.0, one))

    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("v", cs.anything)))
    found = cs.improve(h, data, metric, activations=(), samples=3000)
    big = next(one for one in found.tested if one.text == "y/v carries big")
    assert big.p < 0.05  # it moves the estimate, beyond the model's and further from it
    assert not big.towards_model
    assert all(one.gain_per_bit > 0 for one in found.findings)


# --- features of activations -------------------------------------------------------------------


def test_wide_activations_are_sketched_a_few_rows_at_a_time() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 300)
    centres = np.repeat(np.eye(3)[kind], 2000, axis=1)
    points = torch.as_tensor(centres + 0.05 * rng.normal(size=(300, 6000)), dtype=torch.float32)
    data = cs.Dataset(row=torch.arange(300), kind=kind)
    seen: list[int] = []

    def wide(row: torch.Tensor) -> torch.Tensor:
        seen.append(len(row))
        return points[row].repeat(1, 100)  # 2.4 MB a row

    graph = cs.Graph.build(
        inputs=["row"], nodes={"w": (wide, ["row"]), "y": (lambda w: w[:, 0], ["w"])}, output="y"
    )
    for part in batches(graph, data, np.arange(3), ["w"]):
        assert part["w"].shape[1] == WIDE
    found = found_features(graph, data, ["w"], field_features(data), 0)
    cluster = next(one.feature for one in found if one.name == "w: cluster of 3")
    assert data.classes(cluster).digest == data.classes("kind").digest
    assert max(seen) * 2.4e6 < 2**26


# --- running it --------------------------------------------------------------------------------


def test_memory_and_batch_size_change_no_number() -> None:
    h, data, metric = interference("separate")
    kwargs: dict[str, Any] = {"samples": 300, "seed": 2}
    plain = cs.refute(h, data, metric, **kwargs).to_dict()
    for options in ({"memory": "1MB"}, {"batch_size": 7}, {"batch_size": 4096}):
        assert cs.refute(h, data, metric, **kwargs, **options).to_dict() == plain


def test_progress_counts_up_to_what_was_planned() -> None:
    h, data, metric = true_hypothesis(0)
    calls: list[tuple[int, int]] = []
    cs.refute(h, data, metric, samples=300, progress=lambda done, of: calls.append((done, of)))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1][0] == calls[-1][1]


def counted() -> tuple[cs.Hypothesis, cs.Dataset, list[int]]:
    rows: list[int] = []

    def slow(x: torch.Tensor) -> torch.Tensor:
        rows.append(len(x))
        return torch.stack([torch.cos(x), torch.sin(x)], 1)

    rng = np.random.default_rng(0)
    fields: dict[str, Any] = {f"f{i}": torch.as_tensor(rng.integers(0, 3, 100)) for i in range(20)}
    data = cs.Dataset(x=torch.arange(100), bad=torch.full((100,), torch.nan), **fields)
    graph = cs.Graph.build(
        inputs=["x"], nodes={"a": (slow, ["x"]), "y": (lambda a: a.sum(1), ["a"])}, output="y"
    )
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", cs.anything))), data, rows


@pytest.mark.parametrize("budget", [410, 440, 450])
def test_no_more_additions_are_made_than_the_budget_can_race(budget: int) -> None:
    h, data, _ = counted()
    found = cs.refute(h, data, budget=budget, keep=3, samples=20, activations=(), progress=False)
    assert 4 <= len(found.candidates) <= budget // 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 10}, "budget=10 is too small for"),
        ({"features": ["nofield"]}, "no field 'nofield'"),
        ({"features": ["bad"]}, "NaN at row 0"),
        ({"randomize": "nonode"}, "no node matches"),
    ],
)
def test_what_cannot_be_searched_is_told_before_the_model_runs(options, message) -> None:
    h, data, rows = counted()
    with pytest.raises(cs.CausalScrubbingError, match=message):
        cs.refute(h, data, cs.metrics.squared_error("f0"), **options)
    assert not rows


def test_a_metric_that_is_not_finite_is_told_at_once() -> None:
    h, data, rows = counted()
    with pytest.raises(cs.MetricError, match="not finite"):
        cs.refute(h, data, lambda y, _: y * float("nan"))
    assert sum(rows) < 200

    def later(y: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:  # on swapped rows only
        return torch.where(y == rows.model_output, y, float("nan"))

    with pytest.raises(cs.MetricError, match="not finite"):
        cs.refute(h, data, later, samples=50)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"samples": 2.5}, cs.ScrubError, r"samples=2\.5"),
        ({"keep": 0}, cs.ScrubError, "keep=0"),
        ({"seed": -1}, cs.ScrubError, "seed=-1"),
        ({"seed": 1.5}, cs.ScrubError, r"seed=1\.5"),
        ({"budget": 0}, cs.ScrubError, "budget=0"),
        ({"budget": "x"}, cs.ScrubError, "budget='x'"),
        ({"batch_size": 0}, cs.ScrubError, "batch_size=0"),
        ({"alpha": "x"}, cs.ScrubError, "alpha='x'"),
        ({"tolerance": float("nan")}, cs.ScrubError, "tolerance=nan"),
        ({"randomize": "zz"}, cs.GraphError, "no node matches 'zz'"),
        ({"rivals": ["x"]}, cs.ScrubError, "give a list of hypotheses"),
        ({"activations": None}, cs.ScrubError, "activations=None"),
        ({"features": None}, cs.HypothesisError, "must be a list or a mapping"),
        ({"device": "cuda:99"}, cs.ScrubError, "cannot be used here"),
        ({"memory": "much"}, cs.ScrubError, "is no size"),
    ],
)
def test_bad_arguments_are_named_by_both(options, error, message) -> None:
    h, data, reward = hash_game()
    for search in (cs.refute, cs.improve):
        with pytest.raises(error, match=message):
            search(h, data, reward, **options)


def test_any_whole_seed_will_do_and_no_unknown_argument() -> None:
    h, data, reward = hash_game()
    found = cs.refute(h, data, reward, samples=np.int64(50), seed=np.int64(2**40))  # type: ignore[arg-type]
    assert json.loads(json.dumps(found.to_dict()))["seed"] == 2**40
    with pytest.raises(TypeError, match="unexpected keyword argument 'sample'"):
        cs.improve(h, data, reward, sample=50)  # type: ignore[call-arg]


def test_the_tolerance_holds_where_the_baseline_scores_exactly_zero() -> None:
    n = 400
    data = cs.Dataset(d=torch.arange(n) % 2, row=torch.arange(n))
    graph = cs.Graph.build(
        inputs=["d", "row"],
        nodes={"y": (lambda d, row: torch.stack([d, row], 1).double(), ["d", "row"])},
        output="y",
    )

    def metric(y: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        hit = (y[:, 0] == rows["d"]) & (y[:, 1] == rows["row"])
        return torch.where(y[:, 1] == rows["row"], 1.0 + 1e-3 * hit, 0.0)

    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("row", cs.exact)))
    seed = next(s for s in range(50)
                if cs.refute(h, data, metric, samples=2, seed=s, activations=(), fields=False)
                .tolerance < 0.0100101)  # fmt: skip
    found = cs.refute(h, data, metric, samples=200, seed=seed, activations=())
    assert found.tolerance == pytest.approx(0.01, rel=0.2)
    assert not found.refuted
