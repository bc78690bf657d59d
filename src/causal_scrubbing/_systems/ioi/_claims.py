"""Sweeps over a language model's heads, and what is then claimed of some of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pandas as pd

import causal_scrubbing as cs

from .._smollm2 import LanguageModel

NAMES_BOTH = ("receiver", "giver")


def metrics() -> dict[str, cs.Metric]:
    """Receiver's logit less giver's, whether the receiver's is the largest of all, and KL."""
    return {
        "difference": cs.metrics.logit_difference("receiver", "giver"),
        "right": cs.metrics.accuracy("receiver"),
        "kl": cs.metrics.to_model("kl"),
    }


def first_layer(graph: cs.Graph, share: float) -> int:
    """The layer after this share of all."""
    layers = 1 + max(int(name[1:].split(".")[0]) for name in graph.find("a*.z.h*"))
    return int(share * layers)


def heads_from(graph: cs.Graph, layer: int, before: int | None = None) -> list[str]:
    """Heads of a layer and later ones, up to a layer that is not included."""
    last = float("inf") if before is None else before
    return [h for h in graph.find("a*.z.h*") if layer <= layer_of(h) < last]


def layer_of(name: str) -> int:
    """The layer of a head or MLP by its name."""
    return int(name[1:].split(".")[0])


def sweep(
    graph: cs.Graph,
    data: cs.Dataset,
    senders: Sequence[str],
    receivers: Sequence[str],
    samples: int,
    seed: int,
    **pairs: Any,
) -> pd.DataFrame:
    """The effect of each sender on each receiver's reading alone, by path patching.

    The other prompt has the same template.

    Returns:
        Columns sender, receiver, effect on the logit difference, and its standard error.
    """
    effects = cs.path_patch(
        graph,
        data,
        metric={"difference": metrics()["difference"]},
        senders=list(senders),
        receivers=list(receivers),
        samples=samples,
        seed=seed,
        progress=False,
        **(pairs or {"within": "template"}),
    ).to_frame()
    return effects.rename(columns={"difference effect": "effect", "difference se": "se"})[
        ["sender", "receiver", "effect", "se"]
    ]


def largest(effects: pd.DataFrame, count: int) -> list[str]:
    """The senders whose effects lower the logit difference most, over all receivers."""
    total = effects.groupby("sender")["effect"].sum().sort_values()
    return [str(name) for name in total.index[:count]]


def with_queries(
    language_model: LanguageModel, data: cs.Dataset, movers: Sequence[str]
) -> cs.Graph:
    """The graph with queries, keys and values of the movers' layers as nodes, by head."""
    model = language_model.model
    plain, every = cs.sites.heads_and_mlps(model), cs.sites.qkv(model)
    layers = {layer_of(mover) for mover in movers}
    sites = dict(plain)
    for part in "qkv":
        path = every[f"a{{i}}.{part}"]
        sites |= {f"a{layer}.{part}": path.format(i=layer) for layer in layers}
    graph = cs.capture(
        model,
        data[:2],
        sites=sites,
        output="logits",
        forward=lambda m, rows: m(rows["tokens"], use_cache=False, logits_to_keep=1).logits[:, -1],
    )
    for nodes, (axis, into) in plain.splits.items():
        graph = graph.split(nodes, axis=axis, into=into, data=data[:2])
    for layer in layers:
        axis, into = every.splits["a*.q"]
        graph = graph.split(f"a{layer}.q", axis=axis, into=into, data=data[:2])
    return graph


def carry(
    graph: cs.Graph, components: Sequence[str], feature: cs.Feature, name: str
) -> cs.Hypothesis:
    """These components carry a feature to the logits; nothing else matters, given the template."""
    claims = [cs.claim(component, feature) for component in components]
    root = cs.claim("logits", cs.exact, *claims)
    return cs.Hypothesis(graph, root, within="template", name=name)


def levels(graph: cs.Graph, movers: Sequence[str], seed: int) -> dict[str, cs.Hypothesis]:
    """The movers, and all late components, at three levels of specificity; random heads."""
    start = first_layer(graph, 2 / 3)
    parents = [name for name in graph.parents("logits") if name != "embed"]
    late = [name for name in parents if layer_of(name) >= start]
    heads = [name for name in heads_from(graph, start) if name not in movers]
    drawn = sorted(random.Random(seed).sample(heads, len(movers)))
    count = f"{len(movers)} movers"
    plans: dict[str, tuple[Sequence[str], cs.Feature]] = {
        f"{count}": (movers, cs.exact),
        f"{count} carry both names": (movers, NAMES_BOTH),
        f"{count} carry the receiver": (movers, "receiver"),
        f"{len(drawn)} random late heads": (drawn, cs.exact),
        f"all from layer {start}": (late, cs.exact),
        f"all from layer {start} carry both names": (late, NAMES_BOTH),
        f"all from layer {start} carry the receiver": (late, "receiver"),
        f"all from layer {start} but the movers": (
            [name for name in late if name not in movers],
            cs.exact,
        ),
    }
    return {name: carry(graph, *plan, name=name) for name, plan in plans.items()}
