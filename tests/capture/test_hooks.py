"""Models that cannot be exported, or only in part: graphs whose nodes run the model itself."""

from __future__ import annotations

import warnings
from typing import Any

import odd
import pytest
import torch
import zoo
from capturing import assert_close, check_swap, hooked, state
from torch import nn

import causal_scrubbing as cs

torch.manual_seed(0)
DATA = cs.Dataset(x=torch.randn(20, 4))
SITES = {"a": "a", "inner": "inner", "b": "b"}


def around(inner: nn.Module, width: int = 4) -> nn.Module:
    torch.manual_seed(1)
    return odd.Around(inner, width).eval()


def run(model: nn.Module, data: Any) -> torch.Tensor:
    found: torch.Tensor = model(data["x"])
    return found


def check_around(graph: cs.Graph, model: nn.Module, swaps: tuple[str, ...] = ("a", "b")) -> None:
    """The graph of an `Around` has its edges, values and swaps."""
    data = DATA
    with torch.no_grad():
        assert_close(graph(data), model(data["x"]), "output")
    assert graph.parents("o") == ("b", "inner")
    assert graph.parents("b") == graph.parents("inner") == ("a",)
    for name in swaps:
        check_swap(graph, model, run, data, name, name)
    h = cs.Hypothesis(graph, cs.claim("o", cs.exact, cs.claim("b", cs.exact)))
    result = cs.scrub(h, data, lambda output, rows: output[:, 0], samples=32)
    reference = torch.as_tensor(result.drawn["~ref"])
    other = torch.as_tensor(result.drawn["o/~other"])
    x = data["x"]
    with torch.no_grad():
        want = model.o(model.b(model.a(x[reference])) + model.inner(model.a(x[other])))[:, 0]  # type: ignore[operator]
    found = torch.as_tensor(result.samples["scrubbed"].to_numpy(copy=True))
    assert_close(found.to(want.dtype), want, "scrubbed")


@pytest.mark.parametrize("how", [{"method": "hooks"}, {"opaque": ["inner"]}, {}])
def test_control_flow_that_depends_on_data(how: dict[str, Any]) -> None:
    model = around(odd.Loop())
    before = state(model)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        graph = cs.capture(model, DATA[:3], sites=SITES, output="o", **how)
    said = [str(one.message) for one in seen if issubclass(one.category, cs.Notice)]
    assert state(model) == before
    assert len(said) == (not how)
    if said:
        assert "cannot be exported (it fails in the module 'inner' (Loop), at `" in said[0]
    check_around(graph, model, ("a", "b", "inner"))
    assert state(model) == before


def test_an_export_that_is_insisted_on_fails() -> None:
    with pytest.raises(cs.GraphError, match=r"(?s)torch\.export cannot.*method=.hooks.*opaque="):
        cs.capture(around(odd.Loop()), DATA[:3], sites=SITES, output="o", method="export")


def test_sparse_products_and_wrappers() -> None:
    for inner in (odd.Sparse(), odd.Wrapped()):
        model = around(inner)
        check_around(cs.capture(model, DATA[:3], sites=SITES, output="o", method="hooks"), model)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_scripts() -> None:
    model = around(torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.Tanh())))
    check_around(cs.capture(model, DATA[:3], sites=SITES, output="o", method="hooks"), model)


def test_packed_sequences() -> None:
    torch.manual_seed(0)
    model = odd.Packed().eval()
    data = cs.Dataset(tokens=torch.randint(7, (12, 5)), length=torch.randint(1, 6, (12,)))
    fields = ["tokens", "length"]
    graph = cs.capture(model, data[:6], fields=fields, sites=["embed"], method="hooks")
    assert graph.parents("output") == ("length", "embed")
    assert graph.parents("embed") == ("tokens",)
    with torch.no_grad():
        assert_close(graph(data), model(data["tokens"], data["length"]), "output")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamic_quantization_takes_its_scale_from_the_batch() -> None:
    model = around(nn.Sequential(nn.Linear(4, 4)))
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(cs.GraphError, match="dynamic quantization, which takes one scale"):
        cs.capture(quantized, DATA[:6], sites=SITES, output="o", method="hooks")
    graph = cs.capture(quantized, DATA[:6], sites=SITES, output="o", method="hooks", tolerance=0.1)
    assert_close(graph(DATA), quantized(DATA["x"]), "output")


