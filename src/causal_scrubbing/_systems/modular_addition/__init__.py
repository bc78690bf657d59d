"""A one-layer transformer that learned a + b modulo 59, and its Fourier explanation.

The claim is of Nanda et al. 2023, "Progress measures for grokking via mechanistic
interpretability": the model writes cos and sin of w a and w b for a few key frequencies w, its
neurons multiply them, and what the logits read is cos and sin of w (a + b). Here every step is a
hypothesis, on models trained for this package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors.torch import load_file

import causal_scrubbing as cs
from causal_scrubbing.gallery import (
    Entry,
    Options,
    Outcome,
    as_text,
    draw_ladder,
    figure_style,
    ladder,
    ladder_table,
    write_claims,
)

from . import _claims as claims
from . import _exact as exact
from . import _fourier as fourier
from . import _model as model

HERE = Path(__file__).parent
SAMPLES = 3 * model.PRIME**2
ANY = "the logits carry a + b"
JOINT = "key planes carry a + b, one row"
EACH = "each key plane carries a + b"
HEADS = "... from heads that carry the pair"
QUADRATIC = "... by a quadratic of cos and sin"
QUADRATIC_JOINT = "the quadratics carry a + b, one row"
DIFFERENCE = "false: key planes carry a - b"
WRONG = "control: other frequencies"
RANDOM = "control: random planes"
CONTROLS: Final = frozenset({DIFFERENCE, WRONG, RANDOM})


def load_models(file: Path = HERE / "weights.safetensors") -> dict[tuple[int, int], model.Weights]:
    """The models by (seed, training step), in double precision."""
    found: dict[tuple[int, int], dict[str, torch.Tensor]] = {}
    for key, value in load_file(file).items():
        seed, step, name = key.split("/")
        found.setdefault((int(seed), int(step)), {})[name] = value.double()
    return dict(sorted(found.items()))


def metrics() -> dict[str, cs.Metric]:
    """Cross-entropy of the sum, and whether it has the largest logit."""
    return {"loss": cs.metrics.cross_entropy("sum"), "right": cs.metrics.accuracy("sum")}


def main_weights(models: Mapping[tuple[int, int], model.Weights]) -> model.Weights:
    """The finished model of the first seed."""
    return models[max(key for key in models if key[0] == min(models)[0])]


def graph(parts: str) -> cs.Graph:
    """The main model with its neurons in these `claims.PARTS`, for files that name a graph."""
    return claims.make_graphs(main_weights(load_models()), claims.make_data(), [parts])[parts]


def rungs_by_graph(weights: model.Weights, data: cs.Dataset) -> dict[str, dict[str, cs.Hypothesis]]:
    """The claims of one model by the parts that its neurons are in, coarse to fine."""
    graphs = claims.make_graphs(weights, data)
    planes = [f"neurons.w{frequency}" for frequency in fourier.key_frequencies(weights)]
    heads = [cs.claim(name, "pair") for name in claims.HEADS]
    split = graphs[claims.KEYS]

    def carry(parts: str) -> cs.Hypothesis:
        return claims.planes_carry(graphs[parts], planes, "sum")

    fitted = claims.planes_carry(
        graphs[claims.QUADRATICS], [f"{plane}.phi" for plane in planes], "sum"
    )
    return {
        claims.WHOLE: {ANY: cs.Hypothesis(graphs[claims.WHOLE], cs.claim("logits", "sum"))},
        claims.KEYS: {
            JOINT: claims.planes_carry(split, planes, "sum", tie="planes"),
            EACH: carry(claims.KEYS),
            HEADS: claims.planes_carry(split, planes, "sum", below=heads),
            DIFFERENCE: claims.planes_carry(split, planes, "difference"),
        },
        claims.QUADRATICS: {QUADRATIC: fitted},
        claims.OTHERS: {WRONG: carry(claims.OTHERS)},
        claims.RANDOM: {RANDOM: carry(claims.RANDOM)},
    }


def make_rungs(weights: model.Weights, data: cs.Dataset) -> dict[str, cs.Hypothesis]:
    """The claims of one model, coarse to fine, then the false ones."""
    found: dict[str, cs.Hypothesis] = {}
    for rungs in rungs_by_graph(weights, data).values():
        found |= rungs
    return {name: found[name] for name in sorted(found, key=CONTROLS.__contains__)}


def write(options: Options, folder: Path) -> list[Path]:
    """The claims as files, a run file for each graph."""
    data = claims.make_data()
    return [
        write_claims(
            folder,
            parts.replace(" ", "-"),
            rungs,
            data,
            options,
            samples=SAMPLES,
            model={"kind": "code", "call": f"{__name__}:graph", "arguments": {"parts": parts}},
            metrics={
                "loss": {"kind": "cross_entropy", "label": "sum"},
                "right": {"kind": "accuracy", "label": "sum"},
            },
            at_least=99,
        )
        for parts, rungs in rungs_by_graph(main_weights(load_models()), data).items()
    ]


def in_log(result: cs.Result) -> float:
    """Where the scrubbed loss lies between the randomized and the model's on a log scale, in %."""
    low, high, at = (math.log(x.mean) for x in (result.model, result.randomized, result.scrubbed))
    return 100 * (high - at) / (high - low)


def draw(options: Options) -> str:
    """Each pair equally often as the reference row, unless another number of samples is wanted."""
    return "balanced" if options.samples is None else "independent"


def progress_table(
    models: Mapping[tuple[int, int], model.Weights], options: Options
) -> pd.DataFrame:
    """Every model and checkpoint: its keys and losses, and what the planes' claim recovers.

    At a checkpoint the planes are those of the finished model's key frequencies, read by the
    checkpoint's own weights.
    """
    data, rows = claims.make_data(), []
    last = {seed: weights for (seed, _), weights in models.items()}
    for (seed, step), weights in models.items():
        keys = fourier.key_frequencies(last[seed])
        names = [f"w{frequency}" for frequency in keys]
        directions = fourier.read_directions(weights, keys)
        graph = claims.with_planes(claims.make_graph(weights), names, directions, data)
        hypothesis = claims.planes_carry(graph, [f"neurons.{name}" for name in names], "sum")
        named = {f"seed {seed}, step {step}": hypothesis}
        (result,) = ladder(
            named, data, metrics(), options, samples=len(data), draw=draw(options)
        ).values()
        rows.append(
            {
                "seed": seed,
                "step": step,
                "key frequencies": ", ".join(map(str, sorted(keys))),
                "keys' share of embedding %": 100
                * float(sum(fourier.spectrum(weights)[key - 1] for key in keys)),
                "loss": result.model.mean,
                "right %": 100 * result["right"].model.mean,
                "scrubbed": result.scrubbed.mean,
                "recovered %": result.recovered.mean,
            }
        )
    return pd.DataFrame(rows)


def exact_table(found: exact.Exact) -> pd.DataFrame:
    """The claims evaluated exactly, one row each."""
    high, low = math.log(found.randomized), math.log(found.model)
    return pd.DataFrame(
        {
            "claim": name,
            "combinations": found.combinations[name],
            "scrubbed, exact": loss,
            "recovered %": found.recovered(name),
            "recovered in log loss %": 100 * (high - math.log(loss)) / (high - low),
        }
        for name, loss in found.scrubbed.items()
    )


def run(options: Options) -> Outcome:
    """The ladder on the first model, then the planes' claim on all models and checkpoints."""
    models, data = load_models(), claims.make_data()
    weights = main_weights(models)
    keys = fourier.key_frequencies(weights)
    results = ladder(
        make_rungs(weights, data), data, metrics(), options, samples=SAMPLES, draw=draw(options)
    )
    table = ladder_table(results, share="right")
    table["recovered in log loss %"] = [in_log(result) for result in results.values()]
    progress = progress_table(models, options)
    names = [f"w{frequency}" for frequency in keys]
    planes = [f"neurons.{name}" for name in names]
    split = claims.with_planes(
        claims.make_graph(weights), names, fourier.read_directions(weights, keys), data
    )
    fitted, left = claims.with_quadratics(split, keys, data)
    found = exact.exact_losses(
        weights,
        data,
        ANY,
        {JOINT: (split, planes), QUADRATIC_JOINT: (fitted, [f"{plane}.phi" for plane in planes])},
        options.progress,
    )
    exactly = exact_table(found)
    fits = ", ".join(f"{frequency}: {100 * share:.1f}%" for frequency, share in left.items())
    text = f"""
{as_text(table)}

The key frequencies are {", ".join(map(str, keys))}. Of each plane's variance the fitted quadratic
leaves {fits}.

Exactly, over all {len(data):,} pairs and all that may be drawn with each: the model's loss is
{found.model:.6g}, the randomized {found.randomized:.6g}.

{as_text(exactly)}

With a row for each of the {len(keys)} planes there are {model.PRIME}^{len(keys) + 3}, or
{model.PRIME ** (len(keys) + 3):.1e}, combinations, and more with a row for each head: these claims
are sampled, each pair {SAMPLES // len(data)} times unless another number of samples is asked for.

The claim that each key plane carries a + b, on every model and checkpoint:

{as_text(progress)}
"""
    return Outcome(
        results=results,
        table=table,
        text=text.lstrip(),
        figure=_draw(table, progress, weights, keys),
        more={"progress": progress, "exact": exactly},
    )


def _draw(
    table: pd.DataFrame, progress: pd.DataFrame, weights: model.Weights, keys: list[int]
) -> Figure:
    with figure_style():
        figure = Figure(figsize=(11, 7.2), layout="constrained")
        grid = figure.subplots(2, 2, height_ratios=[1.25, 1])
        draw_ladder(
            grid[0, 0], table, controls=CONTROLS, title="What each claim recovers of the loss"
        )
        _draw_losses(grid[0, 1], table)
        shares = 100 * fourier.spectrum(weights)
        marked = ["#7b341e" if f in keys else "#cbd5e0" for f in range(1, len(shares) + 1)]
        grid[1, 0].bar(range(1, len(shares) + 1), shares.tolist(), color=marked)
        grid[1, 0].set_xlabel("frequency")
        grid[1, 0].set_ylabel("% of the embedding's variance")
        grid[1, 0].set_title("Key frequencies", loc="left", fontweight="bold")
        _draw_progress(grid[1, 1], progress)
        for axes in figure.axes:
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
    return figure


def _draw_losses(axes: Axes, table: pd.DataFrame) -> None:
    places = range(len(table))
    axes.plot(table["scrubbed"], places, "o", color="#7b341e", label="scrubbed")
    axes.axvline(table["model"].mean(), color="#2b6cb0", label="model")
    axes.axvline(table["randomized"].mean(), color="#718096", label="randomized")
    axes.axvline(math.log(model.PRIME), color="#718096", linestyle=":", label="guessing")
    axes.set_xscale("log")
    axes.set_yticks(places, [""] * len(table))
    axes.invert_yaxis()
    axes.grid(axis="y", color="#edf2f7")
    axes.set_xlabel("loss, nats, log scale")
    axes.set_title("The same as losses", loc="left", fontweight="bold")
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def _draw_progress(axes: Axes, progress: pd.DataFrame) -> None:
    first = progress[progress["seed"] == progress["seed"].iloc[0]]
    axes.plot(first["step"], first["right %"], "s-", color="#2b6cb0", label="right, all pairs")
    axes.plot(first["step"], first["recovered %"].clip(lower=-20), "o-", color="#7b341e",
              label="recovered by the planes (from -20)")  # fmt: skip
    axes.axhline(100, color="#4a5568", linewidth=0.8, linestyle=":")
    axes.set_xlabel("training step")
    axes.set_ylabel("%")
    axes.set_title("Through training", loc="left", fontweight="bold")
    axes.legend(frameon=False, fontsize=8)


ENTRY = Entry(
    name="modular-addition",
    title="a + b mod 59: key frequencies, their planes, and controls of equal rank",
    summary=(
        "A one-layer transformer that grokked modular addition is said to read cos and sin of "
        "w (a + b) at a few key frequencies w, computed from heads that carry the pair by a "
        "quadratic of cosines and sines; before, during and after grokking."
    ),
    run=run,
    page="gallery/modular-addition.md",
    claims=write,
)
