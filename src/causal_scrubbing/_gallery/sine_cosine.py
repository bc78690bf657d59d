"""A mean that hides a cosine in a sine's place: why E_scrubbed alone is not the whole story.

Sixteen angles x_j = 2 pi (j + 1/2) / 16 and a model that computes sin(x). A false hypothesis has
one claim, whose classes are {x, pi/2 - x}: since sin(pi/2 - x) = cos(x), it says that the sine
and the cosine are interchangeable. Scored against y = sin(x + pi/4), half-way between the two, it
recovers exactly 100%. The converse: to the model a noise of +-1/2 is added, and a true claim
leaves it unexplained. Nothing is lost in the mean, and yet no input keeps its output. The
examples are ours; the point, that an expectation compares neither distributions nor functions,
and that one cannot simply ask for those to be equal, is from the appendix of Chan et al. 2022,
"Causal scrubbing".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

import causal_scrubbing as cs
from causal_scrubbing.gallery import (
    Entry,
    Exhibit,
    Options,
    Outcome,
    add_legend,
    as_text,
    exhibit,
    figure_style,
)

ANGLES = 16
FALSE = "false: sine or cosine"
TRUE = "true: the sine"
NOISY = "true: the sine, noise unexplained"
TARGET, ZERO, OWN = "against sin(x + 45°)", "against 0", "against the model"


def make_data(noises: Sequence[float] = (0.0,)) -> cs.Dataset:
    """The angles with each noise, the target half-way to the cosine, and a target that is 0."""
    step = torch.arange(ANGLES).repeat(len(noises))
    x = 2 * math.pi * (step.double() + 0.5) / ANGLES
    return cs.Dataset(
        step=step,
        x=x,
        noise=torch.tensor(noises, dtype=torch.float64).repeat_interleave(ANGLES),
        target=torch.sin(x + math.pi / 4),
        zero=torch.zeros_like(x),
        show=lambda row: f"{math.degrees(row['x']):.2f}°",
    )


def make_graph() -> cs.Graph:
    """The model: the sine of the angle."""
    return cs.Graph.build(inputs=["x"], nodes={"wave": (torch.sin, ["x"])}, output="wave")


def mirrored_at_45(rows: cs.Dataset) -> torch.Tensor:
    """The classes {x, pi/2 - x}: reflection at 45 degrees takes step j to 3 - j."""
    return torch.minimum(rows["step"], (3 - rows["step"]) % ANGLES)


def mirrored_at_90(rows: cs.Dataset) -> torch.Tensor:
    """The classes {x, pi - x}, on which the sine is one value: step j goes to 7 - j."""
    return torch.minimum(rows["step"], (7 - rows["step"]) % ANGLES)


def make_noisy_graph() -> cs.Graph:
    """The sine of the angle and a noise."""
    return cs.Graph.build(
        inputs=["x", "noise"],
        nodes={"wave": (torch.sin, ["x"]), "sum": (cs.add, ["wave", "noise"])},
        output="sum",
    )


def make_cases(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """The false claim and a true one; each swaps every angle with one other."""
    features = {FALSE: mirrored_at_45, TRUE: mirrored_at_90}
    return {
        case: cs.Hypothesis(graph, cs.claim("wave", feature), name=case)
        for case, feature in features.items()
    }


def make_noisy_cases(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """The true claim about the sine, and nothing said of the noise."""
    sine = cs.claim("sum", cs.exact, cs.claim("wave", mirrored_at_90))
    return {NOISY: cs.Hypothesis(graph, sine, name=NOISY)}


def make_metrics() -> dict[str, cs.Metric]:
    """Squared error against two targets, and against the model's own output."""
    return {
        TARGET: cs.metrics.squared_error("target"),
        ZERO: cs.metrics.squared_error("zero"),
        OWN: cs.metrics.to_model("squared_error"),
    }


def run(options: Options) -> Outcome:
    """Exact and sampled numbers under three measures, then distributions and functions."""
    data = make_data()
    shown = exhibit(make_cases(make_graph()), data, make_metrics(), options).with_(
        exhibit(
            make_noisy_cases(make_noisy_graph()), make_data((0.5, -0.5)), make_metrics(), options
        )
    )
    false = shown.sampled[FALSE]
    text = f"""
{as_text(shown.table)}

Against either target the false claim leaves the mean where it was: at 100% for the first, and for
the second recovered is undefined ({shown.exact[FALSE][ZERO].recovered.reason}).
Against the model's own output it recovers half, and no target is needed to see that.

The last claim is true, and recovers two thirds of that: the noise has no explanation, so that every
input has two outputs where the model had one. No target would show it, and none should.

`result.compare_functions()` of the false claim:

```text
{false.compare_functions(worst=4)}
```

`result.compare_distributions()`: the law of the output cannot tell, by construction:

```text
{false.compare_distributions().output}
```
"""
    return Outcome(
        results=shown.sampled, table=shown.table, text=text.lstrip(), figure=_draw(shown, data)
    )


def _draw(shown: Exhibit, data: cs.Dataset) -> Figure:
    """The functions above, the numbers of two measures below."""
    with figure_style():
        figure = Figure(figsize=(9, 7.2), layout="constrained")
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.25, 1])[:, 0]
        axes = top.add_subplot()
        angle = torch.linspace(0, 2 * math.pi, 400)
        degrees = torch.rad2deg(angle)
        axes.plot(degrees, angle.sin(), color="#2b6cb0", label="model: sin x")
        axes.plot(degrees, angle.cos(), color="#975a16", label="also drawn under the claim: cos x")
        axes.plot(
            degrees,
            (angle + math.pi / 4).sin(),
            "--",
            color="#718096",
            label="target: sin(x + 45°)",
        )
        result = shown.sampled[FALSE]
        if result.outputs is not None:
            rows = result.draws["reference"].to_list()
            axes.plot(
                torch.rad2deg(data["x"])[rows], result.outputs[0], "o", color="#ecb94b",
                markersize=6, markeredgecolor="white", label="scrubbed outputs", zorder=3,
            )  # fmt: skip
        axes.set_xticks(range(0, 361, 45))
        axes.set_xlabel("angle, degrees")
        axes.set_title(
            "Under the claim an angle's output is its sine or its cosine, at even odds",
            loc="left", fontweight="bold",
        )  # fmt: skip
        top.legend(loc="outside lower center", ncols=4, frameon=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        left, right = bottom.subfigures(1, 2, squeeze=False, width_ratios=[1.5, 1])[0]
        numbers = {
            TARGET: (left, "Mean squared error to the target"),
            OWN: (right, "... and to the model's own output"),
        }
        for metric, (part, title) in numbers.items():
            handles = shown.draw(part, title=title, metric=metric, legend=False, names=part is left)
        add_legend(bottom, handles)
    return figure


ENTRY = Entry(
    name="sine-cosine",
    title="a cosine in a sine's place recovers exactly 100%",
    summary=(
        "The model is sin(x) on 16 angles. A false claim cannot tell x from pi/2 - x, so that it "
        "puts cosines for sines. Scored against sin(x + pi/4) nothing is lost in the mean."
    ),
    run=run,
    page="gallery/sine-cosine.md",
)
