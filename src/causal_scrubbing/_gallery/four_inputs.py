"""The small worked example of the method's introduction, with every swap it permits.

Source: Chan et al. 2022, "Causal scrubbing: a method for rigorously testing interpretability
hypotheses", section 1 and its figure of a graph f and an interpretation I.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
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

VALUES = (2, 3, 4, 5)
"""What each input can be; half of the values are above three."""

LEVELS = ("true: one node", "true: three nodes", "true: down to the inputs")
"""The same claim about the same function, ever more specific."""

LEVELS_BY_NODES = {1: LEVELS[0], 3: LEVELS[1], 5: LEVELS[2]}
CLAIMED = "#2b6cb0"
UNIMPORTANT = {"A": "#718096", "B": "#a0714f", "D": "#4f8a6d"}
"""Colour of the unimportant parents of each claim."""


def make_data() -> cs.Dataset:
    """All combinations of (z1, z2, z3), and the label y: is z1 or z2 above three."""
    rows = torch.tensor(list(product(VALUES, repeat=3)), dtype=torch.float64)
    z1, z2, z3 = rows.unbind(1)
    return cs.Dataset(
        z1=z1,
        z2=z2,
        z3=z3,
        y=((z1 > 3) | (z2 > 3)).double(),
        show=lambda row: f"z1={row['z1']:.0f} z2={row['z2']:.0f} z3={row['z3']:.0f}",
    )


def make_graph() -> cs.Graph:
    """A reads all inputs but uses z1 alone, B uses z2 alone, C uses z3; D is A or B."""
    return cs.Graph.build(
        inputs=["z1", "z2", "z3"],
        nodes={
            "A": (lambda z1, z2, z3: (z1 > 3).double() + 0 * (z2 + z3), ["z1", "z2", "z3"]),
            "B": (lambda z1, z2, z3: (z2 > 3).double() + 0 * (z1 + z3), ["z1", "z2", "z3"]),
            "C": (lambda z3: (z3 > 3).double(), ["z3"]),
            "D": (lambda a, b, c: torch.maximum(a, b) + 0 * c, ["A", "B", "C"]),
        },
        output="D",
    )


def above(field: str, than: float) -> cs.Feature:
    """The feature "this input is above a number"."""

    def feature(rows: cs.Dataset) -> torch.Tensor:
        return torch.as_tensor(rows[field] > than)

    feature.__name__ = f"{field} > {than:g}"
    return feature


def expanded(at_a: float, at_b: float, *, inputs: tuple[str, str] = ("z1", "z2")) -> cs.Claim:
    """D from A and B, each from one input; everything else unimportant."""
    first, second = inputs
    return cs.claim(
        "D",
        cs.exact,
        cs.claim("A", above(first, at_a), cs.claim(first, above(first, at_a))),
        cs.claim("B", above(second, at_b), cs.claim(second, above(second, at_b))),
    )


def make_cases(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """True and false hypotheses, at two levels of specificity."""

    def either(rows: cs.Dataset) -> torch.Tensor:
        return torch.as_tensor((rows["z1"] > 3) | (rows["z2"] > 3))

    either.__name__ = "z1 > 3 or z2 > 3"
    leaves = cs.claim("D", cs.exact, cs.claim("A", above("z1", 3)), cs.claim("B", above("z2", 3)))
    claims = {
        LEVELS[0]: cs.claim("D", either),
        LEVELS[1]: leaves,
        LEVELS[2]: expanded(3, 3),
        "false: A is z1 > 2": expanded(2, 3),
        "false: A and B exchanged": expanded(3, 3, inputs=("z2", "z1")),
        "false: B does not matter": cs.claim("D", cs.exact, cs.claim("A", above("z1", 3))),
    }
    return {name: cs.Hypothesis(graph, claim, name=name) for name, claim in claims.items()}


def swaps(hypothesis: cs.Hypothesis, data: cs.Dataset) -> pd.DataFrame:
    """Every swap a hypothesis permits: for each draw, all pairs of a row and one in its place."""
    found = []
    for draw in hypothesis.agreement(data).table:
        same = permitted(hypothesis, data, draw.draw)
        for row, other in np.argwhere(same & ~np.eye(len(data), dtype=bool)):
            found.append((draw.draw, draw.feature, int(row), int(other)))
    table = pd.DataFrame(found, columns=["draw", "must agree on", "row", "taken instead"])
    for column in ("row", "taken instead"):
        table[f"{column}, shown"] = [str(data.show(row)) for row in table[column]]
    return table


def permitted(hypothesis: cs.Hypothesis, data: cs.Dataset, draw: str) -> npt.NDArray[np.bool_]:
    """Whether a draw may take row j where row i was: [n, n]."""
    ids = data.classes(hypothesis.block(draw).feature).ids
    return np.asarray(ids[:, None] == ids[None, :])


def count_swaps(hypothesis: cs.Hypothesis, data: cs.Dataset) -> pd.DataFrame:
    """How many swaps each draw permits, of the n (n - 1) that there are."""
    n = len(data)
    return pd.DataFrame(
        {
            "draw": draw.draw,
            "must agree on": draw.feature,
            "swaps permitted": int(permitted(hypothesis, data, draw.draw).sum()) - n,
            "of": n * (n - 1),
        }
        for draw in hypothesis.agreement(data).table
    )


def run(options: Options) -> Outcome:
    """Scrub every case exactly and by sampling; list the swaps at three levels of specificity."""
    data = make_data()
    cases = make_cases(make_graph())
    shown = exhibit(cases, data, cs.metrics.squared_error("y"), options)
    counts = "\n\n".join(
        f"Swaps permitted by `{case}`:\n\n{as_text(count_swaps(cases[case], data))}"
        for case in LEVELS
    )
    sample = shown.sampled[LEVELS[-1]].draws.iloc[0]
    example = "\n".join(f"- {key}: {data.show(int(sample[key]))}" for key in sample.index[:-1])
    text = f"""
{as_text(shown.table)}

