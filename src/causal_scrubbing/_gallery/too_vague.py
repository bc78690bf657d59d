"""A hypothesis that passes because it claims too little.

The graph's truth is known: A = x1 xor x2, B = x3 xor x4, output A and B. To say that A carries
(x1, x2), or (x1, x2, x3), or its whole input, is not wrong: swaps that keep more keep the truth
too. So every such claim recovers 100%, and the score cannot tell them from the one that says what A
computes. What can: how much each permits to be swapped. Source: the pitfall of hypotheses that are
not specific in "Practical pitfalls of causal scrubbing" (Scheurer et al., 2023); the graph is ours.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

import causal_scrubbing as cs
from causal_scrubbing.gallery import (
    Entry,
    Exhibit,
    Options,
    Outcome,
    add_legend,
    as_text,
    exhibit,
    figure_style,
)

TRUE = "A: x1 xor x2"
BITS = "A: x1, x2"
MORE = "A: x1, x2, x3"
ROW = "A: the whole input"
LABEL = "output: the label"
HALF = "false, A: x1"
OR = "false, A: x1 or x2"


def make_data() -> cs.Dataset:
    """The sixteen rows of four bits."""
    rows = torch.tensor(list(product((0, 1), repeat=4)))
    x1, x2, x3, x4 = rows.unbind(1)
    a, b = x1 ^ x2, x3 ^ x4
    return cs.Dataset(
        x1=x1, x2=x2, x3=x3, x4=x4, a=a, b=b, label=(a & b).double(), x1_or_x2=x1 | x2
    )


def make_graph() -> cs.Graph:
    """The model: (x1 xor x2) and (x3 xor x4)."""
    return cs.Graph.build(
        inputs=["x1", "x2", "x3", "x4"],
        nodes={
            "A": (torch.bitwise_xor, ["x1", "x2"]),
            "B": (torch.bitwise_xor, ["x3", "x4"]),
            "out": (lambda a, b: (a & b).double(), ["A", "B"]),
        },
        output="out",
    )


def make_cases(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """What A is said to carry, from specific to empty, beside the true claim about B."""
    about_a: dict[str, cs.Feature] = {
        TRUE: "a",
        BITS: ("x1", "x2"),
        MORE: ("x1", "x2", "x3"),
        ROW: cs.exact,
        HALF: "x1",
        OR: "x1_or_x2",
    }
    b = cs.claim("B", "b")
    claims = {
        case: cs.claim("out", cs.exact, cs.claim("A", feature), b)
        for case, feature in about_a.items()
    }
    claims[LABEL] = cs.claim("out", "label")
    order = (TRUE, BITS, MORE, ROW, LABEL, HALF, OR)
    return {case: cs.Hypothesis(graph, claims[case], name=case) for case in order}


def specificity(cases: dict[str, cs.Hypothesis], data: cs.Dataset) -> pd.DataFrame:
    """What each hypothesis permits: classes, chance to stay, and bits drawn anew.

    Bits drawn anew are the entropy of each draw given what it must agree on, summed over draws: by
    how much the hypothesis says the data may vary.
    """
    rows = []
    for case, hypothesis in cases.items():
        draws = {draw.draw: draw for draw in hypothesis.agreement(data).table}
        tested = draws["out/A" if "out/A" in draws else "out"]
        bits = sum(
            -np.sum(data.weights * np.log2(data.weights / classes.mass[classes.ids]))
            for classes in hypothesis.classes(data).values()
        )
        rows.append(
            {
                "case": case,
                "draw": tested.draw,
                "classes": tested.classes,
                "keeps its own row %": 100 * tested.self_draw,
                "bits drawn anew": float(bits),
            }
        )
    return pd.DataFrame(rows)


def run(options: Options) -> Outcome:
    """Scores that cannot tell vague from specific, and the figures that can."""
    data = make_data()
    cases = make_cases(make_graph())
    shown = exhibit(cases, data, cs.metrics.squared_error("label"), options)
    freedom = specificity(cases, data)
    stuck, void = shown.sampled[ROW].stuck, ", ".join(shown.sampled[ROW].never_swapped)
    text = f"""
{as_text(shown.table)}

{as_text(freedom)}

The first five recover 100%. Only the first says what A computes. The reports differ elsewhere:

- classes and self-draw share (`h.agreement(data)`): {BITS!r} keeps its own row twice as often as
  the true claim, {MORE!r} four times;
- {ROW!r}: sixteen classes of sixteen rows. The run says that {void} is never swapped. Its line on
  samples in which every claim could only keep its own row says {stuck:.0%}: that asks it of all
  claims at once, and B's is tested;
- {LABEL!r}: one leaf at the root. The output is swapped for another output of the same label, which
  any model of zero error survives, whatever is inside it;
- bits drawn anew order the nested claims about A; they do not compare claims about different nodes.

A claim that is less specific than another true one passes with it. So a score of 100% bounds what a
claim got wrong, never how little it said. To find out, weaken the feature until the score breaks,
as the last two cases do: half of x1, x2 is not enough, and neither is their disjunction.
"""
    return Outcome(
        results=shown.sampled,
        table=shown.table,
        text=text.lstrip(),
        figure=_draw(shown, freedom),
        more={"specificity": freedom},
    )


def _draw(shown: Exhibit, freedom: pd.DataFrame) -> Figure:
    """The scores, and at their right what each claim permits."""
    with figure_style():
        figure = Figure(figsize=(10.5, shown.height), layout="constrained")
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[2, 1])[0]
        handles = shown.draw(
            left, title="The score: five claims pass", behaviour="squared error", legend=False
        )
        add_legend(figure, handles)
        axes = right.add_subplot()
        kept = freedom["keeps its own row %"]
        axes.barh(range(len(kept)), kept, 0.5, color="#4a5568")
        for i, (share, bits) in enumerate(zip(kept, freedom["bits drawn anew"], strict=True)):
            axes.text(share + 2, i, f"{share:.3g}%, {bits:.3g} bits", va="center")
        axes.set_yticks([])
        axes.set_ylim(len(kept) - 0.5, -0.6)
        axes.set_xlim(0, 150)
        axes.set_xticks([0, 50, 100])
        axes.set_xlabel("a draw keeps its own row, %; bits drawn anew")
        axes.set_title("What each permits", loc="left", pad=22, fontweight="bold")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    return figure


ENTRY = Entry(
    name="too-vague",
    title="hypotheses that pass because they claim too little",
    summary=(
        "A = x1 xor x2 and B = x3 xor x4 meet in an and. Claims that A carries (x1, x2), or more, "
        "or the whole input recover 100% like the true one; what they permit tells them apart."
    ),
    run=run,
    page="gallery/too-vague.md",
)
