from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from refutable import hash_game, interference, planted_correlation, true_hypothesis

import causal_scrubbing as cs
from causal_scrubbing._algebra import block_form, same_swaps
from causal_scrubbing._refute import detectable
from causal_scrubbing._trials import (
    Chunk,
    Stage,
    Trials,
    additions,
    confirm,
    cuts,
    draw_entropy,
    field_features,
    found_features,
    left_open,
    plan,
    second_look,
)


def test_the_hash_game_is_caught_by_adding_the_mode() -> None:
    h, data, reward = hash_game()
    found = cs.refute(h, data, reward, samples=4000, seed=1)
    assert found.scores.recovered.mean == pytest.approx(3000 / 13, rel=0.1)
    by_text = {one.text: one for one in found.findings}
    mode = by_text["answer carries mode"]
    assert mode.shift.mean == pytest.approx(3 / 4 - 23 / 8, abs=5 * mode.shift.se)
    assert mode.towards_model
    assert mode.bits == pytest.approx(1.0)
    assert [g.what for g in mode.groups] == ["mode = 1", "mode = 0"]
    assert "answer carries mode" in str(found)
    # h.with_ takes it up; on the same random numbers.
    again = cs.scrub(h.with_(root=mode.hypothesis.root), data, reward, samples=4000, seed=1)
    base = cs.scrub(h, data, reward, samples=4000, seed=1)
    shift = again.samples["scrubbed"].mean() - base.samples["scrubbed"].mean()
    assert shift == pytest.approx(mode.shift.mean)


def test_the_split_interference_term_is_caught_by_tying_its_halves() -> None:
    h, data, metric = interference("separate")
    found = cs.refute(h, data, metric, samples=20_000)
    by_text = {one.text: one for one in found.findings}
    tie = by_text["unimportant half1 of y drawn together with unimportant half2 of y"]
    assert tie.kind == "tie"
    assert tie.shift.mean == pytest.approx(2 * 0.8 * 0.8, abs=4 * tie.shift.se)
    assert found.separate is None


def test_drawing_the_halves_apart_is_told_apart_as_more_specific() -> None:
    h, data, metric = interference("per-claim")
    found = cs.refute(h, data, metric, samples=20_000)
    assert not found.refuted
    assert "No addition found" in str(found)
    assert found.separate.mean == pytest.approx(3.2 - 1.28, abs=5 * found.separate.se)
    texts = [one.text for one in found.more_specific]
    assert "all unimportant parents drawn apart (separate)" in texts
    assert all(one.bits < 0 for one in found.more_specific)


def test_a_neglected_correlation_is_found_in_nineteen_of_twenty_random_graphs() -> None:
    caught = 0
    for seed in range(20):
        h, data, metric = planted_correlation(seed)
        found = cs.refute(h, data, metric, activations=(), samples=600, seed=seed)
        caught += any("y/u drawn together with y/v" in one.text for one in found.findings)
    assert caught >= 19


def test_true_hypotheses_are_not_refuted() -> None:
    for seed in range(12):
        h, data, metric = true_hypothesis(seed)
        found = cs.refute(h, data, metric, samples=300, seed=seed)
        assert not found.refuted, (seed, str(found))
        assert sum(found.tried.values()) > 20


def test_a_claim_on_half_of_a_product_needs_the_rest_of_its_block() -> None:
    """g = p q with p = q = +-1 and nothing claimed: claiming p alone must not refute it."""
    sign = torch.tensor([-1.0, 1.0])
    graph = cs.Graph.build(
        inputs=["s"],
        nodes={
            "p": (torch.clone, ["s"]),
            "q": (torch.clone, ["s"]),
            "g": (torch.mul, ["p", "q"]),
        },
        output="g",
    )
    data = cs.Dataset(s=sign.repeat(8))
    h = cs.Hypothesis(graph, cs.claim("g", cs.exact, cs.nothing))
    found = cs.refute(h, data, samples=500)
    assert not found.refuted
    assert found.separate.mean == pytest.approx(0, abs=0.2)
    assert "all unimportant parents drawn apart (separate)" in str(found)


