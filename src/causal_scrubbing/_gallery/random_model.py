"""A model that is noise: the claim that nothing matters is true by mean and by distribution.

A network with random weights reads one of 16 inputs; every input comes once with the label 1 and
once with -1, so that its output has nothing to do with the label. Its behaviour is a noise, and
"the output carries nothing" explains it: the loss keeps its mean, and the output its distribution.
A wrong claim about its insides changes both. Source: section 2.2 of "Causal scrubbing" (Chan et al.
2022), on what it is to explain a random model; the network is ours.
"""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
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

INPUTS, UNITS = 16, 3
NOTHING = "true: the output carries nothing"
EXACT = "true: the output carries the input"
HALF = "true: the output carries the first bit"
APART = "false: every unit from a row of its own"
LOSS, OWN = "loss", "against the model"


def make_data() -> cs.Dataset:
    """Every input of four bits with either label."""
    bits = torch.tensor([[i >> k & 1 for k in range(4)] for i in range(INPUTS)]).repeat(2, 1)
    label = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat_interleave(INPUTS)
    return cs.Dataset(bits=2.0 * bits.double() - 1, first=bits[:, 0], label=label)


def make_graph(seed: int = 0) -> cs.Graph:
    """Random weights: three hidden units, added up."""
    source = torch.Generator().manual_seed(seed)
    weights = torch.randn(4, UNITS, generator=source, dtype=torch.float64)
    units = {
        f"unit{i}": (lambda bits, w=weights[:, i]: torch.tanh(bits @ w), ["bits"])
        for i in range(UNITS)
    }
    return cs.Graph.build(
        inputs=["bits"], nodes={**units, "out": (cs.add, list(units))}, output="out"
    )


def make_cases(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """Three true claims about the output, and one that takes its parts from different rows."""
    apart = cs.claim("out", cs.exact, cs.nothing)
    return {
        NOTHING: cs.Hypothesis(graph, cs.claim("out", cs.anything)),
        HALF: cs.Hypothesis(graph, cs.claim("out", "first")),
        EXACT: cs.Hypothesis(graph, cs.claim("out", cs.exact)),
        APART: cs.Hypothesis(graph, apart, unimportant="separate"),
    }


def run(options: Options) -> Outcome:
    """The loss and the model's own output under each claim, then distributions."""
    metrics = {LOSS: cs.metrics.squared_error("label"), OWN: cs.metrics.to_model("squared_error")}
    shown = exhibit(make_cases(make_graph()), make_data(), metrics, options)
    false = shown.sampled[APART]
    text = f"""
{as_text(shown.table)}

Recovered is undefined for the loss: another row's output does as well as the model's own, so that
there is nothing to recover. That is what it means for the behaviour to be noise, and the claim that
nothing matters is true of it. Against the model's own output the same claim recovers 0: no claim
explains which noise comes with which input, except that the output carries all of it.

The last claim says nothing more about the label, and yet it is false: the sum of three units from
three rows has another distribution than the sum of three from one, and the loss shows the
difference.

```text
{false.compare_distributions()}
```
"""
    return Outcome(
        results=shown.sampled, table=shown.table, text=text.lstrip(), figure=_draw(shown)
    )


def _draw(shown: Exhibit) -> Figure:
    with figure_style():
        figure = Figure(figsize=(11, shown.height + 0.4), layout="constrained")
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.7, 1])[0]
        shown.draw(left, title="The loss of a random model", behaviour="squared error")
        _draw_outputs(right.add_subplot(), shown)
    return figure


def _draw_outputs(axes: Axes, shown: Exhibit) -> None:
    graph, data = make_graph(), make_data()
    own = graph(data)
    grid = torch.linspace(-UNITS, UNITS, 400, dtype=torch.float64)
    axes.plot(grid, _share_below(own, grid), color="#2b6cb0", label="model")
    marks = {NOTHING: ("#7b341e", "--", "carries nothing"), APART: ("#718096", "-", "units apart")}
    for case, (colour, style, name) in marks.items():
        outputs = shown.sampled[case].outputs
        if outputs is not None:
            axes.plot(grid, _share_below(outputs[0], grid), style, color=colour, label=name)
    axes.set_xlabel("output")
    axes.set_ylabel("share of outputs below")
    axes.set_title("Distribution of outputs", loc="left", pad=22, fontweight="bold")
    axes.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _share_below(values: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return (values.double().reshape(-1, 1) <= grid).double().mean(dim=0)


ENTRY = Entry(
    name="random-model",
    title="a model that is noise, by mean and by distribution",
    summary=(
        "A network with random weights, on labels it has nothing to do with. Nothing matters: "
        "true of its loss and of its distribution of outputs; a false claim about its units is not."
    ),
    run=run,
    page="gallery/random-model.md",
)
