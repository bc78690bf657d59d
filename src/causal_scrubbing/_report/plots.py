"""Pictures of estimates. What a user named is drawn as it is: a $ begins no formula."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from causal_scrubbing._measure import Estimate, Scores
from causal_scrubbing._measure._values import FloatArray
from causal_scrubbing._report.tables import MOST_COMPONENTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 2000
COLOURS = {"model": "#2b6cb0", "scrubbed": "#b7791f", "randomized": "#718096"}


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
    from matplotlib.figure import Figure

    rows = _rows(scores)
    recovered = str(scores.recovered) if scores.recovered.defined else "undefined"
    if scores.components:
        left = len(scores.components) - MOST_COMPONENTS
        more = f"; {left} more numbers are not drawn" if left > 0 else ""
        caption = f"a vector: gap, a distance, is {scores.gap}{more}\n{caption}"
    else:
        caption = f"recovered {recovered}\n{caption}"
    figure = Figure(figsize=(7.2, 1.4 + 0.42 * len(rows)), layout="constrained")
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
    axes.set_xlabel(metric, parse_math=False)
    axes.set_title(title, loc="left", fontsize=11, parse_math=False)
    axes.grid(axis="x", color="#e2e8f0")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.supxlabel("\n".join(wrap(caption)), fontsize=8, color="#4a5568", parse_math=False)
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


def plot_laws(model: FloatArray, scrubbed: FloatArray, *, metric: str) -> Figure:
    """The behaviour's law under D and D_scrubbed, and its value at each sample, side by side.

    Args:
        model: the model's value at each sample, [N].
        scrubbed: the value under the swaps, [N].
        metric: name of the axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for values, label in ((model, "model"), (scrubbed, "scrubbed")):
        ordered = np.sort(values)
        left.step(
            ordered, np.arange(1, len(ordered) + 1) / len(ordered),
            where="post", label=label, color=COLOURS[label],
        )  # fmt: skip
    left.set_xlabel(metric, parse_math=False)
    left.set_ylabel("share of samples at or below")
    left.legend(frameon=False)
    # More points than the eye can tell apart only make the file large.
    shown = np.linspace(0, len(model) - 1, min(len(model), MOST_POINTS)).astype(int)
    right.plot(model[shown], scrubbed[shown], ".", markersize=3, alpha=0.4, color="#553c9a")
    low = min(model.min(), scrubbed.min())
    high = max(model.max(), scrubbed.max())
    right.plot([low, high], [low, high], color="#718096", linewidth=1)
    right.set_xlabel(f"{metric}, model", parse_math=False)
    right.set_ylabel(f"{metric}, scrubbed", parse_math=False)
    for axes in (left, right):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure
