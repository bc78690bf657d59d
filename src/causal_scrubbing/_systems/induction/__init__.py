"""Induction heads: if A B came before, A is followed by B.

The claims are those of "Causal scrubbing: results on induction heads" (Chan et al. 2022), on a
two-layer attention-only transformer trained for this package on the documentation of Python
packages. The behaviour is the loss at places where induction should help; what is randomized is
what the induction heads write, so that 100% is the model and 0% is the model with its induction
heads on another row.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
)

from . import _claims as claims
from . import _windows as windows
from ._graph import Heads
from ._graph import build_graph as build_graph
from ._graph import find_heads as find_heads
from ._model import logits as logits

HERE = Path(__file__).parent
SAMPLES, WINDOWS = 1000, 6_000


def run(options: Options) -> Outcome:
    """The ladder on the shipped model."""
    folder = options.weights or HERE
    weights = windows.load_weights(folder)
    heads = find_heads(weights)
    options.progress("choosing places where induction helps")
    data, helped = windows.make_data(weights, heads, folder, WINDOWS, options.seed)
    graph = build_graph(weights, heads, data["tokens"])
    rungs = claims.rungs(graph, windows.POSITIONS)
    results = ladder(rungs, data, None, options, samples=SAMPLES, randomize="ind")
    table = ladder_table(results)
    table["own row %"] = [100 * own_rows(result) for result in results.values()]
    by_kind = kinds_table(results)
    _, pieces = windows.load_text(folder)
    shown = ", ".join(repr(pieces[int(token)]) for token in helped[:12])
    previous = ", ".join(f"0.{head}" for head in heads.previous)
    induction = ", ".join(f"1.{head}" for head in heads.induction)
    text = f"""
{as_text(table)}

{len(data)} windows of {windows.POSITIONS} tokens of text the model was not trained on. They end in
one of {len(helped)} tokens after which induction helps on other windows, among them {shown}.
Previous-token heads: {previous}; induction heads: {induction}. "own row" is the share of draws at
queries, keys and values that gave the reference row itself: so much was not tested.

Where what follows is what followed the same token before, and where it is not:

{as_text(by_kind)}
"""
    return Outcome(
        results=results,
        table=table,
        text=text.lstrip(),
        figure=_draw(table, by_kind, heads),
        more={"by-kind": by_kind},
    )


def own_rows(result: cs.Result) -> float:
    """The share of draws below queries, keys and values that are the reference row itself."""
    draws = result.draws
    columns = [name for name in draws.columns if name.count("/") == 4 and "~" not in name]
    columns = columns or [name for name in draws.columns if name.count("/") == 3]
    return float(draws[columns].eq(draws["reference"], axis=0).to_numpy().mean())


def kinds_table(results: dict[str, cs.Result]) -> pd.DataFrame:
    """What each rung recovers where the token repeats what followed before, and where not."""
    rows = []
    for name, result in results.items():
        repeats, others = result.on("repeats"), result.on(lambda rows: ~rows["repeats"])
        rows.append(
            {
                "claim": name,
                "repeated: model": repeats.model.mean,
                "swapped": repeats.randomized.mean,
                "scrubbed": repeats.scrubbed.mean,
                "recovered %": repeats.recovered.mean,
                "not repeated: model": others.model.mean,
                "swapped ": others.randomized.mean,
                "scrubbed ": others.scrubbed.mean,
                "recovered % ": others.recovered.mean,
            }
        )
    return pd.DataFrame(rows)


def _draw(table: pd.DataFrame, by_kind: pd.DataFrame, heads: Heads) -> Figure:
    controls = frozenset(name for name in table["claim"] if name.startswith("false"))
    with figure_style():
        figure = Figure(figsize=(11, 6.4), layout="constrained")
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.9, 1])[0]
        draw_ladder(left.add_subplot(), table, controls=controls, title="Induction heads, by claim")
        top, bottom = right.subplots(2, 1)
        _draw_heads(top, heads)
        _draw_kinds(bottom, by_kind)
    return figure


def _draw_heads(axes: Axes, heads: Heads) -> None:
    shares = heads.attention
    places = torch.arange(shares.shape[1])
    axes.bar(places - 0.2, shares[0], 0.38, color="#2c7a7b", label="layer 0: to the previous token")
    axes.bar(places + 0.2, shares[1], 0.38, color="#7b341e", label="layer 1: to what followed")
    axes.set_xticks(places.tolist())
    axes.set_xlabel("head")
    axes.set_ylabel("share of attention")
    axes.set_title("Heads, on repeated random tokens", loc="left", fontweight="bold")
    axes.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_kinds(axes: Axes, by_kind: pd.DataFrame) -> None:
    first = by_kind.iloc[0]
    numbers = [[first[f"{c}{s}"] for c in ("swapped", "scrubbed")] for s in ("", " ")]
    models = [first["repeated: model"], first["not repeated: model"]]
    for i, (name, colour) in enumerate(
        {"model": "#2b6cb0", "swapped": "#718096", "naive claim": "#7b341e"}.items()
    ):
        heights = models if i == 0 else [pair[i - 1] for pair in numbers]
        axes.bar([p + 0.25 * (i - 1) for p in range(2)], heights, 0.23, color=colour, label=name)
    axes.set_xticks(range(2), ["repeated", "not repeated"])
    axes.set_ylabel("loss, nats")
    axes.set_title("What follows is ...", loc="left", fontweight="bold")
    axes.legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


ENTRY = Entry(
    name="induction",
    title="induction heads: the published ladder on a model trained on documentation",
    summary=(
        "Previous-token heads are said to put the token before each position into the keys of "
        "induction heads, the embedding the token into values and queries; the claims are then "
        "refined position by position."
    ),
    run=run,
    page="gallery/induction.md",
    takes=frozenset({"weights"}),
)
