"""Graphs whose truth is known, for the tests of refutation and discovery."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import causal_scrubbing as cs


def hash_game() -> tuple[cs.Hypothesis, cs.Dataset, Any]:
    """A false hypothesis that recovers 3000/13 %: see the published hash game."""
    last = torch.tensor([0, 0, 1, 1]).repeat(2)
    guess = torch.tensor([0, 1, 0, 1]).repeat(2)
    hard = torch.tensor([0] * 4 + [1] * 4)
    # Answers: 0, 1, or 2 for "don't know"; the model guesses when it is easy.
    data = cs.Dataset(number=torch.arange(4).repeat(2), last=last, guess=guess, mode=hard)
    graph = cs.Graph.build(
        inputs=["guess", "mode"],
        nodes={"answer": (lambda g, m: torch.where(m == 1, 2, g), ["guess", "mode"])},
        output="answer",
    )

    def reward(answer: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        right = torch.where(rows["mode"] == 1, 10.0, 2.0)
        wrong = torch.where(rows["mode"] == 1, -20.0, 1.0)
        scored = torch.where(answer == rows["last"], right, wrong)
        return torch.where(answer == 2, 0.0, scored.double())

    def told(rows: cs.Dataset) -> torch.Tensor:
        return torch.where(rows["mode"] == 1, rows["last"], rows["guess"])

    return cs.Hypothesis(graph, cs.claim("answer", told), name="hash game"), data, reward


def interference(policy: str) -> tuple[cs.Hypothesis, cs.Dataset, Any]:
    """y = x1^2 + x2^2 fitted by (c x1 + d x2)^2 + e, the cross term split into halves."""
    k, c2, e = 9, 0.8, 0.4
    values = torch.tensor([0.0, k**0.5, -(k**0.5)], dtype=torch.float64)
    weights = torch.tensor([1 - 1 / k, 1 / (2 * k), 1 / (2 * k)], dtype=torch.float64)
    x1, x2 = (axis.reshape(-1) for axis in torch.meshgrid(values, values, indexing="ij"))
    data = cs.Dataset(weights=torch.outer(weights, weights).reshape(-1), x1=x1, x2=x2,
                      label=x1**2 + x2**2)  # fmt: skip
    graph = cs.Graph.build(
        inputs=["x1", "x2"],
        nodes={
            "first": (lambda x: c2 * x**2 + e, ["x1"]),
            "second": (lambda x: c2 * x**2, ["x2"]),
            "half1": (lambda a, b: c2 * a * b, ["x1", "x2"]),
            "half2": (lambda a, b: c2 * a * b, ["x1", "x2"]),
            "y": (cs.add, ["first", "second", "half1", "half2"]),
        },
        output="y",
    )
    claims = cs.claim("y", cs.exact, cs.claim("first", "x1"), cs.claim("second", "x2"))
    h = cs.Hypothesis(graph, claims, unimportant=policy, name="two squares")
    return h, data, cs.metrics.squared_error("label")


def planted_correlation(seed: int, rows: int = 400) -> tuple[cs.Hypothesis, cs.Dataset, Any]:
    """A random graph whose output needs two correlated features, of which one is claimed."""
    rng = np.random.default_rng(seed)
    names = [f"b{i}" for i in range(5)]
    bits = rng.integers(0, 2, (rows, 5))
    one, two = rng.choice(5, 2, replace=False)
    # The two agree in most rows: the neglected correlation.
    bits[:, two] = np.where(rng.uniform(size=rows) < 0.85, bits[:, one], bits[:, two])
    data = cs.Dataset(**{name: torch.as_tensor(bits[:, i]) for i, name in enumerate(names)})
    w = rng.normal(size=5) * 0.3
    strength = rng.uniform(0.5, 2.0)
    a, b = names[one], names[two]
    nodes: dict[str, Any] = {
        "u": (lambda x: 2.0 * x - 1, [a]),
        "v": (lambda x: 2.0 * x - 1, [b]),
        "rest": (lambda *x: sum(wi * xi for wi, xi in zip(w, x, strict=True)), names),
        "y": (lambda u, v, r: strength * u * v + r, ["u", "v", "rest"]),
    }
    graph = cs.Graph.build(inputs=names, nodes=nodes, output="y")
    # u and v are said to be about their own bits, and drawn apart: their product is lost.
    root = cs.claim("y", cs.exact, cs.claim("u", cs.anything), cs.claim("v", cs.anything),
                    others=cs.exact)  # fmt: skip
    return cs.Hypothesis(graph, root), data, None


def true_hypothesis(seed: int, rows: int = 300) -> tuple[cs.Hypothesis, cs.Dataset, Any]:
    """A random hypothesis every permitted swap of which leaves the output as it is."""
    rng = np.random.default_rng(seed)
    names = [f"b{i}" for i in range(5)]
    bits = rng.integers(0, 2, (rows, 5))
    data = cs.Dataset(**{n: torch.as_tensor(bits[:, i]) for i, n in enumerate(names)})
    a, b, c, d, e = rng.permutation(names)
    first, second = rng.normal(size=(2, 2, 2))

    def table(values: np.ndarray) -> Any:
        fixed = torch.as_tensor(values)
        return lambda x, y: fixed[x, y]

    nodes: dict[str, Any] = {
        "u": (table(first), [a, b]),
        "v": (table(second), [b, c]),
        # p and q swing with bits nobody claims, and cancel when they have one datum.
        "p": (lambda x, y: (2.0 * x - 1) * (2.0 * y - 1), [d, e]),
        "q": (lambda x, y: (2.0 * x - 1) * (2.0 * y - 1), [d, e]),
        "y": (lambda u, v, p, q: u * torch.tanh(v) + p * q, ["u", "v", "p", "q"]),
    }
    graph = cs.Graph.build(inputs=names, nodes=nodes, output="y")
    root = cs.claim("y", cs.exact, cs.claim("u", (a, b)),
                    cs.claim("v", (b, c), cs.claim(b, b), cs.claim(c, c)))  # fmt: skip
    return cs.Hypothesis(graph, root), data, None


def across_claims(kind: str, seed: int, rows: int = 400) -> tuple[cs.Hypothesis, cs.Dataset]:
    """Two correlated features that reach the output through two claims, each below its own."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 3, rows)
    one, two = (np.where(rng.uniform(size=rows) < 0.8, z, rng.integers(0, 3, rows)) for _ in "uv")
    data = cs.Dataset(a=torch.as_tensor(one), b=torch.as_tensor(two),
                      c=torch.as_tensor(rng.integers(0, 2, rows)))  # fmt: skip
    nodes: dict[str, Any] = {
        "u": (lambda x: torch.cos(2.1 * x), ["a"]),
        "v": (lambda x: torch.cos(2.1 * x), ["b"]),
        "k": (lambda x: 0.3 * x, ["c"]),
        "U": (lambda u, k: u + 0 * k, ["u", "k"]),
        "V": (lambda v, k: v + 0 * k, ["v", "k"]),
        "y": (lambda u, v, k: u * v + k, ["U", "V", "k"]),
    }
    graph = cs.Graph.build(inputs=["a", "b", "c"], nodes=nodes, output="y")
    below = {"unimportant": "kk", "claimed": "uv"}[kind]
    claims = (
        cs.claim(name, cs.anything, cs.claim(node, cs.anything))
        for name, node in zip("UV", below, strict=True)
    )
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, *claims, cs.claim("k", cs.exact))), data


