from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import FEATURES, datasets, grow, hypotheses

import causal_scrubbing as cs
from causal_scrubbing import Claim, anything
from causal_scrubbing._algebra import block_form, join_forms, pair_forms, same_swaps


def mutate(claim: Claim, rng: np.random.Generator) -> Claim:
    """Another thing to say of the same nodes: features, ties and claims changed at random."""
    children = claim.children
    if children is not None:
        kept = [mutate(child, rng) for child in children if rng.uniform() < 0.75]
        children = tuple(kept) if rng.uniform() < 0.9 else None
    return replace(
        claim,
        feature=claim.feature if rng.uniform() < 0.4 else FEATURES[rng.integers(len(FEATURES))],
        children=children,
        others=anything if children is None or rng.uniform() < 0.7 else "b",
        tie=claim.tie if rng.uniform() < 0.5 else ["t", None][rng.integers(2)],
    )


@st.composite
def several(draw: st.DrawFn, count: int = 2) -> list[cs.Hypothesis]:
    """Hypotheses about one graph, some of them alike."""
    found = [draw(hypotheses())]
    graph = found[0].graph
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    while len(found) < count:
        for _ in range(100):
            root = found[0].root
            if rng.uniform() < 0.2:
                root = grow(graph, graph.output, rng, 0, graph.output)
            else:
                root = replace(mutate(root, rng), tie=None)
            policy = [found[0].unimportant, "per-claim", "separate", "together"][rng.integers(4)]
            try:
                found.append(cs.Hypothesis(graph, root, unimportant=policy))
                break
            except cs.HypothesisError:
                continue
        else:
            found.append(cs.Hypothesis(graph, cs.claim(graph.output, cs.exact)))
    return found


def joined(*hypotheses_: cs.Hypothesis) -> cs.Hypothesis:
    try:
        return cs.join(*hypotheses_)
    except cs.HypothesisError as error:
        assume("cannot join" not in str(error) and "cannot be written" not in str(error))
        raise


@settings(max_examples=60, deadline=None)
@given(pair=several())
def test_both_definitions_give_the_same_swaps(pair) -> None:
    one, other = map(block_form, pair)
    try:
        swaps = join_forms(one, other)
    except cs.HypothesisError:
        with pytest.raises(cs.HypothesisError, match="cannot join"):
            pair_forms(one, other)
        return
    assert same_swaps(swaps, pair_forms(one, other))


@settings(max_examples=40, deadline=None)
@given(pair=several(), data=datasets())
def test_join_is_commutative_and_gives_equal_classes(pair, data) -> None:
    h = joined(*pair)
    assert same_swaps(block_form(h), block_form(joined(*reversed(pair))), data)
    assert same_swaps(block_form(h), block_form(cs.join(*pair, how="graphs")), data)


@settings(max_examples=30, deadline=None)
@given(h=hypotheses())
def test_join_is_idempotent_and_free_is_its_unit(h) -> None:
    twice = cs.join(h, h)
    assert same_swaps(block_form(twice), block_form(h))
    # On the same random numbers, too.
    assert {block.key for block in twice.tree.blocks} == {block.key for block in h.tree.blocks}
    assert same_swaps(block_form(cs.join(h, cs.free(h.graph))), block_form(h))
    if not any(e.claim.via for e in h.tree.claims):
        free = cs.free(h.graph).hypothesis()
        assert same_swaps(block_form(cs.join(free, h)), block_form(h))


@settings(max_examples=30, deadline=None)
@given(three=several(count=3))
def test_join_is_associative_where_defined(three) -> None:
    a, b, c = three
    left = joined(joined(a, b), c)
    right = joined(a, joined(b, c))
    assert same_swaps(block_form(left), block_form(right))


Draws = dict[tuple[str, ...], tuple[str, str, str]]


