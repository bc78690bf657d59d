"""The entry's picture: the ladder by three behaviours, and the sweeps as heatmaps."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from causal_scrubbing.gallery import draw_ladder, figure_style

from ._model import place_of
from ._sweeps import total


def draw(
    table: pd.DataFrame, direct: pd.DataFrame, queries: pd.DataFrame, routes: pd.DataFrame
) -> Figure:
    """The whole picture.

    Args:
        table: of the hypotheses.
        direct: effects of heads on the logits.
        queries: effects of heads on the movers' queries.
        routes: effects of each mover's queries, keys and values, one row a mover and kind of swap.
    """
    with figure_style():
        figure = Figure(figsize=(12, 10), layout="constrained")
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.5, 1])[:, 0]
        left, right = top.subplots(1, 2, width_ratios=[1.5, 1], sharey=True)
        controls = frozenset(name for name in table["claim"] if "random" in name)
        draw_ladder(left, table, controls=controls, title="Recovered of the logit difference")
        _draw_others(right, table)
        one, two, three = bottom.subplots(1, 3, width_ratios=[1, 1, 0.8])
        _draw_heads(one, direct, "Each head's direct effect on the logits")
        _draw_heads(two, queries, "Each head's effect by the movers' queries")
        _draw_routes(three, routes)
    return figure


def _draw_others(axes: Axes, table: pd.DataFrame) -> None:
    """Right answers as bars, KL as words."""
    places = range(len(table))
    axes.barh(places, table["right %"], 0.62, color="#2c7a7b")
    for place, share, kl in zip(places, table["right %"], table["KL, nats"], strict=True):
        axes.text(share + 1, place, f"{share:.0f}%, KL {kl:.2f}", va="center")
    axes.axvline(table["model right %"].iloc[0], color="#2b6cb0", linewidth=1)
    axes.set_xlim(0, 145)
    axes.set_xlabel("right answers, % (line: the model); KL in nats")
    axes.set_title("By right answers and KL", loc="left", fontweight="bold")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_heads(axes: Axes, effects: pd.DataFrame, title: str) -> None:
    """Layers by heads, effects on several receivers added up."""
    found = total(effects)
    places = [place_of(str(name)) for name in found.index]
    grid = pd.DataFrame(places, columns=["layer", "head"]).assign(effect=found.to_numpy())
    table = grid.pivot(index="head", columns="layer", values="effect")
    size = float(found.abs().max()) or 1.0
    layers, heads = [layer for layer, _ in places], [head for _, head in places]
    image = axes.imshow(
        table, cmap="RdBu", vmin=-size, vmax=size, aspect="auto",
        extent=(min(layers) - 0.5, max(layers) + 0.5, max(heads) + 0.5, -0.5),
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("layer")
    axes.set_ylabel("head")
    axes.set_title(title, loc="left", fontweight="bold")
    axes.figure.colorbar(image, ax=axes, label="change of the logit difference")


def _draw_routes(axes: Axes, routes: pd.DataFrame) -> None:
    """Queries, keys and values of each mover, with either kind of swap."""
    movers = list(dict.fromkeys(routes["mover"]))
    for place, mover in enumerate(movers):
        for swap, shift in (("any prompt", -0.2), ("partner", 0.2)):
            row = routes[(routes["mover"] == mover) & (routes["swap"] == swap)].iloc[0]
            for number, (part, colour) in enumerate(
                {"q": "#7b341e", "k": "#2b6cb0", "v": "#2c7a7b"}.items()
            ):
                axes.bar(
                    place + shift + 0.12 * (number - 1), row[part], 0.11, color=colour,
                    alpha=1.0 if swap == "partner" else 0.5,
                    label=part if place == 0 and swap == "partner" else None,
                )  # fmt: skip
    axes.axhline(0, color="#4a5568", linewidth=0.8)
    axes.set_xticks(range(len(movers)), movers)
    axes.set_ylabel("change of the logit difference")
    axes.set_title("q, k, v (pale: any prompt)", loc="left", fontweight="bold")
    axes.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
