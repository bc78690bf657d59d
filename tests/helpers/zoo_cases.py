"""How each module of the zoo is captured, and what its graph must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import zoo

import causal_scrubbing as cs

torch.manual_seed(0)
X, Y = torch.randn(4, 4), torch.randn(4, 4)
TOKENS = torch.randint(0, 7, (4, 6))
IMAGES = torch.randn(4, 1, 6, 6)


@dataclass(frozen=True)
class Case:
    """A module, how it is captured, the edges it must have, and a place to swap."""

    make: Callable[[], torch.nn.Module]
    data: cs.Dataset
    sites: Any
    edges: dict[str, tuple[str, ...]]
    swaps: dict[str, str]
    fields: tuple[str, ...]
    output: str = "output"


CASES = {
    "mlp": Case(
        zoo.Mlp,
        cs.Dataset(x=X),
        {"hidden": "down:input", "mlp": "down"},
        {"hidden": ("x",), "mlp": ("hidden",), "output": ("x", "mlp")},
        {"hidden": "down:input", "mlp": "down"},
        ("x",),
    ),
    "attention": Case(
        zoo.Attention,
        cs.Dataset(tokens=TOKENS, mask=TOKENS == 0),
        {"embed": "embed", "a{i}.z": "blocks.{i}.out:input", "m{i}": "blocks.{i}.mlp"},
        {
            "a0.z": ("mask", "embed"),
            "m0": ("embed", "a0.z"),
            "a1.z": ("mask", "embed", "a0.z", "m0"),
            "output": ("embed", "a0.z", "m0", "a1.z", "m1"),
        },
        {"embed": "embed", "a0.z": "blocks.0.out:input", "m1": "blocks.1.mlp"},
        ("tokens", "mask"),
    ),
    "residual stream as sites": Case(
        zoo.Attention,
        cs.Dataset(tokens=TOKENS),
        {"r{i}": "blocks.{i}:input", "a{i}": "blocks.{i}.out"},
        {"r1": ("r0", "a0"), "output": ("r1", "a1")},
        {"r0": "blocks.0:input", "r1": "blocks.1:input"},
        ("tokens",),
    ),
    "queries, keys and values": Case(
        zoo.Attention,
        cs.Dataset(tokens=TOKENS),
        {"embed": "embed", "q{i}": "blocks.{i}.q", "k{i}": "blocks.{i}.k", "v{i}": "blocks.{i}.v"},
        {"q0": ("embed",), "q1": ("embed", "q0", "k0", "v0")},
        {"q1": "blocks.1.q", "v0": "blocks.0.v"},
        ("tokens",),
    ),
    "tuple output": Case(
        zoo.TupleOutput,
        cs.Dataset(x=X),
        {"one": "both:output.0", "b": "both.b"},
        {"output": ("b", "one")},
        {"one": "both:output.0", "b": "both.b"},
        ("x",),
    ),
    "dict output": Case(
        zoo.DictOutput,
        cs.Dataset(x=X),
        {"h": "inner:output.hidden", "scale": "inner:output.scale", "layer": "inner.layer"},
        {"logits": ("h",), "scale": ("layer",), "h": ("layer",)},
        {"layer": "inner.layer"},
        ("x",),
        "logits",
    ),
    "in-place operations": Case(
        zoo.InPlace,
        cs.Dataset(x=X),
        {"one": "one", "two": "two"},
        {"output": ("one", "two")},
        {"one": "one", "two": "two"},
        ("x",),
    ),
    "buffers": Case(
        zoo.Buffers,
        cs.Dataset(x=X),
        {"in": "layer:input", "layer": "layer"},
        {"output": ("layer",), "layer": ("in",)},
        {"in": "layer:input"},
        ("x",),
    ),
    "keyword inputs": Case(
        zoo.KeywordInputs,
        cs.Dataset(x=X, y=Y),
        {"left": "inner:input.left", "right": "inner:input.right", "inner": "inner"},
        {"inner": ("left", "right"), "left": ("x",), "right": ("y",)},
        {"right": "inner:input"},
        ("x", "y"),
    ),
    "recurrent": Case(
        zoo.Recurrent,
        cs.Dataset(tokens=TOKENS),
        {"embed": "embed", "states": "lstm:output.0"},
        {"states": ("embed",), "output": ("embed", "states")},
        {"embed": "embed", "states": "lstm:output.0"},
        ("tokens",),
    ),
    "convolutions": Case(
        zoo.Convolutions,
        cs.Dataset(image=IMAGES),
        {"one": "conv1", "two": "conv2"},
        {"two": ("one",), "output": ("one", "two")},
        {"one": "conv1", "two": "conv2"},
        ("image",),
    ),
    "fused path of torch": Case(
        zoo.TorchEncoder,
        cs.Dataset(x=torch.randn(4, 5, 8)),
        {"m{i}": "encoder.layers.{i}.linear2"},
        {"m1": ("x", "m0"), "output": ("x", "m0", "m1")},
        {"m0": "encoder.layers.0.linear2"},
        ("x",),
    ),
}
