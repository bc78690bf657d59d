"""Attentions opened: queries, keys, values, patterns and heads as nodes, in any implementation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from capturing import assert_close, state
from torch import nn
from torch.nn import functional

import causal_scrubbing as cs

torch.manual_seed(0)
X = torch.randn(12, 6, 8)
DATA = cs.Dataset(x=X)


def captured(model: nn.Module, sites: Any, data: cs.Dataset, **options: Any) -> cs.Graph:
    """A graph of a model, split as its map says."""
    before = state(model)
    graph = cs.capture(model, data[:3], sites=sites, output="y", **options)
    assert state(model) == before
    for nodes, (axis, into) in sites.splits.items():
        graph = graph.split(nodes, axis=axis, into=into)
    return graph


def check_pattern(graph: cs.Graph, data: cs.Dataset, name: str, groups: int) -> None:
    """A head's pattern is the softmax of its query and key, and weighs its value."""
    heads = len(graph.find(f"{name}.pattern.h*"))
    for head in range(heads):
        group = head * groups // heads
        names = [f"{name}.q.h{head}", f"{name}.k.h{group}", f"{name}.v.h{group}"]
        values = graph.values(data, [*names, f"{name}.pattern.h{head}", f"{name}.z.h{head}"])
        q, k, v, pattern, z = (value.detach() for value in values.values())
        if pattern.ndim == 4:
            q, k, v, pattern = (one.squeeze(1) for one in (q, k, v, pattern))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        allowed = pattern > 0
        assert_close(
            pattern, scores.masked_fill(~allowed, -torch.inf).softmax(-1), f"pattern {head}"
        )
        assert_close(z, pattern @ v, f"head {head}")
        assert set(names[:2]) <= set(graph.parents(f"{name}.pattern.h{head}"))
        parents = graph.parents(f"{name}.z.h{head}")
        assert parents == (names[2], f"{name}.pattern.h{head}")


def encoder(**options: Any) -> nn.Module:
    torch.manual_seed(1)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()


@pytest.mark.parametrize("method", ["export", "hooks"])
def test_heads_of_torchs_own_encoder(method: str) -> None:
    model = encoder()
    sites = cs.sites.heads_and_mlps(model)
    graph = captured(model, sites, DATA, method=method)
    assert graph.find("a*.z.h*") == ("a0.z.h0", "a0.z.h1", "a1.z.h0", "a1.z.h1")
    assert graph.parents("a1.z.h0") == ("x", "a0.z.h0", "a0.z.h1", "m0")
    with torch.no_grad():
        assert_close(graph(DATA), model(X), "output")
        # One head zeroed, as a change of the weights does it.
        zeros = torch.zeros(12, 6, 4)
        found = graph.values(DATA, given={"a0.z.h1": zeros})["y"]
        model.layers[0].self_attn.out_proj.weight[:, 4:] = 0  # type: ignore[index]
        assert_close(found, model(X), "output without a head")


def test_heads_of_torchs_own_decoder_with_masks() -> None:
    torch.manual_seed(1)
    layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    model = nn.TransformerDecoder(layer, 1).eval()
    pads = torch.arange(5) >= torch.randint(3, 6, (12, 1))
    data = cs.Dataset(x=X, memory=torch.randn(12, 5, 8), pads=pads)
    causal = nn.Transformer.generate_square_subsequent_mask(6)

    def run(model: Any, rows: Any) -> Any:
        return model(
            rows["x"], rows["memory"], tgt_mask=causal, tgt_is_causal=True,
            memory_key_padding_mask=rows["pads"],
        )  # fmt: skip

    graph = captured(model, cs.sites.patterns(model), data, forward=run)
    with torch.no_grad():
        assert_close(graph(data), run(model, data), "output")
    check_pattern(graph, data, "a0", 2)
    check_pattern(graph, data, "x0", 2)
    assert graph.parents("x0.pattern.h1") == ("pads", "x0.q.h1", "x0.k.h1")
    assert graph.values(data, ["a0.pattern.h0"])["a0.pattern.h0"].triu(1).abs().max() == 0


