"""Random graphs, data and hypotheses for property-based tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from causal_scrubbing._data import Dataset, anything, exact
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._graph import Graph, add
from causal_scrubbing._hypothesis import Claim, Hypothesis, claim, mean, nothing

FEATURES: list[Any] = ["a", "b", "c", exact, anything, ("a", "b"), lambda d: d["x0"] > 0.5]


def mixer(k: int, weights: np.ndarray) -> Callable[..., torch.Tensor]:
    w = torch.as_tensor(weights, dtype=torch.float64)

    def fn(*values: torch.Tensor) -> torch.Tensor:
        out = reduce(torch.add, (w[i] * v for i, v in enumerate(values)))
        return torch.tanh(out) + 0.3 * out if k % 2 else out * values[0]

    return fn


@st.composite
def datasets(draw: st.DrawFn, most: int = 9, weighted: bool = True) -> Dataset:
    n = draw(st.integers(2, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    weights = rng.uniform(0.1, 1, n) if weighted and draw(st.booleans()) else None
    return Dataset(
        weights=weights,
        x0=torch.as_tensor(rng.normal(size=n).round(1) + 0.0),
        x1=torch.as_tensor(rng.normal(size=n).round(1) + 0.0),
        x2=torch.as_tensor(rng.integers(0, 3, n).astype(float)),
        a=torch.as_tensor(rng.integers(0, 2, n)),
        b=torch.as_tensor(rng.integers(0, 3, n)),
        c=torch.as_tensor(rng.integers(0, 2, (n, 2)).astype(bool)),
        m=torch.as_tensor(rng.integers(0, 2, n).astype(bool)),
    )


@st.composite
def graphs(draw: st.DrawFn, most: int = 7) -> Graph:
    size = draw(st.integers(2, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    names = ["x0", "x1", "x2"]
    nodes: dict[str, Any] = {}
    for i in range(size):
        count = int(rng.integers(1, min(len(names), 5) + 1))
        parents = [str(p) for p in rng.choice(names, count, replace=False)]
        if i == size - 1:
            unused = [n for n in names[3:] if not any(n in p for _, p in nodes.values())]
            parents = list(dict.fromkeys([*parents, *unused]))
        if rng.uniform() < 0.4:
            nodes[f"n{i}"] = (add, parents)
        else:
            nodes[f"n{i}"] = (mixer(i, rng.normal(size=len(parents))), parents)
        names.append(f"n{i}")
    return Graph.build(inputs=["x0", "x1", "x2"], nodes=nodes, output=f"n{size - 1}")


def grow(graph: Graph, node: str, rng: np.random.Generator, depth: int, label: str) -> Claim:
    feature = FEATURES[rng.integers(len(FEATURES))]
    options: dict[str, Any] = {}
    if depth == 0 and rng.uniform() < 0.8:
        feature = exact
    if label != node:
        options["name"] = label
    above = sorted(graph.ancestors(node))
    if not above or (rng.uniform() < (0.3 if depth else 0.05)) or depth > 3:
        return claim(node, feature, **options)
    if rng.uniform() < 0.15:
        return claim(node, feature, nothing, **options)
    if rng.uniform() < 0.25:
        options["others"] = FEATURES[rng.integers(len(FEATURES))]
    children = []
    direct = graph.parents(node)
    for i in range(int(rng.integers(1, 4))):
        near = rng.uniform() < 0.6
        below = str(rng.choice(direct if near else above))
        child = grow(graph, below, rng, depth + 1, f"c{depth}{i}")
        via = ((), ("*",), ("n*",), ("n1", "n2", "n3"))[0 if near else rng.integers(1, 4)]
        tie = "t" if rng.uniform() < 0.3 else None
        children.append(
            Claim(child.node, child.feature, child.children, via, child.others, tie, child.name)
        )
    return claim(node, feature, *children, **options)


@st.composite
def hypotheses(draw: st.DrawFn) -> Hypothesis:
    graph = draw(graphs())
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return random_hypothesis(graph, rng)


def random_ablation(h: Hypothesis, rng: np.random.Generator) -> Hypothesis:
    """The hypothesis with some unimportant parents set to constants; itself where none can be."""
    kinds = ["resample", "mean", "zero", mean(where="m")]
    unimportant = sorted({node for entry in h.tree.claims for node in entry.other_draws})
    for _ in range(5):
        ablation = kinds[rng.integers(1, 4)]
        if rng.uniform() < 0.6:
            ablation = {node: kinds[rng.integers(4)] for node in unimportant}
        try:
            return h.with_(ablation=ablation)
        except HypothesisError:
            continue
    return h


def without_self_draws(h: Hypothesis) -> Hypothesis:
    """The hypothesis that draws other rows only, its groups drawn per claim."""
    policy = h.unimportant if h.unimportant == "separate" else "per-claim"
    return h.with_(unimportant=policy, self_draws=False)


def random_hypothesis(graph: Graph, rng: np.random.Generator) -> Hypothesis:
    policies = ["per-claim", "separate", "per-claim", "together"]
    within: Any = [anything, anything, "a"][rng.integers(3)]
    wanted = int(rng.integers(1, 7))
    for _ in range(200):
        policy = policies[rng.integers(4)]
        root = grow(graph, graph.output, rng, 0, graph.output)
        try:
            h = Hypothesis(graph, root, unimportant=policy, within=within)
        except HypothesisError:
            continue
        if len(h.tree.claims) < wanted:
            continue
        inner = [c.path for c in h.tree.claims if c.routes is not None]
        if policy == "per-claim" and inner and rng.uniform() < 0.3:
            groups = {p: f"g{rng.integers(2)}" for p in inner if rng.uniform() < 0.7}
            try:
                return h.with_(unimportant=groups)
            except HypothesisError:
                return h
        return h
    return Hypothesis(graph, claim(graph.output, exact))
