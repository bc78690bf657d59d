"""A bridge of TransformerLens, captured with its ready map and checked with plain hooks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from capturing import assert_close, check_swap
from families import FAMILIES

import causal_scrubbing as cs

builder = pytest.importorskip(
    "transformer_lens.model_bridge.sources._bridge_builder",
    reason="transformer-lens 4 is not installed; it brings a hundred packages, so it is no extra",
)


@pytest.mark.filterwarnings("ignore")
def test_a_bridge_is_captured_with_its_ready_map() -> None:
    family = FAMILIES["gpt2"]
    own: Any = family.make()
    bridge = builder.build_bridge_from_module(own, "GPT2LMHeadModel", hf_config=own.config).eval()
    fields: Any = family.fields()
    data = cs.Dataset(**fields)

    def run(model: Any, rows: Any) -> torch.Tensor:
        logits: torch.Tensor = model(rows["x"], return_type="logits")
        return logits

    sites = cs.sites.qkv(bridge)
    graph = cs.capture(bridge, data[:2], sites=sites, forward=run, output="logits")
    assert_close(graph(data), run(bridge, data), "output")
    assert graph.parents("m0") == ("embed", "pos", "a0.z")
    check_swap(graph, bridge, run, data, "a1.z", "blocks.1.attn.o.hook_in")
    heads = graph.split("a1.z", axis=sites.splits["a{i}.z"][0], into={"h{}": 4})
    assert set(heads.parents("logits")) > {"a1.z.h0", "a1.z.h3"}