def crowded() -> tuple[cs.Hypothesis, cs.Dataset, Any]:
    """Two claims that matter, one of them with twelve fields that tell nearly the same."""
    rng = np.random.default_rng(0)
    s, t = rng.integers(0, 2, (2, 600))
    alike: dict[str, Any] = {
        f"v{i}": torch.as_tensor(2 * s + (rng.uniform(size=600) < 0.02)) for i in range(12)
    }
    data = cs.Dataset(s=torch.as_tensor(s), t=torch.as_tensor(t), **alike)
    nodes: dict[str, Any] = {
        "a": (lambda x: 10.0 * x, ["s"]),
        "b": (lambda x: 3.0 * x, ["t"]),
        "y": (cs.add, ["a", "b"]),
    }
    graph = cs.Graph.build(inputs=["s", "t"], nodes=nodes, output="y")
    root = cs.claim("y", cs.exact, cs.claim("a", cs.anything), cs.claim("b", cs.anything))
    return cs.Hypothesis(graph, root), data, lambda y, rows: (y - rows.model_output) ** 2


def true_in_half_precision(
    seed: int, dtype: torch.dtype, rows: int = 300
) -> tuple[cs.Hypothesis, cs.Dataset, Any]:
    """A true hypothesis about a residual stream whose sums round differently in each sample."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (rows, 3))
    data = cs.Dataset(**{f"b{i}": torch.as_tensor(bits[:, i]) for i in range(3)},
                      label=torch.zeros(rows))  # fmt: skip
    tables = [torch.as_tensor(rng.normal(size=(2, 16)) * 3).to(dtype) for _ in range(3)]
    read = torch.as_tensor(rng.normal(size=16)).to(dtype)
    nodes: dict[str, Any] = {
        "h0": (lambda x: tables[0][x], ["b0"]),
        "h1": (lambda x: tables[1][x], ["b1"]),
        # They cancel, and leave the rounding of the sums in between.
        "p": (lambda x: tables[2][x], ["b2"]),
        "q": (lambda x: -tables[2][x], ["b2"]),
        "r": (cs.add, ["h0", "h1", "p", "q"]),
        "y": (lambda r: r @ read, ["r"]),
    }
    graph = cs.Graph.build(inputs=["b0", "b1", "b2"], nodes=nodes, output="y")
    stream = cs.claim("r", ("b0", "b1"), cs.claim("h0", "b0"), cs.claim("h1", "b1"))
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, stream))
    return h, data, cs.metrics.squared_error("label")
