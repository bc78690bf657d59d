"""The results as one table and one picture."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

import causal_scrubbing as cs
from causal_scrubbing.gallery import Outcome

from ._experiments import CAPTURED, STATEMENTS
from ._page import page
from ._verdict import HOLDS, MOSTLY
from ._verdict import verdicts as verdicts

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


def outcome(results: Mapping[str, cs.Result]) -> Outcome:
    """What the entry gives: the verdicts, one table, the picture, and pages that hold them.

    Args:
        results: experiment -> result.
    """
    lines = table(results)
    found = verdicts(results)
    figure = picture(lines)
    rows = _rows(lines)
    pages, link = {}, Markup("")
    if "1b" in results:
        pages["-1b"] = results["1b"].report()
        link = Markup('<a href="parens-1b.html">1b in full</a>. ')
    note = link + Markup.escape(_untested(lines))
    pages[""] = page(figure, found, RULE, rows, STATEMENTS, note)
    return Outcome(
        results=results,
        table=lines,
        text=to_markdown(lines, found),
        figure=figure,
        pages=pages,
    )


def to_markdown(lines: pd.DataFrame, found: Sequence[tuple[str, str]]) -> str:
    """What a person reads: the verdicts, a table with an experiment a row, and what each claims."""
    items = [
        fill(f"- **{word}**: {sentence}", 98, subsequent_indent="  ") for word, sentence in found
    ]
    names = names_in(lines)
    parts = [
        "\n".join(items),
        fill(RULE, 98),
        _grid(_rows(lines)),
        fill(_untested(lines), 98),
        "\n".join(f"- **{name}**: {STATEMENTS[name]}." for name in names),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


RULE = (
    f"A claim holds if it costs under {HOLDS:.0f} points of the loss, counted from the experiment "
    f"it refines, and mostly holds under {MOSTLY:.0f}. 100% is the model's own loss, 0% the loss "
    "with another string's logits. The last columns say on which strings a claim fails."
)


def _untested(lines: pd.DataFrame) -> str:
    """Which experiments could mostly swap nothing."""
    whole = lines[lines["strings"] == "all"]
    own = dict(zip(whole["experiment"], whole["own_row"], strict=True))
    void = [f"{name} ({share:.0f}%)" for name, share in own.items() if share >= 1]
    if not void:
        return ""
    return (
        "Samples in which every claim could only keep its own row, so that nothing was tested: "
        f"{', '.join(void)}; in the others under 1%."
    )


HEADS = {
    "balanced": "bal.",
    "unbalanced": "unbal.",
    "count fails": "bad count",
    "horizon fails": "bad horizon",
}
"""Subset -> the head of its column, which holds percent recovered."""


def _rows(lines: pd.DataFrame) -> list[list[str]]:
    """The table a person reads, its head first: an experiment a row."""
    subsets = [name for name in HEADS if name in set(lines["strings"])]
    rows = [["claim", "% recovered", "loss", "right", *(HEADS[name] for name in subsets)]]
    by = {(line["experiment"], line["strings"]): line for line in lines.to_dict("records")}
    for name in names_in(lines):
        whole = by[name, "all"]
        rows.append(
            [
                name,
                _recovered(whole, interval=True),
                f"{whole['loss']:.3f}",
                f"{whole['accuracy']:.1f}",
                *(_recovered(by[name, subset]) for subset in subsets),
            ]
        )
    return rows


def _recovered(line: dict[Hashable, Any], interval: bool = False) -> str:
    if math.isnan(line["recovered"]):
        return "undefined"
    ends = f" [{line['recovered_low']:.1f}, {line['recovered_high']:.1f}]" if interval else ""
    return f"{line['recovered']:.1f}{ends}"


def _grid(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def names_in(lines: pd.DataFrame) -> list[str]:
    """The experiments of a table in its order."""
    return [str(name) for name in dict.fromkeys(lines["experiment"])]


def picture(lines: pd.DataFrame) -> Figure:
    """Percent of the loss recovered by each experiment, overall and on each kind of string."""
    names = [name for name in names_in(lines) if name not in ("0", "0r", CAPTURED)]
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
