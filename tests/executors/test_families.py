"""Searches, controls and path effects by workers are those of one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from resumable import problem

import causal_scrubbing as cs
from causal_scrubbing._executors import load, load_request, packed_request

H, DATA = problem(dtype=torch.float64)
DATA = DATA.with_fields(big=DATA["x"][:, 1] > 0.3, goal=DATA["own"][:, 0] + DATA["sign"] / 4)
METRIC: dict[str, Any] = {"squared": cs.metrics.squared_error("goal")}


class Here:
    """An executor of one worker in this process, which counts what it is given and computes."""

    def __init__(self) -> None:
        self.opened = 0
        self.requests: list[int] = []
        self.rows = 0

    @contextmanager
    def open(self, work: bytes) -> Iterator[Here]:
        self.opened += 1
        self.block: Any = load(work)
        yield self

    def compute(self, blocks, *, request: bytes = b"", tell=None):
        self.requests.append(len(request))
        for block in reversed(blocks):
            yield block, self.block(*block, request)


def run(kind: str, executor) -> Any:
    if kind == "refute":
        return cs.refute(
            H, DATA, METRIC, features=["big"], fields=False, activations=(), samples=120, keep=2,
            executor=executor,
        )  # fmt: skip
    if kind == "controls":
        return cs.controls(H, DATA, METRIC, samples=120, random=1, edges=0, executor=executor)
    if kind == "discover":
        return cs.discover(
            H.graph, DATA, METRIC, features=["sign", "big"], depth=1, samples=120, executor=executor
        )
    return cs.path_patch(
        H.graph, DATA, METRIC, senders=["a", "b"], receivers=["out"], samples=200, executor=executor
    )


@pytest.mark.parametrize("method", ["export", "hooks"])
def test_captured_models_travel(method: str) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(16, 8), torch.nn.GELU(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2)
    ).eval()
    data = cs.Dataset(x=DATA["x"].float(), sign=DATA["sign"])
    graph = cs.capture(
        model, data[:2], fields=["x"], output="y", sites={"a": "0", "b": "1"}, method=method
    )
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("b", "sign")))
    # The nodes travel, with the weights they hold; whether the model changes is asked here alone.
    sent = load_request(packed_request(graph, {}), {})
    assert sent.source is None
    assert graph.source is not None
    assert torch.equal(sent(data), graph(data))
    one, other = (
        cs.scrub(h, data, cs.metrics.to_model("kl"), samples=100, executor=executor)
        for executor in (None, Here())
    )
    assert one.draws.equals(other.draws)
    assert (one.samples - other.samples).abs().to_numpy().max() < 1e-6


KINDS = ("refute", "controls", "discover", "path_patch")


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_those_of_one_process(kind: str) -> None:
    here = Here()
    found = run(kind, here)
    assert str(run(kind, None)) == str(found)
    assert here.requests, "the executor was not used"
    # One set of workers for all candidates; discover scrubs what it found with another, and goes
    # on with a third where that fell short.
    further = 0
    if isinstance(found, cs.Discovery):
        further = len(found.checks) + sum(step.move == "fell short" for step in found.steps)
    assert here.opened == 1 + further
    # The model and the data are sent once, not with every request.
    size = 8 * DATA["x"].numel()
    assert max(here.requests) < size


def test_controls_in_other_processes_are_equal_too() -> None:
    options: dict[str, Any] = {"samples": 80, "random": 0, "edges": 0}
    spread = cs.executors.Processes(1, threads=1)
    alone = cs.controls(H, DATA, METRIC, **options)
    assert str(alone) == str(cs.controls(H, DATA, METRIC, executor=spread, **options))


CALLS: list[int] = []


def dear(x: torch.Tensor) -> torch.Tensor:
    CALLS.append(len(x))
    return torch.tanh(2 * x)


def test_clean_rows_are_kept_between_requests() -> None:
    x = torch.randn(50, generator=torch.Generator().manual_seed(0))
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (dear, ["x"]), "b": (dear, ["a"]), "y": (torch.mul, ["a", "b"])},
        output="y",
    )
    data = cs.Dataset(x=x, up=x > 0, far=x.abs() > 1, goal=graph(cs.Dataset(x=x)))
    options: dict[str, Any] = {
        "features": ["up", "far"],
        "depth": 1,
        "samples": 200,
        "batch_size": 16,
    }
    found, counts = [], []
    for executor in (None, Here()):
        CALLS.clear()
        grown = cs.discover(
            graph, data, cs.metrics.squared_error("goal"), executor=executor, **options
        )
        found.append(str(grown))
        counts.append(sum(CALLS))
    assert found[0] == found[1]
    # Two sets of workers search, for it falls short and is grown on; two more check what was found.
    assert counts[1] < 0.8 * counts[0]


def test_a_row_that_fails_is_named() -> None:
    x = DATA["x"].clone()
    x[123, 0] = 7.0
    data = cs.Dataset(x=x, sign=DATA["sign"])

    def picky(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        if bool((rows["x"][:, 0] == 7.0).any()) and len(rows) < 300:
            raise ValueError("no value here")
        return output[:, 0]

    spread: dict[str, Any] = {"executor": Here(), "samples": 2000}
    named = r"sample \d+, on row 123 of the data: .*no value here"
    with pytest.raises(cs.CausalScrubbingError, match=named):
        cs.controls(H, data, picky, random=0, batch_size=64, **spread)
