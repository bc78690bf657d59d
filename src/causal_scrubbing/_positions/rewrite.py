"""The pass: expressions at the positions that change and are read, as new nodes and expressions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._expressions import Apply, Clean, Space, Total, uses
from causal_scrubbing._graph import Graph, HasSteps, Join, Node, Ref, add, evaluate
from causal_scrubbing._positions.forward import forward
from causal_scrubbing._positions.inside import Inside, Masks
from causal_scrubbing._positions.narrow import AtPositions, Given, Narrowed
from causal_scrubbing._positions.plan import NodePlan, plan_node
from causal_scrubbing._positions.state import Part, Request, Same, State, Wanted, Whole, union
from causal_scrubbing._positions.trace import ROWS, Trace, trace

SHOWN: Final = 4


@dataclass(frozen=True)
class Narrowing:
    """Expressions rewritten to the positions that change and are read.

    Attributes:
        graph: with the nodes that do so.
        space: the new expressions.
        roots: number of a wanted expression -> its number now.
        labels: names of the new nodes, for people.
        notes: what stopped positions from being kept apart, in words.
    """

    graph: Graph
    space: Space
    roots: Mapping[int, int]
    labels: Mapping[str, str]
    notes: tuple[str, ...]


ABLATED: Final = ("~mean/", "~zero/")
"""How the names of nodes begin that hold a fixed value in place of another node's."""


def narrow(
    graph: Graph, space: Space, roots: Sequence[int], data: Dataset, device: torch.device | None
) -> Narrowing | None:
    """Rewrite expressions so that positions that are clean, or not read, are not computed.

    Args:
        graph: the graph, with the partial sums of the space.
        space: the expressions.
        roots: those wanted.
        data: the dataset; which positions attention lets read which is asked of all its rows.
        device: where to compute.

    Returns:
        None where there is nothing to gain.
    """
    order = space.cone(list(roots))
    called = {expr.node for expr in map(space.__getitem__, order) if isinstance(expr, Apply)}
    if not any(isinstance(graph.nodes[name].fn, HasSteps | Join) for name in called):
        return None
    if any(name.startswith(ABLATED) for name in graph.nodes):
        return None  # a fixed value stands where another node's clean one would be read
    return _Pass(graph, space, order, data, device).run(roots)


@dataclass(eq=False)
class _Known:
    """What is known of an expression.

    Attributes:
        trace: its operations; None where they cannot be told.
        states: how each one's value differs from the clean one.
        base: the draw variable whose clean values are meant, or None.
    """

    trace: Trace | None
    states: list[State] = field(default_factory=list)
    base: str | None = None

    @property
    def state(self) -> State:
        return Whole() if self.trace is None else self.states[self.trace.result]