{counts}

One sample of `{LEVELS[-1]}`. The unimportant parents of A, of B and of D
(`~other`) come from three rows, drawn apart but at once:

{example}
"""
    return Outcome(
        results=shown.sampled,
        table=shown.table,
        text=text.lstrip(),
        figure=_draw(shown, cases, data, sample),
        more={f"swaps-{i}-nodes": swaps(cases[case], data) for i, case in LEVELS_BY_NODES.items()},
    )


def _draw(
    shown: Exhibit, cases: dict[str, cs.Hypothesis], data: cs.Dataset, sample: pd.Series[int]
) -> Figure:
    """One sample as a tree, the swaps of three levels as matrices, and the numbers."""
    with figure_style():
        figure = Figure(figsize=(11, 13), layout="constrained")
        top, middle, bottom = figure.subfigures(3, 1, squeeze=False, height_ratios=[4, 5.2, 4.2])[
            :, 0
        ]
        _draw_tree(top.add_subplot(), cases[LEVELS[-1]], data, sample)
        _draw_swaps(middle, cases, data)
        shown.draw(bottom, title="True and false hypotheses", behaviour="squared error to y")
    return figure


def _draw_swaps(part: SubFigure, cases: dict[str, cs.Hypothesis], data: cs.Dataset) -> None:
    """A matrix a draw: row i down, row j across, dark where j may be taken for i."""
    drawn = {case: cases[case].agreement(data).table for case in LEVELS}
    grid = part.subplots(len(LEVELS), max(map(len, drawn.values())), squeeze=False)
    for line, (case, draws) in zip(grid, drawn.items(), strict=True):
        for axes in line:
            axes.set_axis_off()
        line[0].text(
            -0.15, 0.5, case.removeprefix("true: "), transform=line[0].transAxes, ha="right",
            va="center",
        )  # fmt: skip
        for axes, draw in zip(line, draws, strict=False):
            axes.set_axis_on()
            axes.imshow(permitted(cases[case], data, draw.draw), cmap="Blues", vmin=-0.2, vmax=1.3)
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"{draw.draw}\n{draw.feature}", fontsize=8)
    part.suptitle(
        "Every swap permitted, draw by draw: the 64 rows down, the rows to be taken for them "
        "across; dark is allowed",
        x=0.005, ha="left", fontweight="bold", fontsize=10,
    )  # fmt: skip


def _draw_tree(
    axes: Axes, hypothesis: cs.Hypothesis, data: cs.Dataset, sample: pd.Series[int]
) -> None:
    """The treeified graph with the row that each value is taken from in one sample."""
    features = {draw.draw: draw.feature for draw in hypothesis.agreement(data).table}
    axes.set_axis_off()

    def node(x: float, y: float, label: str, key: str, colour: str) -> None:
        axes.text(
            x, y, f"{label}\n{data.show(int(sample[key]))}", ha="center", va="center", fontsize=8,
            color="white", bbox={"boxstyle": "round,pad=0.45", "facecolor": colour, "linewidth": 0},
        )  # fmt: skip

    def edge(x0: float, y0: float, x1: float, y1: float) -> None:
        arrow = {"arrowstyle": "->", "color": "#a0aec0"}
        axes.annotate("", (x1, y1 - 0.15), (x0, y0 + 0.15), arrowprops=arrow)

    node(2.9, 2, f"D, {features['D']}", "D", CLAIMED)
    for name, x in {"A": 1.0, "B": 4.0}.items():
        edge(x, 1, 2.9, 2)
        node(x, 1, f"{name} carries {features[f'D/{name}']}", f"D/{name}", CLAIMED)
        for i, parent in enumerate(hypothesis.graph.parents(name)):
            key = f"D/{name}/{parent}"
            edge(x - 1 + i, 0, x, 1)
            if key in features:
                node(x - 1 + i, 0, parent, key, CLAIMED)
            else:
                other = f"D/{name}/~other"
                node(x - 1 + i, 0, f"{parent}, unimportant", other, UNIMPORTANT[name])
    edge(5.6, 1, 2.9, 2)
    node(5.6, 1, "C, unimportant", "D/~other", UNIMPORTANT["D"])
    axes.set_xlim(-0.6, 6.3)
    axes.set_ylim(-0.35, 2.35)
    axes.set_title(
        f"One sample, reference row {data.show(int(sample['reference']))}. Every box names the row "
        "its value is taken from;\nunimportant boxes of one colour share one row (per-claim): "
        "three such rows at once",
        loc="left", fontweight="bold",
    )  # fmt: skip


ENTRY = Entry(
    name="four-inputs",
    title="the method's introduction in miniature: every swap listed and drawn",
    summary=(
        "D = (z1 > 3) or (z2 > 3), computed by A from z1 and B from z2; z3 reaches D through C, "
        "which D ignores. True hypotheses at three levels of specificity and three false ones."
    ),
    run=run,
    page="gallery/four-inputs.md",
)