def test_rows_first_or_not_and_other_widths() -> None:
    torch.manual_seed(1)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = nn.MultiheadAttention(8, 2, kdim=8, vdim=4, bias=False)
            self.out = nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> Any:
            t = x.transpose(0, 1)
            mixed, weights = self.attn(t, t, t[..., :4], average_attn_weights=False)
            return self.out(mixed.transpose(0, 1)) + weights.sum((1, 3))[..., None]

    model = Model().eval()
    sites = {"z": "attn.out_proj:input", "pattern": "attn:pattern", "k": "attn:k"}
    graph = cs.capture(model, DATA[:3], sites=sites, output="y")
    assert graph.parents("z") == ("x", "pattern")
    assert graph.parents("y") == ("pattern", "z")
    with torch.no_grad():
        assert_close(graph(DATA), model(X), "output")


class Own(nn.Module):
    """Attention of one's own, on the fused function of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 16), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).split([8, 4, 4], -1)
        q, k, v = (one.unflatten(-1, (-1, 4)).transpose(1, 2) for one in (q, k, v))
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.out(z.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("method", ["export", "hooks"])
def test_a_fused_call_in_a_models_own_code(method: str) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(Own(), Own()).eval()
    inner = {part: f"{{i}}:{part}" for part in ("q", "k", "v", "pattern")}
    sites = cs.SiteMap(
        {**{f"a{{i}}.{part}": place for part, place in inner.items()}, "a{i}.z": "{i}.out:input"},
        {"a*.q": (1, {"h{}": 2}), "a*.pattern": (1, {"h{}": 2}), "a*.z": (-1, {"h{}": 2})},
    )
    graph = captured(model, sites, DATA, method=method)
    graph = graph.rename({"a{i}.k": "a{i}.k.h0", "a{i}.v": "a{i}.v.h0"})
    with torch.no_grad():
        assert_close(graph(DATA), model(X), "output")
    check_pattern(graph, DATA, "a0", 1)
    check_pattern(graph, DATA, "a1", 1)


def test_an_attention_that_shows_nothing() -> None:
    model = nn.Sequential(nn.Linear(8, 8)).eval()
    match = r"'p': '0' shows no pattern: it calls no softmax.*Mark the tensor with cs\.site"
    with pytest.raises(cs.GraphError, match=match):
        cs.capture(model, DATA[:3], sites={"p": "0:pattern"})
    added = nn.MultiheadAttention(8, 2, add_zero_attn=True, batch_first=True).eval()
    with pytest.raises(cs.GraphError, match="no add_bias_kv or add_zero_attn"):
        cs.capture(
            added, DATA[:3], sites={"z": "out_proj:input", "p": ":pattern"},
            forward=lambda m, rows: m(rows["x"], rows["x"], rows["x"])[0],
        )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "groups"), [("llama", 2), ("bert", 4), ("gpt_bigcode", 1)])
def test_patterns_of_transformers(name: str, groups: int) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    from families import FAMILIES

    family = FAMILIES[name]
    model = family.make()
    fields: Any = family.fields()
    data = cs.Dataset(**fields)
    kind = model.config._attn_implementation
    sites = cs.sites.patterns(model)
    method = "export" if name == "llama" else "hooks"
    graph = cs.capture(
        model, data[:2], sites=sites, forward=family.run, output="logits", method=method
    )
    for nodes, (axis, into) in sites.splits.items():
        if nodes.startswith("a"):
            graph = graph.split(nodes, axis=axis, into=into)
    assert model.config._attn_implementation == kind
    with torch.no_grad():
        assert_close(graph(data), family.run(model, data), "output")
    if groups == 1:
        graph = graph.rename({"a0.k": "a0.k.h0", "a0.v": "a0.v.h0"})
    check_pattern(graph, data, "a0", groups)
    graph = graph.split("a0.pattern.h1", axis=2, into={"last": -1}, rest="rest")
    assert graph.parents("a0.z.h1")[-2:] == ("a0.pattern.h1.rest", "a0.pattern.h1.last")


def test_a_pattern_as_its_mean_and_the_rest() -> None:
    model = encoder()
    graph = captured(model, cs.sites.patterns(model), DATA, method="hooks")
    with torch.no_grad():
        mean = graph.values(DATA, ["a0.pattern.h0"])["a0.pattern.h0"].mean(0, keepdim=True)
    mean_of_rows = (lambda x: mean.expand(len(x), -1, -1, -1), ["x"])
    graph = graph.split_sum("a0.pattern.h0", {"mean": mean_of_rows}, rest="rest")
    with torch.no_grad():
        assert_close(graph(DATA), model(X), "output")
    pieces = ("a0.pattern.h0.mean", "a0.pattern.h0.rest")
    assert set(pieces) <= set(graph.parents("a0.z.h0"))
