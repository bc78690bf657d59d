"""Which places of a whole tensor a node holds, after any number of splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from causal_scrubbing._nodes import RowPosition, Where, places


@dataclass(frozen=True)
class Axis:
    """One axis of a node's tensor.

    Attributes:
        base: which axis of the whole tensor it is, the batch being 0.
        coords: the whole tensor's place at each place here.
        live: the whole tensor's places that this node decides; a rest has more than those.
    """

    base: int
    coords: tuple[int, ...]
    live: frozenset[int]


@dataclass(frozen=True)
class View:
    """What a node holds of a whole tensor: a box of places.

    Attributes:
        axes: of the node's tensor, the batch left out.
        fixed: axis of the whole tensor that is gone -> the one place held of it.
        own: axes of the whole tensor cut at each row's own place, of which no box can be told.
    """

    axes: tuple[Axis, ...]
    fixed: tuple[tuple[int, int], ...] = ()
    own: frozenset[int] = frozenset()

    def number(self, base: int) -> int | None:
        """Which axis here, the batch being 0, is one of the whole tensor's; None if it is gone."""
        for i, axis in enumerate(self.axes, 1):
            if axis.base == base:
                return i
        return None

    def base(self, number: int) -> int:
        """Which axis of the whole tensor one here is; negative numbers count from the end."""
        index = number - 1 if number > 0 else number
        return self.axes[index].base

    def live(self, base: int) -> frozenset[int]:
        """The places decided here along an axis of the whole tensor."""
        for axis in self.axes:
            if axis.base == base:
                return axis.live
        return frozenset(place for gone, place in self.fixed if gone == base)

    def at(self, base: int, wanted: frozenset[int]) -> list[int]:
        """Where some of the whole tensor's places are here, in order."""
        axis = next(axis for axis in self.axes if axis.base == base)
        return [i for i, place in enumerate(axis.coords) if place in wanted & axis.live]


def whole(shape: Sequence[int]) -> View:
    """The view of a node that is a whole tensor of this shape, batch included."""
    return View(
        tuple(
            Axis(i, tuple(range(size)), frozenset(range(size)))
            for i, size in enumerate(shape[1:], 1)
        )
    )


def cut(
    view: View, number: int, pieces: Sequence[tuple[str, Where]], rest: str | None
) -> Mapping[str, View]:
    """The views of the pieces that a node of this view is split into along an axis."""
    base = view.base(number)
    old = next(axis for axis in view.axes if axis.base == base)
    if any(isinstance(where, RowPosition) for _, where in pieces):
        own = replace(view, own=view.own | {base})
        return dict.fromkeys([*([] if rest is None else [rest]), *(n for n, _ in pieces)], own)
    found: dict[str, View] = {}
    left = old.live
    for name, where in pieces:
        held = [old.coords[i] for i in places(where, len(old.coords))]
        left -= set(held)
        if isinstance(where, int):
            axes = tuple(axis for axis in view.axes if axis.base != base)
            found[name] = replace(view, axes=axes, fixed=(*view.fixed, (base, held[0])))
        else:
            new = Axis(base, tuple(held), old.live & set(held))
            found[name] = _with(view, new)
    if rest is not None:
        found[rest] = _with(view, replace(old, live=left))
    return found


def _with(view: View, new: Axis) -> View:
    return replace(view, axes=tuple(new if a.base == new.base else a for a in view.axes))
