from __future__ import annotations

from pathlib import Path

import pytest
import torch
import zoo
from capturing import assert_close, check_swap, state
from zoo_cases import CASES, X, Y

import causal_scrubbing as cs


@pytest.mark.filterwarnings("ignore:scale does not reach the output")
@pytest.mark.parametrize("method", ["export", "hooks"])
@pytest.mark.parametrize("name", CASES)
def test_the_zoo_is_captured_with_its_edges_values_and_gradients(
    name: str, method: str, tmp_path: Path
) -> None:
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
    graph.save(tmp_path)
    again = cs.load_graph(tmp_path, model)
    assert again.names == graph.names
    assert all(again.parents(one) == graph.parents(one) for one in graph.names)
    with torch.no_grad():
        one, two = graph.values(case.data, graph.names), again.values(case.data, graph.names)
        assert all(torch.equal(one[node], two[node]) for node in graph.names)


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
