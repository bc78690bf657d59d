"""The refinement of two graphs while it is made: which of its nodes are a node of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.graph import Graph
from causal_scrubbing._graph.rewrite.edges import pruning_rows
from causal_scrubbing._graph.rewrite.lineage import lineage, shared
from causal_scrubbing._graph.rewrite.sides import NONE, Side, known_view
from causal_scrubbing._graph.rewrite.views import View, whole
from causal_scrubbing._nodes import Rewrite


class Splicing:
    """The refinement so far, and how each graph lies in it."""

    def __init__(self, one: Graph, two: Graph) -> None:
        count = shared(one, two)
        self.chains = [lineage(one)[count:], lineage(two)[count:]]
        self.graph: Graph = lineage(one)[count - 1]
        self.start = self.graph
        names = self.graph.names
        self.sides = tuple(
            Side({n: (n,) for n in names}, whole={n: n for n in names}) for _ in range(2)
        )
        self.now: dict[str, tuple[str, ...]] = {n: (n,) for n in names}
        self.views: dict[str, Callable[[], View | None]] = {}
        self.places: dict[str, frozenset[str]] = {}
        self.made: dict[tuple[str, object], dict[str, str]] = {}
        self.sums: dict[tuple[str, tuple[str, ...]], tuple[object, dict[str, str]]] = {}
        self.home: dict[str, Graph] = {}
        self.ended: Side | None = None
        self.shapes: dict[tuple[int, str], tuple[int, ...]] = {}

    def enter_inputs(self, side: Side, after: Graph) -> None:
        """Inputs that a rewrite brought in, for a field it reads."""
        for name in after.inputs:
            if name in side.parts:
                continue
            wanted = after.nodes[name]
            found = [
                n for n in self.graph.inputs
                if self.graph.nodes[n].field == wanted.field and self.graph.nodes[n].fn is None
            ]  # fmt: skip
            if not found:
                raise GraphError(f"the field {wanted.field!r}, read whole in the one, is cut")
            side.parts[name] = (found[0],)
            side.whole[name] = found[0]
            self.home[found[0]] = self.graph

    # --- bookkeeping ---------------------------------------------------------------------------

    def other(self, side: Side) -> Side:
        """The other side."""
        return self.sides[1] if side is self.sides[0] else self.sides[0]

    def instead(self, old: str, new: Sequence[str], side: Side, owner: str) -> None:
        """Where a node of the refinement was, these are now; `owner` of `side` is set apart."""
        for table in (self.now, *(one.parts for one in self.sides)):
            for name, parts in table.items():
                if old in parts and not (table is side.parts and name == owner):
                    at = parts.index(old)
                    table[name] = (*parts[:at], *new, *parts[at + 1 :])
        for one in self.sides:
            if old in one.inside:
                one.inside.update(dict.fromkeys(new, one.inside[old]))
        for name in new:
            self.now.setdefault(name, (name,))
            self.places[name] = self.places.get(name, NONE) | self.places.get(old, NONE)

    def end(self, side: Side, step: Rewrite, name: str) -> None:
        """Note a rewrite of the output, which stays and reads its pieces: one graph's at most.

        Raises:
            GraphError: the other graph's output was rewritten too.
        """
        if name != step.before.output:
            return
        if self.ended not in (None, side):
            raise GraphError(f"both rewrite the output, {name!r} in the one")
        self.ended = side

    def single(self, side: Side, step: Rewrite, name: str) -> str:
        """What a node that the other graph has left alone is called.

        Raises:
            GraphError: the other graph has cut it.
        """
        parts = side.parts[name]
        if len(parts) != 1 or not self.untouched(side, name, parts[0]):
            raise GraphError(
                f"{step.kind} of {name!r} in the one and the cut of it into "
                f"{', '.join(parts[:4])} in the other do not go together"
            )
        return parts[0]

    def untouched(self, side: Side, name: str, part: str) -> bool:
        """Whether a part is all of what the node holds."""
        mine, theirs = side.views.get(name), self.views.get(part)
        if mine is None and theirs is None:
            return True
        return self.side_view(side, name) == self.view(part)

    def shape(self, graph: Graph, name: str) -> tuple[int, ...]:
        """The shape of a node's value, batch first, on the example's rows.

        Raises:
            GraphError: there are no rows.
        """
        key = (id(graph), name)
        if key not in self.shapes:
            rows = pruning_rows(graph, None)
            if rows is None:
                raise GraphError(
                    f"without rows nothing tells the shape of {name!r}; build the graph with "
                    "example=data"
                )
            found = graph.values(rows, graph.names)
            self.shapes.update({(id(graph), n): tuple(v.shape) for n, v in found.items()})
        return self.shapes[key]

    def view(self, part: str) -> View:
        """What a node of the refinement holds."""
        return known_view(part, self.views.get(part), lambda: whole(self.shape(self.graph, part)))

    def side_view(self, side: Side, name: str) -> View:
        """What a node of one of the graphs holds; of one never cut, all."""
        return known_view(name, *self._later_whole(side, name))

    def dissolve(
        self, side: Side, name: str, part: str, made: Sequence[str], is_output: bool
    ) -> None:
        """A node became pieces: tell both sides."""
        if not is_output:
            self.instead(part, made, side, name)
            return
        # An output stays, computed from its pieces.
        other = self.other(side)
        owner = next(n for n, parts in other.parts.items() if part in parts)
        other.inside.update(dict.fromkeys(made, owner))
        self.now.update({one: (one,) for one in made})

    def place(self, made: Iterable[str], fields: frozenset[str]) -> None:
        """Note the fields that say at which place of each row the pieces lie."""
        for one in made:
            self.places[one] = self.places.get(one, NONE) | fields

    def later(self, part: str) -> Callable[[], View | None]:
        """What a node holds, worked out when it is asked for, also once the node is gone."""
        known, graph = self.views.get(part), self.graph
        return lambda: known_view(part, known, lambda: whole(self.shape(graph, part)))

    def later_view(self, side: Side, name: str) -> Callable[[], View | None]:
        """What a node of one of the graphs holds, worked out when it is asked for."""
        known, all_ = self._later_whole(side, name)
        return lambda: known_view(name, known, all_)

    def _later_whole(
        self, side: Side, name: str
    ) -> tuple[Callable[[], View | None] | None, Callable[[], View]]:
        one = side.whole.get(name, "")
        home = self.home.get(one, self.start)
        return side.views.get(name), lambda: whole(self.shape(home, one))
