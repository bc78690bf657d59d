"""How two graphs lie in their common refinement: which nodes there are a node here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.graph import Graph
from causal_scrubbing._graph.rewrite.views import View, cut
from causal_scrubbing._nodes import RowPosition, Where

NONE: Final[frozenset[str]] = frozenset()


@dataclass(eq=False)
class Side:
    """How the nodes of one of the two graphs lie in the refinement.

    Attributes:
        parts: node -> the refinement's nodes that together are its value, where it is read.
        inside: node of the refinement -> the node of this graph that it is an inner part of: it is
            computed from that node's parents and read within it alone.
        places: node of this graph -> dataset fields that say at which place of each row it lies.
        whole: node -> what the refinement called it before any of it was cut.
        views: what of a whole tensor a node holds; of those left out, all.
    """

    parts: dict[str, tuple[str, ...]]
    inside: dict[str, str] = field(default_factory=dict)
    places: dict[str, frozenset[str]] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)
    views: dict[str, Callable[[], View | None]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Refinement:
    """A graph in which the nodes of two others can be told apart.

    Attributes:
        graph: computes the same as both.
        sides: how the nodes of each lie in it.
        places: node of the refinement -> dataset fields that say at which place of a row it lies.
    """

    graph: Graph
    sides: tuple[Side, Side]
    places: Mapping[str, frozenset[str]]


def rename_keys(table: dict[str, Any], new: Mapping[str, str]) -> None:
    moved = {new.get(name, name): value for name, value in table.items()}
    table.clear()
    table.update(moved)


def own_places(pieces: Sequence[tuple[str, Where]]) -> frozenset[str]:
    return frozenset(where.field for _, where in pieces if isinstance(where, RowPosition))


def known_view(name: str, made: Callable[[], View | None] | None, all_: Callable[[], View]) -> View:
    found = all_() if made is None else made()
    if found is None:
        raise GraphError(f"{name!r} has another shape than the node it is a summand of")
    return found


def piece_view(
    held: Callable[[], View | None],
    axis: int,
    pieces: Sequence[tuple[str, Where]],
    rest: str | None,
    piece: str,
) -> Callable[[], View | None]:
    def view() -> View | None:
        found = held()
        return None if found is None else cut(found, axis, pieces, rest)[piece]

    return view
