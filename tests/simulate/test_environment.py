"""Ambient state is refused or recorded, and what cannot be run is refused before any work."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import causal_scrubbing as cs

DATA = cs.Dataset(x=torch.randn(50))
GRAPH = cs.Graph.build(
    inputs=["x"], nodes={"a": (torch.tanh, ["x"]), "y": (lambda a: 2 * a, ["a"])}, output="y"
)
H = cs.Hypothesis(GRAPH, cs.claim("y", cs.exact, cs.claim("a", cs.anything)))
METRIC: dict[str, Any] = {"out": lambda output, rows: output}

VERBS = {
    "scrub": lambda: cs.scrub(H, DATA, METRIC, samples=20),
    "explain": lambda: cs.explain(H, DATA, METRIC, samples=20),
    "exact_scrub": lambda: cs.exact_scrub(H, DATA, METRIC),
    "ablate": lambda: cs.ablate(GRAPH, "a", DATA, metric=METRIC, samples=20),
    "controls": lambda: cs.controls(H, DATA, METRIC, samples=20),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_an_active_autocast_is_refused(verb) -> None:
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(cs.ScrubError, match=r"torch\.autocast to bfloat16 is active"),
    ):
        verb()


def test_autocast_is_recorded_where_it_is_asked_for(tmp_path) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = cs.scrub(H, DATA, METRIC, samples=20, autocast=True)
    assert result.record.environment["autocast"] == "bfloat16"
    result.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run").record.environment
    assert loaded == result.record.environment
    assert loaded["threads"] == torch.get_num_threads()
    assert set(loaded) >= {"tf32_matmul", "tf32_cudnn", "float32_matmul_precision", "processor"}
    plain = cs.scrub(H, DATA, METRIC, samples=20, autocast=True)
    assert plain.record.environment["autocast"] is None


def test_blocks_of_a_run_with_autocast_are_not_those_of_one_without(tmp_path) -> None:
    cs.scrub(H, DATA, METRIC, samples=20, out=tmp_path)
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(cs.ScrubError, match="it differs in autocast"),
    ):
        cs.scrub(H, DATA, METRIC, samples=20, out=tmp_path, autocast=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"samples": 10**18},
            r"1(,000){6} samples: .* take .* TiB, and .* are free",
        ),
        ({"samples": "auto", "max_samples": 10**18}, "TiB, and .* are free"),
        ({"store": "nope"}, "store='nope'; it is one of 'auto', 'memory', 'disk'"),
        ({"memory": "much"}, "memory='much' is no size"),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", [cs.scrub, cs.explain], ids=["scrub", "explain"])
def test_what_cannot_be_run_is_refused_before_the_model_is_called(verb, options, message) -> None:
    calls: list[int] = []

    def node(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x

    graph = cs.Graph.build(inputs=["x"], nodes={"y": (node, ["x"])}, output="y")
    with pytest.raises(cs.ScrubError, match=message):
        verb(cs.Hypothesis(graph, cs.claim("y", cs.exact)), DATA, METRIC, **options)
    assert not calls


@pytest.mark.parametrize("option", ["pool", "force", "compile", "sample"])
def test_an_option_that_does_not_exist_is_named(option) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
        cs.scrub(H, DATA, METRIC, **{option: 3})  # type: ignore[call-overload]


NEVER = {
    "NaN": lambda x: x * float("nan"),
    "infinite": lambda x: x * 0 + float("inf"),
}


@pytest.mark.parametrize("fn", NEVER.values(), ids=NEVER.keys())
def test_outputs_that_are_never_finite_are_refused(fn) -> None:
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (fn, ["x"])}, output="y")
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact))
    for run in (cs.scrub, cs.explain, cs.exact_scrub):
        with pytest.raises(cs.ScrubError, match=r"the output 'y' is not finite: on each of the"):
            run(h, DATA, METRIC)


def test_a_metrics_name_is_one_line() -> None:
    with pytest.raises(cs.ScrubError, match="give a name without line breaks"):
        cs.scrub(H, DATA, {"a\nb": METRIC["out"]}, samples=20)