def all_draws(h: cs.Hypothesis) -> Draws:
    """Path of nodes from the output -> (datum, what it must agree with, block), everywhere.

    Independent of block form: routes are followed by hand down to the inputs. Below what is whole,
    a place has the datum of the whole place. Copies that routes pass have no datum.
    """
    tree, graph = h.tree, h.graph

    def tied(path: tuple[str, ...], datum: tuple[str, str, str]) -> Iterator[tuple]:
        yield path, datum
        for parent in graph.parents(path[-1]):
            yield from tied((*path, parent), datum)

    def claim(index: int, path: tuple[str, ...]) -> Iterator[tuple]:
        entry = tree.claims[index]
        block = next(b for b in tree.blocks if b.key == entry.draw)
        # Copies of an inner claim at two places share their data, since it is one claim.
        datum = (block.key, block.of, block.key)
        if entry.routes is None or entry.children is None:
            yield from tied(path, datum)
            return
        yield path, datum
        yield from copy(entry, entry.routes.top, path)

    def copy(entry, key, path) -> Iterator[tuple]:
        for parent, source in entry.routes.copies[key].items():
            below = (*path, parent)
            if hasattr(source, "child"):
                yield from claim(entry.children[source.child], below)
            elif hasattr(source, "copy"):
                yield from copy(entry, source.copy, below)
            else:
                block = h.block(entry.other_draws[source.node])
                yield from tied(below, (block.key, block.of, block.key))

    return dict(claim(0, (graph.output,)))


def permitted(h: cs.Hypothesis, data: cs.Dataset, places: list, rows: np.ndarray) -> np.ndarray:
    """Which assignments of rows to places (and to the reference, first) a hypothesis can draw."""
    good = np.ones(len(rows), dtype=bool)
    column: dict[str, int] = {"~ref": 0}
    draws = all_draws(h)
    for i, place in enumerate(places):
        if place in draws:
            datum = draws[place][0]
            good &= rows[:, i + 1] == rows[:, column.setdefault(datum, i + 1)]
    for datum, of, block in set(draws.values()):
        ids = h.classes(data)[block].ids
        good &= ids[rows[:, column[datum]]] == ids[rows[:, column[of]]]
    return good


@settings(max_examples=80, deadline=None)
@given(pair=several(), data=datasets(most=3))
def test_join_draws_exactly_the_assignments_that_both_can(pair, data) -> None:
    h = joined(*pair)
    # Where all that feeds a copy comes to share one datum, the join reads the copied node whole: a
    # place of its own, with the datum of those above it in the pair.
    places = sorted({p for one in pair for p in all_draws(one)}, key=lambda p: (len(p), p))
    assume(len(data) ** (len(places) + 1) <= 60_000)
    grid = np.meshgrid(*[np.arange(len(data))] * (len(places) + 1), indexing="ij")
    rows = np.stack([axis.reshape(-1) for axis in grid], axis=1)
    one, other, both = (permitted(g, data, places, rows) for g in (*pair, h))
    np.testing.assert_array_equal(both, one & other)


def gates() -> cs.Graph:
    return cs.Graph.build(
        inputs=["x1", "x2"],
        nodes={
            "a": (torch.neg, ["x1"]),
            "b": (torch.neg, ["x2"]),
            "m": (torch.mul, ["a", "b"]),
            "w": (torch.sub, ["a", "b"]),
            "y": (lambda *v: sum(v), ["a", "m", "w"]),
        },
        output="y",
    )


def test_on_leaf_data_alone_the_join_draws_only_a_subset() -> None:
    """D = {00, 01, 10}; one claims a at v, the other b at w below it: 9 pairs against 8."""
    graph = cs.Graph.build(
        inputs=["x1", "x2"],
        nodes={
            "w": (torch.add, ["x1", "x2"]),
            "v": (torch.neg, ["w"]),
            "y": (torch.neg, ["v"]),
        },
        output="y",
    )
    data = cs.Dataset(x1=[0.0, 0, 1], x2=[0.0, 1, 0])

    def chain(at_v: Any, at_w: Any) -> cs.Hypothesis:
        below = cs.claim("v", at_v, cs.claim("w", at_w))
        return cs.Hypothesis(graph, cs.claim("y", cs.exact, below))

    h1, h2 = chain("x1", cs.anything), chain(cs.anything, "x2")
    both = cs.join(h1, h2)
    places = [("y",), ("y", "v"), ("y", "v", "w")]
    rows = np.stack([g.reshape(-1) for g in np.meshgrid(*[np.arange(3)] * 4)], axis=1)

    def leaf_data(h: cs.Hypothesis) -> set[tuple[int, int]]:
        drawn = rows[permitted(h, data, places, rows)]
        return {(int(r[1]), int(r[3])) for r in drawn}

    assert len(leaf_data(h1) & leaf_data(h2)) == 9
    assert len(leaf_data(both)) == 8


