"""How known model families lay out their blocks: data, nothing else.

A layout lists paths inside one block. A model has a layout if its blocks have those modules; which
library or class they come from does not matter. To support a family, add a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Places inside a block, relative to its path.

    Attributes:
        z: what the attention's output projection reads: all heads' outputs side by side.
        q: queries of all heads; None if one module makes queries, keys and values together.
        k: keys.
        v: values.
        qkv: the module that makes the three together.
        cross: the attention over another sequence, laid out like the block's own, as a pair of
            paths: the one to replace in `z`, `q`, `k`, `v`, and by what.
        only: what the names of the blocks' classes begin with, where modules do not tell.
        mlp: what the feed-forward part adds to the residual stream.
        neurons: the activations of its hidden layer.
        attention: the module that computes the pattern; what holds `z` if None.
        pattern: where the pattern is, if a module's output is the pattern itself.
        axis: the axis of `z`, `q`, `k`, `v` along which heads lie.
        known: families that have this layout, for a person to look up.
    """

    z: str | None = None
    q: str | None = None
    k: str | None = None
    v: str | None = None
    qkv: str | None = None
    cross: tuple[str, str] | None = None
    mlp: str | None = None
    neurons: str | None = None
    attention: str | None = None
    pattern: str | None = None
    only: str | None = None
    axis: int = -1
    known: str

    @property
    def places(self) -> tuple[str, ...]:
        """All places the layout needs."""
        found = (self.z, self.q, self.k, self.v, self.qkv, self.mlp, self.neurons)
        return tuple(place for place in found if place is not None)


def _separate(attention: str, out: str, q: str = "q_proj") -> dict[str, Any]:
    """Attention with a projection each for queries, keys and values."""
    return {
        "z": f"{attention}.{out}:input",
        "q": f"{attention}.{q}",
        "k": f"{attention}.{q.replace('q', 'k', 1)}",
        "v": f"{attention}.{q.replace('q', 'v', 1)}",
    }


