"""A table of numbers as colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from causal_scrubbing._display.figure import picture, styled, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def plot_heatmap(
    values: npt.NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    label: str,
    down: str = "",
    across: str = "",
) -> Figure:
    """Numbers as colours, white where they are 0 and grey where there is none.

    Args:
        values: [rows, columns], NaN where there is no number.
        rows: names, from the top.
        columns: names, from the left.
        title: above the picture.
        label: what the numbers are.
        down: what rows are, beside their axis.
        across: what columns are.

    Returns:
        A figure that a notebook shows by itself.
    """
    width = min(2.6 + 0.42 * len(columns), 30)
    figure = picture(max(width, 5), min(max(1.6 + 0.26 * len(rows), 2.8), 30), layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("#cbd5e0")
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    drawn = axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    lean = max(map(len, columns), default=0) > 3
    axes.set_xticks(
        range(len(columns)), [one[:24] for one in columns], rotation=60 if lean else 0,
        ha="right" if lean else "center", fontsize=8, parse_math=False,
    )  # fmt: skip
    axes.set_xlabel(across[:48], fontsize=9, parse_math=False)
    axes.set_ylabel(down[:24], fontsize=9, parse_math=False)
    axes.set_yticks(range(len(rows)), [one[:24] for one in rows], fontsize=8, parse_math=False)
    axes.set_title(title[:72], loc="left", fontsize=10, parse_math=False)
    bar = figure.colorbar(drawn, ax=axes)
    bar.set_label(wrapped(label, 26), fontsize=9, parse_math=False)
    return figure
