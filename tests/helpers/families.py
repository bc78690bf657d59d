"""Tiny random models of many families of transformers, from configurations alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

WORDS = 40
ENDS: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
SHORT: dict[str, Any] = {"vocab_size": WORDS, **ENDS}
WIDE: dict[str, Any] = {
    "num_hidden_layers": 1,
    "hidden_size": 16,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
}
PLAIN: dict[str, Any] = {**WIDE, **SHORT}
GROUPED: dict[str, Any] = {**PLAIN, "num_key_value_heads": 2}
GPT: dict[str, Any] = {"n_layer": 1, "n_embd": 16, "n_head": 4, "n_positions": 32, **SHORT}
PICTURE: dict[str, Any] = {
    "num_hidden_layers": 1,
    "hidden_size": 16,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "image_size": 8,
    "patch_size": 4,
}
BOTH: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 32,
    "forced_eos_token_id": None,
    "decoder_start_token_id": 2,
    **SHORT,
}


@dataclass(frozen=True)
class Family:
    """How a tiny model of a family is made and run, and where one of its heads is.

    Attributes:
        model: name of the class in transformers; "Auto" for a causal language model.
        config: name of the configuration's class, and what it is given.
        kind: "text", "text, cached" (takes `use_cache`), "pair" (source and target) or "image".
        head: the module whose input is all heads of the first layer, side by side; None if the
            family has no attention.
        node: the node of those heads.
        mlp: a node of the map that must be there.
    """

    model: str
    config: tuple[str, dict[str, Any]]
    kind: str = "text, cached"
    head: str | None = "model.layers.0.self_attn.o_proj"
    node: str = "a0.z"
    mlp: str = "m0"

    def make(self) -> torch.nn.Module:
        import transformers

        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        torch.manual_seed(0)
        config = getattr(transformers, self.config[0])(**self.config[1])
        if self.model == "Auto":
            made: torch.nn.Module = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
            return made.eval()
        model: torch.nn.Module = getattr(transformers, self.model)(config)
        return model.eval()

    @property
    def run(self) -> Callable[[torch.nn.Module, Any], torch.Tensor]:
        return RUNS[self.kind]

    def fields(self) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        x = torch.randint(3, WORDS, (4, 5), generator=generator)
        if self.kind == "image":
            return {"x": torch.randn(4, 3, 8, 8, generator=generator)}
        if self.kind == "pair":
            return {"x": x, "y": torch.randint(3, WORDS, (4, 4), generator=generator)}
        return {"x": x}


def run_image(model: torch.nn.Module, rows: Any) -> torch.Tensor:
    out = model(pixel_values=rows["x"])
    for name in ("logits", "image_embeds", "pooler_output"):
        if name in out:
            found: torch.Tensor = out[name]
            return found
    raise KeyError("no output")


RUNS: dict[str, Callable[[torch.nn.Module, Any], torch.Tensor]] = {
    "text": lambda model, rows: model(rows["x"]).logits,
    "text, cached": lambda model, rows: model(rows["x"], use_cache=False).logits,
    "pair": lambda model, rows: (
        model(input_ids=rows["x"], decoder_input_ids=rows["y"], use_cache=False).logits
    ),
    "image": run_image,
}

H = "transformer.h.0."
BERT = "encoder.layer.0.attention.output.dense"

FAMILIES: dict[str, Family] = {
    "gpt2": Family("Auto", ("GPT2Config", {**GPT, "n_layer": 2}), head=H + "attn.c_proj"),
    "gpt_neo": Family(
        "Auto",
        (
            "GPTNeoConfig",
            {
                "num_layers": 2,
                "hidden_size": 16,
                "num_heads": 4,
                "intermediate_size": 24,
                "max_position_embeddings": 32,
                "attention_types": [[["global", "local"], 1]],
                **SHORT,
            },
        ),
        head=H + "attn.attention.out_proj",
    ),
    "gptj": Family("Auto", ("GPTJConfig", {**GPT, "rotary_dim": 4}), head=H + "attn.out_proj"),
    "codegen": Family(
        "Auto", ("CodeGenConfig", {**GPT, "rotary_dim": 4}), head=H + "attn.out_proj"
    ),
    "gpt_bigcode": Family("Auto", ("GPTBigCodeConfig", GPT), head=H + "attn.c_proj"),
    "gpt_neox": Family("Auto", ("GPTNeoXConfig", PLAIN), head="gpt_neox.layers.0.attention.dense"),
    "opt": Family(
        "Auto",
        ("OPTConfig", {**PLAIN, "ffn_dim": 24, "word_embed_proj_dim": 16}),
        head="model.decoder.layers.0.self_attn.out_proj",
    ),
    "bloom": Family(
        "Auto",
        ("BloomConfig", {"n_layer": 1, "hidden_size": 16, "n_head": 4, **SHORT}),
        head=H + "self_attention.dense",
    ),
    "mpt": Family(
        "Auto",
        (
            "MptConfig",
            {"n_layers": 1, "d_model": 16, "n_heads": 4, "max_seq_len": 32, "vocab_size": WORDS},
        ),
        head="transformer.blocks.0.attn.out_proj",
    ),
    "falcon": Family("Auto", ("FalconConfig", PLAIN), head=H + "self_attention.dense"),
    "llama": Family("Auto", ("LlamaConfig", {**GROUPED, "num_hidden_layers": 2})),
    "mistral": Family("Auto", ("MistralConfig", {**GROUPED, "sliding_window": 3})),
    "mixtral": Family("Auto", ("MixtralConfig", {**GROUPED, "num_local_experts": 3})),
    "qwen2": Family("Auto", ("Qwen2Config", GROUPED)),
    "qwen3": Family("Auto", ("Qwen3Config", {**GROUPED, "head_dim": 4})),
    "gemma": Family("Auto", ("GemmaConfig", {**GROUPED, "head_dim": 4})),
    "gemma2": Family(
        "Auto", ("Gemma2Config", {**GROUPED, "head_dim": 4, "query_pre_attn_scalar": 4})
    ),
    "gemma3": Family("Auto", ("Gemma3TextConfig", {**GROUPED, "head_dim": 4})),
    "phi": Family("Auto", ("PhiConfig", PLAIN), head="model.layers.0.self_attn.dense"),
    "phi3": Family("Auto", ("Phi3Config", GROUPED)),
    "stablelm": Family("Auto", ("StableLmConfig", GROUPED)),
    "olmo2": Family("Auto", ("Olmo2Config", GROUPED)),
    "cohere": Family("Auto", ("CohereConfig", GROUPED)),
    "granite": Family("Auto", ("GraniteConfig", GROUPED)),
    "starcoder2": Family("Auto", ("Starcoder2Config", GROUPED)),
    "bert": Family("BertForMaskedLM", ("BertConfig", PLAIN), "text", "bert." + BERT),
    "roberta": Family("RobertaForMaskedLM", ("RobertaConfig", PLAIN), "text", "roberta." + BERT),
    "electra": Family(
        "ElectraForMaskedLM",
        ("ElectraConfig", {**PLAIN, "embedding_size": 8}),
        "text",
        "electra." + BERT,
    ),
    "deberta_v2": Family(
        "DebertaV2ForMaskedLM",
        ("DebertaV2Config", {**PLAIN, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
        "text",
        "deberta." + BERT,
    ),
    "distilbert": Family(
        "DistilBertForMaskedLM",
        (
            "DistilBertConfig",
            {"n_layers": 1, "dim": 16, "n_heads": 4, "hidden_dim": 24, "vocab_size": WORDS},
        ),
        "text",
        "distilbert.transformer.layer.0.attention.out_lin",
    ),
    "modernbert": Family(
        "ModernBertForMaskedLM", ("ModernBertConfig", PLAIN), "text", "model.layers.0.attn.Wo"
    ),
    "t5": Family(
        "T5ForConditionalGeneration",
        (
            "T5Config",
            {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 1, "num_heads": 4, **SHORT},
        ),
        "pair",
        "decoder.block.0.layer.1.EncDecAttention.o",
        "dec.x0.z",
        "enc.m0",
    ),
    "bart": Family(
        "BartForConditionalGeneration",
        ("BartConfig", BOTH),
        "pair",
        "model.encoder.layers.0.self_attn.out_proj",
        "enc.a0.z",
        "dec.m0",
    ),
    "vit": Family(
        "ViTForImageClassification",
        ("ViTConfig", {**PICTURE, "num_hidden_layers": 2}),
        "image",
        "vit.layers.0.attention.o_proj",
    ),
    "dinov2": Family(
        "Dinov2ForImageClassification",
        ("Dinov2Config", {**PICTURE, "mlp_ratio": 2}),
        "image",
        "dinov2.encoder.layer.0.attention.o_proj",
    ),
    "beit": Family(
        "BeitForImageClassification",
        ("BeitConfig", PICTURE),
        "image",
        "beit.layers.0.attention.o_proj",
    ),
    "clip": Family(
        "CLIPVisionModelWithProjection",
        ("CLIPVisionConfig", {**PICTURE, "projection_dim": 8}),
        "image",
        "vision_model.encoder.layers.0.self_attn.out_proj",
    ),
    "resnet": Family(
        "ResNetForImageClassification",
        (
            "ResNetConfig",
            {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 2], "layer_type": "basic"},
        ),
        "image",
        None,
        mlp="s1.m1",
    ),
}
