"""The same hypothesis on a finer graph, and joins of hypotheses on two rewrites of one graph."""

from __future__ import annotations

from typing import Any

import brute
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from naive import naive_sample
from problems import random_hypothesis
from tensors import rewritten, tensor_data, tensor_graph

import causal_scrubbing as cs
from causal_scrubbing._algebra import block_form, rebuild, restate_form
from causal_scrubbing._graph import is_same, refine
from causal_scrubbing._sampling import Sampler

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}
SEEDS = st.integers(0, 2**31)


def total(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    """One number a row, whatever the output's shape."""
    return output.detach().double().reshape(len(output), -1).sin().sum(1)


def expectation(h: cs.Hypothesis, data: cs.Dataset) -> float:
    try:
        return float(cs.exact_scrub(h, data, metric=total).expectation)
    except cs.ExactError:
        assume(False)
        raise


def small(h: cs.Hypothesis, data: cs.Dataset) -> bool:
    return brute.count(h, data) <= 3000


def children(claim: cs.Claim) -> tuple[cs.Claim, ...]:
    assert claim.children is not None
    return claim.children


@settings(max_examples=60, **QUICK)
@given(data=tensor_data(), seed=SEEDS, steps=st.integers(1, 3))
def test_a_restated_hypothesis_has_the_same_estimate(data, seed, steps) -> None:
    rng = np.random.default_rng(seed)
    data = data[:3]
    graph = tensor_graph(rng, data)
    h = random_hypothesis(graph, rng)
    finer = rewritten(graph, data, rng, steps, tests=("nan",))
    assume(small(h, data))
    try:
        again = cs.restate(h, finer)
    except cs.HypothesisError:
        assume(False)
        raise
    assert again.graph is finer
    assert expectation(again, data) == pytest.approx(expectation(h, data), rel=1e-9, abs=1e-9)


@settings(max_examples=40, **QUICK)
@given(data=tensor_data(), seed=SEEDS, steps=st.integers(0, 2))
def test_two_rewrites_of_one_graph_have_a_refinement_that_says_what_each_says(
    data, seed, steps
) -> None:
    rng = np.random.default_rng(seed)
    data = data[:3]
    graph = tensor_graph(rng, data)
    graphs = [rewritten(graph, data, rng, n, tests=("nan",)) for n in (steps, 2)]
    try:
        found = refine(*graphs)
    except cs.GraphError:
        assume(False)
        raise
    torch.testing.assert_close(found.graph(data), graph(data), rtol=1e-9, atol=1e-9)
    pair = [random_hypothesis(one, rng) for one in graphs]
    assume(all(small(h, data) for h in pair))
    for number, h in enumerate(pair):
        try:
            again = rebuild(restate_form(block_form(h), found, number), (h.unimportant,))
        except cs.HypothesisError:
            continue  # it would need a draw that no claims share
        assert expectation(again, data) == pytest.approx(expectation(h, data), rel=1e-9, abs=1e-9)
    try:
        one, other = cs.join(*pair), cs.join(*reversed(pair))
        by_graphs = cs.join(*pair, how="graphs")
    except cs.HypothesisError:
        return
    wanted = pytest.approx(expectation(one, data), rel=1e-9, abs=1e-9)
    assert expectation(other, data) == wanted
    assert expectation(by_graphs, data) == wanted


def layer(example: bool = True) -> tuple[cs.Graph, cs.Dataset]:
    """Two numbers to a [3, 4] tensor z, which a function reads together with another node."""
    rng = np.random.default_rng(0)
    data = cs.Dataset(
        x=torch.as_tensor(rng.normal(size=6)),
        w=torch.as_tensor(rng.normal(size=6)),
        at=torch.as_tensor([0, 1, 2, 0, 1, 2]),
        half=[0, 0, 0, 1, 1, 1],
        third=[0, 1, 2, 0, 1, 2],
    )
    table = torch.as_tensor(rng.normal(size=(2, 3, 4)))
    graph = cs.Graph.build(
        inputs=["x", "w"],
        nodes={
            "u": (torch.tanh, ["x"]),
            "v": (torch.sin, ["w"]),
            "z": (
                lambda u, v: torch.einsum("n,sd->nsd", u, table[0]) + v[:, None, None] * table[1],
                ["u", "v"],
            ),
            "y": (lambda z, v: (z**2 * v[:, None, None]).cos().sum((1, 2)), ["z", "v"]),
        },
        output="y",
        example=data if example else None,
    )
    return graph, data


def test_splits_of_different_axes_meet_in_cells() -> None:
    graph, _ = layer()
    heads = graph.split("z", axis=-1, into={"h{}": 2})
    places = graph.split("z", axis=1, into={"first": 0}, rest="later")
    h1 = cs.Hypothesis(heads, cs.claim("y", cs.exact, cs.claim("z.h0", "half")), name="heads")
    h2 = cs.Hypothesis(places, cs.claim("y", cs.exact, cs.claim("z.first", "third")), name="place")
    both = cs.join(h1, h2)
    cells = set(both.graph.find("z.*"))
    assert cells == {f"z.h{i}.{p}" for i in range(2) for p in ("first", "later")}
    # z.h0 and the first place share a cell, and v and the other head the rest: all is one draw.
    assert both.root.children == ()
    assert isinstance(both.root.others, tuple)
    assert set(both.root.others) == {"half", "third"}
    # Where each claims a part that the other leaves alone, both claims stay.
    alone = cs.Hypothesis(
        heads,
        cs.claim("y", cs.exact, cs.claim("z.h0", "half"), cs.claim("z.h1", cs.anything)),
    )
    place = cs.Hypothesis(places, cs.claim("y", cs.exact, cs.claim("v", "third")))
    joined = cs.join(alone, place)
    by_draw = {b.key: b for b in joined.tree.blocks}
    assert set(by_draw) == {"y", "y/z.h0", "y/v"}
    assert {joined.tree.claims[i].claim.node for i in by_draw["y/z.h0"].claims} == set(cells)


def test_cuts_along_one_axis_meet_where_both_cut() -> None:
    graph, data = layer()
    one = graph.split("z", axis=2, into={"a": slice(0, 3), "b": 3})
    two = graph.split("z", axis=2, into={"c": [0, 1], "d": [2, 3]})
    h1 = cs.Hypothesis(one, cs.claim("y", cs.exact, cs.claim("z.a", "half")))
    h2 = cs.Hypothesis(two, cs.claim("y", cs.exact, cs.claim("z.c", "third"), cs.claim("v", "at")))
    both = cs.join(h1, h2)
    assert set(both.graph.find("z.*")) == {"z.a.c", "z.a.d", "z.b"}
    torch.testing.assert_close(both.graph(data), graph(data))


def test_nested_splits_and_equal_splits_are_followed() -> None:
    graph, data = layer()
    once = graph.split("z", axis=-1, into={"h{}": 2})
    twice = graph.split("z", axis=-1, into={"h{}": 2}).split("z.h1", axis=1, into={"p{}": 3})
    h1 = cs.Hypothesis(once, cs.claim("y", cs.exact, cs.claim("z.h1", "half")))
    h2 = cs.Hypothesis(twice, cs.claim("y", cs.exact, cs.claim("z.h1.p2", "third")))
    assert set(cs.join(h1, h2).graph.find("z.*")) == {"z.h0", *(f"z.h1.p{i}" for i in range(3))}
    again = cs.restate(h1, twice)
    assert [c.path for c in again.tree.claims] == ["y", "y/z.h1", "y/z.h1.p1", "y/z.h1.p2"]
    runs = cs.scrub([h1], data, metric=None, samples=50), cs.scrub([again], data, samples=50)
    np.testing.assert_allclose(runs[0][0].samples["scrubbed"], runs[1][0].samples["scrubbed"])


def test_a_cut_of_a_sum_is_a_cut_of_its_summands() -> None:
    graph, data = layer()
    summed = graph.split_sum("z", {"u": (lambda u: u[:, None, None].expand(-1, 3, 4), ["u"])},
                             rest="rest")  # fmt: skip
    cut = graph.split("z", axis=1, into={"p{}": 3})
    h1 = cs.Hypothesis(summed, cs.claim("y", cs.exact, cs.claim("z.u", "half")))
    h2 = cs.Hypothesis(cut, cs.claim("y", cs.exact, cs.claim("z.p1", "third")))
    for both in (cs.join(h1, h2), cs.join(h2, h1)):
        assert set(both.graph.find("z.*")) == {
            f"z.{part}.p{i}" for part in ("u", "rest") for i in range(3)
        }
        torch.testing.assert_close(both.graph(data), graph(data))


def test_parts_of_a_claim_with_claims_below_it_are_computed_from_the_same_data() -> None:
    graph, data = layer()
    h = cs.Hypothesis(
        graph,
        cs.claim("y", cs.exact, cs.claim("z", "half", cs.claim("u", "third"), others="at")),
    )
    finer = graph.split("z", axis=1, into={"p{}": 3})
    again = cs.restate(h, finer)
    blocks = {b.key: b for b in again.tree.blocks}
    assert set(blocks) == {"y", "y/z", "y/~other", "y/z/u", "y/z/v"}
    assert all(len(blocks[key].claims) == 3 for key in ("y/z", "y/z/u", "y/z/v"))
    assert "drawn as y/z/u" in str(again)
    whole = cs.exact_scrub(h, data).expectation
    assert cs.exact_scrub(again, data).expectation == pytest.approx(float(whole))
    draw = Sampler(again, data, 0).draw(0, 4)
    assert set(draw.rows) == {"~ref", "~randomized", *blocks}
    run = cs.scrub(again, data, samples=4)
    want = torch.cat(
        [naive_sample(again, data, {k: int(v[i]) for k, v in draw.rows.items()}) for i in range(4)]
    )
    np.testing.assert_allclose(run.samples["scrubbed"], want)
    iso = cs.isomorphic(again)
    assert cs.exact_scrub(iso, data).expectation == pytest.approx(float(whole))


def test_copies_and_replacements_are_followed_to_where_they_are_read() -> None:
    graph, _ = layer()
    copied = graph.duplicate("v", {"v.direct": ["y"], "v.early": ["z"]})
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("v", "third")))
    (child,) = children(cs.restate(h, copied).root)
    assert (child.node, child.label) == ("v.direct", "v")
    doubled = graph.replace(
        "v", output="v2", nodes={"v1": (lambda w: -w, ["w"]), "v2": (lambda v: -v.sin(), ["v1"])}
    )
    claims = cs.claim("y", cs.exact, cs.claim("v", "half", cs.claim("w", "at")))
    inner = cs.Hypothesis(graph, claims)
    (child,) = children(cs.restate(inner, doubled).root)
    assert (child.node, child.label) == ("v2", "v")
    assert [c.node for c in child.children] == ["w"]
    assert children(child)[0].via == ("v1",)


