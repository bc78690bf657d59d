"""Hypotheses that add to one another, scrubbed by sampling: what entries on trained models show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

import causal_scrubbing as cs
from causal_scrubbing._gallery._entry import Options

_COLOURS = {"claim": "#7b341e", "control": "#a0aec0"}


def ladder(
    rungs: Mapping[str, cs.Hypothesis],
    data: cs.Dataset,
    metric: Any,
    options: Options,
    *,
    samples: int = 2000,
    **settings: Any,
) -> dict[str, cs.Result]:
    """Scrub each rung on the same reference rows; graphs may differ.

    Args:
        rungs: what the table calls it -> hypothesis.
        data: the dataset.
        metric: the behaviour, or several by name, the first of them the main one.
        options: how the entry is run.
        samples: where the options name no number.
        settings: further arguments of `cs.scrub`.

    Returns:
        What the table calls it -> result.
    """
    found = {}
    for name, hypothesis in rungs.items():
        options.progress(name)
        found[name] = cs.scrub(
            hypothesis,
            data,
            metric=metric,
            samples=options.samples or samples,
            seed=options.seed,
            progress=False,
            **settings,
        )
    return found


def ladder_table(
    results: Mapping[str, cs.Result], *, share: str | None = None, extra: str | None = None
) -> pd.DataFrame:
    """One row a rung: the numbers of the first metric, and what is recovered with its interval.

    Args:
        results: from `ladder`.
        share: another metric, a share of samples, to give in percent as a last column.
        extra: another metric, of which the scrubbed mean is given as a last column.
    """
    rows = []
    for name, result in results.items():
        low, high = result.recovered.interval if result.recovered.defined else (float("nan"),) * 2
        row = {
            "claim": name,
            "model": result.model.mean,
            "randomized": result.randomized.mean,
            "scrubbed": result.scrubbed.mean,
            "± se": result.scrubbed.se,
            "recovered %": result.recovered.mean,
            "from": low,
            "to": high,
        }
        if share is not None:
            row[f"{share} %"] = 100 * result[share].scrubbed.mean
        if extra is not None:
            row[extra] = result[extra].scrubbed.mean
        rows.append(row)
    return pd.DataFrame(rows)


def draw_ladder(
    axes: Axes, table: pd.DataFrame, *, controls: frozenset[str] = frozenset(), title: str = ""
) -> None:
    """Bars of what each rung recovers, with 95% intervals, controls in grey.

    Args:
        axes: where to draw.
        table: from `ladder_table`.
        controls: the rungs that are false by intention.
        title: above the picture.
    """
    names = table["claim"].tolist()
    values, places = table["recovered %"].fillna(0.0), range(len(names))
    spread = [(values - table["from"]).clip(lower=0), (table["to"] - values).clip(lower=0)]
    colours = [_COLOURS["control" if name in controls else "claim"] for name in names]
    axes.barh(places, values, 0.62, color=colours, zorder=2)
    axes.errorbar(
        values, places, xerr=[side.fillna(0.0) for side in spread], fmt="none", ecolor="#1a202c",
        zorder=3,
    )  # fmt: skip
    for place, value, high in zip(places, table["recovered %"], table["to"], strict=True):
        text = f"{value:.1f}%" if value == value else "undefined"
        axes.text(max(high if high == high else 0.0, 0.0) + 2, place, text, va="center")
    axes.axvline(100, color="#4a5568", linewidth=0.8, linestyle=":")
    axes.axvline(0, color="#4a5568", linewidth=0.8)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    low = min(0.0, float(table["from"].min(skipna=True)))
    axes.set_xlim(low - 4 if low < 0 else 0, max(118.0, float(table["to"].max()) + 16))
    axes.set_xlabel("recovered, % (0: randomized, 100: the model; bars: 95%)")
    axes.set_title(title, loc="left", fontweight="bold")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
