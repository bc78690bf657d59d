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
    graph: cs.Graph, movers: Sequence[str], feature: cs.Feature, senders: Sequence[str] = ()
) -> cs.Hypothesis:
    """The movers' queries carry a feature; all else is the reference row's own.

    Args:
        graph: with queries, keys and values of the movers' layers by head.
        movers: the heads.
        feature: of the queries, or of what they are computed from.
        senders: heads from which alone the queries are computed; none takes the queries whole.
    """
    claims = []
    for mover in movers:
        name = reads(graph, mover)["q"]
        query = cs.claim(name, feature)
        read = [one for one in senders if one in graph.parents(name)]
        if read:
            query = cs.claim(name, cs.exact, *(cs.claim(one, feature) for one in read))
        claims.append(cs.claim(mover, cs.exact, query, others=cs.exact))
    return cs.Hypothesis(graph, cs.claim("logits", cs.exact, *claims, others=cs.exact))


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
    queries = {
        "giver's name": queries_carry(graph, movers, "giver"),
        "giver's place": queries_carry(graph, movers, PLACE),
        "name and place": queries_carry(graph, movers, ("giver", *PLACE)),
        "nothing": queries_carry(graph, movers, cs.anything),
        "S-inhibition heads alone": queries_carry(graph, movers, cs.exact, found.inhibition),
    }
    made = {
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
        **{f"queries: {name}": h for name, h in queries.items()},
    }
    return {name: h.with_(name=name) for name, h in made.items()}