def test_what_cannot_be_spliced_says_so() -> None:
    graph, _ = layer()
    root = cs.claim("y", cs.exact)
    fine = cs.Hypothesis(graph.split("z", axis=1, into={"p{}": 3}), root, name="fine")
    for other, message in [
        (graph.coarsen(["v"]), "coarsen is not spliced with the rewrites of another"),
        (
            graph.split("z", axis=1, into={"own": "at"}, rest="rest", data=layer()[1]),
            "at each row's own place in the one and at other places in the other",
        ),
        (graph.rename({"y": "out"}).append("y", torch.neg, parents=["out"]), "append is not"),
    ]:
        h = cs.Hypothesis(other, root, name="other")
        with pytest.raises(cs.HypothesisError, match=f"'fine' and 'other' are about .*{message}"):
            cs.join(fine, h)
    unseen, _ = layer(example=False)
    pair = [
        cs.Hypothesis(unseen.split("z", axis=axis, into={"h{}": n}), root)
        for axis, n in ((2, 2), (1, 3))
    ]
    with pytest.raises(cs.HypothesisError, match=r"tells the shape of 'z'; build .* example=data"):
        cs.join(*pair)
    with pytest.raises(cs.HypothesisError, match="cannot restate: the graph was not made from"):
        cs.restate(fine, graph)
    with pytest.raises(cs.HypothesisError, match="cannot restate: coarsen is not spliced"):
        cs.restate(cs.Hypothesis(graph, root), graph.coarsen(["v"]))
    with pytest.raises(cs.HypothesisError, match=r"restate takes a graph .* not str"):
        cs.restate(fine, "z")  # type: ignore[arg-type]


