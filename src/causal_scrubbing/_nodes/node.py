"""One node of a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """A named value: a dataset field, or a pure function of other nodes.

    Attributes:
        name: unique in its graph. A name that begins with ``~`` is *hidden*: plumbing between the
            nodes a person can name (a residual sum, a distributed output projection). Hidden
            nodes are never claimed, matched or shown; edges run through them.
        parents: names of the nodes the function takes, in argument order.
        fn: tensors, batch first, in the order of `parents`, to a tensor, batch first, one row never
            reading another. For an input, what it takes of its field; None for all of it.
        field: the dataset field an input reads; None otherwise.
        sizes: the field's sizes past the first, counting, axis that the graph was made for, None
            where any size will do; None altogether if the graph does not care.
        shapes: argument positions of which only the shape is read, which makes no edge.
        ignores: nodes whose value cannot reach this one although wires lead from them to it, as one
            head's query cannot reach another head's output.
    """

    name: str
    parents: tuple[str, ...] = ()
    fn: Callable[..., Any] | None = None
    field: str | None = None
    sizes: tuple[int | None, ...] | None = None
    shapes: frozenset[int] = frozenset()
    ignores: frozenset[str] = frozenset()

    @property
    def is_input(self) -> bool:
        """Whether the node reads a dataset field."""
        return self.field is not None

    @property
    def read(self) -> tuple[str, ...]:
        """Parents whose values (not only shapes) are read, each once, in argument order."""
        return tuple(dict.fromkeys(p for i, p in enumerate(self.parents) if i not in self.shapes))


def is_hidden(name: str) -> bool:
    """Whether a node of this name is plumbing rather than a node a person can claim."""
    return name.startswith("~")
