"""What it costs to know that a model's weights are those of the capture, against a forward pass.

Every run looks at every entry of every weight. Figures are ratios within one run, on one thread.

Run: python benchmarks/fingerprint.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from causal_scrubbing._capture import digest


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """Processor seconds, the least of a few."""
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    """A Llama of 135 million parameters, as SmolLM2's smallest."""
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    weights = list(model.parameters())
    look = seconds(lambda: [digest(one) for one in weights])
    print(f"{sum(one.numel() for one in weights) / 1e6:.0f}M parameters, float32")
    for rows, length in ((1, 16), (8, 32)):
        tokens = torch.randint(0, 49152, (rows, length))
        with torch.no_grad():
            forward = seconds(lambda tokens=tokens: model(tokens))
        print(f"looking at all weights: {look / forward:.2f} forward passes of {rows} x {length}")


if __name__ == "__main__":
    main()
