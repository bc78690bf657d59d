"""Which paths are patched: pairs of a sender and a receiver, each as a hypothesis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causal_scrubbing._data import anything, exact
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import plural
from causal_scrubbing._graph import Graph, matches
from causal_scrubbing._hypothesis import Claim, Hypothesis, claim

SENDER = "sender"
"""Path part of the claim about the sender: all senders of a receiver draw the same other rows."""


@dataclass(frozen=True, eq=False)
class Path:
    """A sender, a receiver, and the hypothesis that patches between them.

    Attributes:
        sender: the node whose value is taken from another row.
        receiver: the node that reads that value; everything downstream of it is recomputed.
        hypothesis: the same as claims.
    """

    sender: str
    receiver: str
    hypothesis: Hypothesis


def find_paths(
    graph: Graph,
    senders: str | Sequence[str],
    receivers: str | Sequence[str],
    routes: tuple[str | Sequence[str], str | Sequence[str]],
    options: Mapping[str, Any],
) -> tuple[list[Path], list[str]]:
    """Every pair of a sender and a receiver that a path joins, and a note on those that none joins.

    Args:
        graph: the graph.
        senders: names or patterns.
        receivers: names or patterns.
        routes: nodes that paths to a receiver may pass, and nodes through which its change goes on.
        options: further arguments of the hypotheses.

    Raises:
        GraphError: a pattern matches no node.
        ScrubError: no path joins any sender with any receiver.
    """
    sources, targets = graph.find(senders), graph.find(receivers)
    allowed, onward = ((one,) if isinstance(one, str) else tuple(one) for one in routes)
    for pattern in onward:
        graph.find(pattern)
    live = {graph.output, *_upstream(graph, graph.output, onward)}
    found: list[Path] = []
    missing: list[str] = []
    for receiver in targets:
        reached = _upstream(graph, receiver, allowed) if receiver in live else set[str]()
        for sender in sources:
            name = f"{sender} -> {receiver}"
            if sender not in reached:
                missing.append(name)
                continue
            root = _root(graph, sender, receiver, allowed, onward)
            found.append(Path(sender, receiver, Hypothesis(graph, root, name=name, **options)))
    if not found:
        way_out = "" if allowed else " via= names nodes that paths may pass; '*' is any."
        if "*" not in onward:
            way_out += " From the receiver on a path may pass what onward= names."
        raise ScrubError(
            f"no path joins {len(sources)} {plural(len(sources), 'sender')} with "
            f"{len(targets)} {plural(len(targets), 'receiver')}: {missing[0]} is one pair.{way_out}"
        )
    if not missing:
        return found, []
    some = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
    count = f"{len(missing)} of {len(sources) * len(targets)} pairs"
    return found, [f"no path joins {count}, which are left out: {some}"]


def _upstream(graph: Graph, node: str, via: Sequence[str]) -> set[str]:
    """The nodes from which a path leads to a node, its inner nodes all matching `via`."""
    reached, left = set[str](), [node]
    while left:
        for parent in graph.parents(left.pop()):
            if parent not in reached:
                reached.add(parent)
                if any(matches(pattern, parent) for pattern in via):
                    left.append(parent)
    return reached


def _root(
    graph: Graph, sender: str, receiver: str, via: Sequence[str], onward: Sequence[str]
) -> Claim:
    """Everything on the reference row, but for the sender's value where the receiver reads it."""
    source = claim(sender, anything, via=via, name=SENDER)
    if receiver == graph.output:
        return claim(receiver, exact, source, others=exact)
    below = claim(receiver, exact, source, via=onward, others=exact, name="receiver")
    return claim(graph.output, exact, below, others=exact)
