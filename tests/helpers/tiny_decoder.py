"""A tiny random decoder of `transformers` that knows the words of the gallery's prompts."""

from __future__ import annotations

from pathlib import Path

import torch


def save(folder: Path, texts: list[str], *, layers: int = 4, heads: int = 4) -> Path:
    """A Llama with grouped-query attention, and a tokenizer of whole words, in a folder."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    split = pre_tokenizers.Whitespace()
    words = sorted({word for text in texts for word, _ in split.pre_tokenize_str(text)})
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(["?", *words])}, unk_token="?")
    )
    tokenizer.pre_tokenizer = split
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words) + 1, hidden_size=32, intermediate_size=32, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads // 2, bos_token_id=0, eos_token_id=0,
        initializer_range=0.3,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")  # type: ignore[no-untyped-call]
    fast.save_pretrained(folder)
    return folder
