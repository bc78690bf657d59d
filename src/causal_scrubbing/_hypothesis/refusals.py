"""What cannot be joined, said with both places."""

from __future__ import annotations

from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis.blockform import CopyKey, Position, Wiring


def check_via(one: Position, two: Position) -> None:
    """Refuse two claims on one node under one claim whose routes differ.

    Raises:
        HypothesisError: names both claims.
    """
    for node in dict.fromkeys(m.node for m in _claimed(one)):
        mine = {frozenset(m.claims[0].via): m for m in _claimed(one) if m.node == node}
        theirs = {frozenset(m.claims[0].via): m for m in _claimed(two) if m.node == node}
        if set(mine) <= set(theirs) or set(theirs) <= set(mine):
            continue
        via1 = next(via for via in mine if via not in theirs)
        via2 = next(via for via in theirs if via not in mine)
        raise HypothesisError(
            [
                f"cannot join: {mine[via1].paths[0]} of the first hypothesis has "
                f"via={sorted(via1)} and {theirs[via2].paths[0]} of the second has "
                f"via={sorted(via2)}. These are different sets of routes, and no one claim has "
                "both. Give the two claims one via=, or claim the nodes in between."
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


def shared_feature(block: str, places: list[str], what: str) -> str:
    """The refusal of a draw that claims share and that would need more than `anything`."""
    return (
        f"cannot join: {places[0]} and {places[1]} would share one draw of unimportant parents, "
        f"{what}. A row that agrees with two others need not exist, so only unimportant parents "
        "with cs.anything are drawn together across claims. Take one of the two out of its group "
        "with unimportant=."
    )


def _claimed(position: Position) -> list[Position]:
    wiring = position.wiring
    return [m for m in wiring.members if m.claims] if wiring is not None else []