def test_false_alarms_stay_under_the_level_where_shifts_are_noise() -> None:
    """Confirmations of shifts whose mean is zero, but which are not zero sample by sample."""
    rng = np.random.default_rng(0)
    alarms = 0
    runs = 400
    for _ in range(runs):
        base = rng.normal(size=200)
        # Correlated candidates, heavy-tailed, all of mean zero.
        common = rng.standard_t(5, size=200)
        values = {0: base}
        values |= {i: base + common + rng.normal(size=200) for i in range(1, 9)}
        shifts = confirm(Chunk(values, base, None, np.zeros(200, int)), 0, range(1, 9), 0.0)
        alarms += any(one.adjusted <= 0.05 for one in shifts)
    assert alarms / runs <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


def test_detectable_is_what_two_looks_find_four_times_in_five() -> None:
    rng = np.random.default_rng(1)
    shift = detectable([], 1.0, 200, 8, 0.05, 0.1)
    hits = 0
    for _ in range(400):
        values = {0: np.zeros(1200), 1: rng.normal(shift, 1, 1200)}
        whole = Chunk(values, values[0], None, np.zeros(1200, int))
        start = Chunk({i: v[:200] for i, v in values.items()}, values[0], None, whole.reference)
        first = {1: confirm(start, 0, [1], 0.1, family=8, looks=2)[0]}
        again = left_open(first, 0.05)
        hits += second_look(first, whole, 0, again, 0.1, 8)[1].adjusted <= 0.05
    assert 0.78 <= hits / 400 <= 0.92
    stage = Stage(list(range(200)), 100, [0], 1.5, 0.1, {}, {})
    harder = detectable([stage], 1.0, 200, 8, 0.05, 0.1)
    assert harder > shift


def test_a_second_look_keeps_the_level() -> None:
    """Whether there is one depends on the first, and its samples are tested again."""
    rng = np.random.default_rng(2)
    alarms, runs = 0, 400
    for _ in range(runs):
        values = {0: np.zeros(300)}
        values |= {i: rng.normal(size=300) for i in range(1, 5)}
        whole = Chunk(values, values[0], None, np.zeros(300, int))
        start = Chunk({i: v[:50] for i, v in values.items()}, values[0], None, whole.reference)
        first = dict(zip(range(1, 5), confirm(start, 0, range(1, 5), 0.0, looks=2), strict=True))
        again = left_open(first, 0.05)
        both = second_look(first, whole, 0, again, 0.0, 4)
        alarms += any(one.adjusted <= 0.05 for one in both.values())
    assert alarms / runs <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("problem", [hash_game, lambda: interference("separate"),
                                     lambda: interference("per-claim"),
                                     lambda: true_hypothesis(3)])  # fmt: skip
def test_every_addition_is_a_join_and_every_cut_is_undone_by_one(problem) -> None:
    h, data, _ = problem()
    pool = field_features(data)
    made, _ = additions(h, data, pool, ())
    assert made
    assert {one.kind for one in made} <= {"feature", "tie", "whole"}
    for one in made:
        assert same_swaps(block_form(cs.join(h, one.hypothesis)), block_form(one.hypothesis))
        assert one.bits >= 0
        assert one.bits == pytest.approx(draw_entropy(h, data) - draw_entropy(one.hypothesis, data))
    for one in cuts(h, data):
        assert same_swaps(block_form(cs.join(h, one.hypothesis)), block_form(h))


def test_trials_draw_and_compute_what_scrub_does() -> None:
    h, data, metric = interference("separate")
    made, _ = additions(h, data, field_features(data), ())
    some = [h, *(one.hypothesis for one in made)]
    trials = Trials(some, data, metric)
    whole = trials.run(range(len(some)), 5, 0, 300)
    late = trials.run(range(len(some)), 5, 100, 300)
    for i, one in enumerate(some):
        result = cs.scrub(one, data, metric, samples=300, seed=5)
        np.testing.assert_allclose(whole.values[i], result.scrubbed_values[result.metrics[0]])
        np.testing.assert_allclose(whole.values[i][100:], late.values[i])
    assert whole.randomized is not None
    np.testing.assert_allclose(whole.randomized, result.randomized_values[result.metrics[0]])


