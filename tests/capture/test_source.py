"""What a graph knows of the model it was captured from, and what it says of changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import odd
import pytest
import torch
import zoo
from torch import nn
from torch.nn.utils import parametrize

import causal_scrubbing as cs
from causal_scrubbing._capture import digest

DATA = cs.Dataset(x=torch.randn(30, 4, generator=torch.Generator().manual_seed(0)))
SITES = {"hidden": "down:input", "mlp": "down"}


def made(method: str) -> tuple[Any, cs.Graph]:
    torch.manual_seed(0)
    model = zoo.Mlp().eval()
    graph = cs.capture(model, DATA[:3], sites=SITES, method=method)
    return model, graph.split("hidden", axis=-1, into={"n{}": 2}).rename({"mlp": "m"})


def scrub(graph: cs.Graph) -> cs.Result:
    h = cs.Hypothesis(graph, cs.claim("output", cs.exact, cs.claim("m", cs.exact)))
    return cs.scrub(h, DATA, lambda output, rows: output[:, 0], samples=8)


def double(model: Any) -> None:
    with torch.no_grad():
        model.up.weight.mul_(2)


def double_unseen(model: Any) -> None:
    model.up.weight.data *= 2


def load(model: Any) -> None:
    state = {name: torch.randn_like(value) for name, value in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def widen(model: Any) -> None:
    model.up = nn.Linear(4, 16)
    model.down = nn.Linear(16, 4)


def cast(model: Any) -> None:
    model.head.double()


class Twice(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def adapt(model: Any) -> None:
    parametrize.register_parametrization(model.up, "weight", Twice())


CHANGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "written to in place": (double, r"weights have changed.*: 'up\.weight' was written to\. The"),
    "written to past the version": (double_unseen, r"'up\.weight' was written to"),
    "loaded": (load, r"weights have changed.*'up\.weight' was replaced, 'up\.bias' was repl"),
    "of another width": (widen, r"'up\.weight' was \[8, 4\] .* and is \[16, 4\]"),
    "of another type": (cast, r"'head\.weight' was .*float32 cpu and is .*float64 cpu"),
    "adapted": (adapt, r"weights are not those of the capture.*'up\.weight' went and 'up\.param"),
}


@pytest.mark.parametrize("method", ["export", "hooks"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_model_is_refused(name: str, method: str) -> None:
    change, match = CHANGES[name]
    model, graph = made(method)
    scrub(graph)
    graph.check_fresh()
    change(model)
    with pytest.raises(cs.GraphError, match=match):
        scrub(graph)
    with pytest.raises(cs.GraphError, match=match):
        cs.ablate(graph, "m", DATA, metric=lambda output, rows: output[:, 0], samples=8)


def test_weights_that_a_graph_does_not_read_may_change() -> None:
    used, unused = nn.Linear(4, 3), nn.Linear(4, 3)
    model = nn.ModuleDict({"used": used, "not": unused}).eval()
    graph = cs.capture(model, DATA[:3], forward=lambda m, rows: m["used"](rows["x"]))
    with torch.no_grad():
        unused.weight.zero_()
    graph.check_fresh()
    with torch.no_grad():
        used.weight.zero_()
    with pytest.raises(cs.GraphError, match=r"'used\.weight' was written to"):
        graph.check_fresh()


def test_hooks_left_on_a_model_are_told() -> None:
    model = zoo.Mlp().eval()
    graph = cs.capture(model, DATA[:3], sites=SITES)
    handle = model.up.register_forward_hook(lambda module, args, output: output + 10)
    with pytest.raises(cs.GraphError, match=r"since the graph was captured, the model carries a f"):
        graph.check_fresh()
    match = r"the model carries a forward hook \('up': .*test_source\.py\).*handle\.remove\(\)"
    with pytest.warns(cs.Notice, match=match):
        cs.capture(model, DATA[:3], sites=SITES).check_fresh()
    handle.remove()
    graph.check_fresh()


def test_a_graph_that_runs_its_model_wants_it_in_eval_mode() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).eval()
    graphs = [cs.capture(model, DATA[:3], method=method) for method in ("export", "hooks")]
    model.train()
    graphs[0].check_fresh()
    with pytest.raises(cs.GraphError, match=r"training mode now, where '1' would.*model\.eval\(\)"):
        graphs[1].check_fresh()


class Longrope(nn.Module):
    """Writes a buffer before it reads it, which is no state; or after, which is."""

    scale: torch.Tensor

    def __init__(self, late: bool) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(4))
        self.late = late

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.late:
            x = x * self.scale
        self.scale.copy_(torch.arange(4.0))
        return x if self.late else x * self.scale


def test_a_buffer_written_before_it_is_read_is_no_state() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Longrope(late=False)).eval()
    graph = cs.capture(model, DATA[:3], sites=["0"], method="export")
    with torch.no_grad():
        torch.testing.assert_close(graph(DATA), model(DATA["x"]))
    scrub_all = cs.Hypothesis(graph, cs.claim("output", cs.exact, cs.claim("0", cs.exact)))
    cs.scrub(scrub_all, DATA, lambda output, rows: output[:, 0], samples=8)
    late = nn.Sequential(nn.Linear(4, 4), Longrope(late=True)).eval()
    with pytest.raises(cs.GraphError, match=r"changes its own buffers \(1\.scale\)"):
        cs.capture(late, DATA[:3], sites=["0"], method="export")


def test_nodes_that_do_not_reach_the_output() -> None:
    model = zoo.DictOutput().eval()
    with pytest.warns(cs.Notice, match=r"^scale does not reach the output 'logits', so an abl"):
        graph = cs.capture(
            model, DATA[:3], sites={"h": "inner:output.hidden", "scale": "inner:output.scale"},
            output="logits",
        )  # fmt: skip
    assert [graph.reaches(name) for name in ("x", "h", "scale", "logits")] == [1, 1, 0, 1]
    with pytest.raises(cs.ScrubError, match="scale does not reach the output 'logits'"):
        cs.ablate(graph, ["h", "scale"], DATA, metric=lambda output, rows: output[:, 0])
    with pytest.raises(cs.GraphError, match=r"given\['scale'\] does not reach logits"):
        graph.values(DATA, given={"scale": torch.zeros(30)})
    graph.values(DATA, ["scale"], given={"scale": torch.zeros(30)})


def test_every_row_of_the_example_is_checked() -> None:
    class Third(nn.Module):
        """Reads another row, from the fourth on."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x[:3], x[3:] + x[:1]])

    model = nn.Sequential(nn.Linear(4, 4), Third()).eval()
    with pytest.raises(cs.GraphError, match="is another value on a row in another order"):
        cs.capture(model, DATA[:5], method="hooks")
    graph = cs.capture(odd.Around(nn.Linear(4, 4)).eval(), DATA[:5], output="o")
    assert "1 site, checked on 5 rows" in graph.history[0]


