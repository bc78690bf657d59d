"""Recurrent networks opened at each step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from capturing import assert_close, state
from torch import nn

import causal_scrubbing as cs

KINDS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "gru": (nn.GRU, {"batch_first": True}),
    "lstm": (nn.LSTM, {"num_layers": 2}),
    "rnn": (nn.RNN, {"nonlinearity": "relu", "bias": False, "batch_first": True}),
}


class Reads(nn.Module):
    """The last state of a recurrent network, read."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        cls, options = KINDS[kind]
        self.net = cls(3, 4, **options)
        self.first = bool(options.get("batch_first"))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.net(x if self.first else x.transpose(0, 1))[0]
        return self.head(found[:, -1] if self.first else found[-1])


@pytest.mark.parametrize("method", ["export", "hooks"])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_nodes_each_of_the_one_before(kind: str, method: str) -> None:
    torch.manual_seed(0)
    model = Reads(kind).eval()
    data = cs.Dataset(x=torch.randn(7, 4, 3))
    sites = {"h": "net:h"} | ({"c": "net:c"} if kind == "lstm" else {})
    before = state(model)
    graph = cs.capture(model, data[:3], sites=sites, output="y", method=method)
    assert state(model) == before
    with torch.no_grad():
        assert_close(graph(data), model(data["x"]), "output")
        found = graph.values(data, ["h#*"])
        own = model.net(data["x"] if model.first else data["x"].transpose(0, 1))[0]
        own = own if model.first else own.transpose(0, 1)
    layers = 2 if kind == "lstm" else 1
    assert len(found) == 4 * layers
    for step in range(4):
        assert_close(found[f"h#{4 * (layers - 1) + step}"], own[:, step], f"step {step}")
    if kind == "lstm":
        assert graph.parents("c#1") == ("x", "c#0", "h#0")
        assert graph.parents("c#5") == ("h#1", "c#4", "h#4")
    else:
        graph = graph.prune()  # an export stacks all states before it takes the last
        assert graph.parents("h#2") == ("x", "h#1")
        assert graph.parents("y") == ("h#3",)


def test_what_steps_need() -> None:
    data = cs.Dataset(x=torch.randn(4, 5, 3))
    both = nn.LSTM(3, 4, batch_first=True, bidirectional=True).eval()
    with pytest.raises(cs.GraphError, match="sites at the steps of LSTM need one direction"):
        cs.capture(both, data, sites={"h": ":h"}, forward=lambda m, rows: m(rows["x"])[0])
    plain = nn.GRU(3, 4, batch_first=True).eval()
    with pytest.raises(cs.GraphError, match=r"'c': '' shows no state c: .*c of nn\.LSTM"):
        cs.capture(plain, data, sites={"c": ":c"}, forward=lambda m, rows: m(rows["x"])[0])
