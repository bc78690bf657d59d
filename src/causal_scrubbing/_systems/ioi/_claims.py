"""What is claimed of the heads, at three levels of specificity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import causal_scrubbing as cs

from ._model import place_of, reads
from ._sweeps import heads

BOTH = ("receiver", "giver")
PLACE = ("template", "first")
"""Together they say at which position the giver is named first."""
CONTROLS = 3


@dataclass(frozen=True)
class Found:
    """What the sweeps found.

    Attributes:
        movers: heads that act on the logits.
        inhibition: earlier heads that act on the movers' queries.
        late: the layer from which components are claimed.
    """

    movers: list[str]
    inhibition: list[str]
    late: int


def metrics() -> dict[str, cs.Metric]:
    """Receiver's logit less giver's, whether the receiver's is the largest of all, and KL."""
    return {
        "difference": cs.metrics.logit_difference("receiver", "giver"),
        "right": cs.metrics.accuracy("receiver"),
        "kl": cs.metrics.to_model("kl"),
    }


def late_components(graph: cs.Graph, found: Found) -> list[str]:
    """The heads and MLPs from a layer on."""
    parents = graph.parents("logits")
    return [name for name in parents if name[0] in "am" and place_of(name)[0] >= found.late]


def carry(
    graph: cs.Graph,
    components: Sequence[str],
    feature: cs.Feature = cs.exact,
    tie: str | None = None,
) -> cs.Hypothesis:
    """These components carry a feature to the logits, and nothing else matters."""
    claims = [cs.claim(name, feature, tie=tie) for name in components]
    return cs.Hypothesis(graph, cs.claim("logits", cs.exact, *claims))


def queries_carry(
    graph: cs.Graph, found: Found, feature: cs.Feature, senders: Sequence[str] = ()
) -> cs.Hypothesis:
    """The late components matter, and the movers' queries carry a feature.

    Args:
        graph: with queries, keys and values of the movers' layers by head.
        found: which heads are movers.
        feature: of the queries, or of what they are computed from.
        senders: heads from which alone the queries are computed; none takes the queries whole.
    """
    claims = []
    for name in late_components(graph, found):
        if name not in found.movers:
            claims.append(cs.claim(name, cs.exact))
            continue
        part = reads(graph, name)
        if senders:
            read = [one for one in senders if one in graph.parents(part["q"])]
            query = cs.claim(part["q"], cs.exact, *(cs.claim(one, feature) for one in read))
        else:
            query = cs.claim(part["q"], feature)
        kept = [cs.claim(part[which], cs.exact) for which in "kv"]
        claims.append(cs.claim(name, cs.exact, query, *kept))
    return cs.Hypothesis(graph, cs.claim("logits", cs.exact, *claims))


def levels(graph: cs.Graph, found: Found, seed: int) -> dict[str, cs.Hypothesis]:
    """Which components matter, what they carry, what the movers' queries carry; controls."""
    late, movers = late_components(graph, found), found.movers
    others = [name for name in heads(graph, found.late) if name not in movers]
    source, count = Random(seed), min(len(movers), len(others))
    few = f"{len(movers)} movers"
    drawn = {
        f"{count} random late heads, {i}": carry(graph, sorted(source.sample(others, count)))
        for i in range(1, CONTROLS + 1)
    }
    return {
        few: carry(graph, movers),
        **drawn,
        f"layers {found.late} on": carry(graph, late),
        f"layers {found.late} on, but the movers": carry(
            graph, [name for name in late if name not in movers]
        ),
        f"{few} carry both names": carry(graph, movers, BOTH),
        f"{few} carry the receiver": carry(graph, movers, "receiver"),
        "late: both names": carry(graph, late, BOTH),
        "late: the receiver": carry(graph, late, "receiver"),
        "late: both names, one prompt": carry(graph, late, BOTH, tie="late"),
        "queries: the giver's name": queries_carry(graph, found, "giver"),
        "queries: the giver's place": queries_carry(graph, found, PLACE),
        "queries: name and place": queries_carry(graph, found, ("giver", *PLACE)),
        "queries: anything": queries_carry(graph, found, cs.anything),
        "queries: S-inhibition heads alone": queries_carry(
            graph, found, cs.exact, found.inhibition
        ),
    }
