"""Estimates with their intervals, one below another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causal_scrubbing._display.figure import picture, styled, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One line of a forest plot.

    Attributes:
        label: what it is about.
        mean: the estimate; NaN where undefined.
        low, high: ends of its interval, or NaN.
        text: the estimate in words.
        strong: whether it stands out.
    """

    label: str
    mean: float
    low: float
    high: float
    text: str = ""
    strong: bool = False


def plot_forest(
    bars: Sequence[Bar], *, title: str, axis: str, guides: Sequence[float] = (0.0,)
) -> Figure:
    """Estimates with their intervals, the first on top.

    Args:
        bars: what is drawn.
        title: above the picture.
        axis: name of the axis.
        guides: values marked by a thin line, where they are in reach.

    Returns:
        A figure that a notebook shows by itself.
    """

    @styled
    def draw() -> Figure:
        figure = picture(8.4, 1.2 + 0.34 * len(bars), layout="constrained")
        axes = figure.add_subplot()
        for i, bar in enumerate(bars):
            colour = "#b7791f" if bar.strong else "#2b6cb0"
            if math.isnan(bar.mean):
                axes.text(
                    0.01, i, bar.text or "undefined", va="center", fontsize=8,
                    transform=axes.get_yaxis_transform(), parse_math=False,
                )  # fmt: skip
                continue
            if not math.isnan(bar.low):
                axes.plot([bar.low, bar.high], [i, i], color=colour, linewidth=3)
            axes.plot([bar.mean], [i], "o", color=colour, markersize=6)
            axes.annotate(
                bar.text, (1.01, i), xycoords=axes.get_yaxis_transform(), va="center",
                fontsize=8, parse_math=False, annotation_clip=False,
            )  # fmt: skip
        low, high = axes.get_xlim()
        for guide in guides:
            if low - (high - low) / 4 <= guide <= high + (high - low) / 4:
                axes.axvline(guide, color="#a0aec0", linewidth=1, zorder=0)
        labels = [bar.label if len(bar.label) <= 60 else bar.label[:57] + "..." for bar in bars]
        size = 9 if max(map(len, labels), default=0) <= 36 else 7.5
        axes.set_yticks(range(len(bars)), labels, fontsize=size, parse_math=False)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlabel(wrapped(axis, 52), parse_math=False)
        # Of the whole figure's width: long labels leave the axes little.
        figure.suptitle(
            wrapped(title, 88), x=0.01, ha="left", fontsize=11,
            parse_math=False,
        )  # fmt: skip
        axes.grid(axis="x", color="#e2e8f0")
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        return figure

    return draw()