def test_join_with_the_trivial_hypothesis_is_the_model_itself() -> None:
    h = cs.Hypothesis(gates(), cs.claim("y", cs.exact, cs.claim("w", "x1")))
    root = cs.join(cs.Hypothesis(gates(), cs.claim("y", cs.anything)), h).root
    assert (root.node, root.feature, root.children) == ("y", cs.exact, None)


def test_a_claim_joined_in_pulls_the_rest_of_its_block_along() -> None:
    h1 = cs.Hypothesis(gates(), cs.claim("y", cs.exact, cs.claim("w", "x1")))
    h2 = cs.Hypothesis(gates(), cs.claim("y", cs.exact, cs.claim("m", "x2")), name="two")
    root = cs.join(h1, h2).root
    # a is unimportant in both, so m and a, then w, a and m, are drawn as one.
    assert root.children == ()
    assert isinstance(root.others, tuple)
    assert set(root.others) == {"x1", "x2"}


def test_joined_hypotheses_keep_names_ties_and_policies() -> None:
    graph = gates()
    h1 = cs.Hypothesis(
        graph,
        cs.claim("y", cs.exact, cs.claim("w", "x1", cs.claim("a", "x1", name="left"))),
        unimportant="separate",
    )
    h2 = cs.Hypothesis(
        graph,
        cs.claim(
            "y", cs.exact, cs.claim("w", "x2", cs.nothing, tie="t"), cs.claim("m", "x2", tie="t")
        ),
        unimportant="separate",
    )
    both = cs.join(h1, h2, name="both")
    assert both.name == "both"
    assert both.unimportant == "separate"
    assert [e.path for e in both.tree.claims] == ["y", "y/w", "y/w/left", "y/m"]
    assert both.tree["y/m"].draw == "y/w"


@pytest.mark.parametrize("how", ["swaps", "graphs"])
@pytest.mark.parametrize(
    ("one", "two", "policy", "message"),
    [
        (
            cs.claim("y", cs.exact, cs.claim("b", "x2", via=["m"])),
            cs.claim("y", cs.exact, cs.claim("b", "x2", via=["w"])),
            "per-claim",
            r"cannot join: y/b of the first hypothesis has via=\['m'\] and y/b of the second",
        ),
        (
            cs.claim("y", cs.exact, cs.claim("m", "x2", cs.claim("a", "x1"))),
            cs.claim("y", cs.exact, cs.claim("b", "x2", via=["m"])),
            "per-claim",
            r"cannot join: y/m of one hypothesis has a datum of its own at 'm', and y/b",
        ),
        (
            cs.claim("y", cs.exact, cs.claim("w", "x2", cs.claim("a", cs.anything))),
            cs.claim("y", cs.exact, cs.claim("w", "x1", cs.claim("b", "x2")), others="x1"),
            "together",
            r"cannot join: y and y/w would share one draw .* agreeing on \('?x1'?",
        ),
    ],
)
def test_what_cannot_be_joined_names_both_places(how, one, two, policy, message) -> None:
    h1 = cs.Hypothesis(gates(), one, unimportant=policy)
    h2 = cs.Hypothesis(gates(), two)
    with pytest.raises(cs.HypothesisError, match=message):
        cs.join(h1, h2, how=how)


def test_joins_refuse_other_graphs_and_other_things() -> None:
    h = cs.Hypothesis(gates(), cs.claim("y", cs.exact))
    longer = gates().append("z", torch.neg, parents=["y"])
    with pytest.raises(cs.HypothesisError, match="about different graphs"):
        cs.join(h, cs.Hypothesis(longer, cs.claim("z", cs.exact), name="long"))
    with pytest.raises(cs.HypothesisError, match="is no hypothesis"):
        cs.join(h, "h")  # type: ignore[arg-type]
    with pytest.raises(cs.HypothesisError, match="'swaps' or by 'graphs'"):
        cs.join(h, h, how="points")  # type: ignore[arg-type]


def test_free_is_written_out_only_when_asked() -> None:
    free = cs.free(gates())
    assert len(free.hypothesis().tree.claims) == 13
    assert cs.join(free, free, name="all").name == "all"
    with pytest.raises(cs.HypothesisError, match="13 claims, one for each path"):
        free.hypothesis(limit=5)
