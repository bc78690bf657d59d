"""From how the values an operation reads differ from clean ones to how its own value does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch

from causal_scrubbing._graph import Join, Ref
from causal_scrubbing._positions.rules import (
    ATTENTION,
    ELEMENTWISE,
    PRODUCTS,
    SOFTMAX,
    held_by,
    sources,
    taking,
)
from causal_scrubbing._positions.state import Part, Same, Scores, State, Whole, part, readers
from causal_scrubbing._positions.trace import Operation, Trace

BLOCKED: Final = -1e8
"""Scores below this have no weight after a softmax, whatever the others are."""

Known = Callable[[Ref], "torch.Tensor | None"]
"""Which positions a mask of attention lets read which on any row, [positions, read]; None where
that is not known."""


def forward(
    trace: Trace, operation: Operation, state_of: Callable[[Ref], State], known: Known
) -> State:
    """The state of an operation's value.

    Args:
        trace: what the operation is part of.
        operation: the operation.
        state_of: the states of what it reads.
        known: what masks of attention let through; of clean values alone.
    """
    states = {ref: state_of(ref) for ref in operation.reads}
    changed = {ref: one for ref, one in states.items() if not isinstance(one, Same)}
    if not changed:
        return Same()
    if isinstance(operation.step.target, Join):
        joined = _joined(operation, operation.step.target, states)
        if joined is not None:
            return joined
    whole = next((one for one in changed.values() if isinstance(one, Whole)), None)
    if whole is not None:
        return Whole(whole.because)
    if operation.name == ATTENTION:
        found = _attention(trace, operation, states, known)
    elif operation.name in PRODUCTS:
        found = _product(trace, operation, states)
    elif any(isinstance(one, Scores) for one in changed.values()):
        found = _scores(trace, operation, states, known)
    else:
        found = _taken(trace, operation, changed) or _along(trace, operation, changed)
    return Whole(operation.name) if found is None else found


def _along(trace: Trace, operation: Operation, changed: Mapping[Ref, State]) -> State | None:
    """The axis of the value along which all changed arguments are read position by position."""
    out = operation.shape if operation.shape is not None else (operation.parts or ((),))[0]
    for axis in range(1, len(out)):
        along = sources(trace, operation, axis)
        if along is None:
            continue
        found = set[int]()
        allowed: list[torch.Tensor | None] = []
        for ref, state in changed.items():
            if not isinstance(state, Part) or along.get(ref) != state.axis:
                break
            found |= state.positions
            allowed.append(state.allowed)
        else:
            same_size = len(out) > 1 and axis == len(out) - 2
            return part(axis, found, allowed[0] if len(allowed) == 1 and same_size else None)
    return None


def _taken(trace: Trace, operation: Operation, changed: Mapping[Ref, State]) -> State | None:
    taken = taking(trace, operation)
    if taken is None:
        return None
    axis, positions = taken
    state = next(iter(changed.values()))
    if not isinstance(state, Part) or state.axis != axis:
        return None
    found = [i for i, position in enumerate(positions) if position in state.positions]
    shape, source = operation.shape or (), trace.shape(operation.reads[0]) or ()
    if len(shape) < len(source):  # the axis is gone
        return Whole() if found else Same()
    return part(axis, found)


def _joined(operation: Operation, join: Join, states: Mapping[Ref, State]) -> State | None:
    """Parts of which some are swapped: their positions are."""
    try:
        held = held_by(operation, join)
    except TypeError:  # parts at each row's own position
        return None
    found = set[int]()
    for ref, positions in zip(operation.step.args, held, strict=False):
        state = states[ref]
        if isinstance(state, Whole):
            found |= positions
        elif isinstance(state, Part | Scores):
            if not isinstance(state, Part) or state.axis != join.axis or len(positions) == 1:
                return None
            kept = state.positions if join.rest and ref == operation.step.args[0] else positions
            found |= kept & positions
    return part(join.axis, found)


def _attention(
    trace: Trace, operation: Operation, states: Mapping[Ref, State], known: Known
) -> State | None:
    args, kwargs = operation.step.args, operation.step.kwargs
    query, key, value = args[:3]
    size = len(trace.shape(query) or ())
    read = (trace.shape(key) or ())[-2]
    rows, columns = set[int](), set[int]()
    for ref, found in ((query, rows), (key, columns), (value, columns)):
        state = states[ref]
        if isinstance(state, Part) and state.axis == size - 2:
            found |= state.positions
        elif not isinstance(state, Same):
            return None
    mask = args[3] if len(args) > 3 else kwargs.get("attn_mask")
    causal = args[5] if len(args) > 5 else kwargs.get("is_causal", False)
    positions = (operation.shape or ())[-2]
    allowed = None
    if causal:
        allowed = torch.ones(positions, read, dtype=torch.bool).tril()
    elif isinstance(mask, Ref):
        if not isinstance(states[mask], Same):
            return None
        allowed = known(mask)
    return part(size - 2, rows | readers(allowed, frozenset(columns), positions))


def _product(trace: Trace, operation: Operation, states: Mapping[Ref, State]) -> State | None:
    """Scores of queries and keys, or weights applied to values."""
    one, other = operation.step.args[:2]
    if not (isinstance(one, Ref) and isinstance(other, Ref)):
        return None
    size = len(operation.shape or ())
    left, right = states[one], states[other]
    rows = frozenset[int]()
    allowed = None
    if isinstance(left, Part) and left.axis == len(trace.shape(one) or ()) - 2:
        rows, allowed = left.positions, left.allowed
    elif not isinstance(left, Same):
        return None
    if isinstance(right, Same):
        return part(size - 2, rows)
    if not isinstance(right, Part):
        return None
    axis = len(trace.shape(other) or ()) - right.axis
    if axis == 1:
        return Scores(rows, right.positions)
    if axis == 2:
        positions = (operation.shape or ())[-2]
        return part(size - 2, rows | readers(allowed, right.positions, positions))
    return None


def _scores(
    trace: Trace, operation: Operation, states: Mapping[Ref, State], known: Known
) -> State | None:
    """Scores that are scaled and masked, until their softmax."""
    shape = operation.shape or ()
    scores = [one for one in states.values() if isinstance(one, Scores)]
    if len(scores) != 1 or any(isinstance(one, Part) for one in states.values()):
        return None
    state = scores[0]
    if operation.name in SOFTMAX and "cumsum" not in operation.name:
        args = operation.step.args
        dim = args[1] if len(args) > 1 else operation.step.kwargs.get("dim")
        if dim not in (-1, len(shape) - 1):
            return None
        rows = state.rows | readers(state.allowed, state.columns, shape[-2])
        return part(len(shape) - 2, rows, state.allowed)
    if operation.name not in ELEMENTWISE:
        return None
    mask = _mask(trace, operation, states, known)
    if mask is None:
        return Scores(state.rows, state.columns, state.allowed, state.is_masked)
    # What two masks shut together may be all, and then nothing is known.
    allowed = None if state.is_masked else mask
    return Scores(state.rows, state.columns, allowed, is_masked=True)


def _mask(
    trace: Trace, operation: Operation, states: Mapping[Ref, State], known: Known
) -> torch.Tensor | None:
    """What an operation on scores lets through, where it masks them with clean values."""
    args = operation.step.args
    is_score = [isinstance(one, Ref) and isinstance(states[one], Scores) for one in args]

    def of(value: object) -> torch.Tensor | None:
        is_clean = isinstance(value, Ref) and isinstance(states[value], Same)
        return known(value) if isinstance(value, Ref) and is_clean else None

    if operation.name == "add" and len(args) == 2:
        return of(args[1] if is_score[0] else args[0])
    if operation.name == "masked_fill" and len(args) == 3 and is_score[0]:
        if not isinstance(args[2], int | float) or args[2] > BLOCKED:
            return None
        shut = trace.constant(args[1]) if isinstance(args[1], Ref) else None
        return None if shut is None else let_through(~shut)
    if operation.name == "where" and len(args) == 3 and is_score[1]:
        shut = of(args[2])  # of the values put in place: all of them must shut
        return of(args[0]) if shut is not None and not bool(shut.any()) else None
    return None


def let_through(mask: torch.Tensor) -> torch.Tensor | None:
    """Which positions may read which on any of the rows of a mask, [positions, read].

    A row of it that is shut altogether has equal weights everywhere, and so reads everything.
    """
    if mask.ndim == 0:
        is_open = mask if mask.dtype is torch.bool else _is_open(mask)
        return is_open.reshape(1, 1)
    if mask.ndim < 2:
        return None
    is_open = mask if mask.dtype is torch.bool else _is_open(mask)
    is_open = is_open | ~is_open.any(dim=-1, keepdim=True)
    return is_open.reshape(-1, *is_open.shape[-2:]).any(dim=0).cpu()


def _is_open(mask: torch.Tensor) -> torch.Tensor:
    floor = max(BLOCKED, torch.finfo(mask.dtype).min) if mask.is_floating_point() else 0
    return mask > floor