def one_entry(model: Any) -> None:
    model.wide.weight.data[77, 3] += 1e-6


def one_bit(model: Any) -> None:
    model.wide.weight.data.view(torch.int32)[99, 8] ^= 1


def swapped(model: Any) -> None:
    model.wide.weight.data[[3, 50]] = model.wide.weight.data[[50, 3]]


def negated(model: Any) -> None:
    model.wide.weight.data.neg_()


def by_numpy(model: Any) -> None:
    model.wide.weight.detach().numpy()[200, 0] = 9.0


@pytest.mark.parametrize("change", [one_entry, one_bit, swapped, negated, by_numpy])
@pytest.mark.parametrize("layout", ["as it is", "transposed"])
def test_a_change_of_any_entry_is_seen(change: Callable[[Any], None], layout: str) -> None:
    model: Any = nn.ModuleDict({"wide": nn.Linear(16, 300)}).eval()
    if layout == "transposed":
        model.wide.weight = nn.Parameter(torch.randn(16, 300).T)
    graph = cs.capture(
        model, cs.Dataset(x=torch.randn(4, 16)), forward=lambda m, rows: m["wide"](rows["x"])
    )
    graph.check_fresh()
    change(model)
    with pytest.raises(cs.GraphError, match=r"'wide\.weight' was written to"):
        graph.check_fresh()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (129, 33), (3, 5, 70, 9), (2, 70_000)])
def test_equal_values_have_equal_digests_wherever_they_lie(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    apart = torch.empty(values.numel() + 3, dtype=dtype)[3:].view(shape)
    apart.copy_(values)
    assert digest(apart) == digest(values)
    turned = values.mT.contiguous().mT if values.ndim > 1 else values
    assert digest(turned) == digest(values)
    for place in (0, values.numel() // 2, values.numel() - 1):
        other = values.clone()
        other.view(-1)[place] += 1
        assert digest(other) != digest(values)
    assert digest(values.reshape(1, *shape)) != digest(values)


def replaced(model: Any) -> None:
    model.act = nn.Tanh()


def patched(model: Any) -> None:
    model.act.forward = torch.tanh


def loosened(model: Any) -> None:
    model.norm.eps = 0.5


@pytest.mark.parametrize("method", ["export", "hooks"])
@pytest.mark.parametrize(
    ("change", "path"), [(replaced, "act"), (patched, "act"), (loosened, "norm")]
)
def test_modules_without_weights_that_are_others_are_seen(
    change: Callable[[Any], None], path: str, method: str
) -> None:
    parts = {"up": nn.Linear(4, 4), "act": nn.GELU(), "norm": nn.LayerNorm(4)}
    model: Any = nn.Sequential()
    for name, part in parts.items():
        model.add_module(name, part)
    graph = cs.capture(model.eval(), DATA[:3], method=method)
    scrub_output(graph)
    change(model)
    with pytest.raises(cs.GraphError, match=rf"modules of the model are others .*: '{path}'\."):
        scrub_output(graph)


def scrub_output(graph: cs.Graph) -> None:
    h = cs.Hypothesis(graph, cs.claim("output", cs.anything))
    cs.scrub(h, DATA, lambda output, rows: output[:, 0], samples=4)
