"""Directions that overlap: said, and projected on together where that is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs

WIDTH = 6


def residual(seed: int = 0) -> tuple[cs.Graph, cs.Dataset]:
    x = torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    data = cs.Dataset(x=x, sign=x[:, 0] > 0)
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"r": (torch.clone, ["x"]), "y": (lambda r: r.sum(1), ["r"])},
        output="y",
        example=data,
    )
    return graph, data


def at(degrees: float) -> dict[str, torch.Tensor]:
    """Two directions so many degrees apart."""
    one, two = torch.zeros(2, WIDTH, dtype=torch.float64)
    one[0] = 1
    two[0], two[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {"a": one, "b": two}


def test_the_largest_overlap_is_in_the_history_and_the_notes() -> None:
    graph, data = residual()
    cut = graph.split_sum("r", at(45), rest="rest")
    assert "largest overlap 0.71" in cut.history[-1]
    assert "'a' and 'b' of 'r' overlap" in cut.notes[0]
    assert "note: summands 'a' and 'b'" in str(cut)
    assert cut.rename({"r.a": "first"}).notes == cut.notes
    h = cs.Hypothesis(cut, cs.claim("y", cs.exact, cs.claim("r.a", "sign", via="*")))
    result = cs.scrub(h, data, metric=cs.metrics.squared_error("sign"), samples=20)
    assert "joint=True" in str(result)
    right = graph.split_sum("r", at(90), rest="rest")
    assert "largest overlap 0.00" in right.history[-1]
    assert not right.notes
    assert not graph.split_sum("r", {"a": at(45)["a"]}, rest="rest").notes


def test_planes_overlap_by_their_closest_directions() -> None:
    graph, _ = residual()
    eye = torch.eye(WIDTH, dtype=torch.float64)
    planes = {"p": eye[:, :2], "q": torch.stack([eye[1] + eye[2], eye[3]], 1), "s": eye[5]}
    cut = graph.split_sum("r", planes, rest="rest")
    assert "'p' and 'q'" in cut.notes[0]
    assert "is 0.71" in cut.notes[0]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(1, 2), min_size=2, max_size=3))
def test_joint_summands_keep_their_own_span_and_nothing_of_others(seed, sizes) -> None:
    graph, data = residual(seed)
    generator = torch.Generator().manual_seed(seed)
    spans = {
        f"s{i}": torch.randn(WIDTH, k, generator=generator, dtype=torch.float64)
        for i, k in enumerate(sizes)
    }
    cut = graph.split_sum("r", spans, rest="rest", joint=True)
    assert "projected jointly" in cut.history[-1]
    assert not cut.notes
    torch.testing.assert_close(cut(data), graph(data))
    together = torch.cat(list(spans.values()), 1)
    within = torch.randn(40, together.shape[1], generator=generator, dtype=torch.float64)
    values = cut.values(data, "r.*", given={"r": within @ together.T})
    start = 0
    for name, span in spans.items():
        part = within[:, start : start + span.shape[1]] @ span.T
        torch.testing.assert_close(values[f"r.{name}"], part, atol=1e-8, rtol=1e-6)
        start += span.shape[1]
    torch.testing.assert_close(
        values["r.rest"], torch.zeros_like(values["r.rest"]), atol=1e-8, rtol=0
    )


def test_a_true_hypothesis_about_close_directions_is_kept_by_the_joint_projection() -> None:
    generator = torch.Generator().manual_seed(5)
    signs = torch.randint(0, 2, (64, 2), generator=generator)
    spans = at(45)
    basis = torch.stack([spans["a"], spans["b"]])
    data = cs.Dataset(x=signs.double() @ basis, a=signs[:, 0], b=signs[:, 1])
    dual = torch.linalg.pinv(basis)
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"r": (torch.clone, ["x"]), "y": (lambda r: (r @ dual)[:, 0], ["r"])},
        output="y",
        example=data,
    )

    def recovered(joint: bool) -> float:
        cut = graph.split_sum("r", spans, rest="rest", joint=joint)
        claim = cs.claim("y", cs.exact, cs.claim("r.a", "a", via="*"))
        h = cs.Hypothesis(cut, claim, unimportant="separate")
        metric = cs.metrics.squared_error("a")
        return float(cs.exact_scrub(h, data, metric=metric).recovered.mean)

    assert recovered(joint=True) == pytest.approx(100)
    assert recovered(joint=False) < 60


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ({"a": torch.ones(WIDTH)}, "two summands or more"),
        ({"a": torch.ones(WIDTH), "m": torch.eye(WIDTH)}, "below the width, not m"),
        ({"a": torch.ones(WIDTH), "f": (torch.clone, ["x"])}, "below the width, not f"),
        ({"a": torch.ones(WIDTH), "b": torch.ones(4)}, "differ in width"),
        ({"a": torch.ones(WIDTH), "b": 2 * torch.ones(WIDTH)}, "linearly dependent"),
        (cs.dictionary(torch.clone, torch.clone, {"g": [0]}), "not for a dictionary"),
    ],
)
def test_what_has_no_joint_projection_is_refused(pieces: Any, message: str) -> None:
    graph, _ = residual()
    with pytest.raises(cs.GraphError, match=message):
        graph.split_sum("r", pieces, rest="rest", joint=True)


def test_a_replacement_in_another_precision_is_equal_within_a_tolerance() -> None:
    graph, data = residual()
    new = {"low": (lambda x: x.float().double(), ["x"])}
    with pytest.raises(cs.GraphError, match="not equal to it"):
        graph.replace("r", nodes=new, output="low")
    done = graph.replace("r", nodes=new, output="low", tolerance=1e-5)
    assert "within tolerance" in done.history[-1]
    assert done.verify(data).unverified == ()
    with pytest.raises(cs.GraphError, match="tolerance=-1 is not a share"):
        graph.replace("r", nodes=new, output="low", tolerance=-1)


def test_a_graph_is_written_as_dot() -> None:
    graph, _ = residual()
    named = graph.rename({"r": 'the "r"'})
    assert named.to_dot().splitlines() == [
        "digraph {",
        "  rankdir=BT;",
        '  "x" [shape=box];',
        '  "the \\"r\\"" [shape=ellipse];',
        '  "y" [shape=ellipse, peripheries=2];',
        '  "x" -> "the \\"r\\"";',
        '  "the \\"r\\"" -> "y";',
        "}",
    ]


@pytest.mark.parametrize("name", ["a\nb", "\x1b[1mbold", "", 3])
def test_names_that_would_break_a_line_are_refused(name: str) -> None:
    with pytest.raises(cs.GraphError, match="cannot name a node"):
        cs.Graph.build(inputs=["x"], nodes={name: (torch.relu, ["x"])}, output=name)
