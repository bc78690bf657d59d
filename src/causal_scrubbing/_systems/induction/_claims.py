"""What is claimed of the induction heads: queries, keys and values, each position on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import causal_scrubbing as cs

from ._graph import STREAM

Routes = Mapping[str, int]
"""Which parts of the stream matter, and how many tokens up to the position each carries; 0 is the
token before the position, alone."""

PREV = ("prev.fixed", "prev.rest")
NAIVE: dict[str, Routes | None] = {
    "q": {"embed": 1},
    "k": dict.fromkeys(PREV, 0),
    "v": {"embed": 1},
}
NOT_TESTED: Routes | None = None
"""For queries, keys or values that keep the reference row's own."""


def near(place: int, count: int, repeats: bool = False) -> cs.Feature:
    """The last tokens up to a position, or, for 0, the token before it.

    With repeats, how often the token at the position came before as well.
    """
    if count == 0:
        return f"tokens[{max(place - 1, 0)}]"
    tokens = tuple(f"tokens[{i}]" for i in range(max(0, place - count + 1), place + 1))
    return (*tokens, f"earlier[{place}]") if repeats else tokens


def read_at(node: str, place: int, routes: Routes | None, repeats: bool = False) -> cs.Claim:
    """A query, key or value is computed from these parts of the stream at its position alone.

    Parts that carry the same tokens are drawn from one row.
    """
    if routes is None:
        return cs.claim(node, cs.exact)
    carried = list(routes.values())
    parts = [
        cs.claim(
            f"{name}.p{place}",
            near(place, count, repeats),
            tie=f"carries {count}" if carried.count(count) > 1 else None,
        )
        for name, count in routes.items()
    ]
    widest = max(routes.values())
    whole: tuple[cs.Feature, ...] = (near(place, widest, repeats),)
    if 0 in routes.values():
        whole += (near(place, 0),)
    return cs.claim(node, whole if len(whole) > 1 else whole[0], *parts)


def hypothesis(
    graph: cs.Graph,
    positions: int,
    q: Routes | None = NOT_TESTED,
    k: Routes | None = NOT_TESTED,
    v: Routes | None = NOT_TESTED,
    *,
    repeats: bool = False,
) -> cs.Hypothesis:
    """The induction heads read what is claimed; all else is the reference row's own.

    Args:
        graph: from `build_graph`.
        positions: of the rows.
        q: what the queries are computed from.
        k: what each key is computed from.
        v: what each value is computed from.
        repeats: all parts also carry how often the token at their position came before.
    """
    last = positions - 1
    reads = [read_at("q", last, q, repeats)]
    reads += [read_at(f"k.p{place}", place, k, repeats) for place in range(positions)]
    reads += [read_at(f"v.p{place}", place, v, repeats) for place in range(positions)]
    kept = [cs.claim(name, cs.exact) for name in direct(last)]
    root = cs.claim(
        "loss",
        cs.exact,
        cs.claim("logits", cs.exact, cs.claim("ind", cs.exact, *reads), *kept),
        cs.claim("next", cs.exact),
    )
    return cs.Hypothesis(graph, root)


def direct(last: int) -> Sequence[str]:
    """What else the logits read."""
    return [*(f"{name}.p{last}" for name in STREAM), "layer1"]


def rungs(graph: cs.Graph, positions: int) -> dict[str, cs.Hypothesis]:
    """The ladder, then what repeated tokens buy, the naive claim by part, and false claims."""
    own: Routes = dict.fromkeys(STREAM, 2)
    keys: Routes = {**dict.fromkeys(STREAM, 2), **dict.fromkeys(PREV, 2)}
    fixed: Routes = {"embed": 1, "prev.fixed": 2, "other": 2}
    wide: Routes = dict.fromkeys(STREAM, 3)
    one: Routes = dict.fromkeys(STREAM, 1)
    current: Routes = dict.fromkeys(PREV, 1)
    plans: dict[str, dict[str, Routes | None]] = {
        "naive": NAIVE,
        "queries by all of layer 0, 2 tokens": {**NAIVE, "q": own},
        "... and values": {**NAIVE, "q": own, "v": own},
        "... and keys": {"q": own, "k": keys, "v": own},
        "all three, 3 tokens": {"q": wide, "k": wide, "v": wide},
        "token-independent attention, 2 tokens": {"q": fixed, "k": fixed, "v": fixed},
        "all three, 1 token": {"q": one, "k": one, "v": one},
        "all three, 1 token and its repeats": {"q": one, "k": one, "v": one},
        "all three, 2 tokens and repeats": {"q": own, "k": own, "v": own},
        "naive, queries only": {"q": NAIVE["q"]},
        "naive, keys only": {"k": NAIVE["k"]},
        "naive, values only": {"v": NAIVE["v"]},
        "false: keys carry the token itself": {**NAIVE, "k": current},
        "false: keys from the embedding": {**NAIVE, "k": {"embed": 1}},
        "false: values carry the token before": {**NAIVE, "v": {"embed": 0}},
        "false, keys only: the token itself": {"k": current},
        "false, keys only: from the embedding": {"k": {"embed": 1}},
        "false, values only: the token before": {"v": {"embed": 0}},
    }
    return {
        name: hypothesis(graph, positions, **plan, repeats=name.endswith("repeats"))
        for name, plan in plans.items()
    }
