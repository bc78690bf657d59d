"""Splits over several axes at once: boxes, masks and every place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs

H, W, C = 5, 4, 3


def picture() -> tuple[cs.Graph, cs.Dataset]:
    weights = torch.randn(C, C, 3, 3, generator=torch.Generator().manual_seed(0))
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "conv": (lambda x: torch.nn.functional.conv2d(x, weights, padding=1), ["x"]),
            "corner": (lambda c: c[:, :, :2, :2].sum((1, 2, 3)), ["conv"]),
            "out": (lambda c, d: torch.relu(c).sum((1, 2, 3)) + d, ["conv", "corner"]),
        },
        output="out",
    )
    x = torch.randn(6, C, H, W, generator=torch.Generator().manual_seed(1))
    return graph, cs.Dataset(x=x)


def test_a_box_and_the_rest() -> None:
    graph, data = picture()
    cut = graph.split(
        "conv", axes=(2, 3), into={"mid": (slice(1, 4), slice(1, 3)), "at": (0, -1)}, rest="rest",
        data=data,
    )  # fmt: skip
    assert cut.find("conv.*") == ("conv.rest", "conv.mid", "conv.at")
    values = cut.values(data, ["conv.mid", "conv.at"])
    whole = graph.values(data, "conv")["conv"]
    assert torch.equal(values["conv.mid"], whole[:, :, 1:4, 1:3])
    assert torch.equal(values["conv.at"], whole[:, :, 0, -1])
    assert torch.equal(cut(data), graph(data))
    assert cut.parents("corner") == ("conv.rest", "conv.mid")
    assert "axes 2, 3" in cut.history[-1]


def test_every_place_is_a_piece_and_edges_go_where_it_is_read() -> None:
    graph, data = picture()
    cut = graph.split("conv", axes=(2, 3), into={"p{}_{}": ...}, data=data)
    assert len(cut.find("conv.*")) == H * W
    assert torch.equal(
        cut.values(data, "conv.p4_1")["conv.p4_1"], graph.values(data, "conv")["conv"][:, :, 4, 1]
    )
    assert set(cut.parents("corner")) == {f"conv.p{i}_{j}" for i in range(2) for j in range(2)}
    assert torch.equal(cut(data), graph(data))
    again = cut.split("x", axes=(-1, -2), into={"q{}_{}": ...}, data=data)
    # Numbers follow the order of axes: first the width, then the height.
    near = {f"x.q{j}_{i}" for i in range(3, H) for j in range(3)}
    assert set(again.parents("conv.p4_1")) == near
    torch.testing.assert_close(again(data), graph(data))


def test_lists_of_places_make_a_grid_of_pieces() -> None:
    graph, data = picture()
    cut = graph.split(
        "conv", axes=[2, 3], into={"p{}_{}": ([0, 2], slice(1, 3)), "q{}_{}": ...}, data=data
    )
    assert [name for name in cut.names if ".p" in name] == [
        "conv.p0_1", "conv.p0_2", "conv.p2_1", "conv.p2_2",
    ]  # fmt: skip
    assert len(cut.find("conv.q*")) == H * W - 4
    assert torch.equal(cut(data), graph(data))


@pytest.mark.parametrize("kind", [torch.as_tensor, np.asarray])
def test_a_mask_over_the_axes_names_its_places(kind: Any) -> None:
    graph, data = picture()
    mask = np.zeros((H, W), dtype=bool)
    mask[1, 2] = mask[3, 0] = mask[4, 3] = True
    cut = graph.split("conv", axes=(2, 3), into={"seen": kind(mask)}, rest="rest", data=data)
    whole = graph.values(data, "conv")["conv"]
    value = cut.values(data, "conv.seen")["conv.seen"].movedim(2, -1)
    assert torch.equal(value, whole[:, :, mask])
    assert cut.parents("corner") == ("conv.rest",)
    assert torch.equal(cut(data), graph(data))


def test_a_mask_over_one_axis_names_its_places() -> None:
    graph, data = picture()
    cut = graph.split(
        "conv", axis=1, into={"on": np.array([True, False, True])}, rest="off", data=data
    )
    assert cut.values(data, "conv.on")["conv.on"].shape[1] == 2


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), three=st.booleans(), rest=st.booleans())
def test_whatever_the_pieces_the_graph_computes_the_same(seed, three, rest) -> None:
    rng = np.random.default_rng(seed)
    graph, data = picture()
    axes = tuple(int(a) for a in rng.permutation([1, 2, 3] if three else [2, 3]))
    shape = [(C, H, W)[axis - 1] for axis in axes]
    label = rng.integers(0, 3, shape)
    into: dict[str, Any] = {f"m{i}": label == i for i in range(3) if (label == i).any()}
    if rest:
        into.pop(next(iter(into)))
    if not into:
        return
    target = str(rng.choice(["conv", "x"]))
    cut = graph.split(target, axes=axes, into=into, rest="rest" if rest else None, data=data)
    torch.testing.assert_close(cut(data), graph(data))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give axis=, one axis, or axes="),
        ({"axis": 1, "axes": (2, 3)}, "give axis=, one axis, or axes="),
        ({"axes": (2,)}, "not several axes"),
        ({"axes": 3}, "not several axes"),
        ({"axes": (0, 2)}, "no axis 0 to split"),
        ({"axes": (2, 7)}, "no axis 7 to split"),
        ({"axes": (2, -2)}, "an axis twice"),
        ({"axes": (2, 3), "into": {}}, "names no piece"),
        ({"axes": (2, 3), "into": {"a": 3}}, "for each of 2 axes, or a boolean mask"),
        ({"axes": (2, 3), "into": {"a": (1, "x")}}, "for each of 2 axes"),
        ({"axes": (2, 3), "into": {"a": (1, 9)}}, "no place 9"),
        ({"axes": (2, 3), "into": {"a": (1, slice(3, 3))}}, "'a' is empty"),
        ({"axes": (2, 3), "into": {"a": (1, 1)}}, r"places \(0, 0\), .* \(19 in all\) are in no"),
        ({"axes": (2, 3), "into": {"a": (1, 1), "b": (1, slice(0, 2))}}, r"place \(1, 1\) is both"),
        ({"axes": (2, 3), "into": {"a": np.ones((4, 4), dtype=bool)}}, r"shape \[4, 4\]"),
        ({"axes": (2, 3), "into": {"p{}": ...}}, "a key with 2 numbers"),
        ({"axes": (2, 3), "into": {"p{}": (1, 1)}}, "has a number for each"),
        ({"axes": (2, 3), "into": {"*": (1, 1)}}, "cannot name a piece"),
        ({"axes": (2, 3), "into": {"r": (1, 1)}, "rest": "r"}, "also the name of a piece"),
        ({"axes": (2, 3), "into": {"p{}_{}": ...}, "rest": "r"}, "leave out rest="),
    ],
)
def test_pieces_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    graph, data = picture()
    with pytest.raises(cs.GraphError, match=message):
        graph.split("conv", **{"into": {"a": (1, 1)}, **options}, data=data)


def test_several_axes_need_rows() -> None:
    graph, _ = picture()
    with pytest.raises(cs.GraphError, match="without data nothing tells"):
        graph.split("conv", axes=(2, 3), into={"a": (1, 1)}, rest="r")
