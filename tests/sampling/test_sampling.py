from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import datasets, hypotheses
from scipy.stats import chisquare

import causal_scrubbing as cs
from causal_scrubbing._sampling import Sampler, uniforms


@settings(max_examples=50, deadline=None)
@given(start=st.integers(0, 50), size=st.integers(1, 50), seed=st.integers(0, 9))
def test_any_piece_of_a_stream_is_the_same(start: int, size: int, seed: int) -> None:
    whole = uniforms(seed, "key", 0, 200)
    assert (
        uniforms(seed, "key", start, start + size).tolist() == whole[start : start + size].tolist()
    )
    assert uniforms(seed, "other", 0, 200).tolist() != whole.tolist()
    assert uniforms(seed + 1, "key", 0, 200).tolist() != whole.tolist()


@settings(max_examples=60, deadline=None)
@given(h=hypotheses(), data=datasets(), cut=st.integers(1, 19))
def test_every_block_agrees_and_pieces_join(h, data, cut) -> None:
    sampler = Sampler(h, data, 3)
    whole, one, two = sampler.draw(0, 20), sampler.draw(0, cut), sampler.draw(cut, 20)
    for key, rows in whole.rows.items():
        assert np.array_equal(np.concatenate([one.rows[key], two.rows[key]]), rows)
    for block in h.tree.blocks:
        ids = data.classes(block.feature).ids
        assert np.array_equal(ids[whole.rows[block.key]], ids[whole.rows[block.of]])


def small() -> tuple[cs.Hypothesis, cs.Dataset]:
    data = cs.Dataset(x=[0.0, 1.0, 2.0], p=[0, 0, 1], weights=[0.5, 0.3, 0.2])
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (lambda x: x, ["x"]), "b": (lambda x: x, ["x"]), "y": (cs.add, ["a", "b"])},
        output="y",
    )
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "p"))), data


def test_the_joint_law_of_draws_is_the_definition() -> None:
    h, data = small()
    n = 40_000
    rows = Sampler(h, data, 0).draw(0, n).rows
    got = Counter(zip(rows["~ref"], rows["y/a"], rows["y/~other"], strict=True))
    w, p = data.weights, data["p"].tolist()
    want = {}
    for ref, a, other in product(range(3), repeat=3):
        mass = sum(w[j] for j in range(3) if p[j] == p[ref])
        chance = w[ref] * (w[a] / mass if p[a] == p[ref] else 0) * w[other]
        if chance:
            want[(ref, a, other)] = chance * n
    assert set(got) <= set(want)
    assert chisquare([got[k] for k in want], list(want.values())).pvalue > 1e-4


def test_refining_a_feature_keeps_common_random_numbers() -> None:
    h, data = small()
    finer = h.with_(root=cs.claim("y", cs.exact, cs.claim("a", cs.exact)))
    one, two = Sampler(h, data, 0).draw(0, 500).rows, Sampler(finer, data, 0).draw(0, 500).rows
    for key in ("~ref", "~randomized", "y/~other"):
        assert np.array_equal(one[key], two[key])
    assert np.array_equal(two["y/a"], two["~ref"])


@pytest.mark.parametrize("policy", ["per-claim", "separate", "together", {"y": "g"}])
def test_keys_of_unimportant_draws(policy) -> None:
    h, _ = small()
    keys = [b.key for b in h.with_(unimportant=policy).tree.blocks]
    other = {
        "per-claim": "y/~other",
        "separate": "y/~other/b",
        "together": "~group/together",
    }.get(str(policy), "~group/g")
    assert keys == ["y", "y/a", other]


def test_variables_are_equal_exactly_where_rows_must_be() -> None:
    h, data = small()
    found = Sampler(h, data, 0).variables
    assert found["y"] == found["~ref"]
    assert len({found["~ref"], found["y/a"], found["y/~other"], found["~randomized"]}) == 4


@settings(max_examples=60, deadline=None)
@given(h=hypotheses(), data=datasets(), samples=st.integers(1, 60), cut=st.integers(0, 60))
def test_a_balanced_draw_takes_every_row_as_often_as_its_weight_allows(h, data, samples, cut):
    sampler = Sampler(h, data, 3, "balanced", samples)
    rows = sampler.draw(0, samples).rows
    counts = np.bincount(rows["~ref"], minlength=len(data))
    exactly = samples * data.weights
    assert (counts >= np.floor(exactly - 1e-9)).all()
    assert (counts <= np.ceil(exactly + 1e-9)).all()
    cut = min(cut, samples)
    again = Sampler(h, data, 3, "balanced", samples)
    parts = [again.draw(cut, samples), again.draw(0, cut)]
    for key, whole in rows.items():
        assert np.array_equal(np.concatenate([parts[1].rows[key], parts[0].rows[key]]), whole)
    if data.is_uniform:
        first = Sampler(h, data, 3, "balanced").draw(0, samples).rows["~ref"]
        assert np.array_equal(first, rows["~ref"])


@pytest.mark.parametrize("weights", [None, [0.5, 0.3, 0.2]])
def test_a_balanced_draw_is_right_on_average_at_every_sample(weights) -> None:
    h, data = small()
    data = cs.Dataset(x=data["x"], p=data["p"], weights=weights)
    found = np.array(
        [Sampler(h, data, seed, "balanced", 4).draw(0, 4).rows["~ref"] for seed in range(3000)]
    )
    for place in range(4):
        counts = np.bincount(found[:, place], minlength=3)
        assert chisquare(counts, 3000 * data.weights).pvalue > 1e-4


def test_what_a_balanced_draw_cannot_do_is_refused() -> None:
    h, data = small()
    with pytest.raises(cs.ScrubError, match="needs to know the number of samples"):
        Sampler(h, data, 0, "balanced")
    with pytest.raises(cs.ScrubError, match="was made for 5 samples, and 6 are asked for"):
        Sampler(h, data, 0, "balanced", 5).draw(0, 6)
    with pytest.raises(cs.ScrubError, match="Did you mean 'balanced'"):
        Sampler(h, data, 0, "balance")
