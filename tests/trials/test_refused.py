"""Searches and controls refuse what cannot be run, at once and in words; no warning of numpy."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch

import causal_scrubbing as cs

GRAPH = cs.Graph.build(inputs=["x"], nodes={"y": (lambda x: x, ["x"])}, output="y")
DATA = cs.Dataset(x=torch.arange(5.0), s=torch.arange(5) % 2)
H = cs.Hypothesis(GRAPH, cs.claim("y", cs.anything))
HUGE = 10**18


def metric(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return output


def refute(**options: object) -> object:
    return cs.refute(H, DATA, metric, features=["s"], activations=(), **options)  # type: ignore[arg-type]


CALLS: dict[str, Callable[[], object]] = {
    "refute samples": lambda: refute(samples=HUGE),
    "refute keep": lambda: refute(keep=HUGE),
    "refute budget": lambda: refute(budget=HUGE),
    "controls": lambda: cs.controls(H, DATA, metric, samples=HUGE),
    "ablate": lambda: cs.ablate(GRAPH, "x", DATA, metric=metric, samples=HUGE),
    "discover": lambda: cs.discover(GRAPH, DATA, metric, samples=HUGE, features=["s"]),
    "path_patch": lambda: cs.path_patch(
        GRAPH, DATA, metric=metric, senders="x", receivers=["y"], samples=HUGE
    ),
    "explain": lambda: cs.explain(H, DATA, samples=HUGE),
}


@pytest.mark.parametrize("name", CALLS)
def test_more_samples_than_memory_holds_are_refused(name: str) -> None:
    with pytest.raises(cs.ScrubError, match=r"samples: their values and draws alone take .*iB"):
        CALLS[name]()


@pytest.mark.parametrize("given", [3, 1.5, True, ["x"]])
def test_a_node_to_randomize_is_a_name(given: object) -> None:
    with pytest.raises(cs.ScrubError, match=r"randomize=.*: give the name of one node"):
        refute(samples=20, randomize=given)


def test_a_batch_larger_than_the_run_is_all_of_it_and_nothing_warns() -> None:
    with warnings.catch_warnings():
        # E_randomized and E_model of five rows often agree, so that ratios of means are infinite.
        warnings.simplefilter("error", RuntimeWarning)
        for seed in range(3):
            found = refute(samples=20, batch_size=HUGE, seed=seed)
            assert str(found) == str(refute(samples=20, batch_size=20, seed=seed))
        assert str(cs.controls(H, DATA, metric, samples=20, batch_size=HUGE))
        assert str(cs.scrub(H, DATA, metric, samples=10))


def test_a_distance_that_is_no_name_is_refused() -> None:
    for given in ([1], 3, None, {"a": 1}):
        with pytest.raises(cs.MetricError, match="take one of"):
            cs.exact_scrub(H, DATA, metric, distance=given)  # type: ignore[arg-type]
