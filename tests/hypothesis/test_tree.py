from __future__ import annotations

import pytest
import torch

import causal_scrubbing as cs


def layers() -> cs.Graph:
    def mix(*values: torch.Tensor) -> torch.Tensor:
        return sum(values, torch.zeros(()))

    return cs.Graph.build(
        inputs=["x", "m"],
        nodes={
            "e": (mix, ["x"]),
            "a0": (mix, ["e", "m"]),
            "m0": (mix, ["e", "a0"]),
            "a1": (mix, ["e", "a0", "m0", "m"]),
            "y": (mix, ["e", "a1"]),
        },
        output="y",
    )


def data() -> cs.Dataset:
    return cs.Dataset(x=[0.0, 1.0, 2.0, 3.0], m=[1.0, 1.0, 0.0, 0.0], p=[0, 1, 0, 1])


def hypothesis(*children, **options) -> cs.Hypothesis:
    return cs.Hypothesis(layers(), cs.claim("y", cs.exact, *children), **options)


def test_agreement_figures_and_forgotten_inputs() -> None:
    h = hypothesis(cs.claim("a1", "p", cs.claim("e", "x")))
    figures = h.agreement(data())
    rows = {row.draw: row for row in figures.table}
    assert rows["y/a1"].classes == 2
    assert rows["y/a1"].smallest == 2
    assert rows["y/a1"].self_draw == 0.5
    assert rows["y/a1/e"].one_row == 1.0
    assert figures.unclaimed == (("y/a1", "m"),)
    assert not figures.void
    assert "mask or a position index" in str(figures)
    for held in (
        hypothesis(cs.claim("a1", "p", cs.claim("e", "x"), others="m")),
        hypothesis(cs.claim("a1", "p", cs.claim("e", "x")), within="m"),
        hypothesis(cs.claim("a1", "p", cs.claim("e", "x"), cs.claim("m", "m"))),
    ):
        assert held.agreement(data()).unclaimed == ()
    assert hypothesis().agreement(data()).void


def test_a_claim_used_twice_is_copied_once_a_path() -> None:
    shared = cs.claim("e", "p")
    h = hypothesis(cs.claim("a1", "p", shared, cs.claim("m0", "p", shared)))
    assert [c.path for c in h.tree.claims] == ["y", "y/a1", "y/a1/e", "y/a1/m0", "y/a1/m0/e"]
    assert h.tree["y/a1/e"].draw != h.tree["y/a1/m0/e"].draw


def test_routes_and_copies() -> None:
    h = hypothesis(cs.claim("a0", "p", via=["m0", "a1"]))
    routes = h.tree.claims[0].routes
    assert routes is not None
    alive = frozenset([0])
    assert set(routes.copies) == {("y", alive), ("a1", alive), ("m0", alive)}
    assert routes.others == ("m", "e") or routes.others == ("e", "m")


def test_one_node_may_be_claimed_twice_by_disjoint_routes() -> None:
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "p": (torch.tanh, ["x"]),
            "q": (torch.sin, ["x"]),
            "y": (cs.add, ["p", "q"]),
        },
        output="y",
    )
    through_p, through_q = cs.claim("x", "x", via="p"), cs.claim("x", "x", via="q", name="x, q")
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, through_p, through_q))
    assert [c.path for c in h.tree.claims] == ["y", "y/x", "y/x, q"]
    assert h.tree.claims[0].routes.others == ()


def test_ties_share_a_draw_and_its_features() -> None:
    h = hypothesis(cs.claim("e", "p", tie="t"), cs.claim("a1", "m", tie="t"))
    block = h.block("y/e")
    assert block.claims == (1, 2)
    assert data().classes(block.feature).count == 4
    with pytest.raises(cs.HypothesisError, match="no draw is called 'y/a1'"):
        h.block("y/a1")


