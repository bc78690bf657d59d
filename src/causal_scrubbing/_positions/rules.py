"""Rules of operations: which positions of what they read a position of their value comes from."""

from __future__ import annotations

from math import prod
from typing import Any, Final

from causal_scrubbing._graph import Join, Linear, Ref, RowPosition, Take, places
from causal_scrubbing._positions.state import Request, Wanted
from causal_scrubbing._positions.trace import Operation, Trace

ELEMENTWISE: Final = frozenset((
    "abs", "add", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "clamp",
    "clamp_max", "clamp_min", "clone", "cos", "detach", "div", "elu", "eq", "erf", "exp",
    "expm1", "float_power", "floor", "ge", "gelu", "gt", "hardsigmoid", "hardswish", "hardtanh",
    "le", "leaky_relu", "lerp", "log", "log1p", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lt", "masked_fill", "maximum", "minimum", "mish", "mul", "ne", "neg", "pow",
    "reciprocal", "relu", "relu6", "round", "rsqrt", "rsub", "sigmoid", "sign", "silu", "sin",
    "softplus", "sqrt", "square", "sub", "tan", "tanh", "to", "_to_copy", "where", "xor",
    "add_", "mul_", "Add", "Rest", "same", "overwritten",
))  # fmt: skip
REDUCING: Final = frozenset((
    "mean", "sum", "var", "std", "amax", "amin", "argmax", "argmin", "all", "any", "logsumexp",
))  # fmt: skip
SOFTMAX: Final = frozenset((
    "softmax", "_softmax", "log_softmax", "_log_softmax", "cumsum",
))  # fmt: skip
VIEWS: Final = frozenset((
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "by_rows", "permute",
    "transpose", "t", "unsqueeze", "squeeze", "expand", "select", "slice", "split",
    "split_with_sizes", "chunk", "unbind", "getitem", "same", "Take", "Rest",
))  # fmt: skip
SHAPED: Final = frozenset((
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "by_rows", "expand",
))  # fmt: skip
"""Operations that are given the shape of their value, which they then have along other axes."""

ATTENTION: Final = "scaled_dot_product_attention"
PRODUCTS: Final = frozenset(("matmul", "bmm"))


def wanted(trace: Trace, operation: Operation, request: Wanted) -> dict[Ref, Wanted] | None:
    """What an operation needs of the values it reads to give what is wanted of its own.

    None where it is not known to keep positions along that axis apart.
    """
    moved = _moved(trace, operation, request)
    if moved is not None:
        return moved
    if request is None:
        return dict.fromkeys(operation.reads)
    along = sources(trace, operation, request.axis)
    if along is None:
        return None
    return {
        ref: None if axis is None else Request(axis, request.positions)
        for ref, axis in along.items()
    }


def sources(trace: Trace, operation: Operation, axis: int) -> dict[Ref, int | None] | None:
    """For each value read, the axis along which it is read position by position.

    None in place of an axis where all of it is read at every position; None altogether where the
    operation is not known to keep positions along this axis of its value apart.
    """
    out = operation.shape if operation.shape is not None else operation.parts[0]
    if not operation.is_batched or axis == 0 or axis >= len(out):
        return None
    name, args = operation.name, operation.step.args
    if name in ELEMENTWISE:
        return {ref: _aligned(trace, ref, out, axis) for ref in operation.reads}
    if isinstance(operation.step.target, Join):
        return _pieces(operation, operation.step.target, axis)
    first = args[0] if args and isinstance(args[0], Ref) else None
    shape = None if first is None else trace.shape(first)
    if first is not None and shape is None:  # of several tensors
        shape = trace.operations[first.number].parts[0]
    if isinstance(operation.step.target, Linear) or name == "linear":
        return {ref: axis if ref == first else None for ref in operation.reads} if (
            axis < len(out) - 1) else None  # fmt: skip
    if name == "embedding":
        ids = args[1]
        return {ref: axis if ref == ids else None for ref in operation.reads} if (
            axis < len(out) - 1) else None  # fmt: skip
    if first is None or shape is None:
        return _joined(operation, axis) if name in ("cat", "stack") else None
    if name == ATTENTION:
        return _attention(trace, operation, out, axis)
    if name in PRODUCTS and len(args) == 2 and axis == len(out) - 2:
        return {first: len(shape) - 2, args[1]: None} if args[1] != first else None
    found = _one(operation, out, shape, axis)
    return None if found is None else {ref: found if ref == first else None
                                       for ref in operation.reads}  # fmt: skip


