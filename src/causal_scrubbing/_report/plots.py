"""Pictures of estimates. What a user named is drawn as it is: a $ begins no formula."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from causal_scrubbing._display import picture, styled, wrapped
from causal_scrubbing._report.tables import MOST_COMPONENTS
from causal_scrubbing._statistics import Estimate, FloatArray, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 2000
MOST_BUBBLES = 60
"""Up to so many distinct points are drawn as bubbles: single points would hide how many they are.
"""
COLOURS = {"model": "#2b6cb0", "scrubbed": "#b7791f", "randomized": "#718096"}
_LINE = 0.16
"""Height of a line of small text, in inches."""


@styled
def plot_scores(
    scores: Scores, *, title: str, metric: str, caption: str = "", zero: str = "randomized"
) -> Figure:
    """The three expectations as points with intervals on one axis, values written beside.

    Args:
        scores: estimates of one metric; of a vector, its first numbers are drawn.
        title: above the picture.
        metric: name of the axis.
        caption: lines below; what is recovered is added.
        zero: what the mean that is 0% is called.
    """
    rows = _rows(scores)
    recovered = str(scores.recovered) if scores.recovered.defined else "undefined"
    if scores.components:
        left = len(scores.components) - MOST_COMPONENTS
        more = f"; {left} more numbers are not drawn" if left > 0 else ""
        caption = f"a vector: gap, a distance, is {scores.gap}{more}\n{caption}"
    else:
        caption = f"recovered {recovered}\n{caption}"
    below, above, name = wrap(caption), wrapped(title, 68, 3), wrapped(metric, 72, 2)
    extra = _LINE * (max(len(below) - 3, 0) + above.count("\n") + name.count("\n"))
    figure = picture(7.2, 1.4 + 0.42 * len(rows) + extra, layout="constrained")
    axes = figure.add_subplot()
    for i, (label, estimate) in enumerate(rows.items()):
        colour = COLOURS[label.split()[0]]
        if not estimate.defined:
            axes.text(0.01, i, "undefined", va="center", transform=axes.get_yaxis_transform())
            continue
        low, high = estimate.interval
        if not math.isnan(low):
            axes.plot([low, high], [i, i], color=colour, linewidth=3, solid_capstyle="round")
        axes.plot([estimate.mean], [i], "o", color=colour, markersize=7)
        axes.annotate(
            str(estimate), (estimate.mean, i), xytext=(0, 8), textcoords="offset points",
            ha="center", fontsize=8, color="#2d3748",
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.replace("randomized", zero) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.7)
    axes.margins(x=0.15)
    axes.set_xlabel(name, parse_math=False)
    axes.set_title(above, loc="left", fontsize=11, parse_math=False)
    axes.grid(axis="x", color="#e2e8f0")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.supxlabel("\n".join(below), fontsize=8, color="#4a5568", parse_math=False)
    return figure


def _rows(scores: Scores) -> dict[str, Estimate]:
    """Label -> estimate, from the top; the kind is the label's first word."""
    kinds = ("model", "scrubbed", "randomized")
    if not scores.components:
        return {kind: getattr(scores, kind) for kind in kinds}
    return {
        f"{kind} [{i}]": getattr(part, kind)
        for i, part in enumerate(scores.components[:MOST_COMPONENTS])
        for kind in kinds
    }


def wrap(text: str, width: int = 110) -> list[str]:
    """Lines of a caption that fit under a picture."""
    return [line for part in text.splitlines() for line in textwrap.wrap(part, width)]


@styled
def plot_laws(model: FloatArray, scrubbed: FloatArray, *, metric: str) -> Figure:
    """The behaviour's law under D and D_scrubbed, and its value at each sample, side by side.

    Where there are few distinct pairs of values, each is a bubble with the area of its number.

    Args:
        model: the model's value at each sample, [N].
        scrubbed: the value under the swaps, [N].
        metric: name of the axes.
    """
    figure = picture(8.4, 3.2, layout="constrained")
    left, right = figure.subplots(1, 2)
    for values, label in ((model, "model"), (scrubbed, "scrubbed")):
        ordered = np.sort(values)
        left.step(
            np.append(ordered[0], ordered), np.arange(len(ordered) + 1) / len(ordered),
            where="post", label=label, color=COLOURS[label],
        )  # fmt: skip
    left.set_ylim(0, 1.03)
    left.set_xlabel(wrapped(metric, 42, 2), parse_math=False)
    left.set_ylabel("share of samples at or below")
    left.legend(frameon=False)
    _points(right, model, scrubbed)
    low = min(model.min(), scrubbed.min())
    high = max(model.max(), scrubbed.max())
    right.plot([low, high], [low, high], color="#718096", linewidth=1, zorder=0)
    short = wrapped(metric, 24, 1)
    right.set_xlabel(f"{short}, model", parse_math=False)
    right.set_ylabel(f"{short}, scrubbed", parse_math=False)
    for axes in (left, right):
        axes.locator_params(axis="x", nbins=5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure


def _points(axes: Axes, model: FloatArray, scrubbed: FloatArray) -> None:
    """Pairs of values as points, or, where they are few, as bubbles."""
    pairs, counts = np.unique(np.stack([model, scrubbed], 1), axis=0, return_counts=True)
    if len(pairs) <= MOST_BUBBLES:
        most = int(counts.max())
        sizes = np.maximum(300 * counts / most, 12) if most > 1 else 20
        axes.scatter(pairs[:, 0], pairs[:, 1], s=sizes, alpha=0.5, color="#553c9a")
        axes.margins(0.18)
        if most > 1:
            axes.set_title("area: number of samples", loc="right", fontsize=8, color="#4a5568")
        return
    # More points than the eye can tell apart only make the file large.
    shown = np.linspace(0, len(model) - 1, min(len(model), MOST_POINTS)).astype(int)
    axes.plot(model[shown], scrubbed[shown], ".", markersize=3, alpha=0.4, color="#553c9a")
