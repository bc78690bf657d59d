"""Who receives? Indirect objects in a pretrained language model.

Wang et al. 2022, "Interpretability in the wild", found in GPT-2 heads that move the receiver's name
to the end, and heads that tell them which name to leave out. Here the same questions are put to
SmolLM2-135M: sweeps by path patching find candidates, hypotheses at three levels of specificity say
what they carry, and a search tries to refute one.
"""

from __future__ import annotations

import pandas as pd
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

from .. import _smollm2 as smollm2
from . import _claims as claims
from ._prompts import TEMPLATES, make_data

PAIRS, SAMPLES, SWEEP, MOVERS, REFUTE = 70, 256, 24, 3, 64


def run(options: Options) -> Outcome:
    """Sweeps, hypotheses, and an attempt at refuting one of them."""
    options.progress("loading the model")
    language_model = smollm2.load(options)
    data = make_data(language_model, PAIRS, options.seed)
    graph = smollm2.head_graph(language_model, data)
    options.progress("which heads write to the logits?")
    start = claims.first_layer(graph, 1 / 2)
    senders = claims.heads_from(graph, start)
    to_logits = claims.sweep(graph, data, senders, ["logits"], SWEEP, options.seed)
    movers = claims.largest(to_logits, MOVERS)
    levels = claims.levels(graph, movers, options.seed)
    results = ladder(levels, data, claims.metrics(), options, samples=SAMPLES)
    table = levels_table(results)
    options.progress("what do the movers' queries read?")
    to_queries = queries_sweep(language_model, data, movers, options)
    options.progress("trying to refute")
    tested = next(name for name in results if name.startswith("all") and "both" in name)
    refutation = cs.refute(
        levels[tested],
        data,
        claims.metrics()["difference"],
        features=["first", "first_name", "second_name"],
        activations=(),
        samples=REFUTE,
        keep=2,
        budget=12 * REFUTE,
        seed=options.seed,
        progress=False,
    )
    inhibition = claims.largest(to_queries, MOVERS)
    text = f"""
{as_text(table)}

{len(data)} prompts from {len(TEMPLATES)} templates, in pairs that differ in who gives. Every other
prompt has the same template. Movers, by their direct effect on the logit difference:
{", ".join(movers)}. Heads that act most on the movers' queries: {", ".join(inhibition)}.

Trying to refute "{tested}":

```text
{refutation}
```
"""
    return Outcome(
        results=results,
        table=table,
        text=text.lstrip(),
        figure=_draw(table, to_logits, to_queries),
        more={"to-logits": to_logits, "to-queries": to_queries},
    )


def queries_sweep(
    language_model: smollm2.LanguageModel,
    data: cs.Dataset,
    movers: list[str],
    options: Options,
) -> pd.DataFrame:
    """The effect of every earlier head by way of each mover's queries alone."""
    graph = claims.with_queries(language_model, data, movers)
    found = []
    for mover in movers:
        layer = claims.layer_of(mover)
        queries = mover.replace(".z.", ".q.")
        senders = claims.heads_from(graph, layer // 2, before=layer)
        found.append(claims.sweep(graph, data, senders, [queries], SWEEP, options.seed))
    return pd.concat(found, ignore_index=True)


def levels_table(results: dict[str, cs.Result]) -> pd.DataFrame:
    """Each hypothesis by all three behaviours."""
    table = ladder_table(results, share="right")
    table["model right %"] = [100 * one["right"].model.mean for one in results.values()]
    table["KL, nats"] = [one["kl"].scrubbed.mean for one in results.values()]
    table["KL recovered %"] = [one["kl"].recovered.mean for one in results.values()]
    return table


def _draw(table: pd.DataFrame, to_logits: pd.DataFrame, to_queries: pd.DataFrame) -> Figure:
    with figure_style():
        figure = Figure(figsize=(12, 8), layout="constrained")
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.2, 1])[:, 0]
        left, right = top.subplots(1, 2, width_ratios=[1.5, 1], sharey=True)
        controls = frozenset(name for name in table["claim"] if "random" in name)
        draw_ladder(left, table, controls=controls, title="By the logit difference")
        places = range(len(table))
        right.barh(places, table["right %"], 0.62, color="#2c7a7b")
        for place, share, kl in zip(places, table["right %"], table["KL, nats"], strict=True):
            right.text(share + 1, place, f"{share:.0f}%, KL {kl:.2f}", va="center")
        right.axvline(table["model right %"].mean(), color="#2b6cb0", label="model")
        right.set_xlim(0, 130)
        right.set_xlabel("right answers, %")
        right.set_title("By right answers, and KL from the model", loc="left", fontweight="bold")
        one, two = bottom.subplots(1, 2)
        _heatmap(one, to_logits, "Each head's direct effect on the logits")
        _heatmap(two, to_queries, "Each head's effect by the movers' queries")
    return figure


def _heatmap(axes: Axes, effects: pd.DataFrame, title: str) -> None:
    """Layers by heads; the effects on several receivers added up."""
    total = effects.groupby("sender")["effect"].sum()
    layer = [claims.layer_of(str(name)) for name in total.index]
    head = [int(str(name).rsplit("h", 1)[1]) for name in total.index]
    grid = pd.DataFrame({"layer": layer, "head": head, "effect": total.to_numpy()})
    table = grid.pivot(index="head", columns="layer", values="effect")
    size = float(total.abs().max())
    image = axes.imshow(
        table, cmap="RdBu", vmin=-size, vmax=size, aspect="auto",
        extent=(min(layer) - 0.5, max(layer) + 0.5, max(head) + 0.5, -0.5),
    )  # fmt: skip
    axes.set_xlabel("layer")
    axes.set_ylabel("head")
    axes.set_title(title, loc="left", fontweight="bold")
    axes.figure.colorbar(image, ax=axes, label="change of the logit difference")


ENTRY = Entry(
    name="ioi",
    title="who receives? name movers in SmolLM2-135M, at three levels of specificity",
    summary=(
        'After "When Mary and John went to the store, Mary gave a drink to" the model says "John". '
        "Sweeps by path patching find the heads that move the name and those that act on their "
        "queries; hypotheses say what they carry; difference, right answers and KL disagree."
    ),
    run=run,
    page="gallery/ioi.md",
    needs=smollm2.NEEDS,
)