def test_weights_that_accelerate_keeps_elsewhere(tmp_path: Any) -> None:
    accelerate = pytest.importorskip("accelerate", reason="accelerate is in the dev extra")
    for offload in ("cpu", "disk"):
        model = around(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
        expected = model(DATA["x"])
        places = {"a": "cpu", "b": offload, "inner": offload, "o": "cpu"}
        model = accelerate.dispatch_model(
            model, places, main_device="cpu", offload_dir=str(tmp_path), force_hooks=True
        )
        graph = cs.capture(model, DATA[:3], sites=SITES, output="o", method="hooks")
        assert_close(graph(DATA), expected, offload)
        assert graph.parents("o") == ("b", "inner")
        h = cs.Hypothesis(graph, cs.claim("o", cs.exact, cs.claim("b", cs.anything)))
        found = cs.scrub(h, DATA, lambda o, rows: o.sum(1), samples=20)
        rows = found.drawn["~ref"]
        values = torch.as_tensor(found.samples["model"].to_numpy(copy=True)).float()
        assert_close(values, expected.sum(1)[rows], offload)


def test_hooks_and_export_give_equal_splits_and_routes() -> None:
    torch.manual_seed(0)
    model = zoo.Attention().eval()
    tokens = torch.randint(0, 7, (10, 6))
    data = cs.Dataset(tokens=tokens, first=tokens[:, 0])
    sites = {"embed": "embed", "a{i}.z": "blocks.{i}.out:input", "m{i}": "blocks.{i}.mlp"}
    graphs = []
    for method in ("export", "hooks"):
        graph = cs.capture(model, data[:3], fields=["tokens"], sites=sites, method=method)
        graph = graph.split("a0.z", axis=-1, into={"h{}": 2})
        graphs.append(graph.split("embed", axis=1, into={"p0": 0}, rest="rest"))
    one, two = graphs
    assert one.names == two.names
    assert all(one.parents(name) == two.parents(name) for name in one.names)
    results = []
    for graph in graphs:
        inner = cs.claim("a0.z.h1", "first", via=["m0"])
        h = cs.Hypothesis(graph, cs.claim("output", cs.exact, inner, cs.claim("m1", "first")))
        results.append(
            cs.scrub(h, data, lambda output, rows: output.flatten(1).square().mean(1), samples=20)
        )
    assert_close(
        torch.as_tensor(results[0].samples["scrubbed"].to_numpy(copy=True)),
        torch.as_tensor(results[1].samples["scrubbed"].to_numpy(copy=True)),
        "scrubbed",
    )


def test_a_tensor_marked_by_hand_is_a_node_by_hooks_too() -> None:
    model = zoo.Mark(cs.site).eval()
    data = cs.Dataset(x=torch.randn(5, 4))
    graph = cs.capture(model, data[:2], method="hooks")
    assert graph.names == ("x", "hidden#0", "hidden#1", "tripled", "output")
    assert graph.parents("output") == ("hidden#1", "tripled")


def test_what_hooks_refuse() -> None:
    with pytest.raises(cs.GraphError, match="has another value when the same rows are run again"):
        cs.capture(zoo.Noisy().eval(), DATA[:2], method="hooks")
    with pytest.raises(cs.GraphError, match=r"method='hoks': there is 'auto', 'export', 'hooks'"):
        cs.capture(zoo.Mlp().eval(), DATA[:2], method="hoks")
    model = around(nn.Linear(4, 4))
    with pytest.raises(cs.GraphError, match="method='hooks' exports nothing, so leave it out"):
        cs.capture(model, DATA[:2], method="hooks", opaque=["inner"])
    with pytest.raises(cs.GraphError, match=r"opaque: no module is called 'iner'.*inner"):
        cs.capture(model, DATA[:2], opaque=["iner"])
    wrapped = around(odd.Wrapped())
    with pytest.raises(
        cs.GraphError, match=r"inner\.base lies inside 'inner', which opaque= keeps"
    ):
        cs.capture(wrapped, DATA[:2], sites=["inner.base"], opaque=["inner"])
    with pytest.raises(cs.GraphError, match="'o' is used twice: for a site and for the output"):
        cs.capture(model, DATA[:2], sites={"o": "a"}, output="o", method="hooks")


def test_a_site_that_some_rows_do_not_pass() -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.rare = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            return self.rare(y) if x[0, 0] > 0 else y

    model = Skips().eval()
    x = torch.randn(6, 4)
    x[:, 0] = torch.tensor([1.0, 2, 3, -1, -2, -3])
    data = cs.Dataset(x=x)
    graph = cs.capture(model, data[:3], sites=["a", "rare"], method="hooks")
    with pytest.raises(cs.GraphError, match="does not pass 'rare' on these rows"):
        graph.values(data[3:], ["rare"])


def test_an_opaque_module_that_returns_a_tuple_with_free_lengths() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 3, batch_first=True)

        def forward(self, x: torch.Tensor, scale: float = 1.0) -> Any:
            if x.sum() == 12345:
                raise ValueError
            states, (last, _) = self.lstm(x)
            return states * scale, {"last": last[0], "kind": "lstm"}

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.two, self.head = nn.Linear(4, 4), Two(), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            states, more = self.two(self.up(x), scale=2.0)
            return self.head(states.sum(1)) + self.head(more["last"])

    model = Model().eval()
    data = cs.Dataset(x=torch.randn(5, 6, 4))
    sites = {"up": "up", "states": "two:output.0", "last": "two:output.1.last"}
    graph = cs.capture(model, data[:3], sites=sites, opaque=["two"], dynamic={"x": [1]})
    assert graph.parents("output") == ("states", "last")
    longer = cs.Dataset(x=torch.randn(4, 9, 4))
    assert_close(graph(longer), model(longer["x"]), "output on longer rows")
    with torch.no_grad():
        value = graph.values(data, ["last"])["last"].flip(0)

        def swap(output: Any) -> Any:
            return output

        assert_close(
            graph.values(data, given={"up": model.up(data["x"]).flip(0)})["output"],
            hooked(model, run, data, "up", lambda up: up.flip(0)),
            "up swapped",
        )
        assert value.shape == (5, 3)
