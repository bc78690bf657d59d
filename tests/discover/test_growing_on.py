"""Discovery goes on where held-out samples fall short, says no feature twice, and says why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs


def to_model(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows.model_output) ** 2


def claimed(h: cs.Hypothesis) -> dict[str, Any]:
    return {one.node: one.feature for one in h.root.children or ()}


def with_rare_part(seed: int, **settings: Any) -> cs.Discovery:
    """y = u + v + 0.01 w, of which v is about a bit that few rows have and few samples see."""
    rng = np.random.default_rng(0)
    a, b, c = (torch.as_tensor(rng.uniform(size=600) < share).long() for share in (0.5, 0.02, 0.5))
    graph = cs.Graph.build(
        inputs=["a", "b", "c"],
        nodes={
            "u": (lambda x: 2.0 * x - 1, ["a"]),
            "v": (lambda x: 6.0 * x, ["b"]),
            "w": (lambda x: 0.01 * x, ["c"]),
            "y": (lambda u, v, w: u + v + w, ["u", "v", "w"]),
        },
        output="y",
    )
    data = cs.Dataset(a=a, b=b, c=c)
    return cs.discover(graph, data, to_model, samples=30, seed=seed, **settings)


@pytest.mark.parametrize("seed", [0, 6])
def test_it_grows_on_where_held_out_samples_fall_short_and_then_holds(seed: int) -> None:
    grown = with_rare_part(seed)
    short, last = grown.checks
    assert not short.reached
    assert short.recovered.mean < 60
    assert last.reached
    assert grown.reached
    assert claimed(grown.hypothesis) == {"u": "a", "v": "b"}
    assert grown.result.recovered.mean > 99
    assert grown.result.recovered.mean == last.recovered.mean
    moves = [step.move for step in grown.steps]
    assert "added" in moves[moves.index("fell short") :]
    # The claim added then is explained as the others are.
    by = {one.claim: one.by for one in grown.explained}
    assert by["y/v"] == ("b",)
    assert "target 95% not reached\nheld out" in str(grown)


def test_checks_are_of_other_samples_than_one_another() -> None:
    grown = with_rare_part(0)
    graph, data = grown.hypothesis.graph, grown.result.data
    assert data is not None
    again = cs.scrub(
        grown.hypothesis, data, to_model, samples=120, start=120, seed=0, progress=False
    )
    assert again.recovered.mean == grown.result.recovered.mean
    assert graph.output == "y"


def sum_and_both(features: dict[str, cs.Feature], **settings: Any) -> cs.Discovery:
    """u = a + b + 4 a b, so that "a and b" is found first and then both bits are needed."""
    rng = np.random.default_rng(0)
    a, b, c = (torch.as_tensor(rng.integers(0, 2, 400)) for _ in "abc")
    graph = cs.Graph.build(
        inputs=["a", "b", "c"],
        nodes={
            "u": (lambda x, y: x + y + 4 * x * y, ["a", "b"]),
            "v": (lambda x: 0.1 * x, ["c"]),
            "y": (lambda u, v: u.double() + v, ["u", "v"]),
        },
        output="y",
    )
    data = cs.Dataset(a=a, b=b, c=c, twin=1 - a)
    return cs.discover(
        graph, data, to_model, features=features, nodes=["u", "v"], target=99, samples=400,
        **settings,
    )  # fmt: skip


def a_and_b(rows: cs.Dataset) -> torch.Tensor:
    return rows["a"] * rows["b"]


def test_features_that_others_settle_are_merged() -> None:
    grown = sum_and_both({"a and b": a_and_b, "a": "a", "twin": "twin", "b": "b"})
    assert claimed(grown.hypothesis) == {"u": ("a", "b")}
    assert grown.same == {"twin": "a"}
    step = next(step for step in grown.steps if step.move == "merged")
    assert step.why == "a & b of u settles a and b"
    before = grown.steps[grown.steps.index(step) - 1]
    assert "a and b" in before.text
    assert step.bits == pytest.approx(before.bits)
    assert "'twin' has the classes of 'a'" in str(grown)
    json.dumps(grown.to_dict())


def test_exact_stays_beside_a_field_that_says_as_much() -> None:
    data = cs.Dataset(x=torch.arange(40.0))
    graph = cs.Graph.build(
        inputs=["x"], nodes={"u": (torch.sin, ["x"]), "y": (lambda u: 2 * u, ["u"])}, output="y"
    )
    grown = cs.discover(graph, data, to_model, features=[cs.exact, "x"], samples=100)
    assert claimed(grown.hypothesis) == {"u": "x"}
    assert grown.same == {}


def test_every_step_says_why_it_was_made() -> None:
    grown = sum_and_both({"a and b": a_and_b, "a": "a", "b": "b"})
    assert all(step.why for step in grown.steps)
    added = next(step for step in grown.steps if step.move == "added")
    assert added.why.startswith(f"the best of {added.tried}: +")
    for step in grown.steps:
        assert f"\n    {step.why}" in str(grown)


def test_progress_counts_the_samples_of_all_that_is_tried() -> None:
    calls: list[tuple[int, int]] = []
    grown = sum_and_both({"a": "a", "b": "b"}, progress=lambda done, of: calls.append((done, of)))
    done, of = map(list, zip(*calls, strict=True))
    assert done == sorted(done)
    assert of == sorted(of)
    assert calls[-1][0] == calls[-1][1] > 400 * sum(step.tried for step in grown.steps) // 2


def test_progress_names_what_is_being_done(capsys: pytest.CaptureFixture[str]) -> None:
    with_rare_part(0, progress=True)
    shown = capsys.readouterr().err
    assert "held-out samples" in shown