def test_rewrites_are_equal_by_what_they_hold_not_by_their_names() -> None:
    graph, data = layer()

    def along(scale: float) -> cs.Graph:
        return graph.split_sum("z", {"part": lambda z: z * scale}, rest="rest")

    def claimed(one: cs.Graph) -> cs.Hypothesis:
        return cs.Hypothesis(one, cs.claim("y", cs.exact, cs.claim("z.part", "half")))

    assert cs.join(claimed(along(0.5)), claimed(along(0.5))).root.children is not None
    with pytest.raises(cs.HypothesisError, match="are about different graphs"):
        cs.join(claimed(along(0.5)), claimed(along(0.25)))
    places = [
        cs.Hypothesis(
            graph.split("z", axis=1, into={"p": place}, rest="rest"),
            cs.claim("y", cs.exact, cs.claim("z.p", "half")),
        )
        for place in (0, 1)
    ]
    both = cs.join(*places)
    torch.testing.assert_close(both.graph(data), graph(data))
    assert set(both.graph.find("z.*")) == {"z.p", "z.rest.p", "z.rest.rest"}


@pytest.mark.parametrize("order", [1, -1])
def test_a_part_taken_whole_by_one_settles_what_the_others_parts_share(order: int) -> None:
    graph, data = layer()
    finer = graph.split("z", axis=1, into={"p{}": 3})
    h1 = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("z", "half", cs.claim("u", "at"))))
    h2 = cs.Hypothesis(
        finer, cs.claim("y", cs.exact, cs.claim("z.p0", "third", cs.claim("v", cs.anything)))
    )
    swaps, graphs = (cs.join(*[h1, h2][::order], how=how) for how in ("swaps", "graphs"))
    # z.p1 is whole in the second, so u has its datum there, and everywhere it is drawn with it.
    assert all(entry.is_leaf for entry in swaps.tree.claims[1:])
    assert str(swaps) == str(graphs)
    assert expectation(swaps, data) == pytest.approx(expectation(graphs, data))


