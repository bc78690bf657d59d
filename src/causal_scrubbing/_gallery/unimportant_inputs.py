"""Two claims with two unimportant parents each: three policies, three answers.

The model computes x1 + x2 by way of A = x1 + 2 p - q and B = x2 - 2 r + t, where p, q, r and t all
copy one sign s. So A is x1 + s, B is x2 - s, and s cancels. The hypothesis: A carries x1, B carries
x2, and the copies of s do not matter. Whether that is true depends on who is drawn with whom.
Source: unimportant inputs, section 4.1 of "Causal scrubbing" (Chan et al. 2022), which takes them
per claim; the network is ours.
"""

from __future__ import annotations

from itertools import product

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

import causal_scrubbing as cs
from causal_scrubbing.gallery import (
    Entry,
    Exhibit,
    Options,
    Outcome,
    as_text,
    exhibit,
    figure_style,
)

POLICIES = ("together", "per-claim", "separate")
PLACES = {
    "out": (2.5, 2), "A": (1, 1), "B": (4, 1),
    "x1": (0, 0), "p": (1, 0), "q": (2, 0), "x2": (3, 0), "r": (4, 0), "t": (5, 0),
}  # fmt: skip
COLOURS = {"A": "#9c4221", "B": "#2c7a7b", "one": "#805ad5"}
SHADES = ("#b794f4", "#f6ad55", "#68d391", "#f687b3")


def make_data() -> cs.Dataset:
    """All signs of x1, x2 and s, with the label x1 + x2."""
    rows = torch.tensor(list(product((-1.0, 1.0), repeat=3)), dtype=torch.float64)
    x1, x2, s = rows.unbind(1)
    return cs.Dataset(x1=x1, x2=x2, s=s, label=x1 + x2)


def make_graph() -> cs.Graph:
    """A and B with their copies of s, which cancel in the sum."""
    copies = {name: (lambda s: 1 * s, ["s"]) for name in ("p", "q", "r", "t")}
    return cs.Graph.build(
        inputs=["x1", "x2", "s"],
        nodes={
            **copies,
            "A": (lambda x1, p, q: x1 + 2 * p - q, ["x1", "p", "q"]),
            "B": (lambda x2, r, t: x2 - 2 * r + t, ["x2", "r", "t"]),
            "out": (cs.add, ["A", "B"]),
        },
        output="out",
    )


def make_cases() -> dict[str, cs.Hypothesis]:
    """The hypothesis under each policy, and with the unimportant parents bound to the same s."""
    graph = make_graph()
    cases = {
        policy: cs.Hypothesis(graph, claim_both(), unimportant=policy, name=policy)
        for policy in POLICIES
    }
    cases["per-claim, others agree on s"] = cs.Hypothesis(graph, claim_both("s"), name="others")
    return cases


def claim_both(others: cs.Feature = cs.anything) -> cs.Claim:
    """A carries x1 and B carries x2, each from its input alone."""
    sums = [
        cs.claim(name, (x, "s") if others == "s" else x, cs.claim(x, x), others=others)
        for name, x in (("A", "x1"), ("B", "x2"))
    ]
    return cs.claim("out", cs.exact, *sums)


def run(options: Options) -> Outcome:
    """The squared error of x1 + x2 under each policy, and one sample of each, drawn as a tree."""
    shown = exhibit(make_cases(), make_data(), cs.metrics.squared_error("label"), options)
    text = f"""
{as_text(shown.table)}

s enters four times and cancels. From one row (`together`) it still cancels. Per claim it cancels
within A and within B only: each keeps a sign of its own, and their difference has mean square 2.
Drawn apart (`separate`) all four are independent: 4 + 1 + 4 + 1 = 10, worse than another row's
output. To say that A carries x1 *and s*, with its other parents agreeing on s, costs nothing.
"""
    return Outcome(
        results=shown.sampled, table=shown.table, text=text.lstrip(), figure=_draw(shown)
    )


def _draw(shown: Exhibit) -> Figure:
    """The three policies as trees above, the numbers below."""
    with figure_style():
        figure = Figure(figsize=(11, 6.2), layout="constrained")
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.2, 1])[:, 0]
        _draw_trees(top)
        shown.draw(bottom, title="Three policies, three answers", behaviour="squared error")
    return figure


def _draw_trees(part: SubFigure) -> None:
    blocks = {
        "together": {"p": 0, "q": 0, "r": 0, "t": 0},
        "per-claim": {"p": 0, "q": 0, "r": 1, "t": 1},
        "separate": {"p": 0, "q": 1, "r": 2, "t": 3},
    }
    for axes, (policy, block) in zip(part.subplots(1, 3), blocks.items(), strict=True):
        _draw_tree(axes, policy, block)


def _draw_tree(axes: Axes, policy: str, block: dict[str, int]) -> None:
    claimed = {"out": "#bee3f8", "A": "#feebc8", "x1": "#feebc8", "B": "#b2f5ea", "x2": "#b2f5ea"}
    for child, parent in [("A", "out"), ("B", "out")] + [
        (leaf, "A" if leaf in ("x1", "p", "q") else "B") for leaf in list(PLACES)[3:]
    ]:
        (x, y), (to_x, to_y) = PLACES[child], PLACES[parent]
        style = "-" if child in claimed else ":"
        axes.plot([x, to_x], [y, to_y], style, color="#a0aec0", zorder=1)
    for name, (x, y) in PLACES.items():
        colour = claimed.get(name) or SHADES[block[name]]
        axes.text(
            x, y, name, ha="center", va="center", zorder=2,
            bbox={"boxstyle": "circle,pad=0.35", "facecolor": colour, "edgecolor": "#4a5568"},
        )  # fmt: skip
    count = len(set(block.values()))
    axes.set_title(
        f"{policy}: {count} row{'s' * (count > 1)} for what is unimportant", fontweight="bold"
    )
    axes.set_xlim(-0.6, 5.6)
    axes.set_ylim(-0.6, 2.5)
    axes.set_axis_off()


ENTRY = Entry(
    name="unimportant-inputs",
    title="two claims, four unimportant parents: together, per-claim and separate give 0, 2 and 10",
    summary=(
        "x1 + x2 is computed as (x1 + s) + (x2 - s). That A carries x1 and B carries x2 is right, "
        "half right or worse than nothing, depending on who is drawn with whom."
    ),
    run=run,
    page="gallery/unimportant-inputs.md",
)