def test_text_and_plain_data() -> None:
    h = hypothesis(
        cs.claim("a1", lambda d: d["x"] > 1, cs.claim("m0", "p"), others="p"), name="named"
    )
    assert 'a1 carries d["x"] > 1  [others p]' in str(h)
    assert h.to_dict()["claims"][1:] == [
        {
            "node": "a1",
            "feature": {"kind": "function", "name": 'd["x"] > 1'},
            "others": "p",
            "children": [2],
        },
        {"node": "m0", "feature": "p"},
    ]


def test_claims_of_one_feature_share_a_note_on_rows_that_are_alone() -> None:
    heads = [f"a.h{i}" for i in range(40)]
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            **{name: (lambda x: x * 1, ["x"]) for name in heads},
            "y": (lambda *parts: sum(parts), heads),
        },
        output="y",
    )
    rows = cs.Dataset(x=torch.arange(10.0), own=[0, 0, 1, 2, 3, 4, 5, 5, 5, 5])
    claims = [cs.claim(name, "own") for name in heads[:-1]] + [cs.claim(heads[-1], "x")]
    notes = cs.Hypothesis(graph, cs.claim("y", cs.exact, *claims)).agreement(rows).notes
    assert notes == (
        "y/a.h0 .. y/a.h38 (39 of y/a.h#): 40% of the data is alone in its class of own and can "
        "only keep its own row; bin the feature or use more data to test these 39 claims.",
        "y/a.h39: 100% of the data is alone in its class of x and can only keep its own row; bin "
        "the feature or use more data to test this claim.",
    )


def test_nodes_that_read_the_same_on_every_row_and_swaps_between_equal_rows_are_named() -> None:
    graph = cs.Graph.build(
        inputs=["x", "pad", "z"],
        nodes={
            "c": (lambda: torch.ones(1), []),
            "p": (lambda pad: pad + 1, ["pad"]),
            "a": (torch.sin, ["x"]),
            "y": (lambda c, p, a, z: c * p + a * z, ["c", "p", "a", "z"]),
        },
        output="y",
    )
    # Rows 0 and 1 have equal inputs, so have 2 and 3; row 4 is alone in its class.
    data = cs.Dataset(
        x=torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 3.0]),
        z=torch.tensor([1.0, 1.0, 2.0, 2.0, 3.0, 3.0]),
        pad=torch.ones(6),
        k=[0, 0, 1, 1, 2, 1],
    )
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("a", "k"), cs.claim("z", cs.exact)))
    found = h.agreement(data)
    assert found.constant == tuple(name for name in graph.names if name in ("c", "p"))
    assert "are the same on every row" in str(found)
    by_draw = {row.draw: row.swappable for row in found.table}
    assert by_draw["y/a"] == pytest.approx(3 / 6)  # rows 2, 3 and 5
    assert by_draw["y/z"] == 0
    assert by_draw["y/~other"] == 0
    assert "y/a: 33% of the data shares its class of k only with rows of equal inputs" in str(found)


def test_the_claim_tree_as_a_picture() -> None:
    names = [f"q.p{i}" for i in range(4)]
    graph = cs.Graph.build(
        inputs=["t", "z"],
        nodes={
            **{n: (lambda t, i=i: t[:, i], ["t"]) for i, n in enumerate(names)},
            "y": (lambda *parts: sum(parts), [*names, "z"]),
        },
        output="y",
    )
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.each("q.p{i}", "t[{i}]", range(4))))
    dot = h.to_dot()
    assert '"y/q.p{i}" [label="q.p{i}: t[{i}] (4 claims)"];' in dot
    assert dot.count("->") == 2
    tree = h.to_networkx()
    assert set(tree) == {"y", "y/~other", *(f"y/{n}" for n in names)}
    assert tree.nodes["y/q.p1"]["feature"] == "t[1]"
    assert tree.nodes["y/~other"]["nodes"] == ("z",)
    assert all(below == "y" for _, below in tree.edges)
    zero = h.with_(ablation="zero")
    assert "(ablated)" in zero.to_dot()
    assert not zero.to_networkx().nodes["y/~zero/z"]["important"]