def test_a_rival_on_another_rewrite_is_joined_where_both_can_be_stated() -> None:
    graph, data = layer()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("z", "half")))
    cut = graph.split("z", axis=1, into={"p{}": 3})
    summed = graph.split_sum("z", {"half": lambda z: z / 2}, rest="rest")

    def first(rows: cs.Dataset) -> torch.Tensor:
        return rows["at"] == 0

    rivals = [
        cs.Hypothesis(cut, cs.claim("y", cs.exact, cs.claim("z.p1", "third")), name="places"),
        cs.Hypothesis(summed, cs.claim("y", cs.exact, cs.claim("z.half", first)), name="halves"),
        cs.Hypothesis(graph.coarsen("v"), cs.claim("y", cs.exact), name="coarse"),
    ]
    found = cs.refute(h, data, lambda y, rows: y, rivals=rivals, activations=(), samples=200)
    assert set(found.hypothesis.graph.find("z.*")) == {
        f"z.{part}.p{i}" for part in ("half", "rest") for i in range(3)
    }
    assert found.tried["rival"] == 2
    assert any("coarsen is not spliced" in note for note in found.notes)


def test_copies_of_the_field_that_tells_a_place_are_read_on_one_row() -> None:
    graph, data = layer()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("z", "half", cs.claim("u", "third"))))
    cut = graph.split("z", axis=1, into={"own": "at"}, rest="rest", data=data)
    groups = {"at.put": ["y"], "at.take": ["z.own"]}
    swapped = dict(reversed(groups.items()))
    for finer in (cut, cut.duplicate("at", groups), cut.duplicate("at", swapped)):
        again = cs.restate(h, finer)
        assert float(cs.exact_scrub(again, data).expectation) == pytest.approx(
            float(cs.exact_scrub(h, data).expectation)
        )


