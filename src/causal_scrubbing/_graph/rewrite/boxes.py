"""Split over several axes at once: boxes of places, or any places of a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from types import EllipsisType
from typing import TypeAlias

import numpy as np
import torch

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.node import Node
from causal_scrubbing._graph.parts import Rest, RowPosition, Where, pick, places
from causal_scrubbing._graph.patterns import fill, is_pattern, wildcards
from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._graph.rewrite.places import Then, as_where, brief


@dataclass(frozen=True)
class Cells:
    """Places of several axes, numbered along all of them, the last axis fastest."""

    places: tuple[int, ...]


Box: TypeAlias = tuple[Where, ...] | Cells
"""A place, slice or list for each axis, or the places of a mask."""


def cells(where: Box, sizes: Sequence[int]) -> list[int]:
    """The places of a piece, numbered along all axes, in the piece's own order.

    Raises:
        ValueError: the axes have no such places.
    """
    if isinstance(where, Cells):
        return list(where.places)
    along = [places(one, size) for one, size in zip(where, sizes, strict=True)]
    if not all(along):
        return []
    grid = np.meshgrid(*along, indexing="ij")
    return [int(p) for p in np.ravel_multi_index(grid, tuple(sizes)).reshape(-1)]


def _flat(x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    """The tensor with the axes as one, the last."""
    count = len(axes)
    return x.movedim(tuple(axes), tuple(range(-count, 0))).flatten(-count)


def _unflat(x: torch.Tensor, axes: Sequence[int], sizes: Sequence[int]) -> torch.Tensor:
    whole = x.reshape(*x.shape[:-1], *sizes)
    return whole.movedim(tuple(range(-len(axes), 0)), tuple(axes))


@dataclass(frozen=True)
class TakeBox:
    """A piece of a tensor over several axes, of which the batch is none.

    Attributes:
        axes: the axes, rising.
        where: the piece. A place (an int) drops its axis; a mask's places become one axis.
        sizes: the sizes the axes must have; None where any will do.
    """

    axes: tuple[int, ...]
    where: Box
    sizes: tuple[int, ...] | None

    def __call__(self, whole: torch.Tensor) -> torch.Tensor:
        found = tuple(whole.shape[axis] for axis in self.axes)
        if self.sizes is not None and found != self.sizes:
            raise ValueError(
                f"axes {list(self.axes)} had sizes {list(self.sizes)} when they were split and "
                f"have {list(found)} here"
            )
        if isinstance(self.where, Cells):
            index = torch.tensor(self.where.places, device=whole.device)
            return _flat(whole, self.axes).index_select(-1, index).movedim(-1, self.axes[0])
        out = whole
        for axis, one in reversed(list(zip(self.axes, self.where, strict=True))):
            out = pick(out, axis, one)
        return out


@dataclass(frozen=True)
class RestOfBoxes(Rest):
    """The whole tensor, of which pieces over several axes will overwrite their places."""

    axes: tuple[int, ...] = ()
    boxes: tuple[Box, ...] = ()

    def kept(self, whole: torch.Tensor) -> torch.Tensor:
        """What is not overwritten."""
        sizes = [whole.shape[axis] for axis in self.axes]
        taken = {p for where in self.boxes for p in cells(where, sizes)}
        left = [p for p in range(int(np.prod(sizes))) if p not in taken]
        return _flat(whole, self.axes)[..., torch.tensor(left, device=whole.device).long()]


@dataclass(frozen=True)
class JoinBoxes:
    """Pieces over several axes put together into the whole tensor.

    Arguments are the rest, if there is one, and the pieces in order.

    Attributes:
        axes: the axes, rising.
        parts: where each piece lies.
        sizes: of the axes, where there is no rest to say them.
    """

    axes: tuple[int, ...]
    parts: tuple[Box, ...]
    sizes: tuple[int, ...] | None

    def __call__(self, *values: torch.Tensor) -> torch.Tensor:
        rows = max(len(value) for value in values)
        full = [v if len(v) == rows else v.expand(rows, *v.shape[1:]) for v in values]
        given = full if self.sizes is not None else full[1:]
        sizes = self.sizes or tuple(full[0].shape[axis] for axis in self.axes)
        index = [cells(where, sizes) for where in self.parts]
        flat = torch.cat(
            [self._piece(p, where) for p, where in zip(given, self.parts, strict=True)], -1
        )
        order = torch.tensor([p for found in index for p in found], device=flat.device)
        if self.sizes is None:
            out = _flat(full[0], self.axes).index_copy(-1, order, flat)
        else:
            out = flat.index_select(-1, order.argsort())
        return _unflat(out, self.axes, sizes)

    def _piece(self, part: torch.Tensor, where: Box) -> torch.Tensor:
        if isinstance(where, Cells):
            return part.movedim(self.axes[0], -1)
        wide = part
        for axis, one in zip(self.axes, where, strict=True):
            wide = wide.unsqueeze(axis) if isinstance(one, int) else wide
        return _flat(wide, self.axes)


def split_boxes(
    draft: Draft,
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
