"""Running a plan: a node's function at some positions, the rest from clean values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from causal_scrubbing._graph import Join, Ref, Step, Take, put_in
from causal_scrubbing._positions.plan import NodePlan, Piece
from causal_scrubbing._positions.rules import ATTENTION, SHAPED, held_by, taking, wanted
from causal_scrubbing._positions.state import Request, Wanted
from causal_scrubbing._positions.trace import Operation, Rows, Trace


@dataclass(frozen=True, eq=False)
class AtPositions:
    """Some positions of a tensor along an axis."""

    axis: int
    positions: tuple[int, ...]

    def __call__(self, whole: torch.Tensor) -> torch.Tensor:
        return pick(whole, self.axis, self.positions)


def pick(whole: torch.Tensor, axis: int, positions: Sequence[int]) -> torch.Tensor:
    """Some positions of a tensor, as a view where they are neighbours."""
    first = positions[0] if positions else 0
    if list(positions) == list(range(first, first + len(positions))):
        return whole.narrow(axis, first, len(positions))
    return whole.index_select(axis, torch.tensor(positions, device=whole.device))


def adapt(value: torch.Tensor, have: Wanted, want: Wanted) -> torch.Tensor:
    """What is wanted of a value, out of what there is of it, which is no less."""
    if want is None or have == want:
        return value
    if have is None or have.axis != want.axis:
        return pick(value, want.axis, want.positions)
    place = {position: i for i, position in enumerate(have.positions)}
    return pick(value, want.axis, [place[position] for position in want.positions])


@dataclass(eq=False)
class Given:
    """An argument of a narrowed function.

    Attributes:
        ref: the argument or operation of the node whose value it is.
        have: what of it is given.
        is_clean: whether it is the clean value of an operation that is computed in part.
    """

    ref: Ref
    have: Wanted
    is_clean: bool = False


class Narrowed:
    """A node's function on some positions.

    Args:
        trace: the node's operations.
        plan: what to do.
        given: what the arguments are, in order.
    """

    def __init__(self, trace: Trace, plan: NodePlan, given: Sequence[Given]) -> None:
        self._result = Ref(trace.result)
        self._given = tuple(given)
        self._wanted = {Ref(piece.number): piece.wanted for piece in plan.pieces}
        have = {one.ref: one.have for one in given if not one.is_clean}
        have |= self._wanted
        self._runs: list[tuple[Piece, Callable[..., torch.Tensor] | None]] = []
        self._last: dict[Ref, int] = {}
        for place, piece in enumerate(plan.pieces):
            run = None
            if piece.computes:
                operation = trace.operations[piece.number]
                run = _runner(trace, operation, piece.computed, have)
                self._last.update(dict.fromkeys(operation.reads, place))
            self._runs.append((piece, run))

    def __call__(self, *arguments: torch.Tensor) -> torch.Tensor:
        values: dict[Ref, Any] = {}
        clean: dict[Ref, torch.Tensor] = {}
        for one, value in zip(self._given, arguments, strict=True):
            if one.is_clean:
                clean[one.ref] = adapt(value, one.have, self._wanted[one.ref])
            else:
                values[one.ref] = value
        for place, (piece, run) in enumerate(self._runs):
            ref = Ref(piece.number)
            if run is None:
                values[ref] = clean.pop(ref)
                continue
            made = run(values)
            for used in [used for used, last in self._last.items() if last == place]:
                values.pop(used, None)
            if piece.clean:
                values[ref] = _mixed(clean.pop(ref), made, piece)
            else:
                values[ref] = _adapted(made, piece.computed, piece.wanted)
        found: torch.Tensor = values[self._result]
        return found


def _mixed(clean: torch.Tensor, made: torch.Tensor, piece: Piece) -> torch.Tensor:
    """A clean value with some positions overwritten."""
    computed = piece.computed
    if computed is None:
        raise AssertionError("what is computed of a value in part is some positions")
    place = range(clean.shape[computed.axis]) if piece.wanted is None else piece.wanted.positions
    where = {position: i for i, position in enumerate(place)}
    index = [where[position] for position in computed.positions]
    if len(clean) != len(made):
        clean = clean.expand(len(made), *clean.shape[1:])
    return clean.index_copy(computed.axis, torch.tensor(index, device=clean.device), made)


def _runner(
    trace: Trace, operation: Operation, request: Wanted, have: dict[Ref, Wanted]
) -> Callable[[dict[Ref, Any]], Any]:
    """One operation at some positions, on values of which there is what `have` says."""
    target = operation.step.target
    if isinstance(target, Join) and request is not None and request.axis == target.axis:
        return _join_some(operation, target, request, have)
    taken = taking(trace, operation)
    if taken is not None:
        return _take_some(trace, operation, taken, request, have)
    needs = wanted(trace, operation, request) or dict.fromkeys(operation.reads)
    step = _sized(operation, request)
    constants = {
        ref: _constant(trace, ref, needs[ref])
        for ref in operation.reads
        if trace.constant(ref) is not None
    }
    masked = _causal(trace, operation, request)

    def run(values: dict[Ref, Any]) -> Any:
        def put(one: Any) -> Any:
            if isinstance(one, Rows):
                return one.times * rows
            if one in constants:
                return constants[one]
            value = values[one]
            return _adapted(value, have.get(one), needs[one])

        rows = max((_rows(values[ref]) for ref in operation.reads if ref in values), default=1)
        args, kwargs = _fill(step.args, put), _fill(step.kwargs, put)
        if masked is not None:
            args, kwargs = masked(args, kwargs)
        return step.target(*args, **kwargs)

    return run


def _rows(value: Any) -> int:
    return len(value[0]) if isinstance(value, tuple | list) else len(value)


def _adapted(value: Any, have: Wanted, want: Wanted) -> Any:
    if isinstance(value, tuple | list):
        return [adapt(one, have, want) for one in value]
    return adapt(value, have, want)


def _fill(template: Any, put: Callable[[Any], Any]) -> Any:
    """`put_in`, with a number in place of each `Rows` too."""
    if isinstance(template, Rows):
        return put(template)
    if isinstance(template, list):
        return [_fill(one, put) for one in template]
    if isinstance(template, tuple):
        return tuple(_fill(one, put) for one in template)
    if isinstance(template, dict):
        return {name: _fill(one, put) for name, one in template.items()}
    return put_in(template, put)


def _constant(trace: Trace, ref: Ref, need: Wanted) -> torch.Tensor:
    value = trace.constant(ref)
    if value is None:
        raise AssertionError("only constants are asked for here")
    return adapt(value, None, need)


def _sized(operation: Operation, request: Wanted) -> Step:
    """The operation with the sizes of its value as they are at some positions."""
    step, shape = operation.step, operation.shape
    if operation.name not in SHAPED or shape is None or not operation.is_batched:
        return step
    size: list[Any] = [Rows(1), *shape[1:]]
    if request is not None:
        size[request.axis] = len(request.positions)
    return Step(_to_shape(operation.name), (step.args[0], size))


def _to_shape(name: str) -> Callable[..., torch.Tensor]:
    return torch.Tensor.expand if name == "expand" else torch.Tensor.reshape


def _causal(
    trace: Trace, operation: Operation, request: Wanted
) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, Any]] | None:
    """Attention at some positions is given as a mask what it let through by itself."""
    if operation.name != ATTENTION or request is None:
        return None
    args, kwargs = operation.step.args, operation.step.kwargs
    if not (args[5] if len(args) > 5 else kwargs.get("is_causal", False)):
        return None
    sizes = (operation.shape or ())[-2], (trace.shape(args[1]) or ())[-2]
    allowed = torch.ones(sizes, dtype=torch.bool).tril()[list(request.positions)]

    def masked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        given = {name: one for name, one in kwargs.items()
                 if name not in ("is_causal", "attn_mask")}  # fmt: skip
        return (*args[:3], allowed.to(args[0].device)), given

    return masked


def _take_some(
    trace: Trace,
    operation: Operation,
    taken: tuple[int, tuple[int, ...]],
    request: Wanted,
    have: dict[Ref, Wanted],
) -> Callable[[dict[Ref, Any]], torch.Tensor]:
    ref = operation.step.args[0]
    axis, positions = taken
    drops = len(operation.shape or ()) < len(trace.shape(ref) or ())
    along: Wanted = None
    if request is not None and request.axis == axis and not drops:
        positions = tuple(positions[i] for i in request.positions)
    elif request is not None:
        along = Request(request.axis + (drops and request.axis >= axis), request.positions)

    def run(values: dict[Ref, Any]) -> torch.Tensor:
        found = values[ref]
        if along is None:
            found = adapt(found, have.get(ref), Request(axis, positions))
        else:
            found = pick(adapt(found, have.get(ref), along), axis, positions)
        return found.squeeze(axis) if drops else found

    return run


def _join_some(
    operation: Operation, join: Join, request: Request, have: dict[Ref, Wanted]
) -> Callable[[dict[Ref, Any]], torch.Tensor]:
    """The positions of a join that are wanted, each from the part that holds it."""
    held = held_by(operation, join)
    size = (operation.shape or ())[join.axis]
    from_: list[tuple[Ref, int, bool]] = []
    for position in request.positions:
        part = next(i for i, positions in enumerate(held) if position in positions)
        ref = operation.step.args[part]
        if join.rest and part == 0:
            from_.append((ref, position, False))
            continue
        where = join.parts[part - join.rest]
        order = Take(0, where)(torch.arange(size)).reshape(-1).tolist()
        from_.append((ref, order.index(position), isinstance(where, int)))

    def run(values: dict[Ref, Any]) -> torch.Tensor:
        found = []
        for ref, place, drops in from_:
            value = values[ref]
            if drops:
                found.append(value.unsqueeze(join.axis))
            else:
                found.append(adapt(value, have.get(ref), Request(join.axis, (place,))))
        rows = max(map(len, found))
        return torch.cat([_expanded(one, rows) for one in found], join.axis)

    return run


def _expanded(value: torch.Tensor, rows: int) -> torch.Tensor:
    return value if len(value) == rows else value.expand(rows, *value.shape[1:])