def test_improve_ranks_what_is_missed_by_gain_for_each_bit() -> None:
    x = torch.arange(64)
    big, small = x % 2, (x // 2) % 2
    data = cs.Dataset(big=big, small=small, noise=(x // 4) % 2)
    graph = cs.Graph.build(
        inputs=["big", "small", "noise"],
        nodes={
            "v": (lambda a, b: 4.0 * a + b, ["big", "small"]),
            "y": (lambda v, n: v + 0.0 * n, ["v", "noise"]),
        },
        output="y",
    )

    def loss(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return (output - 4.0 * rows["big"] - rows["small"]) ** 2

    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("v", cs.anything)), name="vague")
    better = cs.improve(h, data, loss, activations=(), samples=2000)
    assert better.order == "most recovered per bit first"
    assert better.findings[0].text == "y/v carries big"
    assert better.findings[0].bits == pytest.approx(1)
    assert all(one.towards_model for one in better.findings)
    gains = [one.gain_per_bit for one in better.findings]
    assert gains == sorted(gains, reverse=True)
    assert "y/v carries noise" not in [one.text for one in better.findings]


def test_a_rival_joined_in_refutes() -> None:
    h, data, reward = hash_game()
    rival = cs.Hypothesis(h.graph, cs.claim("answer", "mode"), name="mode only")
    found = cs.refute(h, data, reward, fields=False, activations=(), rivals=[rival], samples=2000)
    assert "join with mode only" in [one.text for one in found.findings]


def test_a_search_cut_short_goes_on_to_the_same_answer(tmp_path) -> None:
    h, data, metric = true_hypothesis(1)
    kwargs: dict[str, Any] = {"samples": 200, "keep": 3, "seed": 4}
    whole = cs.refute(h, data, metric, **kwargs)
    file = tmp_path / "search.jsonl"
    assert cs.refute(h, data, metric, out=file, **kwargs).to_dict() == whole.to_dict()
    lines = file.read_text().splitlines()
    assert len(lines) >= 4
    for cut in range(len(lines)):
        # Killed while writing: a line without its end.
        file.write_text("\n".join([*lines[:cut], lines[cut][: len(lines[cut]) // 2]]))
        again = cs.refute(h, data, metric, out=file, **kwargs)
        assert again.to_dict() == whole.to_dict()
    assert json.loads(json.dumps(whole.to_dict()))["seed"] == 4
    with pytest.raises(cs.ScrubError, match="belongs to another search"):
        cs.refute(h, data, metric, out=file, samples=201, keep=3, seed=4)


def test_features_are_found_in_activations() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 500)
    points = np.eye(3)[kind] * 5 + rng.normal(size=(500, 3)) * 0.1
    data = cs.Dataset(points=points, kind=kind, first=kind == 0, other=rng.integers(0, 2, 500))
    graph = cs.Graph.build(
        inputs=["points"],
        nodes={"act": (torch.neg, ["points"]), "y": (lambda a: a.sum(1), ["act"])},
        output="y",
    )
    found = found_features(graph, data, ["act"], field_features(data), 0)
    by_name: dict[str, Any] = {one.name: one.feature for one in found}
    kinds = data.classes("kind")
    assert data.classes(by_name["act: cluster of 3"]).refines(kinds)
    assert data.classes(by_name["act: probe of first"]).refines(data.classes("first"))
    assert data.classes(by_name["act: side of direction 1"]).count == 2
    # They are functions of any dataset, not tables of this one.
    half = data[:200]
    np.testing.assert_array_equal(
        by_name["act: cluster of 3"](half), by_name["act: cluster of 3"](data)[:200]
    )


def test_the_budget_is_kept_and_must_suffice() -> None:
    made = plan(200, 8, 60_000)
    assert made.spent <= 60_000
    assert [size for size, _ in made.sizes] == [200, 67, 23]
    assert plan(5, 8, 10).sizes == []
    with pytest.raises(cs.ScrubError, match=r"budget=1000 gives 1 samples to each of 200"):
        plan(200, 8, 1000)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"samples": 0}, cs.ScrubError, "samples=0"),
        ({"alpha": 2}, cs.ScrubError, "alpha=2"),
        ({"tolerance": -1.0}, cs.ScrubError, "tolerance=-1.0"),
        ({"features": "mode"}, cs.HypothesisError, "must be a list or a mapping"),
        ({"features": ["mood"]}, cs.CausalScrubbingError, "no field 'mood'"),
        ({"activations": "layer*"}, cs.GraphError, "no node matches"),
    ],
)
def test_bad_arguments_are_named(options, error, message) -> None:
    h, data, reward = hash_game()
    with pytest.raises(error, match=message):
        cs.refute(h, data, reward, **options)


def test_several_metrics_are_refused() -> None:
    h, data, reward = hash_game()
    with pytest.raises(cs.ScrubError, match="a search follows one metric"):
        cs.refute(h, data, {"one": reward, "two": reward})