def test_what_lies_below_a_whole_claim_adds_no_feature_to_it() -> None:
    graph, _ = layer()
    finer = graph.split("z", axis=1, into={"p{}": 3}).append("out", torch.neg, parents=["y"])
    below = cs.claim("z", "half", cs.claim("u", "third", cs.claim("x", cs.anything)))
    h1 = cs.restate(
        cs.Hypothesis(graph, cs.claim("y", cs.exact, below)),
        graph.split("z", axis=1, into={"p{}": 3}),
    )
    root = cs.claim("out", cs.exact, cs.Claim("y", "at", h1.root.children))
    deep = cs.Hypothesis(finer, root)
    flat = cs.Hypothesis(finer, cs.claim("out", cs.exact, cs.claim("y", cs.anything)))
    for how in ("swaps", "graphs"):
        (child,) = children(cs.join(deep, flat, how=how).root)
        assert (child.feature, child.children) == ("at", None)


def test_an_output_renamed_in_one_and_cut_in_the_other_is_one_output() -> None:
    graph, data = layer()
    wide = graph.append("pair", lambda y, v: torch.stack([y, y * v], 1), parents=["y", "v"])
    cut = wide.split("pair", axis=1, into={"p{}": 2})
    named = wide.rename({"pair": "both"})
    found = refine(cut, named)
    h = cs.Hypothesis(named, cs.claim("both", cs.exact, cs.claim("y", "half")))
    again = rebuild(restate_form(block_form(h), found, 1), ())
    assert expectation(again, data) == pytest.approx(expectation(h, data))
    assert expectation(h, data) != pytest.approx(float(total(wide(data), data).mean()))


def test_a_rewrite_is_the_same_however_its_arguments_are_given() -> None:
    graph, data = layer()
    axis = torch.ones(4, dtype=torch.bfloat16)

    def recursive() -> object:
        def fn(z: torch.Tensor, again: bool = True) -> torch.Tensor:
            return fn(z, again=False) if again else z / 2

        return fn

    def scaled(by: torch.Tensor) -> object:
        return lambda z: z * by.to(z)

    named = graph.split(pattern="z", axis=1, into={"p{}": 3})
    other = graph.split("z", axis=2, into={"h{}": 2})
    pair = [
        cs.Hypothesis(named, cs.claim("y", cs.exact, cs.claim("z.p0", "half"))),
        cs.Hypothesis(other, cs.claim("y", cs.exact, cs.claim("z.h0", "third"))),
    ]
    assert len(cs.join(*pair).graph.find("z.*")) == 6
    sums = [
        [graph.split_sum("z", pieces=made(), rest="rest") for _ in range(2)]
        for made in (
            lambda: {"d": scaled(axis.clone())},
            lambda: {"d": recursive()},
        )
    ]
    assert is_same(*sums[0])
    assert is_same(*sums[1])  # they read themselves
    torch.testing.assert_close(sums[1][0](data), graph(data))
