from __future__ import annotations

from typing import Any

import pytest
import torch
from capturing import assert_close, hooked
from families import FAMILIES

import causal_scrubbing as cs

pytest.importorskip("transformers", reason="transformers is not installed; it is in the dev extra")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_captured_with_its_ready_map(name: str) -> None:
    family = FAMILIES[name]
    model = family.make()
    fields: Any = family.fields()
    data = cs.Dataset(**fields)
    sites = cs.sites.heads_and_mlps(model)
    graph = cs.capture(model, data[:2], sites=sites, forward=family.run, output="logits")
    assert family.mlp in graph
    with torch.no_grad():
        assert_close(graph(data), family.run(model, data), "output")
    if family.head is None:
        return
    # The second head of the first layer, resampled, equals a hook that does it to the model.
    pattern = next(p for p in sites.splits if p.replace("{i}", "0") == family.node)
    axis, into = sites.splits[pattern]
    graph = graph.split(family.node, axis=axis, into=into)
    head = f"{family.node}.h1"
    own = graph.values(data, [head])[head].detach()
    other = own.flip(0)
    width = own.shape[-1]

    def swap(z: torch.Tensor) -> torch.Tensor:
        return torch.cat([z[..., :width], other, z[..., 2 * width :]], -1)

    with torch.no_grad():
        expected = hooked(model, family.run, data, f"{family.head}:input", swap)
        found = graph.values(data, given={head: other})["logits"]
    assert_close(found, expected, f"output with {head} resampled")
    assert not torch.allclose(found, family.run(model, data)), "the swap must matter"
    # An all-exact hypothesis, computed through the split graph, is the model.
    claims = [cs.claim(parent, cs.exact) for parent in graph.parents("logits")]
    h = cs.Hypothesis(graph, cs.claim("logits", cs.exact, *claims))
    result = cs.scrub(h, data, metric=lambda out, rows: out.flatten(1).square().mean(1), samples=4)
    assert result.scrubbed.mean == pytest.approx(result.model.mean, rel=1e-5)
