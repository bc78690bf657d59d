"""Graphs whose rows read other rows are refused, whatever the way, and what was checked is said."""

from __future__ import annotations

import pytest
import torch

import causal_scrubbing as cs

torch.manual_seed(0)
X = torch.randn(120, 5, 4)
DATA = cs.Dataset(x=X, y=(X[:, -1, 0] > 0).long())
HEAD = torch.randn(4, 2)
LSTM = torch.nn.LSTM(4, 4).eval()
METRIC = cs.metrics.cross_entropy("y")


def hypothesis(fn) -> cs.Hypothesis:
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (fn, ["x"]), "out": (lambda a: a[:, -1] @ HEAD, ["a"])},
        output="out",
    )
    return cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "y")))


class Drift:
    """A model whose outputs change a little with every call."""

    def __init__(self, after: int) -> None:
        self.calls, self.after = 0, after

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + 0.01 * max(0, self.calls - self.after)


MIXING = {
    "the first axis taken as time": lambda x: LSTM(x)[0],
    "a running sum": lambda x: x.cumsum(0),
    "a running maximum": lambda x: x.cummax(0).values,
    "rows shifted by one": lambda x: torch.cat([x[:1], x[:-1]]),
    "the last row read": lambda x: x + x[-1:].mean(),
    "from 20 rows on": lambda x: x - x.mean(0) if len(x) >= 20 else x,
    "the first 16 rows kept": lambda x: torch.where(torch.arange(len(x))[:, None, None] < 16, x, 0),
    "another value with each call": Drift(0),
}


@pytest.mark.parametrize("fn", MIXING.values(), ids=MIXING.keys())
def test_rows_that_read_rows_are_refused(fn) -> None:
    with pytest.raises(
        cs.ScrubError, match=r"self-check: the output .*one row never reads another"
    ):
        cs.scrub(hypothesis(fn), DATA, METRIC, samples=200)


def test_a_model_that_drifts_during_the_run_is_refused_after_it() -> None:
    h = hypothesis(Drift(12))  # the checks before the run call it less often
    with pytest.raises(cs.ScrubError, match=r"sample \d+ of the run has another output when it is"):
        cs.scrub(h, DATA, METRIC, samples=400, batch_size=16)


def test_what_was_checked_is_said_and_can_be_left_out() -> None:
    h = hypothesis(lambda x: x)
    checked = cs.scrub(h, DATA, METRIC, samples=50).record.self_check
    assert str(checked) == "checked on 4 rows, batches of 120, and on 2 samples of the run"
    mixed = hypothesis(lambda x: x - x.mean(0))
    assert cs.scrub(mixed, DATA, METRIC, samples=50, check=False).record.self_check is None


def test_a_graph_is_checked_once_for_many_hypotheses() -> None:
    calls = []

    def node(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x

    def most_calls(count: int) -> int:
        h = hypothesis(node)
        many = [h.with_(name=f"h{i}") for i in range(count)]
        calls.clear()
        cs.scrub(many, DATA, METRIC, samples=20)
        return len(calls)

    assert most_calls(12) == most_calls(1)


def test_rounding_by_storage_is_no_fault() -> None:
    h = hypothesis(torch.tanh)
    result = cs.scrub(h, DATA, METRIC, samples=300, store_dtype="bfloat16", memory="1GiB")
    assert result.record.self_check.samples > 0
