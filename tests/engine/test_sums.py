"""Sums of many parents, few of them scrubbed: what is clean on one datum is added on clean rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engines import compiled, values
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import naive_sample

import causal_scrubbing as cs
from causal_scrubbing._engine import Executor, Settings
from causal_scrubbing._expressions import Compiler, Space
from causal_scrubbing._sampling import Sampler


def masked(value: float, dtype: torch.dtype) -> tuple[cs.Hypothesis, cs.Dataset]:
    """Scores to which a mask adds a number too large to be taken away again."""
    generator = torch.Generator().manual_seed(0)
    shut = torch.arange(12) % 3 == 0
    data = cs.Dataset(
        shut=shut,
        third=torch.arange(12) % 2,
        **{x: torch.randn(12, generator=generator).to(dtype) for x in "abcd"},
    )
    graph = cs.Graph.build(
        inputs=["shut", *"abcd"],
        nodes={
            "mask": (lambda s: torch.where(s, value, 0.0).to(dtype), ["shut"]),
            **{f"p{x}": (torch.sin, [x]) for x in "abcd"},
            "score": (cs.add, ["mask", "pa", "pb", "pc", "pd"]),
            "y": (lambda s: s.double().exp(), ["score"]),
        },
        output="y",
    )
    claim = cs.claim("score", cs.exact, cs.claim("mask", cs.anything), cs.claim("pa", "third"))
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, claim)), data


@pytest.mark.parametrize("value", [-1e9, -torch.inf, torch.finfo(torch.float32).min])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_large_and_infinite_terms_leave_the_small_ones_as_they_are(value, dtype) -> None:
    h, data = masked(value, dtype)
    draw = Sampler(h, data, 0).draw(0, 64)
    result = cs.scrub(h, data, samples=64)
    want = [
        float(naive_sample(h, data, {k: int(v[i]) for k, v in draw.rows.items()}))
        for i in range(64)
    ]
    rtol = 0.05 if dtype is torch.bfloat16 else 1e-5
    np.testing.assert_allclose(result.samples["scrubbed"], want, rtol=rtol)
    assert (np.array(want) > 0).any()
    assert (np.array(want) == 0).any()


def test_the_terms_on_one_datum_are_gathered_as_one() -> None:
    h, data = masked(-1.0, torch.float64)
    sampler = Sampler(h, data, 0)
    space = Space()
    root = Compiler(h.graph, space).tree(h.tree, sampler.variables)
    executor = Executor(h.graph, space, [root], data, batch_size=4)
    gathered = [one.node for one in executor.gathers]
    assert sorted(gathered) == ["mask", "pa", "~part 1 of score"]
    assert space.sums.nodes == {"~part 1 of score": ("pb", "pc", "pd")}


def leaving_out(terms: int, left_out: list[list[int]]) -> tuple[cs.Hypothesis, cs.Dataset]:
    """Claims that each take other terms of one sum than the rest."""
    generator = torch.Generator().manual_seed(1)
    data = cs.Dataset(x=torch.randn(20, generator=generator).double(), half=torch.arange(20) % 2)
    factors = torch.randn(terms, generator=generator).double()
    names = [f"t{i}" for i in range(terms)]
    nodes = {name: (lambda x, f=f: torch.sin(f * x), ["x"])
             for name, f in zip(names, factors, strict=True)}  # fmt: skip
    nodes |= {f"r{k}": (cs.of_sum(torch.tanh), names) for k in range(len(left_out))}
    nodes["out"] = (cs.of_sum(), [f"r{k}" for k in range(len(left_out))])
    graph = cs.Graph.build(inputs=["x"], nodes=nodes, output="out")
    claims = [
        cs.claim(f"r{k}", "half", *(cs.claim(names[i], "half") for i in some))
        for k, some in enumerate(left_out)
    ]
    return cs.Hypothesis(graph, cs.claim("out", cs.exact, *claims)), data


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 21), st.data())
def test_partial_sums_with_common_blocks_are_the_naive_evaluators(terms, drawn) -> None:
    some = st.lists(st.integers(0, terms - 1), min_size=1, max_size=3, unique=True)
    h, data = leaving_out(terms, drawn.draw(st.lists(some, min_size=1, max_size=12)))
    draw = Sampler(h, data, 0).draw(0, 3)
    got = cs.scrub(h, data, samples=3, check=False).samples["scrubbed"]
    want = [float(naive_sample(h, data, {k: int(v[i]) for k, v in draw.rows.items()}))
            for i in range(3)]  # fmt: skip
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_sums_that_leave_one_term_out_each_take_few_additions() -> None:
    terms = 64
    h, data = leaving_out(terms, [[i] for i in range(terms)])
    space = Space()
    Compiler(h.graph, space).tree(h.tree, Sampler(h, data, 0).variables)
    graph = space.sums.extend(h.graph)
    made = [node for name, node in graph.nodes.items() if name not in h.graph]
    assert sum(name in space.sums.nodes for name in graph.nodes) == terms
    assert sum(len(node.parents) - 1 for node in made) < terms * 8  # not terms * (terms - 2)
    assert space.sums.extend(graph) is graph


def layers(width: int) -> tuple[cs.Hypothesis, cs.Dataset]:
    """Two layers of nodes that see each other, a claim about every one of them."""
    low, high = ([f"{layer}{i}" for i in range(width)] for layer in "ab")
    nodes = {name: (lambda x, i=i: torch.sin(x * (i + 1)), ["x"]) for i, name in enumerate(low)}
    nodes |= {name: (lambda *some: torch.stack(some).sum(0), low) for name in high}
    nodes["out"] = (lambda *some: torch.stack(some).sum(0), high)
    graph = cs.Graph.build(inputs=["x"], nodes=nodes, output="out")
    data = cs.Dataset(x=torch.linspace(-1, 1, 20), s=torch.arange(20) % 2)
    claims = [cs.claim(b, "s", cs.claim(a, "s")) for a, b in zip(low, high, strict=True)]
    return cs.Hypothesis(graph, cs.claim("out", cs.exact, *claims)), data


def test_a_sample_takes_memory_for_what_is_alive_at_once_not_for_every_edge() -> None:
    h, data = layers(48)
    space, root, rows = compiled(h, data, 30)
    executor = Executor(h.graph, space, [root], data, Settings(), samples=30)
    each = executor.layout.working_bytes / executor.batch_size
    assert each < 48 * 48  # one byte an edge
    got = values(executor, root, rows)
    want = values(Executor(h.graph, space, [root], data, batch_size=7), root, rows)
    torch.testing.assert_close(got, want)
