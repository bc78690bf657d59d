from __future__ import annotations

from typing import Any

import numpy as np
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
        return torch.stack([v.double().sin() for v in values]).sum(0)

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


@settings(max_examples=15, **QUICK)
@given(h=hypotheses(), data=datasets(most=10, weighted=True))
def test_a_look_at_samples_never_refuses_what_fits(h, data) -> None:
    metric = cs.metrics.to_model("squared_error")
    with pytest.MonkeyPatch.context() as patch:
        # Looks at many samples, though the problems are small.
        patch.setattr("causal_scrubbing._exact.ahead.SHARE", 0.05)
        for one in (h, h.with_(unimportant="separate")):
            try:
                largest = cs.exact_scrub(one, data, metric, budget=20_000, check=False).largest
            except (cs.ExactError, cs.HypothesisError):
                continue
            again = cs.exact_scrub(one, data, metric, budget=largest, check=False)
            assert again.largest == largest


def test_a_look_at_samples_is_right_about_many_values() -> None:
    from causal_scrubbing._exact import fewest

    rng = np.random.default_rng(0)
    for count in (10, 1_000, 30_000, 1_000_000):
        for skew in (0.0, 1.0, 2.0):
            chances = np.arange(1, count + 1.0) ** -skew
            steps = np.cumsum(chances / chances.sum())
            for samples in (100, 2_000, 32_000):
                ids = np.minimum(np.searchsorted(steps, rng.random(samples)), count - 1)
                surely, _ = fewest(ids)
                assert len(np.unique(ids)) <= surely <= count
                if skew == 0 and samples > 10 * count**0.5:
                    assert surely > 0.3 * min(count, samples**2 / 50)


LATE_ROWS = 600


def late(inner: str, **options: Any) -> tuple[cs.Hypothesis, cs.Dataset, list[int]]:
    """A problem whose size hangs on how many values an inner claim's node takes."""
    calls = [0]

    def wave(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        calls[0] += len(a)
        return torch.sin(1.7 * a + 0.3 * b)

    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(3, LATE_ROWS, generator=generator, dtype=torch.float64)
    data = cs.Dataset(x=columns[0], z=columns[1], w=columns[2], sign=columns[0] > 0)
    graph = cs.Graph.build(
        inputs=["x", "z", "w"],
        nodes={
            "a": (wave, ["x", "z"]),
            "b": (lambda a: a.round(decimals=4) if inner == "rounded" else a, ["a"]),
            "y": (wave, ["b", "w"]),
        },
        output="y",
    )
    below = cs.claim("a", "sign", cs.claim("x", cs.exact))
    root = cs.claim("y", cs.exact, cs.claim("b", cs.exact if inner == "exact" else "sign", below))
    return cs.Hypothesis(graph, root, **options), data, calls


@pytest.mark.parametrize("inner", ["by sign", "exact", "rounded"])
def test_what_hangs_on_inner_values_is_refused_before_a_twentieth_of_the_work(inner: str) -> None:
    h, data, calls = late(inner)
    work = LATE_ROWS**2  # of the first table alone
    with pytest.raises(cs.ExactError, match=r"needs at least .* combinations of values"):
        cs.exact_scrub(h, data, cs.metrics.squared_error("w"), budget=work + 1, check=False)
    assert calls[0] < work / 20 + 4 * LATE_ROWS


def test_a_baseline_is_looked_at_too() -> None:
    h, data, calls = late("exact")
    easy = h.with_(root=cs.claim("y", cs.exact, cs.claim("b", cs.exact)))
    with pytest.raises(cs.ExactError, match="claim y, which combines"):
        cs.exact_scrub(
            easy, data, cs.metrics.squared_error("w"), budget=400_000, baseline=h, check=False
        )
    assert calls[0] < LATE_ROWS**2 / 20 + 8 * LATE_ROWS
