"""Sweeps by path patching: which heads act on the answer, and which on those heads' queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

import causal_scrubbing as cs

from ._model import place_of, reads


def layers(graph: cs.Graph) -> int:
    """How many layers there are."""
    return 1 + max(place_of(name)[0] for name in graph.find("a*.z.h*"))


def heads(graph: cs.Graph, first: int, before: int | None = None) -> list[str]:
    """The heads of a layer and later ones, up to a layer that is not included."""
    last = layers(graph) if before is None else before
    return [name for name in graph.find("a*.z.h*") if first <= place_of(name)[0] < last]


def sweep(
    graph: cs.Graph,
    data: cs.Dataset,
    senders: Sequence[str],
    receivers: Sequence[str],
    *,
    onward: Sequence[str] = (),
    pairs: bool,
    samples: int,
    seed: int,
) -> pd.DataFrame:
    """The effect on the logit difference of each sender by what each receiver reads of it.

    Args:
        graph: the graph.
        data: the prompts.
        senders: nodes that are taken from another prompt.
        receivers: nodes that read them.
        onward: nodes by which a receiver acts on the logits; none is its own edge alone.
        pairs: take the partner, which differs in who gives, in place of any prompt of the template.
        samples: for each pair of sender and receiver.
        seed: of the draws.

    Returns:
        Columns sender, receiver, effect, se.
    """
    drawn: dict[str, Any] = {"within": "template"}
    if pairs:
        drawn = {"within": "pair", "self_draws": False}
    found = cs.path_patch(
        graph,
        data,
        {"difference": cs.metrics.logit_difference("receiver", "giver")},
        senders=senders,
        receivers=receivers,
        onward=onward,
        samples=samples,
        seed=seed,
        progress=False,
        **drawn,
    )
    rows = [(one.sender, one.receiver, one.effect.mean, one.effect.se) for one in found]
    return pd.DataFrame(rows, columns=["sender", "receiver", "effect", "se"])


def total(effects: pd.DataFrame) -> pd.Series[float]:
    """Each sender's effect, added up over receivers; the most negative first."""
    return effects.groupby("sender", sort=False)["effect"].sum().sort_values(kind="stable")


def largest(effects: pd.DataFrame, count: int) -> list[str]:
    """The senders that, taken from another prompt, lower the logit difference most."""
    found = total(effects)
    return [str(name) for name in found[found < 0].index[:count]]


def route_senders(graph: cs.Graph, movers: Sequence[str]) -> list[str]:
    """The queries, keys and values that movers read, each once."""
    return list(dict.fromkeys(name for mover in movers for name in reads(graph, mover).values()))


def routes(effects: pd.DataFrame, graph: cs.Graph, movers: Iterable[str]) -> pd.DataFrame:
    """What each mover's queries, keys and values do: one row a mover, columns q, k, v.

    Args:
        effects: from `sweep`, with senders from `route_senders`.
        graph: with queries, keys and values by head.
        movers: the heads that read them.
    """
    found = effects.set_index(["sender", "receiver"])["effect"]
    rows = []
    for mover in movers:
        by_part = {part: found[name, mover] for part, name in reads(graph, mover).items()}
        rows.append({"mover": mover, **by_part})
    return pd.DataFrame(rows)


def readers(routes: pd.DataFrame) -> list[str]:
    """The movers whose queries act at least a fourth as much as those of the most that do.

    Args:
        routes: from `routes`, with one kind of swap.
    """
    size = routes["q"].abs()
    return [str(mover) for mover in routes["mover"][size >= size.max() / 4]]
