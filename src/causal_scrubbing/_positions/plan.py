"""What to compute of a node's operations so that some positions of its value are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from causal_scrubbing._graph import Ref
from causal_scrubbing._positions.rules import VIEWS, wanted
from causal_scrubbing._positions.state import Part, Request, Same, State, Wanted, union
from causal_scrubbing._positions.trace import Operation, Trace

MOST: Final = 0.75
"""The part of an axis up to which computing some positions is worth putting them together."""


@dataclass(eq=False)
class Piece:
    """What is done about one operation.

    Attributes:
        number: of the operation.
        wanted: what of its value others need.
        computed: what of it is computed: all that is wanted, or what of that may differ.
        clean: whether the value is read from clean rows, where `computed` does not cover it.
        computes: whether anything is computed.
    """

    number: int
    wanted: Wanted
    computed: Wanted
    clean: bool
    computes: bool


@dataclass(eq=False)
class NodePlan:
    """What is done about one expression.

    Attributes:
        pieces: its operations that are needed, in order.
        arguments: argument -> what of it is needed.
        narrows: whether anything is left out.
    """

    pieces: list[Piece] = field(default_factory=list)
    arguments: dict[int, Wanted] = field(default_factory=dict)
    narrows: bool = False


def plan_node(
    trace: Trace, states: Sequence[State], request: Wanted, *, has_clean: bool
) -> NodePlan:
    """Work back from what is wanted of a node's value to what is needed of its arguments.

    Args:
        trace: the node's operations.
        states: how the value of each differs from the clean one.
        request: what is wanted.
        has_clean: whether there is a datum whose clean values are meant.
    """
    plan = NodePlan()
    asked: dict[Ref, Wanted] = {Ref(trace.result): request}
    for number in range(len(trace.operations) - 1, -1, -1):
        if Ref(number) not in asked:
            continue
        operation = trace.operations[number]
        if operation.constant is not None:
            continue
        piece = _piece(operation, number, states[number], asked[Ref(number)], has_clean=has_clean)
        plan.pieces.append(piece)
        plan.narrows |= piece.clean or piece.wanted is not None
        if not piece.computes:
            continue
        needs = wanted(trace, operation, piece.computed)
        if needs is None:  # not known to keep positions apart: computed whole, then taken from
            piece.computed, piece.clean = None, False
            needs = wanted(trace, operation, None) or dict.fromkeys(operation.reads)
        for ref, need in needs.items():
            if trace.constant(ref) is not None:
                continue
            plan.narrows |= need is not None
            _ask(trace, asked, ref, need)
    plan.pieces.reverse()
    plan.arguments = {ref.number: need for ref, need in asked.items() if ref.is_argument}
    return plan


def _ask(trace: Trace, asked: dict[Ref, Wanted], ref: Ref, need: Wanted) -> None:
    if ref not in asked:
        asked[ref] = need
        return
    shape = trace.shape(ref)
    if shape is None:
        shape = trace.operations[ref.number].parts[0]
    asked[ref] = union(asked[ref], need, 0 if need is None else shape[need.axis])


def _piece(
    operation: Operation, number: int, state: State, request: Wanted, *, has_clean: bool
) -> Piece:
    if operation.name in VIEWS or operation.shape is None or not has_clean:
        return Piece(number, request, request, clean=False, computes=True)
    if isinstance(state, Same):
        return Piece(number, request, None, clean=True, computes=False)
    if isinstance(state, Part):
        size = operation.shape[state.axis]
        if request is None and len(state.positions) <= MOST * size:
            changed = Request(state.axis, tuple(sorted(state.positions)))
            return Piece(number, request, changed, clean=True, computes=True)
        if request is not None and request.axis == state.axis:
            some = tuple(p for p in request.positions if p in state.positions)
            if not some:
                return Piece(number, request, None, clean=True, computes=False)
            if len(some) <= MOST * len(request.positions):
                return Piece(number, request, Request(state.axis, some), True, True)
    return Piece(number, request, request, clean=False, computes=True)
