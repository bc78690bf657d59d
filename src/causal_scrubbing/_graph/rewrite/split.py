"""Split: parts of a tensor along an axis become nodes of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.rewrite.boxes import split_boxes
from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._graph.rewrite.edges import prune, pruning_rows
from causal_scrubbing._graph.rewrite.linear import distribute
from causal_scrubbing._graph.rewrite.places import Then, as_where, brief
from causal_scrubbing._nodes import (
    G,
    Join,
    Node,
    Rest,
    RowPosition,
    Share,
    Take,
    Where,
    as_linear,
    check_texts,
    has_number,
    is_pattern,
    number,
    places,
)


def split(
    graph: G,
    pattern: str,
    *,
    axis: int | None,
    axes: Sequence[int] | None,
    into: Mapping[str, object],
    rest: str | None,
    data: Dataset | None,
    edges: str,
) -> G:
    """See `Graph.split`."""
    targets = graph.find(pattern)
    several = _several(axis, axes, into)
    pieces = [] if several else parse_pieces(into, rest)
    rows = pruning_rows(graph, data)
    shapes: dict[str, torch.Size] = {}
    if rows is not None:
        shapes = {name: value.shape for name, value in graph.values(rows, targets).items()}
    draft = Draft(graph, data)
    fresh: list[str] = []
    for name in targets:
        if several:
            fresh += split_boxes(draft, name, several, into, rest, shapes.get(name))
        elif axis is not None:
            fresh += _split_one(draft, name, axis, pieces, rest, shapes.get(name))
    told = ", ".join([*into, *([rest] if rest is not None else [])])
    along = f"axis {axis}" if not several else f"axes {', '.join(map(str, several))}"
    note = f"split {pattern} along {along} into {told}"
    new = draft.finish(note)
    # The graph may have come to read a field of positions, which the rows may lack.
    rows = pruning_rows(new, data)
    if rows is None:
        return draft.finish(f"{note}, edges untested for want of data")
    return prune(new, rows, fresh, edges)


def _several(
    axis: int | None, axes: Sequence[int] | None, into: Mapping[str, object]
) -> tuple[int, ...]:
    """The axes, where there are several; nothing where there is one.

    Raises:
        GraphError: neither, or both, are given.
    """
    if (axis is None) == (axes is None):
        raise GraphError("split: give axis=, one axis, or axes=, several, such as axes=(2, 3).")
    if axes is None:
        return ()
    if not isinstance(axes, list | tuple) or len(axes) < 2 or not all(map(_is_axis, axes)):
        raise GraphError(f"split: axes={axes!r} is not several axes, such as axes=(2, 3).")
    if not isinstance(into, Mapping) or not into:
        raise GraphError(
            f"split: into={into!r} names no piece; write "
            "into={'mid': (slice(2, 7), slice(2, 7))}."
        )
    return tuple(axes)


def _is_axis(axis: object) -> bool:
    return isinstance(axis, int) and not isinstance(axis, bool)


def parse_pieces(into: Mapping[str, object], rest: str | None) -> list[tuple[str, Where]]:
    """Names and places of the pieces that a user asked for.

    Raises:
        GraphError: lists every piece that cannot be understood.
    """
    if not isinstance(into, Mapping):
        raise GraphError(
            f"split: into={into!r} names no piece; write into={{'h{{}}': 4}} for equal parts, or "
            "{'last': -1}."
        )
    check_texts("split", into)
    faults: list[str] = []
    found: list[tuple[str, Where]] = []
    for key, value in into.items():
        numbered = as_where(value) if has_number(key) else None
        if isinstance(numbered, tuple):
            found += [(number(key, place), place) for place in numbered]
            continue
        if has_number(key):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                faults.append(
                    f"{key!r} means equal parts, so it takes their number, or a list of places, "
                    f"not {value!r}"
                )
                continue
            if len(into) > 1 or rest is not None:
                faults.append(f"{key!r}: {value} parts are the whole axis, nothing is left besides")
            found += [(number(key, i), Share(i, value)) for i in range(value)]
            continue
        if is_pattern(key) or key.startswith("~") or not key:
            faults.append(f"{key!r} is no name for a piece")
        where = as_where(value)
        if where is None:
            faults.append(
                f"{key!r} is a place (an int), a slice, a list of places, or the name of a field "
                f"that holds each row's own place, not {value!r}"
            )
        else:
            found.append((key, where))
    if not found and not faults:
        faults.append("into= names no piece")
    if rest is not None and rest in into:
        faults.append(f"rest={rest!r} is also the name of a piece")
    if rest is None and any(isinstance(where, RowPosition) for _, where in found):
        faults.append("a piece at each row's own place leaves the others: name them with rest=")
    if faults:
        raise GraphError("split: " + "; ".join(faults) + ".")
    return found


def _split_one(
    draft: Draft[Any],
    name: str,
    axis: int,
    pieces: list[tuple[str, Where]],
    rest: str | None,
    shape: torch.Size | None,
) -> list[str]:
    size = _size(name, axis, pieces, rest, shape)
    node = draft.nodes[name]
    consumers = draft.consumers(name)
    positions = [draft.field(w.field) for _, w in pieces if isinstance(w, RowPosition)]
    join = name if name == draft.output else draft.fresh(f"~{name}")
    whole = draft.fresh(f"~whole:{name}")
    if not node.is_input:
        draft.drop(name)
        draft.add(replace(node, name=whole), near=name)
    elif positions:
        # A part at a row's own place is computed from two fields, so this input stays an input.
        whole, join = name, draft.fresh(f"~{name}")
    else:
        draft.drop(name)
    fixed = tuple(where for _, where in pieces if not isinstance(where, RowPosition))
    waiting = iter(positions)
    made: list[str] = []
    parts: list[tuple[str, Where | Rest]] = []
    if rest is not None:
        parts.append((rest, Rest(axis, fixed)))
    for piece, where in [*parts, *pieces]:
        fn = where if isinstance(where, Rest) else Take(axis, where, size)
        made.append(f"{name}.{piece}")
        extra = (next(waiting),) if isinstance(where, RowPosition) else ()
        if whole in draft.nodes:
            draft.add(Node(name=made[-1], parents=(whole, *extra), fn=fn), near=name)
        else:
            part = fn if node.fn is None else Then(node.fn, fn)
            cut = replace(node, name=made[-1], fn=part)
            draft.add(cut, near=name)
    together = Join(axis, tuple(where for _, where in pieces), rest is not None)
    draft.add(Node(name=join, parents=(*made, *positions), fn=together))
    draft.reignore(name, made)
    last = axis == -1 or (shape is not None and axis == len(shape) - 1)
    for consumer in consumers:
        linear = as_linear(draft.nodes[consumer].fn)
        if linear is not None and last and not positions:
            places_ = [where for _, where in [*parts, *pieces]]
            distribute(draft, consumer, linear, list(zip(made, places_, strict=True)))
        else:
            draft.redirect(consumer, name, join)
    return made


def _size(
    name: str,
    axis: int,
    pieces: list[tuple[str, Where]],
    rest: str | None,
    shape: torch.Size | None,
) -> int | None:
    """The one size the axis may have, where the pieces were chosen to cover just that."""
    if axis == 0:
        raise GraphError(f"split {name!r}: axis 0 is the batch; rows are not split.")
    if shape is not None and not -len(shape) < axis < len(shape):
        raise GraphError(
            f"split {name!r}: it has shape {list(shape)}, batch first, which has no axis {axis} "
            "to split."
        )
    if shape is None:
        if rest is None and not isinstance(pieces[0][1], Share):
            raise GraphError(
                f"split {name!r}: without data nothing says whether the pieces are all of the "
                "axis. Give data=, or name what is left with rest=."
            )
        return None
    size = shape[axis]
    seen: dict[int, str] = {}
    for piece, where in pieces:
        if isinstance(where, RowPosition):
            continue
        try:
            found = places(where, size)
        except ValueError as error:
            raise GraphError(f"split {name!r}: piece {piece!r}: {error}.") from error
        if not found:
            raise GraphError(f"split {name!r}: piece {piece!r} is empty; axis {axis} has {size}.")
        for place in found:
            if place in seen:
                raise GraphError(
                    f"split {name!r}: place {place} of axis {axis} is both in {seen[place]!r} and "
                    f"in {piece!r}; each place belongs to one piece."
                )
            seen[place] = piece
    left = [place for place in range(size) if place not in seen]
    if left and rest is None:
        raise GraphError(
            f"split {name!r}: places {brief(left[:6], len(left))} of axis {axis}, which has "
            f"{size}, are in no piece. Name what is left with rest=."
        )
    if rest is not None and not left:
        raise GraphError(f"split {name!r}: the pieces are the whole axis; leave out rest={rest!r}.")
    return size if rest is None and not isinstance(pieces[0][1], Share) else None
