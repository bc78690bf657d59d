"""What cannot be joined, said with both places."""

from __future__ import annotations

from causal_scrubbing._algebra.block_form import CopyKey, Position, Wiring
from causal_scrubbing._algebra.free import Free
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis import Hypothesis


def check_via(one: Position, two: Position) -> None:
    """Refuse two claims on one node under one claim whose routes differ.

    Raises:
        HypothesisError: names both claims.
    """
    ours, others = _routes(one), _routes(two)
    for node, mine in ours.items():
        theirs = others.get(node, {})
        if set(mine) <= set(theirs) or set(theirs) <= set(mine):
            continue
        first = next(mine[route] for route in mine if route not in theirs)
        second = next(theirs[route] for route in theirs if route not in mine)
        raise HypothesisError(
            [
                f"cannot join: {first.paths[0]} of the first hypothesis has "
                f"via={sorted(first.claims[0].via)} and {second.paths[0]} of the second has "
                f"via={sorted(second.claims[0].via)}. These are different sets of routes, and no "
                "one claim has both. Give the two claims one via=, or claim the nodes in between."
            ]
        )


def crossing(cut: Position, other: Wiring, copy: CopyKey) -> None:
    """Refuse a claim with claims below it where the other's routes pass its node.

    Raises:
        HypothesisError: names both claims.
    """
    if cut.whole:
        return
    routed = [other.members[i] for i in other.below(copy)]
    path = next((m.paths[0] for m in routed if m.paths), "a route")
    raise HypothesisError(
        [
            f"cannot join: {cut.paths[0]} of one hypothesis has a datum of its own at "
            f"{cut.node!r}, and {path} of the other passes {cut.node!r} by via=, without one. A "
            "row drawn below would have to agree with two others at once. Claim "
            f"{cut.node!r} in both, or drop it from the via=."
        ]
    )


def different_graphs(h1: Hypothesis | Free, h2: Hypothesis | Free, why: str) -> str:
    """The refusal of two hypotheses whose graphs cannot be brought to one."""
    one, two = (
        repr(h.name) if isinstance(h, Hypothesis) and h.name else otherwise
        for h, otherwise in ((h1, "the first hypothesis"), (h2, "the second hypothesis"))
    )
    return (
        f"{one} and {two} are about different graphs: {why}. Rewrites of one graph are spliced "
        "where they cut, sum, copy or replace different parts, or cut one part in several ways; "
        "beyond that, splicing them is an open problem of the method. Rewrite one graph so that "
        "both can be stated on it, and state both there."
    )


def shared_feature(block: str, places: list[str], what: str) -> str:
    """The refusal of a draw that claims share and that would need more than `anything`."""
    return (
        f"cannot join: {places[0]} and {places[1]} would share one draw of unimportant parents, "
        f"{what}. A row that agrees with two others need not exist, so only unimportant parents "
        "with cs.anything are drawn together across claims. Take one of the two out of its group "
        "with unimportant=."
    )


def _routes(position: Position) -> dict[str, dict[tuple[str, ...], Position]]:
    """Node -> the routes of the claims on it, as the nodes they pass, and each claim."""
    found: dict[str, dict[tuple[str, ...], Position]] = {}
    wiring = position.wiring
    for i, member in enumerate(wiring.members if wiring is not None else ()):
        if wiring is not None and member.claims:
            found.setdefault(member.node, {})[wiring.routes(i)] = member
    return found