LAYOUTS: Final = (
    Layout(
        z="self_attn.out_proj:input",
        q="self_attn:q",
        k="self_attn:k",
        v="self_attn:v",
        cross=("self_attn", "multihead_attn"),
        mlp="linear2",
        neurons="linear2:input",
        known="encoder and decoder layers of torch.nn",
    ),
    Layout(
        z="attn.hook_z",
        q="attn.hook_q",
        k="attn.hook_k",
        v="attn.hook_v",
        pattern="attn.hook_pattern",
        mlp="hook_mlp_out",
        neurons="mlp.hook_post",
        axis=-2,
        known="hook-point transformers (TransformerLens)",
    ),
    Layout(
        z="attn.hook_z",
        q="attn.hook_q",
        k="attn.hook_k",
        v="attn.hook_v",
        pattern="attn.hook_pattern",
        axis=-2,
        known="attention-only hook-point transformers (TransformerLens)",
    ),
    Layout(
        z="attn.o.hook_in",
        q="attn.q.hook_out",
        k="attn.k.hook_out",
        v="attn.v.hook_out",
        pattern="attn.hook_pattern",
        mlp="mlp.hook_out",
        neurons="mlp.out.hook_in",
        known="bridges of TransformerLens 4",
    ),
    Layout(
        z="attn.o.hook_in",
        q="attn.q.hook_out",
        k="attn.k.hook_out",
        v="attn.v.hook_out",
        pattern="attn.hook_pattern",
        mlp="mlp.hook_out",
        known="bridges of TransformerLens 4, mixtures of experts",
    ),
    Layout(
        **_separate("self_attn", "o_proj"),
        mlp="mlp:output.0",
        only="GptOss",
        known="gpt_oss, whose experts return their weights too",
    ),
    Layout(
        **_separate("self_attn", "o_proj"),
        mlp="mlp",
        neurons="mlp.down_proj:input",
        known="llama, mistral, qwen2, qwen3, gemma, gemma2, gemma3, olmo, olmo2, cohere, granite, "
        "stablelm, smollm3 and many more",
    ),
    Layout(
        **_separate("self_attn", "o_proj"),
        mlp="mlp",
        neurons="mlp.c_proj:input",
        known="starcoder2",
    ),
    Layout(
        **_separate("self_attn", "o_proj"),
        mlp="mlp",
        known="mixtral and other mixtures of experts",
    ),
    Layout(
        z="self_attn.o_proj:input",
        qkv="self_attn.qkv_proj",
        mlp="mlp",
        neurons="mlp.down_proj:input",
        known="phi3",
    ),
    Layout(**_separate("self_attn", "dense"), mlp="mlp", neurons="mlp.fc2:input", known="phi"),
    Layout(
        **_separate("self_attn", "out_proj"),
        mlp="mlp",
        neurons="mlp.fc2:input",
        known="clip, siglip",
    ),
    Layout(
        **_separate("self_attn", "out_proj"),
        cross=("self_attn", "encoder_attn"),
        mlp="fc2",
        neurons="fc2:input",
        known="opt, bart, marian, pegasus, whisper",
    ),
    Layout(
        z="attn.c_proj:input",
        qkv="attn.c_attn",
        mlp="mlp",
        neurons="mlp.c_proj:input",
        known="gpt2, gpt_bigcode",
    ),
    Layout(
        **_separate("attn.attention", "out_proj"),
        mlp="mlp",
        neurons="mlp.c_proj:input",
        known="gpt_neo",
    ),
    Layout(**_separate("attn", "out_proj"), mlp="mlp", neurons="mlp.fc_out:input", known="gptj"),
    Layout(
        z="attn.out_proj:input",
        qkv="attn.qkv_proj",
        mlp="mlp",
        neurons="mlp.fc_out:input",
        known="codegen",
    ),
    Layout(
        z="attention.dense:input",
        qkv="attention.query_key_value",
        mlp="mlp",
        neurons="mlp.dense_4h_to_h:input",
        known="gpt_neox (pythia)",
    ),
    Layout(
        z="self_attention.dense:input",
        qkv="self_attention.query_key_value",
        mlp="mlp.dense_4h_to_h",
        neurons="mlp.dense_4h_to_h:input",
        known="bloom, falcon",
    ),
    Layout(
        z="attn.out_proj:input",
        qkv="attn.Wqkv",
        mlp="ffn.down_proj",
        neurons="ffn.down_proj:input",
        known="mpt",
    ),
    Layout(
        z="attn.Wo:input",
        qkv="attn.Wqkv",
        mlp="mlp",
        neurons="mlp.Wo:input",
        known="modernbert",
    ),
    Layout(
        z="attention.output.dense:input",
        attention="attention.self",
        q="attention.self.query",
        k="attention.self.key",
        v="attention.self.value",
        mlp="output.dense",
        neurons="output.dense:input",
        known="bert, roberta, electra",
    ),
    Layout(
        z="attention.output.dense:input",
        attention="attention.self",
        q="attention.self.query_proj",
        k="attention.self.key_proj",
        v="attention.self.value_proj",
        mlp="output.dense",
        neurons="output.dense:input",
        known="deberta_v2",
    ),
    Layout(
        z="attention.out_lin:input",
        q="attention.q_lin",
        k="attention.k_lin",
        v="attention.v_lin",
        mlp="ffn",
        neurons="ffn.lin2:input",
        known="distilbert",
    ),
    Layout(
        z="attention.dense:input",
        q="attention.query",
        k="attention.key",
        v="attention.value",
        mlp="ffn_output",
        neurons="ffn_output:input",
        known="albert, whose layers share one module: its sites come as name#0, name#1",
    ),
    Layout(
        **_separate("layer.0.SelfAttention", "o", "q"),
        cross=("layer.0.SelfAttention", "layer.1.EncDecAttention"),
        mlp="layer.2.DenseReluDense",
        neurons="layer.2.DenseReluDense.wo:input",
        known="t5, decoder",
    ),
    Layout(
        **_separate("layer.0.SelfAttention", "o", "q"),
        mlp="layer.1.DenseReluDense",
        neurons="layer.1.DenseReluDense.wo:input",
        known="t5, encoder",
    ),
    Layout(
        **_separate("attention", "o_proj"),
        mlp="mlp",
        neurons="mlp.fc2:input",
        known="vit, deit, dinov2, beit",
    ),
    Layout(
        z="attention.output.dense:input",
        attention="attention.attention",
        q="attention.attention.query",
        k="attention.attention.key",
        v="attention.attention.value",
        mlp="output.dense",
        neurons="output.dense:input",
        known="vit in earlier releases of transformers",
    ),
    Layout(
        z="self_attn.o_proj:input",
        mlp="mlp",
        neurons="mlp.down_proj:input",
        known="latent attention: minicpm3 and others",
    ),
    Layout(
        z="self_attn.o_proj:input", mlp="mlp", known="latent attention: deepseek_v2, deepseek_v3"
    ),
    Layout(z="self_attn.o_proj:input", mlp="feed_forward", known="lfm2, jamba and others"),
    Layout(mlp="feed_forward", known="rwkv, whose attention has no heads"),
    Layout(mlp="mixer", neurons="mixer.out_proj:input", known="mamba"),
    Layout(mlp="drop_path", neurons="pwconv2:input", known="convnext"),
    Layout(mlp="layer", known="resnet of transformers: the branch of each block"),
    Layout(mlp="bn3", neurons="conv3:input", known="resnet of torchvision, bottleneck blocks"),
    Layout(mlp="bn2", neurons="conv2:input", known="resnet of torchvision, basic blocks"),
)
"""Tried in this order, the more particular first."""

MIXERS: Final = ("mamba", "linear_attn", "conv", "temporal_block", "attention", "mixer")
"""What blocks call what mixes positions without attention, in the models that have both."""

EMBEDDINGS: Final = {
    "embed": (
        "hook_embed",
        "embed",
        "wte",
        "embed_tokens",
        "word_embeddings",
        "embed_in",
        "tok_embeddings",
        "shared",
        "patch_embeddings",
        "patch_embedding",
        "embeddings",
        "embedder",
    ),
    "pos": (
        "hook_pos_embed",
        "pos_embed",
        "wpe",
        "embed_positions",
        "position_embeddings",
        "position_embedding",
    ),
}
"""Node name -> what the module is called, the first that a stack of blocks has."""

HEADS: Final = (
    "n_heads",
    "num_attention_heads",
    "n_head",
    "num_heads",
    "encoder_attention_heads",
    "decoder_attention_heads",
)
"""What configurations call the number of heads."""

GROUPS: Final = ("n_key_value_heads", "num_key_value_heads", "num_kv_heads")
"""What configurations call the number of heads that keys and values have, if it is another."""
