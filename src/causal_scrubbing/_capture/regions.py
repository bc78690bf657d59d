"""Cutting an exported graph into pieces: which operations make up which node.

A piece has one value. The cuts are: every site; every sum of two differently sourced tensors (the
residual stream); every linear map that reads a site, which a split of the site distributes; and
every value that two pieces need, so that it is computed once. Everything else belongs to the
piece of its only consumer.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.fx import Node as Op

from causal_scrubbing._capture.batching import is_batch_first
from causal_scrubbing._capture.linear import is_size, value_of
from causal_scrubbing._graph import Linear
from causal_scrubbing._places import MARK

aten: Final = torch.ops.aten

# Operations that cost nothing, so that two pieces may each do them rather than share a node.
_FREE: Final = {
    aten.reshape.default,
    aten.permute.default,
    aten.transpose.int,
    aten.t.default,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.squeeze.default,
    aten.expand.default,
    aten.slice.Tensor,
    aten.select.int,
    aten.detach.default,
    aten.diagonal.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.chunk.default,
    aten.tensor_split.sections,
    aten.unbind.int,
}


@dataclass
class Regions:
    """Operations by the piece they belong to.

    Attributes:
        roots: the operation whose value is the piece's -> its operations in order, itself last. A
            site's root is its marker, whose own argument is the value.
        adds: roots that are sums of their two arguments.
        linears: roots that are linear maps of their argument.
    """

    roots: dict[Op, list[Op]] = field(default_factory=dict)
    adds: set[Op] = field(default_factory=set)
    linears: set[Op] = field(default_factory=set)


def find_sources(graph: torch.fx.Graph, inputs: Mapping[str, str]) -> dict[Op, int]:
    """For each operation, the sites and inputs whose values reach it directly, as a bit set."""
    bits: dict[Op, int] = {}
    sources: dict[Op, int] = {}
    for op in graph.nodes:
        if (op.op == "placeholder" and op.name in inputs) or op.target is MARK:
            bits[op] = 1 << len(bits)
            sources[op] = bits[op]
        elif op.op == "placeholder" or (is_size(op) and is_shape(op)):
            sources[op] = 0
        else:
            found = 0
            for used in op.all_input_nodes:
                found |= sources[used]
            sources[op] = found
    return sources


def is_shape(op: Op) -> bool:
    """Whether a symbolic number follows from the sizes of the inputs alone."""
    value = value_of(op)
    if not isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return True
    return all(not str(symbol).startswith(("u", "zuf")) for symbol in value.node.expr.free_symbols)


def find_regions(graph: torch.fx.Graph, inputs: Mapping[str, str], rows: Any) -> Regions:
    """Cut the graph.

    Args:
        graph: tidied operations, the output marked as a site too.
        inputs: placeholders that are dataset fields.
        rows: the symbol of the number of rows.
    """
    sources = find_sources(graph, inputs)
    regions = Regions()
    ops = [op for op in graph.nodes if op.op == "call_function"]
    sites = {op for op in ops if op.target is MARK}
    for op in ops:
        if _is_sum(op, sources, sites) and is_batch_first(op, rows):
            regions.adds.add(op)
        elif isinstance(op.target, Linear) and op.args[0] in sites and is_batch_first(op, rows):
            regions.linears.add(op)
    cuts = regions.adds | regions.linears
    # For each operation the pieces that run it: one, or several for operations that are free.
    member: dict[Op, set[Op]] = {}
    for op in reversed(ops):
        if is_size(op) and is_shape(op):
            continue
        if op in sites:
            member[op] = {op}
            continue
        pieces: set[Op] = set()
        bounded = False
        for user in op.users:
            if user.op == "output":
                continue
            if user in cuts:
                bounded = True
            elif user in sites:
                pieces.add(user)
            else:
                pieces |= member.get(user, set())
        # A site takes over the operation that makes its value, unless others need that too.
        one_site = len(op.users) == 1 and next(iter(op.users)) in sites
        if op in cuts:
            member[op] = {op}
        elif not bounded and (one_site or len(pieces) == 1 or _is_free(op)):
            member[op] = pieces
        elif not bounded and sources[op] and not is_batch_first(op, rows):
            # What has not one entry a row is no node either: each piece makes it for itself.
            member[op] = pieces
        else:
            member[op] = {op}
    for op in ops:
        for piece in member.get(op, ()):
            regions.roots.setdefault(piece, []).append(op)
    # In graph order, so that nodes come in the order the model runs them.
    order = {op: i for i, op in enumerate(ops)}
    regions.roots = dict(sorted(regions.roots.items(), key=lambda item: order[item[0]]))
    return regions


def _is_sum(op: Op, sources: Mapping[Op, int], sites: set[Op]) -> bool:
    """Whether an operation adds tensors from different places: the residual stream."""
    if op.target is not aten.add.Tensor or op.kwargs or len(op.args) != 2:
        return False
    one, two = op.args
    if not (isinstance(one, Op) and isinstance(two, Op)) or is_size(one) or is_size(two):
        return False
    if not sources[one] or not sources[two] or sources[one] == sources[two]:
        # Constants that are sites count as sources; other constants do not.
        return False
    first, second, total = value_of(one), value_of(two), value_of(op)
    if first.dtype != second.dtype:
        return False
    whole = [str(s) for s in total.shape]
    same = [str(s) for s in first.shape] == whole == [str(s) for s in second.shape]
    return same or one in sites or two in sites


def _is_free(op: Op) -> bool:
    if op.target in _FREE:
        return True
    if is_size(op):
        return True
    if op.target is operator.getitem:
        parent = op.args[0]
        return isinstance(parent, Op) and parent.target in _FREE
    # An operation with several values cannot be a node; each piece that needs one runs it.
    return isinstance(value_of(op), (tuple, list)) and len(op.users) > 1


def outside(ops: list[Op], constants: Mapping[str, Any]) -> list[Op]:
    """The operations and inputs outside a piece whose values it reads, in order of reading."""
    inside = set(ops)
    found: dict[Op, None] = {}
    for op in ops:
        for used in op.all_input_nodes:
            if used in inside or used.name in constants or (is_size(used) and is_shape(used)):
                continue
            found[used] = None
    return list(found)
