"""Pictures: the ladder, the places, the tuning curves, and what was put in whose place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

import causal_scrubbing as cs
from causal_scrubbing.gallery import draw_ladder, figure_style

from . import _claims as claims
from . import _curves as curves
from ._model import Network
from ._units import Choice

_MODEL, _SCRUBBED, _GREY = "#2b6cb0", "#7b341e", "#a0aec0"
FAMILY, SHEET = 12, 4
"""How many units' tuning curves, and how many reference rows, are shown."""


def draw(
    network: Network,
    choice: Choice,
    table: pd.DataFrame,
    results: Mapping[str, cs.Result],
    data: cs.Dataset,
) -> Figure:
    """All of them in one figure."""
    with figure_style():
        figure = Figure(figsize=(11, 12), layout="constrained")
        rows = figure.subfigures(3, 1, squeeze=False, height_ratios=[1.25, 1, 1.6])
        top, middle, bottom = rows[:, 0]
        left, right = top.subplots(1, 2, width_ratios=[1.8, 1])
        controls = frozenset(name for name in claims.NAMES if name.startswith(("control", "false")))
        draw_ladder(left, table, controls=controls, title="What each claim recovers")
        _draw_places(right, choice)
        one, two = middle.subplots(1, 2)
        _draw_tuning(one, network, choice, results, data)
        _draw_family(two, choice)
        _draw_sheet(bottom, network, choice, results[claims.ON_EDGES], data)
    return figure


def _draw_places(axes: Axes, choice: Choice) -> None:
    side = curves.WINDOW
    costs = choice.costs.view(side, side)
    axes.imshow(costs.numpy(), cmap="OrRd", vmin=0)
    for place, cost in enumerate(choice.costs.tolist()):
        bold = "bold" if place in choice.places else "normal"
        dark = cost > 0.6 * float(choice.costs.max())
        axes.text(place % side, place // side, f"{cost:.0f}", ha="center", va="center",
                  color="white" if dark else "#1a202c", fontweight=bold)  # fmt: skip
    turn = torch.deg2rad(torch.tensor(choice.angle(choice.unit)))
    for radius in (1.5, 3.0):
        sweep = turn + torch.pi + torch.linspace(-1, 1, 60) * curves.HALF_LENGTH / radius
        axes.plot(side // 2 + radius * (turn.cos() + sweep.cos()),
                  side // 2 + radius * (turn.sin() + sweep.sin()), color=_MODEL)  # fmt: skip
    axes.set_xlim(-0.5, side - 0.5)
    axes.set_ylim(side - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("% of activation lost by\nresampling one place", loc="left", fontweight="bold")
    axes.set_xlabel("bold: places that matter;\nlines: curves at the unit's angle")


def _draw_tuning(
    axes: Axes, network: Network, choice: Choice, results: Mapping[str, cs.Result], data: cs.Dataset
) -> None:
    away = torch.remainder(data["theta"] - choice.angle(choice.unit) + 180, 360) - 180
    part = 15 * torch.round(away / 15).long()
    shown = {
        "the model": (claims.EDGES, "output.model", _MODEL),
        claims.ON_EDGES: (claims.ON_EDGES, "output.scrubbed", _SCRUBBED),
        claims.FALSE: (claims.FALSE, "output.scrubbed", _GREY),
    }
    for label, (name, column, colour) in shown.items():
        samples = results[name].samples
        mean = samples[column].groupby(part[samples["reference"].tolist()].tolist()).mean()
        axes.plot(mean.index, mean, "o-", color=colour, markersize=4, label=label)
    axes.axvspan(-claims.NEAR, claims.NEAR, color="#edf2f7", zorder=0)
    axes.set_xlabel("degrees from the unit's angle (shaded: near)")
    axes.set_ylabel("mean activation")
    axes.set_title(f"Tuning of unit {network.first + choice.unit}", loc="left", fontweight="bold")
    _finish(axes)


def _draw_family(axes: Axes, choice: Choice) -> None:
    degrees = range(5, 360, 10)
    for unit in choice.table["number"].head(FAMILY):
        curve = choice.tuning[:, int(unit)]
        is_own = unit == choice.unit
        axes.plot(degrees, (curve / curve.max()).tolist(), linewidth=2.4 if is_own else 1,
                  color=_MODEL if is_own else _GREY, zorder=3 if is_own else 2,
                  label="this unit" if is_own else None)  # fmt: skip
    axes.set_xlabel("angle, degrees")
    axes.set_ylabel("mean activation, of the largest")
    axes.set_title("The most selective units", loc="left", fontweight="bold")
    _finish(axes)


def _finish(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.set_ylim(top=1.3 * axes.get_ylim()[1])
        axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=3, columnspacing=1)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_sheet(
    figure: SubFigure, network: Network, choice: Choice, result: cs.Result, data: cs.Dataset
) -> None:
    """Reference images, and beside each the images that stood in for it at the places."""
    samples, draws = result.samples, result.draws
    near = data["near"][samples["reference"].tolist()].bool().numpy()
    chosen = [*samples.index[near][: SHEET - 1], samples.index[~near][0]]
    best = sorted(choice.places, key=lambda place: -choice.costs[place])[:5]
    grid = figure.subplots(len(chosen), 1 + len(best), squeeze=False)
    figure.suptitle(f"\"{claims.ON_EDGES}\": whose image stood in at each place", x=0.01, ha="left",
                    fontsize=10, fontweight="bold")  # fmt: skip
    for row, sample in zip(grid, chosen, strict=True):
        _draw_image(row[0], network, data, int(samples["reference"][sample]), choice.places)
        model, scrubbed = (samples[f"output.{of}"][sample] for of in ("model", "scrubbed"))
        row[0].set_ylabel(f"model {model:.2f}\nscrubbed {scrubbed:.2f}", fontsize=8)
        for axes, place in zip(row[1:], best, strict=True):
            drawn = int(draws[f"unit/maps.p{place}"][sample])
            _draw_image(axes, network, data, drawn, [place])
    grid[0, 0].set_title("reference", fontsize=8)
    for axes in grid[0, 1:]:
        axes.set_title("drawn", fontsize=8)


def _draw_image(
    axes: Axes, network: Network, data: cs.Dataset, row: int, places: Sequence[int]
) -> None:
    """One image, cut to the window and a cell around it, with places marked."""
    half, cell = network.size / 2, network.cell
    axes.imshow(data["image"][row, 0].numpy(), cmap="gray", vmin=0, vmax=1)
    for place in places:
        down, right = divmod(place, curves.WINDOW)
        corner = [half - 0.5 + (at - curves.WINDOW / 2) * cell for at in (right, down)]
        axes.add_patch(Rectangle((corner[0], corner[1]), cell, cell, fill=False, color="#dd6b20"))
    reach = (curves.WINDOW / 2 + 1) * cell
    axes.set_xlim(half - 0.5 - reach, half - 0.5 + reach)
    axes.set_ylim(half - 0.5 + reach, half - 0.5 - reach)
    axes.set_xticks([])
    axes.set_yticks([])
