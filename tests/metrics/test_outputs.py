"""Comparing many outputs at once gives what each kind gives alone, whatever the slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing._errors import MetricError
from causal_scrubbing._metrics import SLICE, compare_all, output_measures

KINDS: tuple[Any, ...] = ("kl", "agreement", "total_variation", "distance", "squared_error")


def outputs(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple((3 * torch.randn(shape, generator=generator)).to(dtype) for _ in range(3))


@pytest.mark.parametrize("rows_a_slice", [1, 5, 1000])
@pytest.mark.parametrize("shape", [(23, 7), (23, 1), (23,)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_all_kinds_at_once_are_each_kind_alone(shape, dtype, rows_a_slice, monkeypatch) -> None:
    own, one, other = outputs(shape, dtype)
    rows = cs.Dataset(row=torch.arange(23)).with_model_output(own)
    monkeypatch.setitem(SLICE, "cpu", rows_a_slice * max(1, own[0].numel()))
    given = [own.clone(), one.clone(), other.clone()]
    found = compare_all({"one": one, "other": other, "own": own}, own, logits=True)
    for name, output in (("one", one), ("other", other), ("own", own)):
        assert list(found[name]) == list(KINDS)
        for kind in KINDS:
            want = cs.metrics.to_model(kind)(output, rows).double().numpy()
            np.testing.assert_allclose(found[name][kind], want, rtol=1e-6, atol=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(given, (own, one, other), strict=True))


def test_a_class_of_probability_zero_adds_nothing() -> None:
    own = torch.tensor([[0.0, -torch.inf, 1.0], [2.0, 1.0, 0.0]])
    output = torch.tensor([[0.0, -torch.inf, 1.0], [2.0, 1.0, -torch.inf]])
    found = output_measures(output, own, logits=True)
    assert found["kl"][0] == 0
    assert found["kl"][1] == np.inf
    assert found["total_variation"][0] == 0


def test_numbers_that_are_no_logits_have_distances_only() -> None:
    own, one, _ = outputs((9, 3, 4), torch.float32)
    found = output_measures(one, own, logits=False)
    assert list(found) == ["distance", "squared_error"]
    want = (one - own).flatten(1).norm(dim=1).double().numpy()
    np.testing.assert_allclose(found["distance"], want, rtol=1e-6)


def test_outputs_of_another_shape_are_refused() -> None:
    with pytest.raises(MetricError, match="a comparison needs equal shapes"):
        output_measures(torch.zeros(3, 2), torch.zeros(3, 4), logits=True)


def test_a_run_compares_outputs_as_the_metrics_do() -> None:
    generator = torch.Generator().manual_seed(1)
    w = torch.randn(4, 5, generator=generator)
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (torch.tanh, ["x"]), "out": (lambda a: a @ w, ["a"])},
        output="out",
    )
    x = torch.randn(50, 4, generator=generator)
    h = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "up")))
    metric = {kind: cs.metrics.to_model(kind) for kind in KINDS}
    result = cs.scrub(h, cs.Dataset(x=x, up=x[:, 0] > 0), metric, samples=200)
    for kind in KINDS:
        np.testing.assert_allclose(result.moved[kind], result.scrubbed_values[kind], rtol=1e-6)
        np.testing.assert_allclose(
            result.moved_randomized[kind], result.randomized_values[kind], rtol=1e-6
        )
