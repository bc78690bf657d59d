"""Who receives? Indirect objects in a pretrained language model.

Wang et al. 2022, "Interpretability in the wild", found in GPT-2 heads that move the receiver's name
to the end (name movers), and earlier heads that tell them which name to leave out (S-inhibition
heads). Here the same questions are put to SmolLM2-135M, or to another decoder: sweeps by path
patching find the heads, hypotheses at three levels of specificity say what they carry, and a search
tries to refute one of them.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import causal_scrubbing as cs
from causal_scrubbing.gallery import (
    Entry,
    Options,
    Outcome,
    as_text,
    ladder_table,
    write_claims,
)

from . import _claims as claims
from . import _model as model
from . import _prompts as prompts
from . import _sweeps as sweeps
from ._pictures import draw

SAMPLES, SWEEP, ROUTES = 256, 16, 32
BUDGET, CONFIRMED = 1_000, 100
"""Samples of the search for a refutation, and of the confirmation of each finding."""
MOVERS, INHIBITION = 3, 4


def first_sweep(graph: cs.Graph, data: cs.Dataset, options: Options) -> pd.DataFrame:
    """The direct effect on the logits of each head in the later half of the layers."""
    options.progress("which heads write to the logits?")
    later = sweeps.heads(graph, sweeps.layers(graph) // 2)
    return sweeps.sweep(
        graph, data, later, ["logits"], pairs=False, samples=SWEEP, seed=options.seed
    )


def second_sweep(
    graph: cs.Graph, data: cs.Dataset, movers: list[str], options: Options
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the movers' queries, keys and values do, and who acts on queries that do much.

    Returns:
        The effects of their parts by two kinds of swap, and those of earlier heads on queries.
    """
    options.progress("what do the movers read?")
    parts = sweeps.route_senders(graph, movers)
    any_prompt = sweeps.sweep(
        graph, data, parts, movers, pairs=False, samples=ROUTES, seed=options.seed
    )
    by_queries = sweeps.readers(sweeps.routes(any_prompt, graph, movers))
    queries = [model.reads(graph, mover)["q"] for mover in by_queries]
    first = sweeps.layers(graph) // 2
    earlier = sweeps.heads(graph, first, max(model.place_of(mover)[0] for mover in by_queries))
    partner = sweeps.sweep(
        graph, data, [*parts, *earlier], [*movers, *queries], onward=movers, pairs=True,
        samples=SWEEP, seed=options.seed,
    )  # fmt: skip
    routes = pd.concat(
        [
            sweeps.routes(effects, graph, movers).assign(swap=swap)
            for swap, effects in (("any prompt", any_prompt), ("partner", partner))
        ],
        ignore_index=True,
    )
    return routes[["mover", "swap", "q", "k", "v"]], partner[partner["receiver"].isin(queries)]


