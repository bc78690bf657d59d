"""Each rewrite by example: names, edges, values, and what it says when it cannot."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tensors import attention

import causal_scrubbing as cs

N, PLACES, WIDTH = 12, 3, 4


def weights(seed: int) -> torch.nn.Linear:
    torch.manual_seed(seed)
    return torch.nn.Linear(WIDTH, WIDTH, dtype=torch.float64).requires_grad_(False)


@pytest.fixture
def data() -> cs.Dataset:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, PLACES, WIDTH, generator=generator, dtype=torch.float64)
    return cs.Dataset(x=x, me=torch.arange(N) % PLACES, share=x[:, 0, 0])


def layers(data: cs.Dataset | None) -> cs.Graph:
    """Two attention layers on a residual stream, read at the last place."""
    nodes: dict[str, Any] = {}
    stream = "x"
    for i in range(2):
        for j, name in enumerate("qkv"):
            nodes[f"{name}{i}"] = (weights(10 * i + j), [stream])
        nodes[f"z{i}"] = (attention, [f"q{i}", f"k{i}", f"v{i}"])
        nodes[f"a{i}"] = (weights(10 * i + 4), [f"z{i}"])
        nodes[f"r{i + 1}"] = (cs.add, [stream, f"a{i}"])
        stream = f"r{i + 1}"
    nodes["y"] = (lambda r: r[:, -1].sum(-1), ["r2"])
    return cs.Graph.build(inputs=["x"], nodes=nodes, output="y", example=data)


def test_heads_become_nodes_and_the_output_projection_a_sum(data) -> None:
    graph = layers(data)
    heads = graph.split("z*", axis=-1, into={"h{}": 2})
    assert heads.find("z*") == ("z0.h0", "z0.h1", "z1.h0", "z1.h1")
    assert heads.parents("z1.h0") == ("q1", "k1", "v1")
    assert heads.parents("a1") == ("z1.h0", "z1.h1")
    assert isinstance(heads.nodes["a1"].fn, type(cs.add))
    assert cs.check_equal(graph, heads, data).rows == N
    assert heads.history[-1] == "split z* along axis -1 into h{}"
    z = graph.values(data, "z0")["z0"]
    found = heads.values(data, "z0.h*")
    assert torch.equal(torch.cat([found["z0.h0"], found["z0.h1"]], -1), z)


@pytest.mark.parametrize("order", ["zq", "qz"])
def test_one_heads_query_is_no_parent_of_another_heads_output(data, order) -> None:
    graph = layers(data)
    for name in order:
        graph = graph.split(f"{name}*", axis=-1, into={"h{}": 2})
    assert set(graph.parents("z1.h0")) == {"k1", "v1", "q1.h0"}
    assert "q1.h0" not in graph.ancestors("z1.h1")


def test_grouped_queries_show_in_the_edges(data) -> None:
    def grouped(q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        return q.unflatten(-1, (2, 2, 1)).mul(kv.unflatten(-1, (2, 1, 1))).flatten(2)

    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "q": (weights(0), ["x"]),
            "kv": (lambda x: x[..., :2].tanh(), ["x"]),
            "z": (grouped, ["q", "kv"]),
        },
        output="z",
        example=data,
    )
    new = graph.append("y", lambda z: z.sum((1, 2)), parents=["z"])
    new = new.split("kv", axis=-1, into={"g{}": 2}).split("z", axis=-1, into={"h{}": 4})
    assert [new.parents(f"z.h{i}")[-1] for i in range(4)] == ["kv.g0", "kv.g0", "kv.g1", "kv.g1"]
    assert all(len(new.parents(f"z.h{i}")) == 2 for i in range(4))


def test_places_fields_and_the_rest(data) -> None:
    graph = layers(data)
    new = graph.split("r1", axis=1, into={"first": 0, "me": "me"}, rest="rest")
    cs.check_equal(graph, new, data)
    assert set(new.parents("r1.me")) == {"x", "a0", "me"}
    assert set(new.parents("q1")) == {"r1.rest", "r1.first", "r1.me", "me"}
    r1 = graph.values(data, "r1")["r1"]
    found = new.values(data, "r1.*")
    assert torch.equal(found["r1.first"], r1[:, 0])
    assert torch.equal(found["r1.me"], r1[torch.arange(N), data["me"]])
    assert torch.equal(found["r1.rest"], r1)
    # The pieces overwrite their places: what the rest holds there does not matter.
    moved = new.values(data, "q1", given={"r1.first": found["r1.first"] + 1})["q1"]
    assert (moved != graph.values(data, "q1")["q1"]).any(-1).sum() == (data["me"] != 0).sum()


def test_an_edge_stays_only_where_a_value_can_reach(data) -> None:
    graph = layers(data).split("r2", axis=1, into={"p{}": PLACES})
    assert graph.parents("y") == ("r2.p2",)
    inputs = layers(data).split("x", axis=1, into={"p{}": PLACES})
    by_place = inputs.split("r1", axis=1, into={"p{}": PLACES})
    assert by_place.parents("r1.p1") == ("x.p1", "a0")
    assert inputs.inputs == ("x.p0", "x.p1", "x.p2")


def test_finite_changes_see_through_a_causal_mask_and_nan_does_not(data) -> None:
    graph = layers(data).split("v0", axis=1, into={"p{}": PLACES})
    nan = graph.split("z0", axis=1, into={"p{}": PLACES})
    assert {"v0.p0", "v0.p1", "v0.p2"} <= set(nan.parents("z0.p1"))
    values = graph.split("z0", axis=1, into={"p{}": PLACES}, edges="values")
    assert {"v0.p0", "v0.p1"} <= set(values.parents("z0.p1"))
    assert "v0.p2" not in values.parents("z0.p1")
    cs.check_equal(nan, values, data)


def test_without_data_edges_stay_and_prune_drops_them_later(data) -> None:
    graph = layers(None).split("q0", axis=-1, into={"h{}": 2}).split("z0", axis=-1, into={"h{}": 2})
    assert graph.history[-1].endswith("edges untested for want of data")
    assert {"q0.h0", "q0.h1"} <= set(graph.parents("z0.h0"))
    pruned = graph.prune(data)
    assert "q0.h1" not in pruned.parents("z0.h0")
    with pytest.raises(cs.GraphError, match="no rows to test edges on"):
        graph.prune()


def test_a_split_node_can_still_be_asked_for_and_given(data) -> None:
    graph = layers(data)
    new = graph.split("z1", axis=-1, into={"h{}": 2})
    z = graph.values(data, "z1")["z1"]
    assert torch.equal(new.values(data, "z1")["z1"], z)
    leaf = (z + 1).requires_grad_()
    out = new.values(data, given={"z1": leaf})["y"]
    torch.testing.assert_close(out, graph.values(data, given={"z1": leaf})["y"])
    assert torch.autograd.grad(out.sum(), leaf)[0].abs().sum() > 0
    with pytest.raises(cs.GraphError, match=r"'z1' is no node any more: it was split into z1.h0"):
        new.parents("z1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": "z0", "axis": 0, "into": {"h{}": 2}}, "axis 0 is the batch"),
        ({"pattern": "z0", "axis": 3, "into": {"h{}": 2}}, "has no axis 3"),
        ({"pattern": "z9", "axis": 1, "into": {"h{}": 2}}, "no node matches 'z9'"),
        ({"pattern": "z0", "axis": -1, "into": {"h{}": 3}}, "cannot be cut into 3 equal parts"),
        ({"pattern": "z0", "axis": 1, "into": {"a": 0}}, "places 1, 2 of axis 1, .* rest="),
        ({"pattern": "z0", "axis": 1, "into": {"a": 0, "b": [0, 1, 2]}}, "both in 'a' and in 'b'"),
        ({"pattern": "z0", "axis": 1, "into": {"a": 7}}, "has no place 7"),
        ({"pattern": "z0", "axis": 1, "into": {"a": slice(9, 9)}}, "piece 'a' is empty"),
        ({"pattern": "z0", "axis": 1, "into": {"a": "me"}}, "name them with rest="),
        ({"pattern": "z0", "axis": 1, "into": {"a": 1.5}}, "not 1.5"),
        ({"pattern": "z0", "axis": 1, "into": {}}, "names no piece"),
        ({"pattern": "z0", "axis": 1, "into": {"h{}": 3}, "rest": "r"}, "nothing is left besides"),
        (
            {"pattern": "z0", "axis": 1, "into": {"a": slice(0, 3)}, "rest": "r"},
            "leave out rest='r'",
        ),
        ({"pattern": "z0", "axis": 1, "into": {"p{}": 3}, "edges": "x"}, "no test of edges"),
    ],
)
def test_a_split_that_cannot_be_is_told(data, arguments, message) -> None:
    pattern = arguments.pop("pattern")
    with pytest.raises(cs.GraphError, match=message):
        layers(data).split(pattern, **arguments)


def test_replace_is_checked_on_data(data) -> None:
    graph = layers(data)
    nodes: dict[str, Any] = {
        "head": (lambda r: r[:, -1, :2].sum(-1), ["r2"]),
        "tail": (lambda r: r[:, -1, 2:].sum(-1), ["r2"]),
        "total": (torch.add, ["head", "tail"]),
    }
    new = graph.replace("y", nodes=nodes, output="total", data=data)
    assert new.output == "total"
    assert "y" not in new
    assert "equal on 12 rows, within tolerance" in new.history[-1]
    assert not new.unverified
    nodes["tail"] = (lambda r: r[:, -1, 1:].sum(-1), ["r2"])
    with pytest.raises(
        cs.GraphError, match=r"replace 'y': .* differ on 12 of 12 rows: most on row"
    ):
        graph.replace("y", nodes=nodes, output="total", data=data)
    later = layers(None).replace("y", nodes=nodes, output="total")
    with pytest.raises(cs.GraphError, match="differ on 12 of 12 rows"):
        later.verify(data)


def test_replace_drops_what_nothing_reads_any_more(data) -> None:
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"s": (lambda x: x * 2, ["x"]), "y": (lambda s: s.sum((1, 2)), ["s"])},
        output="y",
    )
    new = graph.replace("y", nodes={"z": (lambda x: 2 * x.sum((1, 2)), ["x"])}, output="z")
    assert new.names == ("x", "z")
    assert new.verify(data).unverified == ()
    with pytest.raises(cs.GraphError, match=r"reads 'y', the node that goes. Read its parents: s"):
        graph.replace("y", nodes={"z": (torch.neg, ["y"])}, output="z")
    with pytest.raises(cs.GraphError, match="neither a node nor a field"):
        graph.replace("y", nodes={"z": (torch.neg, ["xx"])}, output="z", data=data)


def test_coarsen_fuses_and_keeps_what_does_not_reach_apart(data) -> None:
    graph = layers(data).split("q0", axis=-1, into={"h{}": 2})
    graph = graph.split("z0", axis=-1, into={"h{}": 2})
    coarse = graph.coarsen(["q0.h1", "z0.h*", "a1"])
    assert coarse.names == ("x", "q0.h1", "z0.h0", "z0.h1", "a1", "y")
    assert coarse.parents("z0.h0") == ("x",)
    assert coarse.parents("z0.h1") == ("x", "q0.h1")
    cs.check_equal(graph, coarse, data)
    assert torch.equal(coarse.values(data, "r2")["r2"], graph.values(data, "r2")["r2"])
    # What z0.h0 ignores directly still reaches it by another way.
    assert graph.coarsen(["x", "y"]).parents("y") == ("x",)


def test_rename_by_pattern(data) -> None:
    graph = layers(data)
    new = graph.split("z*", axis=-1, into={"h{}": 2}).rename({"z{i}.h{j}": "head.{i}.{j}"})
    assert new.find("head.*") == ("head.0.0", "head.0.1", "head.1.0", "head.1.1")
    assert new.rename({"y": "out"}).output == "out"
    cs.check_equal(graph, new, data)
    with pytest.raises(cs.GraphError, match="several nodes would be called same"):
        new.rename({"q*": "same"})
    with pytest.raises(cs.GraphError, match="has a wildcard that 'y' has not"):
        new.rename({"y": "y{i}"})


def test_append_reads_split_nodes_and_fields(data) -> None:
    graph = layers(data).split("r2", axis=1, into={"p{}": PLACES})
    new = graph.append("loss", lambda r, s: r.sum((1, 2)) - s, parents=["r2", "share"])
    assert new.output == "loss"
    assert new.parents("loss") == ("r2.p0", "r2.p1", "r2.p2", "share")
    with pytest.raises(cs.GraphError, match="'y' is taken"):
        graph.append("y", torch.neg, parents=["r1"])


def test_check_equal_tells_where_and_by_how_much(data) -> None:
    graph = layers(data)
    other = graph.append("z", lambda y: y + (y == y.max()) * 0.5, parents=["y"])
    row = int(graph(data).argmax())
    with pytest.raises(cs.GraphError, match=f"differ on 1 of 12 rows: most on row {row}, where"):
        cs.check_equal(graph, other, data)
    assert str(cs.check_equal(graph, other, data, tolerance=1.0)).startswith("equal on 12 rows")
    with pytest.raises(cs.GraphError, match=r"shape \[12\], and 'r2' has \[12, 3, 4\]"):
        cs.check_equal(
            graph,
            graph.append("r3", torch.neg, parents=["r2"])
            .coarsen(["r2"])
            .rename({"r3": "r2", "r2": "old"}),
            data,
        )


def stand_in(share: torch.Tensor) -> torch.Tensor:
    return share[:, None, None].tanh().expand(-1, PLACES, WIDTH)


def test_a_sum_of_an_approximation_a_projection_and_the_rest(data) -> None:
    graph = layers(data).split("z0", axis=-1, into={"h{}": 2})
    direction = torch.tensor([1.0, 1.0], dtype=torch.float64)
    pieces = {
        "phi": (lambda s: stand_in(s)[..., :2], ["share"]),
        "das": direction,
        "kept": torch.relu,
    }
    new = graph.split_sum("z0.h0", pieces, rest="rest", data=data)
    assert new.parents("z0.h0.phi") == ("share",)
    assert set(new.parents("z0.h0.das")) == {"q0", "k0", "v0"}
    assert set(new.parents("z0.h0.rest")) == {"q0", "k0", "v0", "share"}
    assert "z0.h1" in new.parents("a0")
    assert len(new.parents("a0")) == 5
    cs.check_equal(graph, new, data)
    z = graph.values(data, "z0.h0")["z0.h0"]
    found = new.values(data, "z0.h0.*")
    torch.testing.assert_close(found["z0.h0.das"], z.mean(-1, keepdim=True).expand_as(z))
    torch.testing.assert_close(sum(found.values()), z)
    torch.testing.assert_close(new.values(data, "z0.h0")["z0.h0"], z)
    # The output projection was split with it: consumers only add.
    assert isinstance(new.nodes["a0"].fn, type(cs.add))


def test_the_rest_does_not_make_up_for_a_scrubbed_summand(data) -> None:
    graph = layers(data)
    new = graph.split_sum("a0", {"phi": (stand_in, ["share"])}, rest="rest", data=data)
    clean = new.values(data, ["a0.phi", "a0.rest", "a0"])
    moved = new.values(data, ["a0.rest", "a0"], given={"a0.phi": clean["a0.phi"] + 1})
    assert torch.equal(moved["a0.rest"], clean["a0.rest"])
    torch.testing.assert_close(moved["a0"], clean["a0"] + 1)


def test_summands_without_a_rest_must_add_up(data) -> None:
    graph = layers(data)
    new = graph.split_sum("a0", {"half": lambda a: a / 2, "other": lambda a: a * 0.5}, data=data)
    assert "equal on 12 rows" in new.history[-1]
    assert not new.unverified
    with pytest.raises(cs.GraphError, match="do not add up; name what is left with rest="):
        graph.split_sum("a0", {"half": lambda a: a / 2})
    later = layers(None).split_sum("a0", {"half": lambda a: a / 2})
    with pytest.raises(cs.GraphError, match="the graphs differ"):
        later.verify(data)


@pytest.mark.parametrize("affine", [True, False])
def test_a_dictionary_of_features(data, affine) -> None:
    torch.manual_seed(0)
    encoder = torch.nn.Linear(WIDTH, 6, dtype=torch.float64).requires_grad_(False)
    decoder = torch.nn.Linear(6, WIDTH, dtype=torch.float64).requires_grad_(False)
    encode = lambda x: encoder(x).relu()  # noqa: E731
    decode = decoder if affine else lambda code: decoder(code).tanh()
    graph = layers(data)
    pieces = cs.dictionary(encode, decode, {"names": [1, 4], "place": [0]}, other="other")
    new = graph.split_sum("a*", pieces, rest="error")
    assert new.find("a1.*") == ("a1.names", "a1.place", "a1.other", "a1.error")
    cs.check_equal(graph, new, data)
    a = graph.values(data, "a0")["a0"]
    found = new.values(data, "a0.*")
    torch.testing.assert_close(found["a0.error"], a - decode(encode(a)))
    alone = torch.zeros(N, PLACES, 6, dtype=torch.float64)
    alone[..., [1, 4]] = encode(a)[..., [1, 4]]
    torch.testing.assert_close(found["a0.names"], decode(alone) - decode(torch.zeros_like(alone)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda g: g.split_sum("a0", {"p": 3}, rest="r"), "not int"),
        (lambda g: g.split_sum("a0", {"p": (torch.relu, "x")}, rest="r"), r"\(function, \[parents"),
        (lambda g: g.split_sum("a0", {"p": torch.relu}, rest="p"), "also the name of a summand"),
        (lambda g: g.split_sum("a0", {"p*": torch.relu}, rest="r"), "'p\\*' is no name"),
        (lambda g: g.split_sum("a0", {"p": torch.ones(2, 3)}, rest="r"), "more columns than rows"),
        (lambda g: g.split_sum("a0", {"p": torch.ones(4, 2)}, rest="r"), "linearly dependent"),
        (
            lambda g: g.split_sum("a0", {"p": (stand_in, ["shares"])}, rest="r"),
            "neither a node nor a field",
        ),
        (
            lambda g: g.split_sum("a0", {"p": (lambda s: s, ["share"])}, rest="r"),
            "summands have the shape of the node",
        ),
        (lambda g: g.split_sum("a0", {"p": (torch.neg, ["r2"])}, rest="r"), "cycle"),
        (lambda g: cs.dictionary(abs, abs, {"a": [1], "b": [1]}), "both in 'a' and in 'b'"),
        (lambda g: cs.dictionary(abs, abs, {"a": [3, 1, 1]}), "feature 1 is twice in 'a'"),
        (lambda g: cs.dictionary(abs, abs, {"a": []}), "group 'a' is empty"),
        (
            lambda g: g.split_sum("a0", cs.dictionary(abs, abs, {"a": [9]}), rest="r"),
            "4 features, none of number 9",
        ),
        (lambda g: g.split_sum("a0", cs.dictionary(abs, abs, {"a": [1]})), "with rest="),
        (lambda g: g.duplicate("x", {"x1": ["z1"]}), "'z1'; 'x' is read by q0, k0, v0, r1"),
        (lambda g: g.duplicate("x", {"a": ["q0"], "b": ["q*"]}), "both 'a' and 'b'"),
        (lambda g: g.duplicate("x", {"r2": ["q0"]}), "'r2' is taken"),
        (lambda g: g.duplicate("x", {}), "no copy is named"),
    ],
)
def test_a_sum_or_copy_that_cannot_be_is_told(data, make, message) -> None:
    with pytest.raises(cs.GraphError, match=message):
        make(layers(data))


def test_copies_make_nodes_of_routes(data) -> None:
    graph = layers(data).coarsen(["x", "z*", "a*"])
    assert graph.parents("y") == ("x", "a0", "a1")
    new = graph.duplicate("x", {"x.direct": ["y"], "x.early": "z0"})
    assert set(new.parents("y")) == {"x.direct", "a0", "a1"}
    assert new.parents("z0") == ("x.early",)
    assert new.parents("z1") == ("x", "a0")
    assert set(new.inputs) == {"x", "x.direct", "x.early"}
    cs.check_equal(graph, new, data)
    # Nothing is shared between the routes: what is given to one copy stays on its own.
    zeros = torch.zeros(N, PLACES, WIDTH, dtype=torch.float64)
    moved = new.values(data, ["z0", "z1", "y"], given={"x.direct": zeros})
    clean = graph.values(data, ["z0", "z1", "y"])
    assert torch.equal(moved["z0"], clean["z0"])
    assert torch.equal(moved["z1"], clean["z1"])
    assert not torch.equal(moved["y"], clean["y"])
    gone = graph.duplicate("a0", {"a0.z": ["z1"], "a0.y": ["y"]})
    assert "a0" not in gone
    cs.check_equal(graph, gone, data)


def test_graphs_that_differ_are_told_apart_in_words() -> None:
    rows = cs.Dataset(x=[1.0, 2.0])
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (lambda x: x * 1, ["x"]), "y": (lambda a: a * 2, ["a"])},
        output="y",
        example=rows,
    )
    with pytest.raises(cs.GraphError, match="where 'y' was 4 and is 6;"):
        graph.replace("a", nodes={"b": (lambda x: x * 1.5, ["x"])}, output="b")
    other = cs.Graph.build(inputs=["x"], nodes={"y": (lambda x: x * 3, ["x"])}, output="y")
    with pytest.raises(cs.GraphError, match="where 'y' is 4 in one and 6 in the other;"):
        cs.check_equal(graph, other, rows)
    named = other.rename({"y": "z"})
    with pytest.raises(cs.GraphError, match="where 'y' is 4 and 'z' is 6;"):
        cs.check_equal(graph, named, rows)


def test_equal_sums_are_one_node(data) -> None:
    graph = layers(data).split("a0", axis=-1, into={"h{}": 2}).coarsen(["x", "a0.*", "z1"])
    hidden = [node for name, node in graph.nodes.items() if name.startswith("~")]
    sums = [tuple(sorted(node.parents)) for node in hidden if isinstance(node.fn, type(cs.add))]
    assert len(sums) == len(set(sums))


def test_edges_are_tested_at_every_place_that_rows_are_read_at(data) -> None:
    many = cs.Dataset(x=torch.randn(500, PLACES, WIDTH), me=(torch.arange(500) == 77) * 2)
    graph = cs.Graph.build(
        inputs=["x", "me"],
        nodes={
            "r": (torch.tanh, ["x"]),
            "y": (lambda r, me: r[torch.arange(len(r)), me].sum(-1), ["r", "me"]),
        },
        output="y",
        example=many,
    )
    places = graph.split("r", axis=1, into={"p{}": PLACES})
    assert set(places.parents("y")) == {"r.p0", "r.p2", "me"}


def test_a_norm_in_float32_inside_a_float64_model_is_replaced_within_its_own_rounding() -> None:
    """The outputs are float64; what they differ by is rounding of what is computed in float32."""

    def norm(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x.float(), (3,)).double()

    def other(x: torch.Tensor) -> torch.Tensor:
        x = x.float()
        return (
            (x - x.mean(-1, True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        ).double()

    generator = torch.Generator().manual_seed(0)
    data = cs.Dataset(x=torch.randn(20, 3, dtype=torch.float64, generator=generator))
    graph = cs.Graph.build(
        inputs=["x"], nodes={"n": (norm, ["x"]), "y": (torch.exp, ["n"])}, output="y", example=data
    )
    new = graph.replace("n", nodes={"m": (other, ["x"])}, output="m", data=data)
    assert new.parents("y") == ("m",)
    with pytest.raises(cs.GraphError, match="differ on"):
        graph.replace("n", nodes={"m": (lambda x: 1.01 * other(x), ["x"])}, output="m", data=data)
    plain = cs.Graph.build(inputs=["x"], nodes={"y": (torch.exp, ["x"])}, output="y", example=data)
    near = {"z": (lambda x: torch.exp(x) * (1 + 1e-7), ["x"])}
    with pytest.raises(cs.GraphError, match="differ"):
        plain.replace("y", nodes=near, output="z", data=data)
