"""A hypothesis compiled by hand, and a problem wide enough for memory to matter."""

from __future__ import annotations

from typing import Any

import torch

from causal_scrubbing import Dataset, Graph, Hypothesis, add, claim, exact
from causal_scrubbing._engine import Executor
from causal_scrubbing._expressions import Compiler, Space
from causal_scrubbing._sampling import Sampler

CPU = torch.device("cpu")


def compiled(h: Hypothesis, data: Dataset, samples: int, seed: int = 0) -> tuple[Space, int, Any]:
    sampler = Sampler(h, data, seed)
    space = Space()
    root = Compiler(h.graph, space).tree(h.tree, sampler.variables)
    draw = sampler.draw(0, samples)
    rows = {sampler.variables[key]: found for key, found in draw.rows.items()}
    return space, root, rows


def values(executor: Executor, root: int, rows: Any) -> torch.Tensor:
    return torch.cat([found[root] for _, _, found in executor.run(rows)])


def wide_problem(
    n: int = 600, width: int = 64, dtype: torch.dtype = torch.float64
) -> tuple[Hypothesis, Dataset]:
    """A residual stream with two heads: embeddings are cheap, heads are wide."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(width, width, generator=generator, dtype=dtype) / 8 for _ in range(3)]
    table = torch.randn(11, width, generator=generator, dtype=dtype)
    graph = Graph.build(
        inputs=["token"],
        nodes={
            "embed": (lambda t: table[t], ["token"]),
            "a": (lambda x: torch.tanh(x @ weights[0]), ["embed"]),
            "b": (lambda x: torch.tanh(x @ weights[1]), ["embed"]),
            "r": (add, ["embed", "a", "b"]),
            "c": (lambda x: torch.tanh(x @ weights[2]), ["r"]),
            "out": (lambda x, y: (x + y).sum(-1), ["r", "c"]),
        },
        output="out",
    )
    token = torch.randint(0, 11, (n,), generator=generator)
    data = Dataset(token=token, low=token < 5, parity=token % 2)
    h = Hypothesis(
        graph,
        claim(
            "out",
            exact,
            claim("r", "low", claim("a", "parity"), claim("b", "low"), claim("embed", "low")),
            claim("c", "parity"),
        ),
    )
    return h, data
