"""Graphs written by hand: order, neighbours, patterns, evaluation, and every fault's message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs


@pytest.fixture
def graph() -> cs.Graph:
    return cs.Graph.build(
        inputs=["x"],
        nodes={
            "c": (lambda a, b: a - b, ["h.1", "h.0"]),
            "h.0": (lambda x: x * 2, ["x"]),
            "h.1": (lambda x, h: x + h, ["x", "h.0"]),
        },
        output="c",
    )


def test_the_graph_sorts_itself(graph: cs.Graph) -> None:
    assert graph.names.index("x") < graph.names.index("h.0") < graph.names.index("h.1")
    assert graph.output == graph.names[-1] == "c"


def test_neighbours(graph: cs.Graph) -> None:
    assert graph.parents("c") == ("h.0", "h.1")
    assert graph.children("h.0") == ("h.1", "c")
    assert graph.ancestors("h.1") == {"x", "h.0"}
    assert graph.descendants("h.0") == {"h.1", "c"}
    assert graph.inputs == ("x",)


def test_patterns_find_names_in_topological_order(graph: cs.Graph) -> None:
    assert graph.find("h.*") == ("h.0", "h.1")
    assert graph.find("h.{i}") == ("h.0", "h.1")
    assert graph.find("h.{0}") == graph.find("h.{}") == ("h.0", "h.1")
    assert graph.find(["c", "x"]) == ("x", "c")


def test_parents_values_come_in_the_order_written(graph: cs.Graph) -> None:
    data = cs.Dataset(x=[1.0, 5.0])
    assert graph(data).tolist() == [1.0, 5.0]


def test_a_parent_listed_twice_is_one_parent() -> None:
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (lambda a, b: a * b, ["x", "x"])}, output="y")
    assert graph.parents("y") == ("x",)
    assert graph(cs.Dataset(x=[3.0])).tolist() == [9.0]


def test_values_can_be_given_and_differentiated(graph: cs.Graph) -> None:
    data = cs.Dataset(x=[1.0, 2.0])
    h = torch.tensor([10.0, 20.0], requires_grad=True)
    found = graph.values(data, ["c", "h.1"], given={"h.0": h})
    assert found["h.1"].tolist() == [11.0, 22.0]
    found["c"].sum().backward()
    assert h.grad is not None
    assert h.grad.tolist() == [0.0, 0.0]
    assert "c" in found


def test_append_makes_a_new_output_and_reads_fields(graph: cs.Graph) -> None:
    scored = graph.append("loss", lambda c, goal: (c - goal) ** 2, parents=["c", "goal"])
    assert scored.output == "loss"
    assert graph.output == "c"
    assert scored(cs.Dataset(x=[1.0, 2.0], goal=[0.0, 0.0])).tolist() == [1.0, 4.0]


FAULTS: dict[str, tuple[Callable[[cs.Graph], object], str]] = {
    "cycle": (
        lambda g: cs.Graph.build(
            inputs=["x"],
            nodes={"a": (torch.add, ["x", "b"]), "b": (torch.relu, ["a"])},
            output="b",
        ),
        "the graph has a cycle, .*a <- b",
    ),
    "unknown parent": (
        lambda g: cs.Graph.build(inputs=["x"], nodes={"a": (torch.relu, ["q"])}, output="a"),
        "node 'a' has the parent 'q', which is neither an input nor a node",
    ),
    "unknown output": (
        lambda g: cs.Graph.build(inputs=["x"], nodes={"a": (torch.relu, ["x"])}, output="b"),
        "the output 'b' is no node",
    ),
    "parents as text": (
        lambda g: cs.Graph.build(inputs=["x"], nodes={"a": (torch.relu, "x")}, output="a"),
        r"write a list, \['x'\]",
    ),
    "no function": (
        lambda g: cs.Graph.build(inputs=["x"], nodes={"a": (3, ["x"])}, output="a"),  # type: ignore[dict-item]
        r"node 'a' must be given as \(function, \[parents\]\)",
    ),
    "name taken": (
        lambda g: cs.Graph.build(inputs=["x"], nodes={"x": (torch.relu, ["x"])}, output="x"),
        "two nodes are called 'x'",
    ),
    "reserved": (
        lambda g: cs.Graph.build(inputs=["x"], nodes={"~a": (torch.relu, ["x"])}, output="~a"),
        "begin with ~ are reserved",
    ),
    "parents of append": (
        lambda g: g.append("loss", torch.neg, parents="c"),
        r"parents='c' is one string; write a list, parents=\['c'\]",
    ),
    "another kind of graph": (
        lambda g: cs.check_equal(g, "g", cs.Dataset(x=[1.0])),  # type: ignore[arg-type]
        "check_equal takes two graphs, not str",
    ),
    "no rows": (
        lambda g: cs.check_equal(g, g, cs.Dataset(x=[1.0]), rows=0),
        "rows=0: give a positive number",
    ),
    "pieces without names": (
        lambda g: g.split("x", axis=0, into=4),  # type: ignore[arg-type]
        r"into=4 names no piece; write into=\{'h\{\}': 4\}",
    ),
    "pattern": (lambda g: g.find("q*"), r"no node matches 'q\*'"),
    "node": (lambda g: g.parents("h.2"), "no node 'h.2'. Did you mean"),
    "given no tensor": (
        lambda g: g.values(cs.Dataset(x=[1.0, 2.0]), given={"h.0": 1}),  # type: ignore[dict-item]
        r"given\['h.0'\] is 1; give a tensor with one entry for each of the 2 rows",
    ),
    "inputs as text": (
        lambda g: cs.Graph.build(inputs="xy", nodes={"a": (torch.relu, ["x"])}, output="a"),
        r"inputs='xy' is one string; write a list, inputs=\['xy'\]",
    ),
    "one number for all rows": (
        lambda g: cs.Graph.build(inputs=["x"], nodes={"a": (torch.sum, ["x"])}, output="a")(
            cs.Dataset(x=[1.0, 2.0])
        ),
        r"node 'a' returned shape \[\], one number, for a batch of 2 rows; .* one entry a row",
    ),
    "append": (lambda g: g.append("h.0", torch.relu, parents=["c"]), "the name 'h.0' is taken"),
    "given": (
        lambda g: g.values(cs.Dataset(x=[1.0, 2.0]), given={"h.0": torch.zeros(3)}),
        r"given\['h.0'\] has 3 rows for 2 rows of data",
    ),
}


@pytest.mark.parametrize(("make", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named(
    make: Callable[[cs.Graph], object], message: str, graph: cs.Graph
) -> None:
    with pytest.raises(cs.GraphError, match=message):
        make(graph)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_a_batch_of_no_rows_is_refused(size) -> None:
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.sin, ["x"])}, output="y")
    with pytest.raises(cs.GraphError, match="give a positive number of rows"):
        graph(cs.Dataset(x=torch.arange(4.0)), batch_size=size)
    assert len(graph(cs.Dataset(x=torch.arange(4.0)), batch_size=np.int64(3))) == 4  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "use",
    [
        lambda g, d: g(d),
        lambda g, d: g.values(d),
        lambda g, d: g.prune(d),
        lambda g, d: cs.check_equal(g, g, d),
        lambda g, d: cs.Hypothesis(g, cs.claim("c", cs.exact)).agreement(d),
        lambda g, d: cs.free(g).agreement(d),
        lambda g, d: cs.entropy(cs.Hypothesis(g, cs.claim("c", cs.exact)), d),
        lambda g, d: cs.permits(cs.free(g), cs.free(g), d),
    ],
)
def test_what_is_no_dataset_is_told_to_be_wrapped(
    graph: cs.Graph, use: Callable[[cs.Graph, object], object]
) -> None:
    with pytest.raises(cs.DataError, match=r"data is Tensor; wrap it: cs\.Dataset\("):
        use(graph, torch.ones(3))


@pytest.mark.parametrize("name", [3, None, 1.5, b"y"])
def test_a_name_that_is_no_text_is_refused_everywhere(name: Any) -> None:
    graph = cs.Graph.build(
        inputs=["x"], nodes={"y": (lambda x: x, ["x"]), "z": (lambda y: y, ["y"])}, output="z"
    )
    calls: list[Callable[[], object]] = [
        lambda: cs.Graph.build(inputs=["x"], nodes={name: (lambda x: x, ["x"])}, output="x"),
        lambda: graph.split("y", axis=1, into={name: 1}),
        lambda: graph.rename({"y": name}),
        lambda: graph.rename({name: "y"}),
        lambda: graph.duplicate("y", {name: ["z"]}),
    ]
    for call in calls:
        with pytest.raises(cs.GraphError, match="cannot name a node"):
            call()
