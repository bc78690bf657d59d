"""Does a + b + c carry? A model with a part that does nothing for it, and the true claim."""

from __future__ import annotations

import torch

import causal_scrubbing as cs


def carry() -> tuple[cs.Graph, cs.Dataset]:
    """Does a + b + c carry? Two digits' carry, with a node that does nothing for it."""
    bits = torch.cartesian_prod(*[torch.arange(2)] * 4)
    a, b, c, d = bits.T
    data = cs.Dataset(a=a, b=b, c=c, d=d, many=(a + b + c >= 2), both=a + b, label=(a + b + c >= 2))
    graph = cs.Graph.build(
        inputs=["a", "b", "c", "d"],
        nodes={
            "ab": (torch.add, ["a", "b"]),
            "noise": (lambda d, a: d + a, ["d", "a"]),
            "abc": (torch.add, ["ab", "c"]),
            "y": (lambda s, n: (s >= 2).double() + 0.0 * n, ["abc", "noise"]),
        },
        output="y",
    )
    return graph, data


def true(graph: cs.Graph) -> cs.Hypothesis:
    root = cs.claim(
        "y", cs.exact, cs.claim("abc", "many", cs.claim("ab", "both"), cs.claim("c", "c"))
    )
    return cs.Hypothesis(graph, root, name="carry")
