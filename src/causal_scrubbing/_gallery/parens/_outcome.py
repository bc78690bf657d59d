"""The results as one table and one picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import causal_scrubbing as cs

from ._experiments import STATEMENTS

SUBSETS = {
    "all": None,
    "balanced": "balanced",
    "unbalanced": "unbalanced",
    "count fails": "count_fails",
    "horizon fails": "horizon_fails",
}
"""The reference strings a line is about, and the field that picks them."""


def table(results: Mapping[str, cs.Result]) -> pd.DataFrame:
    """One row an experiment and subset of the reference strings.

    Columns: experiment, strings, samples, loss and its standard error (nats), model and randomized
    loss, accuracy (%), recovered and the ends of its interval (%), and the share of samples (%) in
    which every claim could only keep its own row, so that nothing was tested.
    """
    lines = []
    for name, result in results.items():
        for subset, field in SUBSETS.items():
            part = result if field is None else result.on(field)
            loss, recovered = part.scrubbed, part.recovered
            lines.append(
                {
                    "experiment": name,
                    "strings": subset,
                    "samples": loss.n,
                    "loss": loss.mean,
                    "loss_se": loss.se,
                    "model_loss": part.model.mean,
                    "randomized_loss": part.randomized.mean,
                    "accuracy": 100 * part.samples["accuracy.scrubbed"].mean(),
                    "recovered": recovered.mean,
                    "recovered_low": recovered.interval[0],
                    "recovered_high": recovered.interval[1],
                    "own_row": math.nan if part.stuck is None else 100 * part.stuck,
                }
            )
    return pd.DataFrame(lines)


def to_markdown(lines: pd.DataFrame) -> str:
    """The tables a person reads: an experiment a row, a kind of string a column."""
    records = lines.to_dict("records")
    parts = [
        _grid("% recovered", records, _recovered),
        _grid("loss (se)", records, lambda line: f"{line['loss']:.3f} ({line['loss_se']:.3f})"),
        _grid("% right", records, lambda line: f"{line['accuracy']:.1f}"),
    ]
    names = names_in(lines)
    own = {str(line["experiment"]): line["own_row"] for line in records if line["strings"] == "all"}
    void = [f"{name} ({own[name]:.0f}%)" for name in names if own[name] >= 1]
    if void:
        parts.append(
            "Samples in which every claim could only keep its own row, so that nothing was tested: "
            f"{', '.join(void)}; in the others under 1%."
        )
    parts.append("\n".join(f"- **{name}**: {STATEMENTS[name]}." for name in names))
    return "\n\n".join(parts) + "\n"


def _recovered(line: dict[Hashable, Any]) -> str:
    return "undefined" if math.isnan(line["recovered"]) else f"{line['recovered']:.1f}"


def _grid(
    what: str, records: list[dict[Hashable, Any]], cell: Callable[[dict[Hashable, Any]], str]
) -> str:
    rows: dict[str, list[str]] = {what: list(SUBSETS), "---": ["---:"] * len(SUBSETS)}
    for line in records:
        rows.setdefault(line["experiment"], []).append(cell(line))
    return "\n".join("| " + " | ".join([name, *cells]) + " |" for name, cells in rows.items())


def names_in(lines: pd.DataFrame) -> list[str]:
    """The experiments of a table in its order."""
    return [str(name) for name in dict.fromkeys(lines["experiment"])]


def picture(lines: pd.DataFrame) -> Figure:
    """Percent of the loss recovered by each experiment, overall and on each kind of string."""
    names = [name for name in names_in(lines) if name not in ("0", "0r")]
    figure = Figure(figsize=(10, 0.5 * len(names) + 1.6), layout="constrained")
    axes = figure.add_subplot()
    marks = dict(zip(SUBSETS, ["o", "^", "v", "s", "D"], strict=True))
    colors = dict(zip(SUBSETS, ["black", "C0", "C1", "C2", "C3"], strict=True))
    shifts = dict(zip(SUBSETS, np.linspace(-0.3, 0.3, len(SUBSETS)), strict=True))
    for subset in SUBSETS:
        of = lines[lines["strings"] == subset].set_index("experiment").loc[names]
        middle = of["recovered"].to_numpy()
        spread = np.stack([middle - of["recovered_low"], of["recovered_high"] - middle])
        axes.errorbar(
            middle,
            np.arange(len(names)) + shifts[subset],
            xerr=spread.clip(min=0),
            fmt=marks[subset],
            color=colors[subset],
            markersize=7 if subset == "all" else 5,
            linewidth=1,
            label="all strings" if subset == "all" else subset,
        )
    axes.axvline(0, color="gray", linewidth=0.8, linestyle=":")
    axes.axvline(100, color="gray", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("% of the loss recovered, with 95% intervals (0: randomized, 100: the model)")
    axes.set_ylabel("experiment")
    axes.set_title("Paren checker: how much of the model each claim leaves standing")
    figure.legend(loc="outside right upper", fontsize=9)
    return figure