def _one(
    operation: Operation, out: tuple[int, ...], shape: tuple[int, ...], axis: int
) -> int | None:
    """The axis of the first argument that an axis of the value is, where it is one."""
    name, args, kwargs = operation.name, operation.step.args, operation.step.kwargs
    size = len(shape)

    def number(place: int, key: str, default: Any = None) -> Any:
        return args[place] if len(args) > place else kwargs.get(key, default)

    if name in ("layer_norm", "rms_norm"):
        return axis if axis < size - len(args[1]) else None
    if name in SOFTMAX:
        return axis if axis != number(1, "dim") % size else None
    if name in REDUCING:
        dims = number(1, "dim")
        if dims is None:
            return None
        gone = {d % size for d in (dims if isinstance(dims, list | tuple) else [dims])}
        if not gone:
            return None
        kept = len(out) == size
        axes = [d for d in range(size) if kept or d not in gone]
        return axes[axis] if axes[axis] not in gone else None
    if name in ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "by_rows"):
        before = prod(out[:axis])
        for candidate in range(size):
            if shape[candidate] == out[axis] and prod(shape[:candidate]) == before:
                return candidate if candidate and out[axis] > 1 else None
        return None
    if name == "permute":
        return int(args[1][axis]) % size
    if name in ("transpose", "t"):
        one, two = (args[1] % size, args[2] % size) if name == "transpose" else (0, 1)
        return int(two if axis == one else one if axis == two else axis)
    if name == "unsqueeze":
        place = number(1, "dim") % (size + 1)
        return None if axis == place else axis - (axis > place)
    if name == "squeeze":
        dims = number(1, "dim")
        if dims is None:
            return None
        gone = {d % size for d in (dims if isinstance(dims, list | tuple) else [dims])}
        return [d for d in range(size) if d not in gone or shape[d] != 1][axis]
    if name == "expand":
        place = axis - (len(out) - size)
        return place if place > 0 and shape[place] == out[axis] else None
    target = operation.step.target
    if isinstance(target, Take):
        if not isinstance(target.where, int):
            return axis if axis != target.axis else None
        return axis + (axis >= target.axis)
    if name == "select":
        return int(axis + (axis >= number(1, "dim") % size))
    if name == "slice":
        return axis if axis != number(1, "dim", 0) % size else None
    if name in ("split", "split_with_sizes", "chunk"):
        return axis if axis != number(2, "dim", 0) % size else None
    if name == "unbind":
        return int(axis + (axis >= number(1, "dim", 0) % size))
    return axis if name == "getitem" else None


def _aligned(trace: Trace, ref: Ref, out: tuple[int, ...], axis: int) -> int | None:
    shape = trace.shape(ref)
    if shape is None:
        return None
    place = axis - (len(out) - len(shape))
    return place if place >= 0 and shape[place] == out[axis] and out[axis] > 1 else None


def _joined(operation: Operation, axis: int) -> dict[Ref, int | None] | None:
    args = operation.step.args
    out = operation.shape or ()
    place = (args[1] if len(args) > 1 else operation.step.kwargs.get("dim", 0)) % len(out)
    if axis == place:
        return None
    source = axis - (axis > place) if operation.name == "stack" else axis
    return dict.fromkeys(operation.reads, source)


def _attention(
    trace: Trace, operation: Operation, out: tuple[int, ...], axis: int
) -> dict[Ref, int | None] | None:
    args = operation.step.args
    query, key, value = args[:3]
    if axis != len(out) - 2 or query in (key, value):
        return None
    found: dict[Ref, int | None] = {query: axis, key: None, value: None}
    mask = args[3] if len(args) > 3 else operation.step.kwargs.get("attn_mask")
    if isinstance(mask, Ref):
        found[mask] = _aligned(trace, mask, (*out[:-1], 0), axis)
    return found


def _moved(trace: Trace, operation: Operation, request: Wanted) -> dict[Ref, Wanted] | None:
    """What operations need that take some positions out, or put them together."""
    name, args = operation.name, operation.step.args
    target = operation.step.target
    if isinstance(target, Join):
        return _parts(trace, operation, target, request)
    taken = taking(trace, operation)
    if taken is None:
        return None
    axis, positions = taken
    drops = name == "select" or (isinstance(target, Take) and isinstance(target.where, int))
    if request is None:
        return {args[0]: Request(axis, positions)}
    if request.axis == axis and not drops:
        return {args[0]: Request(axis, tuple(positions[i] for i in request.positions))}
    return None  # all that is taken, at some positions of another axis


def taking(trace: Trace, operation: Operation) -> tuple[int, tuple[int, ...]] | None:
    """The axis and the positions that an operation takes of its only tensor, if it does so."""
    name, args, target = operation.name, operation.step.args, operation.step.target
    if not operation.is_batched or not args or not isinstance(args[0], Ref):
        return None
    shape = trace.shape(args[0])
    if shape is None:
        return None
    if isinstance(target, Take):
        if isinstance(target.where, RowPosition):
            return None
        return target.axis, tuple(places(target.where, shape[target.axis]))
    if name == "select":
        axis = args[1] % len(shape)
        return (axis, (args[2] % shape[axis],)) if axis else None
    if name == "slice":
        axis = (args[1] if len(args) > 1 else 0) % len(shape)
        if not axis or not all(one is None or isinstance(one, int) for one in args[2:]):
            return None
        found = tuple(range(shape[axis]))[slice(*args[2:])]
        return (axis, found) if found == tuple(sorted(found)) else None
    return None


def _parts(
    trace: Trace, operation: Operation, join: Join, request: Wanted
) -> dict[Ref, Wanted] | None:
    """What joining parts needs: all of each, or those that hold the wanted positions."""
    if request is None or request.axis != join.axis or _has_own(join):
        return None
    return dict.fromkeys(part_refs(operation, join, request.positions))


def _pieces(operation: Operation, join: Join, axis: int) -> dict[Ref, int | None] | None:
    """The axis of each joined part that another axis than the joined one is."""
    if axis == join.axis or _has_own(join):
        return None
    dropped = [False] * join.rest + [isinstance(where, int) for where in join.parts]
    return {ref: axis - (drops and axis > join.axis)
            for ref, drops in zip(operation.step.args, dropped, strict=True)}  # fmt: skip


def _has_own(join: Join) -> bool:
    return any(isinstance(where, RowPosition) for where in join.parts)


def part_refs(operation: Operation, join: Join, positions: tuple[int, ...]) -> list[Ref]:
    """The arguments of a join that hold some of these positions."""
    return [operation.step.args[i] for i, held in enumerate(held_by(operation, join))
            if held & set(positions)]  # fmt: skip


def held_by(operation: Operation, join: Join) -> list[set[int]]:
    """The positions of the whole that each argument of a join holds."""
    size = (operation.shape or ())[join.axis]
    parts = [set(places(where, size)) for where in join.parts]
    covered = set[int]().union(*parts)
    return [set(range(size)) - covered, *parts] if join.rest else parts
