"""Claims and edges taken away, features dealt out anew, claims on other nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import graphs, random_hypothesis

import causal_scrubbing as cs
from causal_scrubbing._algebra import BlockForm, Position, block_form, same_swaps
from causal_scrubbing._controls import Permuted, variants
from causal_scrubbing._hypothesis import ChildSource, Claim, CopySource, TreeClaim
from causal_scrubbing._trials import route_edges, without_claim, without_edge


def routes() -> tuple[cs.Graph, cs.Dataset]:
    """y = p + 10 q, p = a, q = p + 2 a: five edges, each with an effect of its own."""
    graph = cs.Graph.build(
        inputs=["a"],
        nodes={
            "p": (lambda a: 1.0 * a, ["a"]),
            "q": (lambda p, a: p + 2.0 * a, ["p", "a"]),
            "y": (lambda p, q: p + 10 * q, ["p", "q"]),
        },
        output="y",
    )
    return graph, cs.Dataset(a=[0, 1])


def squared(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows.model_output) ** 2


@pytest.mark.parametrize("via", [["*"], ["p", "q"]])
def test_each_edge_of_a_route_is_removed_alone(via: list[str]) -> None:
    graph, data = routes()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "a", via=via)))
    made, _ = variants(h, data, 0, 0)
    rows = {v.text: v.hypothesis for v in made if v.kind == "edge removed"}
    # The difference a' - a is 1 in half of the draws; what it is multiplied by is on the edge.
    known = {"p -> q": 10, "a -> q": 20, "p -> y": 1, "a -> p": 11, "q -> y": 30}
    assert len(rows) == len(known)
    for edge, factor in known.items():
        found = cs.exact_scrub(rows[f"y: no edge {edge}"], data, metric=squared).expectation
        assert found == pytest.approx(factor**2 / 2), edge


def test_an_edge_without_which_no_route_is_left_cuts_the_claim_off() -> None:
    graph, _ = routes()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "a", via=["q"])))
    for edge in route_edges(h, h.tree.claims[0]):
        one, cut_off = without_edge(h, "y", edge)
        assert cut_off == ["a"]
        assert one.root.children == ()
    # An edge that is a claim's only one is removed with the claim.
    direct = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("q", "a")))
    assert route_edges(direct, direct.tree.claims[0]) == []
    one, _ = without_edge(h.with_(root=cs.claim("y", cs.exact, cs.claim("a", "a", via=["*"]))),
                          "y", ("p", "q"))  # fmt: skip
    assert "not along p -> q" in str(one)


def test_a_removed_claims_node_is_unimportant_though_a_siblings_via_matches_it() -> None:
    graph, data = routes()
    h = cs.Hypothesis(
        graph, cs.claim("y", cs.exact, cs.claim("p", "a"), cs.claim("a", "a", via=["*"]))
    )
    # p enters y by itself; in q it is passed on the way from a.
    one = without_claim(h, "y/p")
    assert cs.exact_scrub(one, data, metric=squared).expectation == pytest.approx(0.5)
    clash = cs.Hypothesis(
        graph,
        cs.claim(
            "y", cs.exact,
            cs.claim("p", "a", via=["q"]), cs.claim("a", "a", via=["q"], name="second"),
        ),
    )  # fmt: skip
    assert (without_claim(clash, "y/p").root.children or ())[0].name == "second"


def test_groups_let_go_of_claims_that_are_gone() -> None:
    graph, data = routes()
    root = cs.claim("y", cs.exact, cs.claim("q", "a", cs.claim("p", "a")))
    h = cs.Hypothesis(graph, root, unimportant={"y": "one", "y/q": "one"})
    made, notes = variants(h, data, 0, 0)
    by_text = {v.text: v.hypothesis for v in made}
    assert by_text["y/q not claimed"].unimportant == {"y": "one"}
    assert by_text["y/q taken whole"].unimportant == {"y": "one"}
    assert not [note for note in notes if "removed" in note or "unexpanded" in note]


def test_a_tie_keeps_its_draw_when_its_first_claim_goes() -> None:
    graph, _ = routes()
    root = cs.claim("y", cs.exact, cs.claim("p", "a", tie="t"), cs.claim("q", "a", tie="t"))
    one = without_claim(cs.Hypothesis(graph, root), "y/p")
    assert one.tree["y/q"].draw == "y/p"


def surgery(h: cs.Hypothesis, path: str, edge: tuple[str, str] | None, member: int | None):
    """The block form with sources replaced by the unimportant parent: the definition itself."""
    form = block_form(h)
    key = f"{path}/~other"
    features = {key: (), **form.features}

    def walk(position: Position) -> Position:
        wiring = position.wiring
        if wiring is None:
            return position
        members = [walk(m) for m in wiring.members]
        if position.paths == (path,):
            copies = {}
            for copy, sources in wiring.copies.items():
                copies[copy] = dict(sources)
                for parent, source in sources.items():
                    if (parent, copy[0]) == edge or (member is not None and source == member):
                        members.append(Position(parent, key))
                        copies[copy][parent] = len(members) - 1
            wiring = replace(wiring, copies=copies)
        return replace(position, wiring=replace(wiring, members=tuple(members)))

    return BlockForm(form.graph, walk(form.root), features, form.within)


@given(graphs(), st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_a_part_removed_is_drawn_with_the_unimportant_parents(graph: cs.Graph, seed: int) -> None:
    h = random_hypothesis(graph, np.random.default_rng(seed))
    # A tie would lose the feature of the claim removed; the rest of what is here is about routes.
    h = h.with_(root=untied(h.root), unimportant="per-claim")
    for entry in h.tree.claims:
        wanted = {"feature": entry.claim.others}
        for edge in route_edges(h, entry):
            one, _ = without_edge(h, entry.path, edge)
            form = surgery(h, entry.path, edge, None)
            form = _carry(form, entry.path, wanted["feature"])
            assert same_swaps(block_form(one), form), (entry.path, edge)
        for number, index in enumerate(entry.children or ()):
            path = h.tree.claims[index].path
            if not closable(h, entry, number):
                with pytest.raises(cs.HypothesisError, match="cannot be closed for one alone"):
                    without_claim(h, path)
                continue
            one = without_claim(h, path)
            form = _carry(surgery(h, entry.path, None, number), entry.path, wanted["feature"])
            assert same_swaps(block_form(one), form), path


def untied(claim: Claim) -> Claim:
    below = None if claim.children is None else tuple(map(untied, claim.children))
    return replace(claim, tie=None, children=below)


def closable(h: cs.Hypothesis, entry: TreeClaim, number: int) -> bool:
    """Whether no edge by which a claim enters is passed on routes of another one as well."""
    edges: dict[bool, set[Any]] = {True: set(), False: set()}
    for copy, sources in entry.routes.copies.items():
        for parent, source in sources.items():
            if isinstance(source, CopySource) or source == ChildSource(number):
                edges[isinstance(source, CopySource)].add((parent, copy[0]))
    return not edges[True] & edges[False]


def _carry(form: BlockForm, path: str, others: Any) -> BlockForm:
    parts = block_form(cs.Hypothesis(form.graph, cs.claim(form.graph.output, others)))
    (carried,) = parts.features.values()
    return replace(form, features={**form.features, f"{path}/~other": carried})


# --- random hypotheses --------------------------------------------------------------------------


def test_a_permuted_feature_keeps_the_weight_of_its_classes() -> None:
    rng = np.random.default_rng(0)
    f, t = rng.integers(0, 3, 200), rng.integers(0, 4, 200)
    plain = cs.Dataset(f=f, t=t)
    one = Permuted("f", 1, "t")
    assert plain.classes(one).digest != plain.classes("f").digest
    table = np.bincount(4 * f + t, minlength=12)
    assert (np.bincount(4 * one(plain) + t, minlength=12) == table).all()
    # Unequal weights: within the lightest rows' weight, where a few heavy rows hold one class.
    heavy = np.where(np.arange(200) < 20, 50.0, 1.0)
    weighted = cs.Dataset(weights=heavy, k=(np.arange(200) < 20).astype(int))
    mass = weighted.classes("k").mass
    for seed in range(20):
        dealt = Permuted("k", seed)
        found = np.bincount(dealt(weighted), weights=weighted.weights)
        assert np.abs(found - mass).max() <= 2 * weighted.weights.min()
        assert weighted.classes(dealt).digest != weighted.classes("k").digest


def test_random_hypotheses_are_other_ones_of_the_same_size() -> None:
    names = [f"x{i}" for i in range(4)]
    data = cs.Dataset(**{n: np.random.default_rng(i).integers(0, 3, 60)
                         for i, n in enumerate(names)})  # fmt: skip
    graph = cs.Graph.build(
        inputs=names,
        nodes={
            "u": (torch.add, ["x0", "x1"]),
            "v": (torch.add, ["x2", "x3"]),
            "w": (torch.add, ["u", "x2"]),
            "y": (lambda w, v, u: w * v + u, ["w", "v", "u"]),
        },
        output="y",
    )
    inner = cs.claim("w", "x0", cs.claim("u", "x0", cs.claim("x0", "x0")))
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, inner, cs.claim("v", "x2")),
                      unimportant={"y/w": "g"})  # fmt: skip
    made, notes = variants(h, data, 0, 5)
    others = [v.hypothesis for v in made if v.kind == "random nodes"]
    forms = [block_form(one) for one in (h, *others)]
    assert all(len(one.tree.claims) == len(h.tree.claims) for one in others)
    for i, one in enumerate(forms):
        assert not any(same_swaps(one, two, data) for two in forms[:i])
    left = [note for note in notes if "random nodes" in note]
    assert len(others) == 5 or f"{5 - len(others)} of 5" in left[0]
    assert others


def test_where_no_other_nodes_are_it_is_said() -> None:
    data = cs.Dataset(a=np.arange(12) % 3)
    graph = cs.Graph.build(inputs=["a"], nodes={"y": (lambda a: 2.0 * a, ["a"])}, output="y")
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "a")))
    made, notes = variants(h, data, 0, 2)
    assert not [v for v in made if v.kind == "random nodes"]
    assert any("not made, random nodes: 2 of 2" in note for note in notes)


def test_edges_are_removed_up_to_a_number_and_the_rest_is_said() -> None:
    graph, data = routes()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "a", via=["*"])))
    made, notes = variants(h, data, 0, 0, edges=2)
    assert len([v for v in made if v.kind == "edge removed"]) == 2
    assert "not made, edge removed: 3 of the 5 edges of routes into y: edges= is reached." in notes


def test_under_mean_ablation_a_removed_claim_is_set_to_its_mean() -> None:
    graph, data = routes()
    root = cs.claim("y", cs.exact, cs.claim("p", "a"), cs.claim("q", "a"), others="a")
    h = cs.Hypothesis(graph, root, ablation="mean")
    made, _ = variants(h, data, 0, 0)
    assert "y/p not claimed" in [v.text for v in made]
