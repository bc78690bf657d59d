"""How the time of a run grows: against samples, claims, edges, positions, rows and hypotheses.

    python benchmarks/growth.py

Processor seconds of one thread of whole runs, self-checks included, the shorter of two each; writes
`growth_of_runs.png` and prints the figures. Small models, so that all of it takes about two
minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from wide import two_layers

import causal_scrubbing as cs

Point = tuple[float, float]
REPEATS = int(os.environ.get("REPEATS", "2"))
METRIC: Any = {"m": lambda output, rows: output.reshape(len(output), -1)[:, 0]}


def timed(h: cs.Hypothesis | list[cs.Hypothesis], data: cs.Dataset, samples: int) -> float:
    """Processor seconds of the shorter of two runs."""
    found = []
    for _ in range(REPEATS):
        began = time.process_time()
        cs.scrub(h, data, METRIC, samples=samples, progress=None)
        found.append(time.process_time() - began)
    return min(found)


def stream(width: int, rows: int = 1000) -> tuple[cs.Graph, cs.Dataset]:
    """Nodes that each read the sum of all before them."""
    made = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 32, generator=made)
    data = cs.Dataset(x=x, s=x[:, 0] > 0)
    weights = torch.randn(width, 32, 32, generator=made) / 32**0.5
    nodes: dict[str, Any] = {}
    above = ["x"]
    for i in range(width):
        fn = cs.of_sum(lambda total, w=weights[i]: torch.tanh(total @ w))
        nodes[f"n{i}"] = (fn, list(above))
        above.append(f"n{i}")
    nodes["out"] = (cs.of_sum(lambda total: total.sum(1)), above)
    return cs.Graph.build(inputs=["x"], nodes=nodes, output="out"), data


def about(graph: cs.Graph, claims: int) -> cs.Hypothesis:
    """Claims about pairs of nodes of a stream, half of them below the other half."""
    pairs = [cs.claim(f"n{2 * i + 1}", "s", cs.claim(f"n{2 * i}", "s")) for i in range(claims // 2)]
    return cs.Hypothesis(graph, cs.claim("out", cs.exact, *pairs))


def samples() -> list[Point]:
    graph, data = stream(16)
    h = about(graph, 16)
    return [(n, timed(h, data, n)) for n in (5_000, 10_000, 20_000, 40_000)]


def claims() -> list[Point]:
    found = []
    for count in (10, 20, 40, 80):
        graph, data = stream(80)
        found.append((count, timed(about(graph, count), data, 2_000)))
    return found


def edges() -> list[Point]:
    found = []
    for count in (60, 120, 180, 240):
        h, data = two_layers(count)
        found.append(((count // 2) ** 2, timed(h, data, 1_000)))
    return found


def rows() -> list[Point]:
    found = []
    for count in (2_000, 4_000, 8_000, 16_000):
        graph, data = stream(16, count)
        found.append((count, timed(about(graph, 16), data, 4_000)))
    return found


def hypotheses() -> list[Point]:
    graph, data = stream(32)
    found = []
    for count in (4, 8, 16, 32):
        many = [
            cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim(f"n{i}", "s")), name=f"n{i}")
            for i in range(count)
        ]
        found.append((count, timed(many, data, 2_000)))
    return found


def positions() -> list[Point]:
    """Swaps at the last positions of 32, in the second of four layers of a small model."""
    import transformers

    length = 32
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    tokens = torch.randint(0, 64, (64, length))
    data = cs.Dataset(tokens=tokens, half=torch.arange(64) % 2)
    graph = cs.capture(
        model, data[:2], sites={"r{i}": "model.layers.{i}:input"}, output="logits",
        forward=lambda m, r: m(r["tokens"], use_cache=False).logits[:, -1],
    )  # fmt: skip
    found = []
    for count in (4, 8, 16, 24):
        cut = graph.split(
            "r1", axis=1, into={"last": slice(length - count, length)}, rest="before", data=data[:2]
        )
        claim = cs.claim("r1.last", "half", via="*")
        h = cs.Hypothesis(cut, cs.claim("logits", cs.exact, claim))
        found.append((count, timed(h, data, 2_000)))
    return found


def draw(found: dict[str, Sequence[Point]], where: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for axis, (name, points) in zip(axes.flat, found.items(), strict=True):
        axis.plot(*zip(*points, strict=True), "o-")
        axis.set(xlabel=name, ylabel="processor seconds", xlim=(0, None), ylim=(0, None))
    figure.savefig(where, dpi=100)


def main() -> None:
    torch.set_num_threads(1)
    kinds: tuple[Callable[[], list[Point]], ...] = (
        samples, claims, edges, positions, rows, hypotheses,
    )  # fmt: skip
    found: dict[str, Sequence[Point]] = {}
    for one in kinds:
        found[one.__name__] = one()
        text = ", ".join(f"{size:,.0f}: {seconds:.2f} s" for size, seconds in found[one.__name__])
        print(f"time against {one.__name__}: {text}", flush=True)
    draw(found, Path(__file__).parent / "growth_of_runs.png")


if __name__ == "__main__":
    main()
