"""Whether two unimportant values are drawn together or apart can decide the answer."""

from __future__ import annotations

import torch

import causal_scrubbing as cs
from causal_scrubbing.gallery import Entry, Options, Outcome, exhibit


def make_data() -> cs.Dataset:
    """Two rows: s = -1 and s = 1."""
    return cs.Dataset(s=torch.tensor([-1.0, 1.0], dtype=torch.float64))


def make_graph() -> cs.Graph:
    """G = p q with p = q = s, so that g is always 1: two chains, one multiplied into the other."""
    return cs.Graph.build(
        inputs=["s"],
        nodes={
            "p": (lambda s: s, ["s"]),
            "q": (lambda s: s, ["s"]),
            "g": (lambda p, q: p * q, ["p", "q"]),
        },
        output="g",
    )


def make_cases(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """Nothing claimed under each policy, and one factor claimed with and without a tie."""
    nothing = cs.claim("g", cs.exact, cs.nothing)
    cases = {
        policy: cs.Hypothesis(graph, nothing, unimportant=policy, name=policy)
        for policy in ("together", "per-claim", "separate")
    }
    alone = cs.claim("g", cs.exact, cs.claim("p", cs.anything))
    tied = cs.claim(
        "g", cs.exact, cs.claim("p", cs.anything, tie="t"), cs.claim("q", cs.anything, tie="t")
    )
    cases["p claimed, drawn alone"] = cs.Hypothesis(graph, alone, name="p alone")
    cases["p and q tied"] = cs.Hypothesis(graph, tied, name="tied")
    return cases


def run(options: Options) -> Outcome:
    """The mean of g under each policy."""
    shown = exhibit(make_cases(make_graph()), make_data(), None, options)
    text = (
        "g is 1 on every row, and no claim is made about p and q. Drawn as one datum they stay "
        "equal and g stays 1; drawn apart they are independent signs and g has mean 0. Neither "
        "is wrong: they are different hypotheses, the second more specific, since it also says "
        "that p and q need not come from one input. The policy is part of the claim, and every "
        "report shows it. Recovered is undefined: the metric is in the graph and no node was "
        "named to randomize."
    )
    return shown.outcome(text, title="g = p q, p = q = +-1: the policy decides", behaviour="g")


ENTRY = Entry(
    name="sharing",
    title="g = p q with p = q: together, per-claim and separate give 1, 1 and 0",
    summary=(
        "Two factors that are always equal. A hypothesis that says nothing of either scores 1 if "
        "unimportant parents share a datum and 0 if each has its own."
    ),
    run=run,
    page="gallery/sharing.md",
)
