"""Exact and sampled numbers side by side, as a table and a picture: what small entries show."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure, SubFigure

import causal_scrubbing as cs
from causal_scrubbing._gallery._entry import Options, Outcome

_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """Hypotheses scrubbed exactly and by sampling.

    Attributes:
        exact: case -> exact result.
        sampled: case -> sampled result.
    """

    exact: Mapping[str, cs.ExactResult]
    sampled: Mapping[str, cs.Result]

    def with_(self, *others: Exhibit) -> Exhibit:
        """This exhibit followed by the cases of others, which may be on other data."""
        exact, sampled = dict(self.exact), dict(self.sampled)
        for other in others:
            exact.update(other.exact)
            sampled.update(other.sampled)
        return Exhibit(exact=exact, sampled=sampled)

    @property
    def table(self) -> pd.DataFrame:
        """One row a case, or a case and metric where there are several: exact, then sampled."""
        rows = []
        for case, result in self.exact.items():
            for metric in result.metrics:
                exact, sampled = result[metric], self.sampled[case][metric]
                measured = {"measured": metric} if len(result.metrics) > 1 else {}
                rows.append(
                    {
                        "case": case,
                        **measured,
                        "model": exact.model.mean,
                        "randomized": exact.randomized.mean,
                        "scrubbed": exact.expectation.mean,
                        "recovered %": exact.recovered.mean,
                        "sampled": sampled.scrubbed.mean,
                        "± se": sampled.scrubbed.se,
                        "sampled recovered %": sampled.recovered.mean,
                    }
                )
        return pd.DataFrame(rows)

    def outcome(self, text: str, *, title: str, behaviour: str) -> Outcome:
        """The outcome of an entry: this table, words below it, and a picture of the numbers.

        Args:
            text: what to read beside the table.
            title: of the picture.
            behaviour: what is measured first, for the picture's axis.
        """
        with figure_style():
            figure = Figure(figsize=(8, self.height), layout="constrained")
            self.draw(figure, title=title, behaviour=behaviour)
        return Outcome(
            results=self.sampled,
            table=self.table,
            text=f"{as_text(self.table)}\n\n{text.strip()}\n",
            figure=figure,
        )

    @property
    def height(self) -> float:
        """Inches the picture of the numbers needs."""
        return 1.6 + 0.5 * len(self.exact)

    def draw(
        self,
        figure: Figure | SubFigure,
        *,
        title: str,
        behaviour: str = "",
        metric: str | None = None,
        legend: bool = True,
        names: bool = True,
    ) -> dict[str, Any]:
        """Draw model, randomized and scrubbed of each case; bars are sampled intervals.

        Args:
            figure: a figure, or a part of one, to draw into.
            title: above the picture.
            behaviour: what is measured, for the axis.
            metric: whose numbers; the first metric's if None.
            legend: whether to draw one.
            names: whether to name the cases at the left.

        Returns:
            The marks by name, for a legend of one's own.
        """
        axes = figure.add_subplot()
        handles: dict[str, Any] = {}
        for i, (case, result) in enumerate(self.exact.items()):
            exact = result[metric or result.metrics[0]]
            sampled = self.sampled[case][metric or result.metrics[0]]
            axes.axhline(i, color="#edf2f7", linewidth=8, zorder=0)
            axes.plot(sampled.scrubbed.interval, [i, i], color="#ecb94b", linewidth=7, zorder=2)
            marks = {
                "model": (exact.model, "D", "#2b6cb0", 10),
                "randomized": (exact.randomized, "s", "#718096", 8),
                "scrubbed, exact (bar: sampled, 95%)": (exact.expectation, "o", "#7b341e", 5),
            }
            for name, (number, marker, colour, size) in marks.items():
                if number.defined:
                    (handles[name],) = axes.plot(
                        [number], [i], marker, color=colour, markersize=size, zorder=3
                    )
            recovered = exact.recovered
            axes.annotate(
                f"{round(recovered.mean, 6) + 0.0:.1f}%" if recovered.defined else "undefined",
                (1.02, i), xycoords=("axes fraction", "data"), va="center", color="#4a5568",
            )  # fmt: skip
        cases = list(self.exact)
        axes.annotate("recovered", (1.02, -0.75), xycoords=("axes fraction", "data"), va="center")
        axes.set_yticks(range(len(cases)), cases if names else [""] * len(cases))
        axes.set_ylim(len(cases) - 0.5, -0.6)
        axes.margins(x=0.08)
        axes.set_xlabel(behaviour)
        axes.set_title(title, loc="left", pad=22, fontweight="bold")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0)
        if legend:
            add_legend(figure, handles)
        return handles


def exhibit(
    cases: Mapping[str, cs.Hypothesis],
    data: cs.Dataset,
    metric: Any,
    options: Options,
    *,
    samples: int = 4000,
    randomize: str | None = None,
) -> Exhibit:
    """Scrub each case exactly and by sampling.

    Args:
        cases: what the table calls it -> hypothesis.
        data: the dataset.
        metric: the behaviour, or several by name; None where it is in the graph.
        options: how the entry is run.
        samples: where the options name no number.
        randomize: the node of E_randomized, for a metric in the graph.
    """
    exact, sampled = {}, {}
    for case, hypothesis in cases.items():
        options.progress(case)
        exact[case] = cs.exact_scrub(hypothesis, data, metric=metric, randomize=randomize)
        sampled[case] = cs.scrub(
            hypothesis,
            data,
            metric=metric,
            samples=options.samples or samples,
            seed=options.seed,
            randomize=randomize,
            progress=False,
        )
    return Exhibit(exact=exact, sampled=sampled)


def add_legend(figure: Figure | SubFigure, handles: Mapping[str, Any]) -> None:
    """A legend in one row below a figure."""
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=len(handles), frameon=False
    )


def figure_style() -> AbstractContextManager[None]:
    """The gallery's font sizes, for a ``with`` statement around all drawing."""
    return matplotlib.rc_context({"font.size": 9, "axes.titlesize": 10})


def as_text(table: pd.DataFrame) -> str:
    """A table as Markdown: six digits, NaN as "undefined", numbers below 1e-12 as 0."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            if value != value:
                return "undefined"
            return "0" if abs(value) < _ROUNDING else f"{value:.6g}"
        return str(value)

    lines = [list(map(str, table.columns))]
    lines += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )
