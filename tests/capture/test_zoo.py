from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import zoo
from capturing import assert_close, check_swap, state

import causal_scrubbing as cs

torch.manual_seed(0)
X, Y = torch.randn(4, 4), torch.randn(4, 4)
TOKENS = torch.randint(0, 7, (4, 6))
IMAGES = torch.randn(4, 1, 6, 6)


@dataclass(frozen=True)
class Case:
    """A module, how it is captured, the edges it must have, and a place to swap."""

    make: Callable[[], torch.nn.Module]
    data: cs.Dataset
    sites: Any
    edges: dict[str, tuple[str, ...]]
    swaps: dict[str, str]
    fields: tuple[str, ...]
    output: str = "output"


CASES = {
    "mlp": Case(
        zoo.Mlp,
        cs.Dataset(x=X),
        {"hidden": "down:input", "mlp": "down"},
        {"hidden": ("x",), "mlp": ("hidden",), "output": ("x", "mlp")},
        {"hidden": "down:input", "mlp": "down"},
        ("x",),
    ),
    "attention": Case(
        zoo.Attention,
        cs.Dataset(tokens=TOKENS, mask=TOKENS == 0),
        {"embed": "embed", "a{i}.z": "blocks.{i}.out:input", "m{i}": "blocks.{i}.mlp"},
        {
            "a0.z": ("mask", "embed"),
            "m0": ("embed", "a0.z"),
            "a1.z": ("mask", "embed", "a0.z", "m0"),
            "output": ("embed", "a0.z", "m0", "a1.z", "m1"),
        },
        {"embed": "embed", "a0.z": "blocks.0.out:input", "m1": "blocks.1.mlp"},
        ("tokens", "mask"),
    ),
    "residual stream as sites": Case(
        zoo.Attention,
        cs.Dataset(tokens=TOKENS),
        {"r{i}": "blocks.{i}:input", "a{i}": "blocks.{i}.out"},
        {"r1": ("r0", "a0"), "output": ("r1", "a1")},
        {"r0": "blocks.0:input", "r1": "blocks.1:input"},
        ("tokens",),
    ),
    "queries, keys and values": Case(
        zoo.Attention,
        cs.Dataset(tokens=TOKENS),
        {"embed": "embed", "q{i}": "blocks.{i}.q", "k{i}": "blocks.{i}.k", "v{i}": "blocks.{i}.v"},
        {"q0": ("embed",), "q1": ("embed", "q0", "k0", "v0")},
        {"q1": "blocks.1.q", "v0": "blocks.0.v"},
        ("tokens",),
    ),
    "tuple output": Case(
        zoo.TupleOutput,
        cs.Dataset(x=X),
        {"one": "both:output.0", "b": "both.b"},
        {"output": ("b", "one")},
        {"one": "both:output.0", "b": "both.b"},
        ("x",),
    ),
    "dict output": Case(
        zoo.DictOutput,
        cs.Dataset(x=X),
        {"h": "inner:output.hidden", "scale": "inner:output.scale", "layer": "inner.layer"},
        {"logits": ("h",), "scale": ("layer",), "h": ("layer",)},
        {"layer": "inner.layer"},
        ("x",),
        "logits",
    ),
    "in-place operations": Case(
        zoo.InPlace,
        cs.Dataset(x=X),
        {"one": "one", "two": "two"},
        {"output": ("one", "two")},
        {"one": "one", "two": "two"},
        ("x",),
    ),
    "buffers": Case(
        zoo.Buffers,
        cs.Dataset(x=X),
        {"in": "layer:input", "layer": "layer"},
        {"output": ("layer",), "layer": ("in",)},
        {"in": "layer:input"},
        ("x",),
    ),
    "keyword inputs": Case(
        zoo.KeywordInputs,
        cs.Dataset(x=X, y=Y),
        {"left": "inner:input.left", "right": "inner:input.right", "inner": "inner"},
        {"inner": ("left", "right"), "left": ("x",), "right": ("y",)},
        {"right": "inner:input"},
        ("x", "y"),
    ),
    "recurrent": Case(
        zoo.Recurrent,
        cs.Dataset(tokens=TOKENS),
        {"embed": "embed", "states": "lstm:output.0"},
        {"states": ("embed",), "output": ("embed", "states")},
        {"embed": "embed", "states": "lstm:output.0"},
        ("tokens",),
    ),
    "convolutions": Case(
        zoo.Convolutions,
        cs.Dataset(image=IMAGES),
        {"one": "conv1", "two": "conv2"},
        {"two": ("one",), "output": ("one", "two")},
        {"one": "conv1", "two": "conv2"},
        ("image",),
    ),
    "fused path of torch": Case(
        zoo.TorchEncoder,
        cs.Dataset(x=torch.randn(4, 5, 8)),
        {"m{i}": "encoder.layers.{i}.linear2"},
        {"m1": ("x", "m0"), "output": ("x", "m0", "m1")},
        {"m0": "encoder.layers.0.linear2"},
        ("x",),
    ),
}


