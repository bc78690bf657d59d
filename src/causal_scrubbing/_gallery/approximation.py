"""A stand-in that a person wrote for part of a network, its residual resampled against zeroed.

The part computes h(x) = (15 |x| - 4) / 7 from two rectifiers, the least-squares fit of |x| to x^2
on the integers from -2 to 2; the label is x^2. A person says: this part computes phi(x). Then h
is split into phi and a rest, h = phi + rest, an equality whatever phi is. Causal scrubbing takes
the rest from another row; the cruder test sets it to zero, that is, puts phi in the network's
place. The two tell different stories. Source: human-written approximations and their error terms
in the appendix of Chan et al. 2022, "Causal scrubbing"; the network is ours, and all figures are
exact.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from matplotlib.figure import Figure

import causal_scrubbing as cs
from causal_scrubbing.gallery import (
    Entry,
    Exhibit,
    Options,
    Outcome,
    as_text,
    exhibit,
    figure_style,
)

ERROR, OWN = "squared error", "against the model"
STAND_INS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "x²": lambda x: x**2,
    "x² - 3": lambda x: x**2 - 3,
    "abs x": lambda x: x.abs(),
    "2, a constant": lambda x: torch.full_like(x, 2.0),
}
"""What the person says the part computes."""


def make_data() -> cs.Dataset:
    """The integers from -2 to 2, and their squares as the label."""
    x = torch.arange(-2.0, 3.0, dtype=torch.float64)
    return cs.Dataset(x=x, label=x**2)


def make_model() -> cs.Graph:
    """Two rectifiers, added and scaled to fit x^2 best."""
    return cs.Graph.build(
        inputs=["x"],
        nodes={
            "up": (torch.relu, ["x"]),
            "down": (lambda x: torch.relu(-x), ["x"]),
            "h": (lambda up, down: (15 * (up + down) - 4) / 7, ["up", "down"]),
            "out": (lambda h: 1 * h, ["h"]),
        },
        output="out",
    )


def with_stand_in(
    model: cs.Graph, stand_in: Callable[[torch.Tensor], torch.Tensor], data: cs.Dataset
) -> cs.Graph:
    """The model with h split into the stand-in, computed from x, and the rest."""
    return model.split_sum("h", {"phi": (stand_in, ["x"])}, rest="rest", data=data)


def make_cases(data: cs.Dataset) -> dict[str, cs.Hypothesis]:
    """For each stand-in: it carries x, and the rest does not matter."""
    model = make_model()
    return {
        case: cs.Hypothesis(
            with_stand_in(model, stand_in, data),
            cs.claim("out", cs.exact, cs.claim("h.phi", "x")),
            name=case,
        )
        for case, stand_in in STAND_INS.items()
    }


def run(options: Options) -> Outcome:
    """Each stand-in with its rest resampled and zeroed, by two measures."""
    data = make_data()
    cases = make_cases(data)
    metrics = {
        ERROR: cs.metrics.squared_error("label"),
        OWN: cs.metrics.to_model("squared_error"),
    }
    shown = exhibit(cases, data, metrics, options)
    table = shown.table
    table.insert(6, "zeroed", [zeroed(cases[c], data, m) for c, m in _keys(table)])
    span = table["model"] - table["randomized"]
    table.insert(7, "zeroed recovered %", 100 * (table["zeroed"] - table["randomized"]) / span)
    text = f"""
{as_text(table)}

- x²: zeroing the rest replaces the network by the label itself, and scores above 100%. The errors
  the network makes are part of its behaviour, and x² does not explain them. Resampled, they stay
  as large as they were.
- x² - 3 says the same of x; a constant carries no information. Resampling does not notice it, and
  zeroing, which takes the constant away with the rest, calls it worse than nothing.
- 2, a constant, says nothing at all of x. Resampled it recovers 0. Zeroed it scores 50%, because
  the constant happens to be the mean.
- abs x is the right shape on the wrong scale; the rest still tells abs x, and that is lost.
"""
    return Outcome(
        results=shown.sampled, table=table, text=text.lstrip(), figure=_draw(shown, table, data)
    )


def zeroed(hypothesis: cs.Hypothesis, data: cs.Dataset, measure: str) -> float:
    """The mean of a measure with the rest set to zero, exactly."""
    graph = hypothesis.graph
    rest = graph.values(data, ["h.rest"])["h.rest"]
    output = graph.values(data, ["out"], given={"h.rest": torch.zeros_like(rest)})["out"]
    target = data["label"] if measure == ERROR else graph(data)
    return float(data.weights @ ((output - target) ** 2).numpy())


def _keys(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["case"], table["measured"], strict=True))


def _draw(shown: Exhibit, table: pd.DataFrame, data: cs.Dataset) -> Figure:
    """The part and its stand-ins as functions, and the scores of both tests."""
    with figure_style():
        figure = Figure(figsize=(10.5, 3.9), layout="constrained")
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.5])[0]
        axes = left.add_subplot()
        x = torch.linspace(-2.2, 2.2, 200, dtype=torch.float64)
        part = make_model().values(cs.Dataset(x=x), ["h"])["h"]
        axes.plot(x, part, color="#1a202c", linewidth=2.5, label="the part, h")
        colours = ("#2b6cb0", "#805ad5", "#c05621", "#2c7a7b")
        for (case, stand_in), colour in zip(STAND_INS.items(), colours, strict=True):
            axes.plot(x, stand_in(x), "--", color=colour, label=case)
        axes.plot(data["x"], data["label"], "o", color="#1a202c", label="label", zorder=3)
        axes.set_xlabel("x")
        axes.set_title("What a person says of the part", loc="left", fontweight="bold")
        left.legend(loc="outside lower center", ncols=3, frameon=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes = right.add_subplot()
        part_of = table[table["measured"] == ERROR].reset_index()
        for offset, column, colour, label in (
            (-0.18, "recovered %", "#7b341e", "rest resampled: causal scrubbing"),
            (0.18, "zeroed recovered %", "#a0aec0", "rest zeroed"),
        ):
            places = [i + offset for i in range(len(part_of))]
            axes.barh(places, part_of[column], 0.32, color=colour, label=label)
            for place, value in zip(places, part_of[column], strict=True):
                side = "left" if value >= 0 else "right"
                shown_as = f"{round(value, 6) + 0.0:.1f}%"
                axes.annotate(
                    shown_as, (value, place), xytext=(4 if value >= 0 else -4, 0),
                    textcoords="offset points", va="center", ha=side,
                )  # fmt: skip
        axes.axvline(0, color="#4a5568", linewidth=0.8)
        axes.axvline(100, color="#4a5568", linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(part_of)), part_of["case"])
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xlabel("recovered of the squared error, %, exact")
        axes.set_title("Resampled or zeroed", loc="left", fontweight="bold")
        right.legend(loc="outside lower center", ncols=2, frameon=False)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    return figure


ENTRY = Entry(
    name="approximation",
    title="a stand-in for part of a network, its residual resampled and zeroed",
    summary=(
        "h = phi + rest, with phi written by a person. Taking the rest from another row asks what "
        "phi explains of the network; setting it to zero asks how well phi does in its place."
    ),
    run=run,
    page="gallery/approximation.md",
)
