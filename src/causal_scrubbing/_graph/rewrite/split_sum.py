"""Split a node into named summands, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.rewrite.dictionary import Dictionary, GroupOf, OtherOf
from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._graph.rewrite.edges import prune, pruning_rows
from causal_scrubbing._graph.rewrite.linear import distribute
from causal_scrubbing._graph.rewrite.projections import (
    OVERLAP,
    Projection,
    joint_projections,
    largest_overlap,
    projection,
)
from causal_scrubbing._nodes import (
    BaseGraph,
    G,
    Node,
    add,
    as_linear,
    check_equal,
    is_pattern,
    nearest,
)


def split_sum(
    graph: G,
    pattern: str,
    pieces: Mapping[str, object] | Dictionary,
    *,
    rest: str | None,
    joint: bool,
    data: Dataset | None,
    edges: str,
) -> G:
    """See `Graph.split_sum`."""
    targets = graph.find(pattern)
    names = _piece_names(pieces, rest)
    draft = Draft(graph, data)
    told = ""
    if joint:
        if isinstance(pieces, Dictionary):
            raise GraphError("split_sum: joint=True is for directions, not for a dictionary.")
        pieces = joint_projections(pieces, f"split_sum {pattern!r}")
        told = ", projected jointly"
    elif not isinstance(pieces, Dictionary) and (found := largest_overlap(pieces)) is not None:
        cosine, one, two = found
        told = f", largest overlap {cosine:.2f}"
        if cosine >= OVERLAP:
            draft.notes.append(
                f"summands {one!r} and {two!r} of {pattern!r} overlap: the cosine of the smallest "
                f"angle between them is {cosine:.2f}. Each is a projection of its own, so that "
                "the rest holds what they share negatively. split_sum(..., joint=True) projects "
                "on them together."
            )
    fresh: list[str] = []
    for name in targets:
        fresh += _split_one(draft, graph, name, pieces, rest, data)
    note = f"split {pattern} into the sum of {', '.join(names)}{told}"
    checked = rest is not None
    new = draft.finish(note, verify=not checked and data is None)
    source = graph.example if data is None else data
    if not checked and source is not None:
        try:
            equal = check_equal(graph, new, source)
        except GraphError as error:
            raise GraphError(
                f"split_sum {pattern!r}: the summands do not add up; name what is left with "
                f"rest=. {error}"
            ) from error
        new = draft.finish(f"{note} ({equal})", verify=data is None)
    rows = pruning_rows(new, data)
    if rows is None:
        return new
    return prune(new, rows, fresh, edges)


def _piece_names(pieces: Mapping[str, object] | Dictionary, rest: str | None) -> list[str]:
    if isinstance(pieces, Dictionary):
        names = [*pieces.groups, *([] if pieces.other is None else [pieces.other])]
        if rest is None:
            raise GraphError("split_sum: name what the dictionary does not reconstruct with rest=.")
    else:
        names = list(pieces)
    bad = [name for name in names if is_pattern(name) or name.startswith("~") or not name]
    if bad or not names:
        what = ", ".join(map(repr, bad)) + " is no name for a summand" if bad else "no summand"
        raise GraphError(f"split_sum: {what}.")
    if rest in names:
        raise GraphError(f"split_sum: rest={rest!r} is also the name of a summand.")
    return [*names, *([] if rest is None else [rest])]


def _split_one(
    draft: Draft[Any],
    graph: G,
    name: str,
    pieces: Mapping[str, object] | Dictionary,
    rest: str | None,
    data: Dataset | None,
) -> list[str]:
    node = draft.nodes[name]
    consumers = draft.consumers(name)
    # An input stays, so that rows of data can still give it, and its summands read it.
    whole = name
    if not node.is_input:
        whole = draft.fresh(f"~whole:{name}")
        draft.drop(name)
        draft.add(replace(node, name=whole))
    parts: dict[str, str] = {}

    def part(piece: str, fn: Callable[..., Any], parents: tuple[str, ...]) -> None:
        # The rest reads the hidden part, not the node, which may be scrubbed.
        parts[piece] = draft.fresh(f"~part:{name}.{piece}")
        draft.add(Node(name=parts[piece], parents=parents, fn=fn))

    if isinstance(pieces, Dictionary):
        code = draft.fresh(f"~code:{name}")
        draft.add(Node(name=code, parents=(whole,), fn=pieces.encode))
        for group, features in pieces.groups.items():
            part(group, GroupOf(pieces.decode, features), (code,))
        if pieces.other is not None:
            part(pieces.other, OtherOf(pieces.decode), (code, *parts.values()))
    else:
        for piece, entry in pieces.items():
            if isinstance(entry, tuple):
                fn, parents = _written(name, piece, entry)
                read = [
                    whole if p == name else _known(draft, graph, name, piece, p, data)
                    for p in parents
                ]
                part(piece, fn, tuple(read))
            else:
                part(piece, _of_whole(name, piece, entry), (whole,))
    made = []
    for piece, hidden in parts.items():
        made.append(f"{name}.{piece}")
        draft.add(Node(name=made[-1], parents=(hidden,), fn=Same()), near=name)
    if rest is not None:
        made.append(f"{name}.{rest}")
        draft.add(Node(name=made[-1], parents=(whole, *parts.values()), fn=Difference()), near=name)
    join = name if name == draft.output and name not in draft.nodes else draft.fresh(f"~{name}")
    draft.add(Node(name=join, parents=tuple(made), fn=add))
    draft.reignore(name, made)
    # Linear maps of summands need them in the node's own shape, which the rest makes sure of.
    shaped = rest is not None or _all_tensors(pieces)
    for consumer in consumers:
        linear = as_linear(draft.nodes[consumer].fn)
        if linear is not None and shaped:
            distribute(draft, consumer, linear, [(piece, None) for piece in made])
        else:
            draft.redirect(consumer, name, join)
    return made


def _all_tensors(pieces: Mapping[str, object] | Dictionary) -> bool:
    return not isinstance(pieces, Dictionary) and all(
        isinstance(entry, torch.Tensor | Projection) for entry in pieces.values()
    )


def _written(name: str, piece: str, entry: tuple[Any, ...]) -> tuple[Callable[..., Any], list[str]]:
    if len(entry) != 2 or not callable(entry[0]) or isinstance(entry[1], str):
        raise GraphError(
            f"split_sum {name!r}: summand {piece!r} is (function, [parents]), a matrix, or a "
            f"function of the node's value, not {entry!r}."
        )
    return entry[0], list(entry[1])


def _known(
    draft: Draft[Any], graph: BaseGraph, name: str, piece: str, parent: str, data: Dataset | None
) -> str:
    source = graph.example if data is None else data
    if parent in draft.nodes or f"~{parent}" in draft.nodes:
        return draft.wire(parent)
    if source is not None and parent not in source:
        raise GraphError(
            f"split_sum {name!r}: summand {piece!r} reads {parent!r}, which is neither a node nor "
            f"a field. {nearest(parent, graph.names)}"
        )
    return draft.field(parent)


def _of_whole(name: str, piece: str, entry: object) -> Callable[..., Any]:
    if isinstance(entry, Projection):
        return entry
    if isinstance(entry, torch.Tensor | np.ndarray):
        return projection(torch.as_tensor(entry), f"split_sum {name!r}: summand {piece!r}")
    if callable(entry):
        return entry
    raise GraphError(
        f"split_sum {name!r}: summand {piece!r} is (function, [parents]), a matrix, or a function "
        f"of the node's value, not {type(entry).__name__}."
    )


@dataclass(frozen=True)
class Same:
    """Its argument."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x


@dataclass(frozen=True)
class Difference:
    """The first argument less the others, all of one shape."""

    def __call__(self, whole: torch.Tensor, *parts: torch.Tensor) -> torch.Tensor:
        out = whole
        for part in parts:
            if part.shape[1:] != whole.shape[1:]:
                raise ValueError(
                    f"a summand has shape {list(part.shape)} and the node {list(whole.shape)}; "
                    "summands have the shape of the node"
                )
            out = out - part
        return out