def run(options: Options) -> Outcome:
    """Sweeps, hypotheses, and an attempt at refuting one of them."""
    options.progress("loading the model")
    language_model = model.load(options.model)
    data = prompts.make_data(language_model, options.seed)
    options.progress("capturing it")
    graph = model.make_graph(language_model, data)
    direct = first_sweep(graph, data, options)
    movers = sweeps.largest(direct, MOVERS)
    graph = split(language_model, graph, movers, data)
    routes, queries = second_sweep(graph, data, movers, options)
    found = claims.Found(movers, sweeps.largest(queries, INHIBITION), late(graph))
    levels = claims.levels(graph, found, options.seed)
    options.progress(f"scrubbing {len(levels)} hypotheses")
    results = cs.scrub(
        list(levels.values()), data, claims.metrics(), samples=options.samples or SAMPLES,
        seed=options.seed, progress=False,
    )  # fmt: skip
    named = dict(zip(levels, results, strict=True))
    refuted = f"{len(movers)} movers carry the receiver"
    options.progress(f"trying to refute {refuted!r}")
    refutation = cs.refute(
        levels[refuted], data, claims.metrics()["difference"], fields=False,
        features={"giver": "giver", "giver's place": claims.PLACE}, activations=(),
        samples=CONFIRMED, keep=3, budget=BUDGET, seed=options.seed, progress=False,
    )  # fmt: skip
    table = levels_table(named)
    text = f"""
{as_text(table)}

{len(data)} prompts from {len(prompts.TEMPLATES)} templates, in pairs that differ in who gives.
Name movers, by their direct effect on the logit difference: {", ".join(movers)}. Heads that act
most on the movers' queries (S-inhibition): {", ".join(found.inhibition)}.

What happens to the logit difference when a mover's queries, keys or values come from another prompt
of the template, or from the partner:

{as_text(routes)}

Direct effects, the five lowest and highest:

{as_text(extremes(direct))}

Effects by the movers' queries, with the partner's value:

{as_text(extremes(queries))}

Trying to refute "{refuted}":

```text
{refutation}
```
"""
    return Outcome(
        results=named,
        table=table,
        text=text.lstrip(),
        figure=draw(table, direct, queries, routes),
        more={"to-logits": direct, "to-queries": queries, "routes": routes},
    )


def late(graph: cs.Graph) -> int:
    """The layer after two thirds of all."""
    return 2 * sweeps.layers(graph) // 3


def split(
    language_model: model.LanguageModel, graph: cs.Graph, movers: list[str], data: cs.Dataset
) -> cs.Graph:
    """The graph with queries, keys and values of the movers' layers by head."""
    return model.with_queries(
        language_model, graph, (model.place_of(mover)[0] for mover in movers), data
    )


def extremes(effects: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """The heads with the lowest and the highest effects, added up over receivers."""
    found = sweeps.total(effects)
    chosen = found if len(found) <= 2 * count else pd.concat([found[:count], found[-count:]])
    return chosen.rename_axis("head").reset_index(name="effect")


def levels_table(results: dict[str, cs.Result]) -> pd.DataFrame:
    """Each hypothesis by all three behaviours."""
    table = ladder_table(results, share="right")
    table["model right %"] = [100 * one["right"].model.mean for one in results.values()]
    table["KL, nats"] = [one["kl"].scrubbed.mean for one in results.values()]
    table["KL recovered %"] = [one["kl"].recovered.mean for one in results.values()]
    return table


def write(options: Options, folder: Path) -> list[Path]:
    """The hypotheses as files, with the graph, and the model where it is in no folder yet."""
    language_model = model.load(options.model)
    data = prompts.make_data(language_model, options.seed)
    graph = model.make_graph(language_model, data)
    movers = sweeps.largest(first_sweep(graph, data, options), MOVERS)
    graph = split(language_model, graph, movers, data)
    _, queries = second_sweep(graph, data, movers, options)
    found = claims.Found(movers, sweeps.largest(queries, INHIBITION), late(graph))
    levels = claims.levels(graph, found, options.seed)
    return [write_levels(language_model, graph, levels, data, options, folder)]


def write_levels(
    language_model: model.LanguageModel,
    graph: cs.Graph,
    levels: dict[str, cs.Hypothesis],
    data: cs.Dataset,
    options: Options,
    folder: Path,
) -> Path:
    """Hypotheses on a graph of a language model as files."""
    graph.save(folder / "graph")
    return write_claims(
        folder,
        "ioi",
        levels,
        data,
        options,
        samples=SAMPLES,
        model={
            "kind": "graph",
            "graph": "graph",
            "folder": str(language_model.save(folder / "model")),
        },
        metrics={
            "difference": {
                "kind": "logit_difference", "correct": "receiver", "wrong": "giver",
            },
            "right": {"kind": "accuracy", "label": "receiver"},
            "kl": {"kind": "to_model", "measure": "kl"},
        },
        at_least=90,
    )  # fmt: skip


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
    needs=model.NEEDS,
    takes=frozenset({"model"}),
    claims=write,
)
