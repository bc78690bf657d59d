"""Pictures of the samples themselves: by a field, as they come in, and how changes cancel."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from causal_scrubbing._display import picture, styled, wrapped
from causal_scrubbing._report.plots import COLOURS
from causal_scrubbing._statistics import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 12
"""A field with more values than this is drawn in bins."""

BINS = 16


@styled
def plot_by(
    values: Any, model: FloatArray, scrubbed: FloatArray, *, field: str, metric: str, title: str
) -> Figure:
    """A metric against a field: a tuning curve of numbers, points for classes.

    Args:
        values: of the field at each sample, [N].
        model: the metric of the model at each sample, [N].
        scrubbed: the same under the swaps.
        field: its name.
        metric: its name.
        title: above the picture.

    Returns:
        Means with two standard errors, of samples with one value or in bins of about equal size.
    """
    levels, codes = np.unique(np.asarray(values), return_inverse=True)
    codes = codes.reshape(-1)
    numbers = levels.dtype.kind in "fiub"
    if len(levels) > MOST_CLASSES and numbers:
        ranks = np.argsort(np.argsort(np.asarray(values), kind="stable"), kind="stable")
        bins = min(BINS, max(len(values) // 20, 1))
        codes = ranks * bins // len(values)
        places = np.array([np.asarray(values, float)[codes == k].mean() for k in range(bins)])
    else:
        places = levels.astype(float) if numbers else np.arange(float(len(levels)))
    figure = picture(7.2, 3.4, layout="constrained")
    axes = figure.add_subplot()
    width = float(np.ptp(places)) or 1.0
    for kind, table, shift in (("model", model, -0.004), ("scrubbed", scrubbed, 0.004)):
        groups = [table[codes == k] for k in range(len(places))]
        means = [group.mean() for group in groups]
        errors = [
            2 * group.std(ddof=1) / len(group) ** 0.5 if len(group) > 1 else 0 for group in groups
        ]
        axes.errorbar(
            places + shift * width, means, errors, label=kind, color=COLOURS[kind], marker="o",
            markersize=4, linewidth=1.5 if numbers else 0, elinewidth=1.5,
        )  # fmt: skip
    if not numbers:
        axes.set_xticks(places, [str(level)[:20] for level in levels], parse_math=False)
    elif len(levels) <= MOST_CLASSES:
        axes.set_xticks(places, [str(level) for level in levels])
    return _finish(figure, title, field, metric)


@styled
def plot_convergence(
    model: FloatArray, scrubbed: FloatArray, randomized: FloatArray | None, *, metric: str,
    title: str,
) -> Figure:  # fmt: skip
    """Each mean as the samples come in, with two standard errors.

    Args:
        model: the metric of the model at each sample, [N].
        scrubbed: the same under the swaps.
        randomized: the same with a random row's output, or None.
        metric: its name.
        title: above the picture.
    """
    figure = picture(7.2, 3.4, layout="constrained")
    axes = figure.add_subplot()
    kinds = {"model": model, "scrubbed": scrubbed, "randomized": randomized}
    n = len(model)
    at = np.unique(np.geomspace(min(10, n), n, 200).astype(int))
    for kind, values in kinds.items():
        if values is None:
            continue
        sums, squares = np.cumsum(values), np.cumsum(values**2)
        means = sums[at - 1] / at
        spread = np.sqrt(np.clip(squares[at - 1] / at - means**2, 0, None) / np.maximum(at - 1, 1))
        axes.plot(at, means, label=kind, color=COLOURS[kind])
        axes.fill_between(
            at, means - 2 * spread, means + 2 * spread, color=COLOURS[kind], alpha=0.2, linewidth=0
        )
    axes.set_xscale("log")
    return _finish(figure, title, "samples", metric)


@styled
def plot_cancellation(
    model: FloatArray, scrubbed: FloatArray, *, metric: str, title: str
) -> Figure:
    """The change of each sample, and what rises and falls add to the mean.

    Args:
        model: the metric of the model at each sample, [N].
        scrubbed: the same under the swaps.
        metric: its name.
        title: above the picture.
    """
    change = np.sort(scrubbed - model)
    n = len(change)
    figure = picture(8.4, 3.4, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.fill_between(
        np.arange(n) / n, change, where=change > 0, step="mid", color="#c05621", linewidth=0
    )
    left.fill_between(
        np.arange(n) / n, change, where=change < 0, step="mid", color="#2b6cb0", linewidth=0
    )
    left.set_xlim(0, 1)
    left.axhline(0, color="#718096", linewidth=1)
    left.set_xlabel("samples in order, share")
    left.set_ylabel(f"change of {metric[:30]}", parse_math=False)
    parts = [change[change > 0].sum() / n, change[change < 0].sum() / n, change.mean()]
    right.bar(["rises", "falls", "together"], parts, color=["#c05621", "#2b6cb0", "#4a5568"])
    right.axhline(0, color="#718096", linewidth=1)
    right.set_ylabel("added to the mean")
    size = float(np.abs(change).mean())
    share = 0.0 if size == 0 else 100 * (1 - abs(parts[2]) / size)
    right.set_title(f"{share:.0f}% of the change cancels", loc="left", fontsize=9)
    figure.suptitle(wrapped(title, 80), fontsize=11, parse_math=False)
    for axes in (left, right):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure


@styled
def plot_shown(shown: list[tuple[str, Any]], *, title: str) -> Figure:
    """Rows one below another as a person sees them, text or picture, with what saw each.

    Args:
        shown: what saw it, and text or a picture [height, width, 3].
        title: above the picture.
    """
    heights = [
        0.45 + 0.17 * len(textwrap.wrap(one, 96)) if isinstance(one, str) else 1.7
        for _, one in shown
    ]
    figure = picture(8.4, sum(heights) + 0.5)
    figure.suptitle(wrapped(title, 90), fontsize=10, x=0.02, ha="left",
                    parse_math=False)  # fmt: skip
    total, top = sum(heights) + 0.5, sum(heights)
    for (label, one), height in zip(shown, heights, strict=True):
        top -= height
        axes = figure.add_axes((0.02, top / total, 0.96, (height - 0.3) / total))
        axes.set_title(label[:110], loc="left", fontsize=8, color="#4a5568", parse_math=False)
        axes.set_axis_off()
        if isinstance(one, str):
            axes.text(
                0, 1, "\n".join(textwrap.wrap(one, 96)), va="top", fontsize=9, parse_math=False,
                family="monospace",
            )  # fmt: skip
        else:
            axes.imshow(one, interpolation="nearest")
            axes.set_anchor("W")
    return figure


def _finish(figure: Figure, title: str, across: str, up: str) -> Figure:
    axes = figure.axes[0]
    axes.set_xlabel(across[:72], parse_math=False)
    axes.set_ylabel(up[:36], parse_math=False)
    axes.set_title(wrapped(title, 68), loc="left", fontsize=11,
                   parse_math=False)  # fmt: skip
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
