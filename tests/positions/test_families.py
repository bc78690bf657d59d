"""Outputs computed at the positions that change are those of the full computation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs
from causal_scrubbing._engine import Executor, Settings
from causal_scrubbing._errors import Notice
from causal_scrubbing._expressions import Compiler, Space
from causal_scrubbing._graph import Ref, Step
from causal_scrubbing._sampling import Sampler

transformers = pytest.importorskip("transformers")
LENGTH, ROWS, SAMPLES = 6, 9, 5
SHARED = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16,
    "initializer_range": 0.5, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
FAMILIES = {
    "gpt2": ("GPT2Config", {"vocab_size": 40, "n_positions": 16, "n_embd": 16, "n_layer": 2,
             "n_head": 2, "initializer_range": 0.5, "bos_token_id": 1, "eos_token_id": 2}),
    "llama": ("LlamaConfig", SHARED),
    "qwen": ("Qwen2Config", SHARED),
    "windowed": ("MistralConfig", {**SHARED, "sliding_window": 3}),
    "gemma": ("Gemma2Config", {**SHARED, "head_dim": 4, "sliding_window": 3}),
}  # fmt: skip
READS = {
    "last": lambda logits: logits[:, -1],
    "all": lambda logits: logits,
    "some": lambda logits: logits[:, 2:4].mean(1),
}


@cache
def captured(family: str, attention: str, padding: str, read: str) -> tuple[cs.Graph, cs.Dataset]:
    name, options = FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(transformers, name)(**options, attn_implementation=attention)
    model = transformers.AutoModelForCausalLM.from_config(config).double().eval()
    generator = torch.Generator().manual_seed(1)
    fields: dict[str, Any] = {
        "tokens": torch.randint(3, 40, (ROWS, LENGTH), generator=generator),
        "third": torch.arange(ROWS) % 3,
    }
    place, pads = torch.arange(LENGTH), torch.arange(ROWS)[:, None] % 3
    if padding == "left":
        fields["mask"] = (place >= pads).long()
    elif padding == "right":
        fields["mask"] = (place < LENGTH - pads).long()
    data = cs.Dataset(**fields)

    def forward(m, rows):
        if "mask" in fields:
            return READS[read](m(rows["tokens"], attention_mask=rows["mask"]).logits)
        cached = {"use_cache": False} if padding == "uncached" else {}
        return READS[read](m(rows["tokens"], **cached).logits)

    block = "transformer.h.{i}" if family == "gpt2" else "model.layers.{i}"
    sites = {"r{i}": f"{block}:input"}
    return cs.capture(model, data[:2], sites=sites, forward=forward, output="logits"), data


def swapped(
    graph: cs.Graph, data: cs.Dataset, layer: int, positions: list[int]
) -> tuple[Space, int, dict[str, np.ndarray], cs.Graph]:
    """The output with the residual stream of a layer on another row at these positions."""
    name = f"r{layer}"
    graph = graph.split(name, axis=1, into={"p{}": LENGTH}, data=data[:2])
    claims = [
        cs.claim(f"{name}.p{i}", "third" if i in positions else cs.exact, via="*")
        for i in range(LENGTH)
    ]
    h = cs.Hypothesis(graph, cs.claim("logits", cs.exact, *claims))
    sampler = Sampler(h, data, 0)
    space = Space()
    root = Compiler(graph, space).tree(h.tree, sampler.variables)
    rows = sampler.draw(0, SAMPLES).rows
    return space, root, {sampler.variables[key]: found for key, found in rows.items()}, graph


def outputs(executor: Executor, root: int, rows: dict[str, np.ndarray]) -> torch.Tensor:
    return torch.cat([values[root] for _, _, values in executor.run(rows)])


def both(case: Any, layer: int, positions: list[int]) -> tuple[Executor, Executor]:
    """Executors of a swap: at the positions that change, and at all; their outputs are equal."""
    graph, data = captured(*case)
    space, root, rows, graph = swapped(graph, data, layer, positions)
    some = Executor(graph, space, [root], data, Settings(), samples=SAMPLES)
    every = Executor(graph, space, [root], data, batch_size=4)
    got, want = outputs(some, root, rows), outputs(every, root, rows)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
    changed = dict.fromkeys(rows, rows["~ref"])
    moved = (outputs(every, root, changed) - want).abs().max()
    assert float(moved) > 1e-4  # swaps do something
    return some, every


def work(executor: Executor) -> float:
    return executor.program.flops(executor.costs)


CASES: list[Any] = [
    ("gpt2", "sdpa", "none", "last"),
    ("llama", "sdpa", "uncached", "last"),  # a mask that is the same for every row has one each
    ("qwen", "sdpa", "left", "some"),
    ("windowed", "eager", "right", "all"),
    ("gemma", "eager", "none", "last"),
]


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_full_computation(case) -> None:
    @settings(max_examples=3, deadline=None, derandomize=True)
    @given(st.integers(0, 1), st.sets(st.integers(0, LENGTH - 2), max_size=2))
    def check(layer: int, positions: set[int]) -> None:
        read = 2 if case[3] == "some" else LENGTH - 1  # so that the output sees one
        both(case, layer, sorted({*positions, read}))

    check()


@pytest.mark.parametrize("case", [one for one in CASES if one[3] == "last"])
def test_a_swap_at_the_last_position_costs_about_one_position(case) -> None:
    some, every = both(case, 1, [LENGTH - 1])
    assert work(some) < 2 * work(every) / LENGTH
    assert not some.notes


def test_what_the_output_does_not_read_is_not_computed() -> None:
    some, every = both(("llama", "sdpa", "none", "last"), 1, [0, LENGTH - 1])
    assert work(some) < 0.6 * work(every)


class Unflattened(torch.nn.Module):
    """Attention whose heads come by `unflatten`, read at the last position."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.v = torch.nn.Embedding(10, 8), torch.nn.Linear(8, 8)
        self.out, self.unembed = torch.nn.Linear(8, 8), torch.nn.Linear(8, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        q, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in (x, self.v(x)))
        read = ((q @ q.mT).softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.unembed((x + self.out(read))[:, -1])


def test_unflattened_heads_are_computed_at_some_positions() -> None:
    torch.manual_seed(0)
    model = Unflattened().double().eval()
    data = cs.Dataset(tokens=torch.randint(0, 10, (ROWS, LENGTH)), third=torch.arange(ROWS) % 3)
    sites = {"r0": "embed", "z": "out:input"}
    graph = cs.capture(model, data[:2], fields=["tokens"], sites=sites, output="logits")
    space, root, rows, graph = swapped(graph, data, 0, [0, LENGTH - 1])
    some = Executor(graph, space, [root], data, Settings(), samples=SAMPLES)
    every = Executor(graph, space, [root], data, batch_size=4)
    torch.testing.assert_close(outputs(some, root, rows), outputs(every, root, rows))
    assert work(some) < work(every)


def relu(x: torch.Tensor) -> torch.Tensor:
    """Not what its name says: positions change places."""
    return x.flip(1)


class Lying:
    """An operation that goes by the name of one that keeps positions apart."""

    steps = (Step(relu, (Ref(0, is_argument=True),)),)
    result = Ref(0)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return relu(x)


def test_a_wrong_shortcut_is_caught_and_left_off() -> None:
    generator = torch.Generator().manual_seed(0)
    data = cs.Dataset(
        x=torch.randn(ROWS, LENGTH, 4, generator=generator), third=torch.arange(ROWS) % 3
    )
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "r0": (torch.sin, ["x"]),
            "y": (Lying(), ["r0"]),
            "logits": (lambda y: y[:, -1], ["y"]),
        },
        output="logits",
    )
    space, root, rows, graph = swapped(graph, data, 0, [0])
    some = Executor(graph, space, [root], data, Settings(), samples=SAMPLES)
    every = Executor(graph, space, [root], data, batch_size=4)
    assert some.labels
    with pytest.warns(Notice, match="all positions are recomputed: on a few samples"):
        got = outputs(some, root, rows)
    torch.testing.assert_close(got, outputs(every, root, rows))