@pytest.mark.filterwarnings("ignore:scale does not reach the output")
@pytest.mark.parametrize("method", ["export", "hooks"])
@pytest.mark.parametrize("name", CASES)
def test_the_zoo_is_captured_with_its_edges_values_and_gradients(name: str, method: str) -> None:
    case = CASES[name]
    torch.manual_seed(1)
    model = case.make().eval()
    before = state(model)
    graph = cs.capture(
        model,
        case.data[:2],
        sites=case.sites,
        fields=case.fields,
        output=case.output,
        method=method,
    )
    assert state(model) == before

    def run(model: torch.nn.Module, data: cs.Dataset) -> torch.Tensor:
        found = model(*(data[field] for field in case.fields))
        return found if isinstance(found, torch.Tensor) else found[case.output]

    assert_close(graph(case.data), run(model, case.data), "output")
    for node, parents in case.edges.items():
        assert graph.parents(node) == parents, node
    for node, place in case.swaps.items():
        check_swap(graph, model, run, case.data, node, place)


@pytest.mark.parametrize("name", ["mlp", "in-place operations", "buffers", "keyword inputs"])
def test_gradients_with_respect_to_inputs_are_the_models_own(name: str) -> None:
    case = CASES[name]
    model = case.make().eval()
    graph = cs.capture(model, case.data[:2], sites=case.sites, fields=case.fields)
    one = [case.data[field].clone().requires_grad_() for field in case.fields]
    two = [tensor.detach().clone().requires_grad_() for tensor in one]
    model(*one).square().sum().backward()
    given = dict(zip(case.fields, two, strict=True))
    graph.values(case.data, given=given)["output"].square().sum().backward()
    for expected, found, field in zip(one, two, case.fields, strict=True):
        assert expected.grad is not None
        assert found.grad is not None
        assert_close(found.grad, expected.grad, field)


def test_a_shape_alone_is_no_edge() -> None:
    model = zoo.ShapeOnly().eval()
    data = cs.Dataset(x=X, y=Y)
    sites = {"shape": "shape", "value": "value"}
    with pytest.warns(cs.Notice, match="^shape does not reach the output"):
        graph = cs.capture(model, data[:2], sites=sites, fields=["x", "y"])
    assert graph.parents("output") == ("value",)
    assert_close(graph(data), model(X, Y), "output")


def test_a_module_called_twice_is_two_nodes() -> None:
    model = zoo.Reused().eval()
    data = cs.Dataset(x=X)
    graph = cs.capture(model, data[:2], sites={"layer": "layer"})
    assert graph.parents("layer#1") == ("layer#0",)
    graph = cs.capture(model, data[:2], sites={"first": "layer#0", "into": "layer:input#1"})
    assert graph.parents("into") == ("first",)
    assert graph.parents("output") == ("into",)


def test_a_tensor_marked_in_a_forward_is_a_node() -> None:
    model = zoo.Mark(cs.site).eval()
    data = cs.Dataset(x=X)
    assert cs.site(X, "outside a capture") is X
    graph = cs.capture(model, data[:2])
    assert graph.names == ("x", "hidden#0", "hidden#1", "tripled", "output")
    assert graph.parents("output") == ("hidden#1", "tripled")
    assert_close(graph(data), model(X), "output")


def test_a_site_that_does_not_reach_the_output_is_kept() -> None:
    model = zoo.DictOutput().eval()
    data = cs.Dataset(x=X)
    with pytest.warns(cs.Notice, match=r"^scale does not reach the output 'logits'"):
        graph = cs.capture(model, data[:2], sites={"scale": "inner:output.scale"}, output="logits")
    assert_close(graph.values(data, ["scale"])["scale"], model(X)["extra"], "scale")
    assert graph.parents("logits") == ("x",)
