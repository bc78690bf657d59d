"""A small run file, the data it names, and the graph that its ``claimed:graph`` makes."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import torch

import causal_scrubbing as cs


def graph(scale: float = 2.0) -> cs.Graph:
    return cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "a": (lambda x: scale * x, ["x"]),
            "b": (lambda z: z + 0.0, ["z"]),
            "out": (lambda a, b: a + 0.001 * b, ["a", "b"]),
        },
        output="out",
    )


def slow() -> cs.Graph:
    """The same, but it takes half a minute to evaluate."""

    def wait(x: torch.Tensor) -> torch.Tensor:
        time.sleep(30)
        return x

    return cs.Graph.build(
        inputs=["x", "z"],
        nodes={"a": (wait, ["x"]), "out": (torch.add, ["a", "z"])},
        output="out",
    )


def failing() -> None:
    raise RuntimeError("no model today")


def number() -> int:
    return 3


def data() -> cs.Dataset:
    values = torch.arange(60.0, dtype=torch.float64)
    x, z = values % 5, values % 3
    pair = torch.stack([x, z], dim=1)
    return cs.Dataset(x=x, z=z, y=2 * x, pair=pair, word=[f"w{int(v)}" for v in x])


BODY: dict[str, Any] = {
    "format": 1,
    "model": {"kind": "code", "call": "claimed:graph", "arguments": {"scale": 2.0}},
    "data": {"file": "data.parquet"},
    "hypotheses": [
        {
            "name": "right",
            "claims": [
                {"node": "out", "feature": {"kind": "exact"}, "children": [1]},
                {"node": "a", "feature": "x"},
            ],
        },
        {
            "name": "wrong",
            "root": {
                "node": "out",
                "feature": {"kind": "exact"},
                "children": [{"node": "a", "feature": "z"}],
            },
        },
    ],
    "metrics": {"error": {"kind": "squared_error", "target": "y"}},
    "run": {"samples": 300, "seed": 1},
    "require": {"bounds": [{"metric": "error", "of": "recovered", "at_least": 90}]},
}


def body() -> dict[str, Any]:
    return copy.deepcopy(BODY)


def write(folder: Path, given: dict[str, Any] | str, name: str = "claim.json") -> Path:
    """The run file and its data in a folder."""
    file = folder / name
    file.write_text(given if isinstance(given, str) else json.dumps(given))
    if not (folder / "data.parquet").exists():
        data().to_pandas().to_parquet(folder / "data.parquet")
    return file


def hypotheses() -> list[cs.Hypothesis]:
    """The same hypotheses, made in Python."""
    made = graph()
    return [
        cs.Hypothesis(made, cs.claim("out", cs.exact, cs.claim("a", feature)), name=name)
        for name, feature in (("right", "x"), ("wrong", "z"))
    ]


def parens() -> cs.Graph:
    """The paren checker of the gallery."""
    from causal_scrubbing._gallery import parens

    return parens.build_graph(parens.load_weights(parens.HERE))
