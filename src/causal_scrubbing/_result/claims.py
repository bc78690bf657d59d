"""The claims of a hypothesis from its plain data, which a loaded run has too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from causal_scrubbing._hypothesis import feature_words, node_label


@dataclass(frozen=True)
class PlainClaim:
    """A claim at its place in the tree, in words.

    Attributes:
        path: labels from the root.
        label: the last of them.
        node: what it is about.
        feature: what is said to be carried.
        parent: number of the claim above; None for the root.
        draw: key of its draw, where that is not its path.
        extras: what else was said.
        is_leaf: whether it stands for everything upstream too.
        family: what it shares with claims that were made together, or "".
    """

    path: str
    label: str
    node: str
    feature: str
    parent: int | None
    draw: str | None
    extras: tuple[str, ...]
    is_leaf: bool
    family: str


def plain_claims(readable: Mapping[str, Any]) -> list[PlainClaim]:
    """The claims of a tree, parents first; one that is used twice is there once a path."""
    table = readable["claims"]
    found: list[PlainClaim] = []
    waiting: list[tuple[int, int | None, str]] = [(0, None, "")]
    while waiting:  # a stack, since trees can be deeper than Python's recursion
        number, parent, above = waiting.pop()
        claim = table[number]
        label = claim.get("name") or node_label(claim["node"])
        here = len(found)
        found.append(
            PlainClaim(
                path=f"{above}{label}",
                label=label,
                node=claim["node"],
                feature=feature_words(claim["feature"]),
                parent=parent,
                draw=claim.get("draw"),
                extras=tuple(_extras(claim)),
                is_leaf="children" not in claim,
                family=" carries ".join((claim.get("family") or ())[:2]),
            )
        )
        waiting += [
            (child, here, f"{above}{label}/") for child in reversed(claim.get("children") or ())
        ]
    return found


def _extras(claim: Mapping[str, Any]) -> Iterator[str]:
    if claim.get("via"):
        yield f"via {', '.join(claim['via'])}"
    if claim.get("others"):
        yield f"others {feature_words(claim['others'])}"
    if claim.get("tie"):
        yield f"tie {claim['tie']}"
    if claim.get("children") == []:
        yield "computed from nothing"
