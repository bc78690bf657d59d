"""Split over several axes at once: boxes of places, or any places of a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from types import EllipsisType
from typing import Any

import numpy as np
import torch

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._graph.rewrite.places import Then, as_where, brief
from causal_scrubbing._nodes import (
    Box,
    Cells,
    JoinBoxes,
    Node,
    RestOfBoxes,
    RowPosition,
    TakeBox,
    cells,
    fill,
    is_pattern,
    places,
    wildcards,
)


def split_boxes(
    draft: Draft[Any],
    name: str,
    axes: Sequence[int],
    into: Mapping[str, object],
    rest: str | None,
    shape: torch.Size | None,
) -> list[str]:
    """One node's pieces over several axes as nodes; see `Graph.split`.

    Raises:
        GraphError: there are no rows, or the pieces do not fit.
    """
    if shape is None:
        raise GraphError(f"split {name!r}: without data nothing tells its axes' sizes; give data=.")
    rising = _rising(name, axes, shape)
    sizes = tuple(shape[axis] for axis in rising)
    order = sorted(range(len(axes)), key=lambda i: axes[i] % len(shape))
    pieces = _pieces(name, into, sizes, order, rest)
    fixed = None if rest is not None else sizes
    node, consumers = draft.nodes[name], draft.consumers(name)
    join = name if name == draft.output else draft.fresh(f"~{name}")
    whole = draft.fresh(f"~whole:{name}")
    draft.drop(name)
    if not node.is_input:
        draft.add(replace(node, name=whole), near=name)
    boxes = tuple(pieces.values())
    parts: dict[str, TakeBox | RestOfBoxes] = {
        **({} if rest is None else {rest: RestOfBoxes(rising[0], (), rising, boxes)}),
        **{piece: TakeBox(rising, where, fixed) for piece, where in pieces.items()},
    }
    made = []
    for piece, fn in parts.items():
        made.append(f"{name}.{piece}")
        if node.is_input:
            cut = fn if node.fn is None else Then(node.fn, fn)
            draft.add(replace(node, name=made[-1], fn=cut), near=name)
        else:
            draft.add(Node(name=made[-1], parents=(whole,), fn=fn), near=name)
    draft.add(Node(name=join, parents=tuple(made), fn=JoinBoxes(rising, boxes, fixed)))
    draft.reignore(name, made)
    for consumer in consumers:
        draft.redirect(consumer, name, join)
    return made


def _rising(name: str, axes: Sequence[int], shape: torch.Size) -> tuple[int, ...]:
    for axis in axes:
        if not -len(shape) < axis < len(shape) or axis == 0:
            raise GraphError(
                f"split {name!r}: it has shape {list(shape)}, batch first, which has no axis "
                f"{axis} to split."
            )
    found = sorted({axis % len(shape) for axis in axes})
    if len(found) != len(axes):
        raise GraphError(f"split {name!r}: axes={tuple(axes)} has an axis twice.")
    return tuple(found)


def _pieces(
    name: str,
    into: Mapping[str, object],
    sizes: tuple[int, ...],
    order: Sequence[int],
    rest: str | None,
) -> dict[str, Box]:
    found: dict[str, Box] = {}
    open_: list[str] = []
    for key, value in into.items():
        if isinstance(value, EllipsisType):
            open_.append(key)
        elif wildcards(key):
            found |= _numbered(name, key, value, sizes, order)
        else:
            found[key] = _box(name, key, value, sizes, order)
    taken: dict[int, str] = {}
    for piece, where in found.items():
        _check_name(name, piece, rest)
        try:
            held = cells(where, sizes)
        except ValueError as error:
            raise GraphError(f"split {name!r}: piece {piece!r}: {error}.") from error
        if not held:
            raise GraphError(f"split {name!r}: piece {piece!r} is empty.")
        for place in held:
            if place in taken:
                at = tuple(int(i) for i in np.unravel_index(place, sizes))
                raise GraphError(
                    f"split {name!r}: place {at} is both in {taken[place]!r} and in {piece!r}; "
                    "each place belongs to one piece."
                )
            taken[place] = piece
    left = [place for place in range(int(np.prod(sizes))) if place not in taken]
    for key in open_:
        if len(open_) > 1 or wildcards(key) != len(sizes):
            raise GraphError(
                f"split {name!r}: {key!r}: ... makes every place that is in no other piece one of "
                f"its own, by a key with {len(sizes)} numbers such as 'p{{}}_{{}}', and once."
            )
        for place in left:
            spot = tuple(int(i) for i in np.unravel_index(place, sizes))
            found[fill(key, [spot[order.index(i)] for i in range(len(order))])] = spot
        left = []
    if left and rest is None:
        first = [tuple(int(i) for i in np.unravel_index(p, sizes)) for p in left[:6]]
        raise GraphError(
            f"split {name!r}: places {brief(first, len(left))} are in no piece. Name what is left "
            "with rest=."
        )
    if rest is not None and not left:
        raise GraphError(f"split {name!r}: the pieces are all places; leave out rest={rest!r}.")
    return found


def _check_name(name: str, piece: str, rest: str | None) -> None:
    if is_pattern(piece) or piece.startswith("~") or not piece:
        raise GraphError(f"split {name!r}: {piece!r} cannot name a piece.")
    if piece == rest:
        raise GraphError(f"split {name!r}: rest={rest!r} is also the name of a piece.")


def _numbered(
    name: str, key: str, value: object, sizes: tuple[int, ...], order: Sequence[int]
) -> dict[str, Box]:
    """One piece for each combination of places, named by their numbers."""
    box = _box(name, key, value, sizes, order)
    if isinstance(box, Cells) or wildcards(key) != len(sizes):
        raise GraphError(
            f"split {name!r}: {key!r} takes a list of places for each of its {len(sizes)} axes, "
            f"and has a number for each, as 'p{{}}_{{}}'; or ... for every place."
        )
    along = [places(one, size) for one, size in zip(box, sizes, strict=True)]
    return {
        fill(key, [at[order.index(i)] for i in range(len(order))]): at for at in product(*along)
    }


def _box(name: str, key: str, value: object, sizes: tuple[int, ...], order: Sequence[int]) -> Box:
    if isinstance(value, torch.Tensor | np.ndarray):
        mask = np.asarray(value)
        if mask.dtype == bool and mask.ndim == len(sizes):
            mask = mask.transpose(order)
            if mask.shape != sizes:
                raise GraphError(
                    f"split {name!r}: the mask of piece {key!r} has shape {list(mask.shape)} for "
                    f"axes of sizes {list(sizes)}."
                )
            return Cells(tuple(int(p) for p in np.flatnonzero(mask)))
    if isinstance(value, tuple) and len(value) == len(sizes):
        along = [as_where(one) for one in value]
        found = [one for one in along if one is not None and not isinstance(one, RowPosition)]
        if len(found) == len(sizes):
            return tuple(found[i] for i in order)
    raise GraphError(
        f"split {name!r}: piece {key!r} is a tuple with a place, a slice or a list of places for "
        f"each of {len(sizes)} axes, or a boolean mask over them, not {value!r}."
    )
