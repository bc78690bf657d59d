from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from problems import datasets, hypotheses, without_self_draws

import causal_scrubbing as cs

QUICK: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "deadline": None,
}


@settings(max_examples=25, **QUICK)
@given(h=hypotheses(), data=datasets(most=6, weighted=False))
def test_a_problem_is_refused_in_advance_only_where_its_tables_are_too_large(h, data) -> None:
    metric = cs.metrics.to_model("squared_error")
    for one in (h, without_self_draws(h)):
        try:
            largest = cs.exact_scrub(one, data, metric, budget=10_000).largest
        except cs.ExactError:
            continue
        assert cs.exact_scrub(one, data, metric, budget=largest).largest == largest
        with pytest.raises(cs.ExactError, match="too large to evaluate exactly"):
            cs.exact_scrub(one, data, metric, budget=largest - 1)


def test_what_can_be_counted_is_refused_before_the_work() -> None:
    rows = 0

    def sum_(*values: torch.Tensor) -> torch.Tensor:
        nonlocal rows
        rows += len(values[0])
        return sum(v.double().sin() for v in values)

    n = 400
    data = cs.Dataset(x=torch.arange(n), z=torch.arange(n), w=torch.arange(n))
    graph = cs.Graph.build(
        inputs=["x", "z", "w"],
        nodes={"a": (sum_, ["x", "z"]), "y": (sum_, ["a", "z", "w"])},
        output="y",
    )
    root = cs.claim("y", cs.exact, cs.claim("a", cs.exact, cs.claim("x", cs.exact)))
    for h, metric, where in (
        (cs.Hypothesis(graph, root, unimportant="separate"), None, "claim y, which combines"),
        (cs.Hypothesis(graph, root), lambda out, rows: out, "pairs of reference row"),
    ):
        rows = 0
        with pytest.raises(cs.ExactError, match=where):
            cs.exact_scrub(h, data, metric, budget=150_000)
        assert rows < 10 * n
