"""Where there is no number JSON holds null, and a reason stands beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs

N = 40
X = torch.randn(N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
DATA = cs.Dataset(x=X, c=torch.full((N,), 0.3, dtype=torch.float64), positive=X > 0)


def hypothesis(fn: Callable[..., torch.Tensor], *children: cs.Claim) -> cs.Hypothesis:
    graph = cs.Graph.build(inputs=["x", "c"], nodes={"y": (fn, ["x", "c"])}, output="y")
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, *children))


def numbers(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """Three numbers a row, of which none differs between rows."""
    return torch.stack([0.1 + 0 * x, 0.7 + 0 * x, c], 1)


DISTANCES: dict[str, cs.Metric | str | Callable[..., float]] = {
    "euclidean": "euclidean",
    "max": "max",
    "euclidean of one's own": lambda a, b: float(np.sqrt(((a - b) ** 2).sum())),
    "of one number": lambda a, b: abs(float(a[0] - b[0])),
    "of running sums": lambda a, b: float(np.abs(np.cumsum(a) - np.cumsum(b)).sum()),
}


@pytest.mark.parametrize("draw", ["independent", "balanced", "sobol"])
@pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES.keys())
def test_means_that_are_equal_but_for_rounding_have_nothing_to_recover(
    distance: Any, draw: str
) -> None:
    h = hypothesis(numbers, cs.claim("x", "positive"))
    result = cs.scrub(
        h, DATA, lambda out, rows: out, samples=64, distance=distance, draw=draw, check=False
    )
    assert not result.recovered.defined
    assert "nothing to recover" in str(result.recovered.reason)
    exact = cs.exact_scrub(h, DATA, lambda out, rows: out, distance=distance, check=False)
    assert not exact.recovered.defined


def test_a_distance_of_ones_own_still_recovers_where_means_differ() -> None:
    h = hypothesis(lambda x, c: torch.stack([x, x * c], 1), cs.claim("x", cs.exact))
    square = cs.Dataset(x=X.abs(), c=DATA["c"] + 1e-6 * X, positive=DATA["positive"])
    metric = lambda out, rows: out * rows["x"][:, None]  # noqa: E731
    own = cs.scrub(h, square, metric, samples=64, distance=DISTANCES["euclidean of one's own"])
    named = cs.scrub(h, square, metric, samples=64)
    assert own.recovered.mean == pytest.approx(named.recovered.mean)


def test_an_end_without_a_bound_is_null_with_a_note() -> None:
    h = hypothesis(lambda x, c: x * c, cs.claim("x", "positive"))
    found = cs.scrub(h, DATA, lambda out, rows: out, samples=8, check=False).worst_cases()
    assert '"inf"' not in json.dumps(found.to_dict(), allow_nan=False)
    estimate = found.percentiles[-1]
    last = estimate.to_dict()
    assert None in last["interval"]
    assert found.to_dict()["percentiles"][-1] == last
    assert last["se"] is None
    assert last["note"] == "8 samples cannot bound it, it takes 368"
    again = cs.Estimate.from_dict(last)
    assert again.interval == estimate.interval
    assert again.to_dict() == last
    for interval in ((-math.inf, 2.0), (1.0, math.inf)):
        plain = cs.Estimate(1.5, math.inf, interval).to_dict()
        assert None in plain["interval"]
        assert "no bound" in plain["note"]
        assert cs.Estimate.from_dict(plain).interval == interval


def test_changes_that_cannot_cancel_say_why() -> None:
    h = hypothesis(lambda x, c: x * c)
    result = cs.scrub(h.with_(root=cs.claim("y", cs.exact)), DATA, lambda o, r: o, samples=8)
    plain = json.loads(json.dumps(result.compare_functions().to_dict(), allow_nan=False))
    assert plain["cancelled"] is None
    assert plain["cancelled_reason"] == "nothing changes, so that nothing can cancel"
    other = hypothesis(lambda x, c: x * c, cs.claim("x", cs.anything))
    moved = cs.scrub(other, DATA, lambda o, r: o, samples=8).compare_functions().to_dict()
    assert moved["cancelled"] is not None
    assert moved["cancelled_reason"] is None


def test_outputs_without_a_finite_distance_say_so() -> None:
    def logits(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        low = torch.where(x > 0.5, -torch.inf, x)
        return torch.stack([low, -x], 1)

    h = hypothesis(logits, cs.claim("x", "positive"))
    result = cs.scrub(h, DATA, lambda o, r: o[:, 1], samples=40, check=False)
    plain = result.compare_functions(logits=True).to_dict()
    json.dumps(plain, allow_nan=False)
    assert any(one["measure"] is None for one in plain["worst"])
    assert all((one["measure"] is None) == (one["reason"] is not None) for one in plain["worst"])


def test_a_search_says_why_a_number_is_missing() -> None:
    h = hypothesis(lambda x, c: 0 * x + c, cs.claim("x", cs.anything))
    found = cs.refute(h, DATA, lambda o, r: o, samples=20, features=["positive"], activations=())
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["power"]["shift"] is None
    assert "not known" in plain["power"]["reason"]
    assert all((one["shift"] is None) == (one["reason"] is not None) for one in plain["candidates"])
