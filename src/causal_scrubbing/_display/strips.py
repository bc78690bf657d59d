"""One number for each of many places in a row, as strips of coloured cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from causal_scrubbing._display.figure import picture, styled, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS: Final = 24


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One strip.

    Attributes:
        label: what it is about.
        places: names of its cells, from the left.
        values: a number for each; NaN where there is none.
        marked: whether each stands out.
    """

    label: str
    places: Sequence[str]
    values: Sequence[float]
    marked: Sequence[bool]


@styled
def plot_strips(strips: Sequence[Strip], *, title: str, label: str, mark: str) -> Figure:
    """Strips one below another, white where a number is 0 and grey where there is none.

    Args:
        strips: what is drawn; at least one.
        title: above the picture.
        label: what the numbers are.
        mark: what a dot on a cell says.

    Returns:
        A figure that a notebook shows by itself.
    """
    figure = picture(8.4, 1.2 + 0.85 * len(strips), layout="constrained")
    every = figure.subplots(len(strips), 1, squeeze=False)[:, 0]
    values = [np.asarray(strip.values, dtype=np.float64) for strip in strips]
    most = max(float(np.nanmax(np.abs(one), initial=0.0)) for one in values) or 1.0
    for axes, strip, row in zip(every, strips, values, strict=True):
        axes.set_facecolor("#cbd5e0")
        drawn = axes.imshow(row[None, :], cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        dots = [i for i, one in enumerate(strip.marked) if one]
        axes.plot(
            dots, [0] * len(dots), "o", markersize=5, markerfacecolor="#1a202c",
            markeredgecolor="white",
        )  # fmt: skip
        step = -(-len(strip.places) // _TICKS)
        ticks = range(0, len(strip.places), step)
        axes.set_xticks(ticks, [strip.places[i][:12] for i in ticks], fontsize=8, parse_math=False)
        axes.set_yticks([])
        axes.set_xlim(-0.5, len(row) - 0.5)
        axes.set_title(strip.label[:100], loc="left", fontsize=8, color="#4a5568", parse_math=False)
    bar = figure.colorbar(drawn, ax=list(every))
    bar.set_label(wrapped(label, 24), fontsize=8, parse_math=False)
    figure.suptitle(wrapped(title, 88), x=0.01, ha="left", fontsize=11, parse_math=False)
    figure.supxlabel(f"dot: {mark}", fontsize=8, color="#4a5568", parse_math=False)
    return figure