class _Pass:
    def __init__(
        self,
        graph: Graph,
        space: Space,
        order: Sequence[int],
        data: Dataset,
        device: torch.device | None,
    ) -> None:
        self.graph = graph
        self.space = space
        self.order = order
        self.masks = Masks(graph, data, device)
        parents = {number: self._parents(number) for number in order if uses(space[number])}
        rows = np.linspace(0, len(data) - 1, ROWS).round().astype(np.int64)
        names = list(dict.fromkeys(p for found in parents.values() for p in found))
        with torch.no_grad():
            self.values = evaluate(graph, data.take(rows), names, device=device)
        self.parents = parents
        self.traces: dict[tuple[str, tuple[str, ...]], Trace | None] = {}
        self.known: dict[int, _Known] = {}
        self.nodes: dict[str, Node] = {}
        self.labels: dict[str, str] = {}
        self.stops: dict[str, str] = {}

    def _node_of(self, number: int) -> str:
        expr = self.space[number]
        return self.space.nodes[number] if isinstance(expr, Total) else expr.node

    def _parents(self, number: int) -> tuple[str, ...]:
        """The nodes whose clean values an expression's arguments stand for."""
        expr = self.space[number]
        if isinstance(expr, Apply):
            return self.graph.nodes[expr.node].parents
        return tuple(map(self._node_of, uses(expr)))

    def _trace(self, number: int) -> Trace | None:
        expr, parents = self.space[number], self.parents[number]
        node = self.graph.nodes[expr.node] if isinstance(expr, Apply) else Node(
            name="~sum", parents=parents, fn=add)  # fmt: skip
        key = (node.name, parents)
        if key not in self.traces:
            fixed = [self.graph.is_constant[p] for p in parents]
            self.traces[key] = trace(node, [self.values[p] for p in parents], fixed)
        return self.traces[key]

    # --- forward -----------------------------------------------------------------------------

    def _look(self, number: int) -> _Known:
        """The states of an expression whose arguments are known."""
        expr = self.space[number]
        name = self._node_of(number)
        if self.graph.is_constant[name]:
            return _Known(None)
        known = _Known(self._trace(number), base=self._base(number))
        if known.trace is None:
            self.stops.setdefault(name, name)
            return known
        arguments = uses(expr)
        outside = [self._argument(number, i, one, known.base) for i, one in enumerate(arguments)]

        def state_of(ref: Ref) -> State:
            if not ref.is_argument:
                return known.states[ref.number]
            return outside[ref.number] if ref.number < len(outside) else Same()

        for operation in known.trace.operations:
            state = forward(
                known.trace,
                operation,
                state_of,
                lambda ref: self.masks.let_through(known.trace, name, self.parents[number], ref),
            )
            known.states.append(state)
            if isinstance(state, Whole) and state.because:
                self.stops.setdefault(state.because, name)
        return known

    def _base(self, number: int) -> str | None:
        found: Counter[str] = Counter()
        for one, parent in zip(uses(self.space[number]), self.parents[number], strict=True):
            expr = self.space[one]
            if isinstance(expr, Clean):
                found[expr.variable] += expr.node == parent
            elif (base := self.known[one].base) is not None and isinstance(
                self.known[one].state, Part
            ):
                found[base] += 2
        return max(found, key=found.__getitem__) if found else None

    def _argument(self, number: int, place: int, one: int, base: str | None) -> State:
        expr = self.space[one]
        if isinstance(expr, Clean):
            return Same() if expr.variable == base and self._is_own(number, place, one) else Whole()
        if self.graph.is_constant[self._node_of(one)]:
            return Same()
        known = self.known[one]
        if known.base != base or not isinstance(known.state, Part | Same):
            return Whole()
        return known.state if self._is_own(number, place, one) else Whole()

    def _is_own(self, number: int, place: int, one: int) -> bool:
        """Whether an argument is a value of the very node that the clean value is made of."""
        name = self._node_of(one)
        if isinstance(self.space[number], Apply):
            return name == self.parents[number][place] or isinstance(self.space[one], Total)
        return not self.graph.is_constant[name]

    # --- backward ----------------------------------------------------------------------------

    def run(self, roots: Sequence[int]) -> Narrowing | None:
        for number in self.order:
            if not isinstance(self.space[number], Clean):
                self.known[number] = self._look(number)
        asked: dict[int, Wanted] = dict.fromkeys(roots)
        plans: dict[int, NodePlan] = {}
        for number in reversed(self.order):
            if number not in asked or number not in self.known:
                continue
            known = self.known[number]
            arguments = uses(self.space[number])
            needs: Mapping[int, Wanted] = dict.fromkeys(range(len(arguments)))
            if known.trace is not None:
                plan = plan_node(
                    known.trace, known.states, asked[number], has_clean=known.base is not None
                )
                if plan.narrows:
                    plans[number], needs = plan, plan.arguments
            elif asked[number] is not None:
                asked[number] = None
            for place, need in needs.items():
                one = arguments[place]
                if one not in asked:
                    asked[one] = need
                elif need is None or asked[one] is None:
                    asked[one] = None
                else:
                    shape = self.values[self.parents[number][place]].shape
                    asked[one] = union(asked[one], need, shape[need.axis])
        return self._emit(roots, asked, plans) if plans else None

    # --- the new expressions -------------------------------------------------------------------

    def _emit(
        self, roots: Sequence[int], asked: Mapping[int, Wanted], plans: Mapping[int, NodePlan]
    ) -> Narrowing:
        space = Space()
        space.sums = self.space.sums
        made: dict[int, tuple[int, str]] = {}

        def leaf(node: str, variable: str, need: Wanted) -> tuple[int, str]:
            name = node if need is None else self._some(node, need)
            return space.add(Clean(name, variable)), name

        for number in self.order:
            if number not in asked:
                continue
            expr = self.space[number]
            arguments = uses(expr)
            if isinstance(expr, Clean):
                made[number] = leaf(expr.node, expr.variable, None)
            elif number in plans:
                trace_, base = self.known[number].trace, self.known[number].base
                plan = plans[number]
                given: list[Given] = []
                read: list[tuple[int, str]] = []
                for place, need in sorted(plan.arguments.items()):
                    one = self.space[arguments[place]]
                    given.append(Given(Ref(place, is_argument=True), need))
                    if isinstance(one, Clean):
                        read.append(leaf(one.node, one.variable, need))
                    else:
                        given[-1].have = asked[arguments[place]]
                        read.append(made[arguments[place]])
                for piece in plan.pieces:
                    if piece.clean and trace_ is not None and base is not None:
                        given.append(Given(Ref(piece.number), piece.wanted, is_clean=True))
                        node = self._inner(number, trace_, piece.number)
                        read.append(leaf(node, base, piece.wanted))
                if trace_ is None:
                    raise AssertionError("an expression with a plan has been traced")
                fn = Narrowed(trace_, plan, given)
                name = self._add(number, asked[number], fn, [node for _, node in read])
                made[number] = space.add(Apply(name, tuple(one for one, _ in read))), name
            else:
                read_now = tuple(made[one][0] for one in arguments)
                name = self._node_of(number)
                made[number] = (
                    (
                        space.add(Apply(name, read_now))
                        if isinstance(expr, Apply)
                        else space.total(name, read_now)
                    ),
                    name,
                )
        return Narrowing(
            self._graph(), space, {root: made[root][0] for root in roots}, self.labels,
            self._notes(),
        )  # fmt: skip

    def _add(self, number: int, request: Wanted, fn: Narrowed, parents: Sequence[str]) -> str:
        node = self._node_of(number)
        name = f"~at {len(self.nodes) + 1} of {node}"
        self.nodes[name] = Node(name=name, parents=tuple(parents), fn=fn)
        if request is None:
            self.labels[name] = node
        else:
            count = len(request.positions)
            self.labels[name] = f"{node} at {count} position{'s' * (count != 1)}"
        return name

    def _some(self, node: str, need: Request) -> str:
        """The node that has some positions of another's value."""
        where = ",".join(map(str, need.positions))
        name = f"~{node} at {need.axis}:{where}"
        if name not in self.nodes:
            fn = AtPositions(need.axis, need.positions)
            self.nodes[name] = Node(name=name, parents=(node,), fn=fn)
            self.labels[name] = f"{self.labels.get(node, node)} at {len(need.positions)} positions"
        return name

    def _inner(self, number: int, found: Trace, operation: int) -> str:
        """The node that has the clean value of an operation."""
        node = self._node_of(number)
        if operation == found.result:
            return node
        name = f"~in {node} {operation}"
        if name not in self.nodes:
            fn: Any = self.graph.nodes[node].fn
            self.nodes[name] = Node(
                name=name, parents=self.parents[number], fn=Inside(fn.steps, operation)
            )
            self.labels[name] = f"{found.operations[operation].name} inside {node}"
        return name

    def _graph(self) -> Graph:
        """The graph with the new nodes, each as early as can be."""
        place = {name: number for number, name in enumerate(self.graph.nodes)}
        after: dict[int, list[Node]] = {}
        for name, node in self.nodes.items():
            place[name] = max(place[parent] for parent in node.parents)
            after.setdefault(place[name], []).append(node)
        nodes: list[Node] = []
        for number, node in enumerate(self.graph.nodes.values()):
            nodes += [node, *after.get(number, ())]
        return self.graph.remake(nodes)

    def _notes(self) -> tuple[str, ...]:
        return tuple(
            f"all positions are recomputed from {node} on: it is not known which of them "
            f"{'its function' if node == kind else kind} changes"
            for kind, node in list(self.stops.items())[:SHOWN]
        )
