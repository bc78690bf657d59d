"""Random graphs of matrix-valued nodes, and random rewrites of them, for property tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from problems import datasets

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Graph, add, dictionary

PLACES, WIDTH = 3, 4
SHAPE = (PLACES, WIDTH)


def tensor(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.as_tensor(rng.normal(size=shape))


def linear(rng: np.random.Generator) -> torch.nn.Linear:
    made = torch.nn.Linear(WIDTH, WIDTH, bias=bool(rng.integers(2)), dtype=torch.float64)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(tensor(rng, *parameter.shape))
    return made.requires_grad_(False)


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Two causal heads of width 2."""

    def heads(t: torch.Tensor) -> torch.Tensor:
        return t.view(len(t), PLACES, 2, WIDTH // 2).transpose(1, 2)

    later = torch.ones(PLACES, PLACES, dtype=torch.bool).triu(1)
    scores = (heads(q) @ heads(k).transpose(-1, -2)).masked_fill(later, -torch.inf)
    return (scores.softmax(-1) @ heads(v)).transpose(1, 2).flatten(2)


class Embed:
    """A number times a matrix that takes gradients."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight.requires_grad_()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, None, None] * self.weight


def squash(*values: torch.Tensor) -> torch.Tensor:
    total = reduce(torch.add, values)
    return torch.tanh(total) + 0.1 * total


@st.composite
def tensor_data(draw: st.DrawFn) -> Dataset:
    data = draw(datasets(most=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return data.with_fields(m=tensor(rng, len(data), *SHAPE), at=rng.integers(0, PLACES, len(data)))


def tensor_graph(rng: np.random.Generator, data: Dataset | None) -> Graph:
    """A graph over [n, 3, 4] tensors: sums, linear maps, attention, elementwise functions."""
    names = ["m", "e0", "e1"]
    nodes: dict[str, Any] = {f"e{i}": (Embed(tensor(rng, *SHAPE)), [f"x{i}"]) for i in range(2)}
    size = int(rng.integers(2, 6))
    for i in range(size):
        kind = rng.integers(4)
        fn: Callable[..., torch.Tensor]
        if kind == 0:
            fn, count = add, int(rng.integers(2, 4))
        elif kind == 1:
            fn, count = linear(rng), 1
        elif kind == 2:
            fn, count = attention, 3
        else:
            fn, count = squash, int(rng.integers(1, 4))
        parents = [str(p) for p in rng.choice(names, count, replace=count > len(names))]
        nodes[f"n{i}"] = (fn, parents)
        names.append(f"n{i}")
    unused = [n for n in names if not any(n in parents for _, parents in nodes.values())]
    nodes["y"] = (add, [*unused, "e0"] if unused == ["n0"] else unused)
    return Graph.build(inputs=["x0", "x1", "m"], nodes=nodes, output="y", example=data)


def rewritten(
    graph: Graph,
    data: Dataset,
    rng: np.random.Generator,
    steps: int,
    tests: tuple[str, ...] = ("nan", "values"),
) -> Graph:
    """The graph after random rewrites, each of a random node that it fits.

    Args:
        graph: where to start.
        data: rows for shapes and edges.
        rng: what is done, and to which node.
        steps: how many rewrites.
        tests: how edges may be tested; "values" takes a gate that is shut on the rows at hand for
            one that is always shut, which other combinations of rows may open.
    """
    for step in range(steps):
        shapes = {n: tuple(v.shape[1:]) for n, v in graph.values(data, "*").items()}
        matrices = [n for n in graph.names if shapes[n] == SHAPE]
        halves = [n for n in graph.names if len(shapes[n]) == 2 and shapes[n][1] in (2, WIDTH)]
        kind = rng.integers(12)
        edges = tests[rng.integers(len(tests))]
        if kind <= 1 and halves:
            name = str(rng.choice(halves))
            graph = graph.split(name, axis=-1, into={f"s{step}h{{}}": 2}, data=data, edges=edges)
        elif kind == 2 and matrices:
            name = str(rng.choice(matrices))
            graph = graph.split(
                name, axis=1, into={f"s{step}p{{}}": PLACES}, data=data, edges=edges
            )
        elif kind == 3 and matrices:
            name = str(rng.choice(matrices))
            pieces = {f"s{step}": [1, [2, 0], slice(1, None)][rng.integers(3)]}
            axis = int(rng.choice([1, -1, 2]))
            graph = graph.split(
                name, axis=axis, into=pieces, rest=f"rest{step}", data=data, edges=edges
            )
        elif kind == 4 and matrices:
            name = str(rng.choice(matrices))
            into = {f"s{step}": "at"}
            graph = graph.split(name, axis=1, into=into, rest=f"rest{step}", data=data, edges=edges)
        elif kind == 5 and len(graph) > 4:
            keep = [n for n in graph.names if rng.uniform() < 0.6]
            graph = graph.coarsen(keep or [graph.output])
        elif kind == 6:
            name = str(rng.choice(graph.names))
            graph = graph.rename({name: f"n9{step}"})
        elif kind == 7:
            sums = [n for n in graph.names if graph.nodes[n].fn is add]
            if sums:
                name = str(rng.choice(sums))
                parents = [p for p in graph.nodes[name].parents if not p.startswith("~")]
                if len(parents) == len(graph.nodes[name].parents):
                    nodes: dict[str, Any] = {f"n8{step}": (add, parents[::-1])}
                    graph = graph.replace(name, nodes=nodes, output=f"n8{step}", data=data)
        elif kind in (8, 9) and matrices:
            name = str(rng.choice(matrices))
            graph = graph.split_sum(
                name, summands(rng, graph, name, step), rest=f"left{step}", data=data, edges=edges
            )
        elif kind == 10:
            read = [n for n in graph.names if graph.children(n)]
            name = str(rng.choice(read))
            children = rng.permutation(graph.children(name)).tolist()
            cut = int(rng.integers(1, len(children) + 1))
            copies = {f"n7{step}a": children[:cut], f"n7{step}b": children[cut:]}
            graph = graph.duplicate(name, {k: v for k, v in copies.items() if v})
    return graph


def summands(rng: np.random.Generator, graph: Graph, name: str, step: int) -> Any:
    """A direction, a function of the value, one of other nodes, or a dictionary."""
    kind = rng.integers(3)
    if kind == 0:
        encode, decode = linear(rng), linear(rng)
        if rng.integers(2):
            return dictionary(encode, decode, {f"g{step}": [1, 3]}, other=f"o{step}")
        return dictionary(
            lambda x: encode(x).relu(), lambda c: decode(c).tanh(), {f"g{step}": [2]}, other=None
        )
    if kind == 1:
        return {f"d{step}": tensor(rng, WIDTH), f"f{step}": lambda x: x.clamp(min=0)}
    below = graph.descendants(name)
    parents = [n for n in ("x0", "x1") if n in graph.inputs and n not in (name, *below)]
    weight = tensor(rng, *SHAPE)
    return (
        {
            f"t{step}": (lambda *v: reduce(torch.add, v)[:, None, None] * weight, parents),
            f"s{step}": tensor(rng, WIDTH, 2),
        }
        if parents
        else {f"u{step}": tensor(rng, WIDTH, WIDTH)}
    )
