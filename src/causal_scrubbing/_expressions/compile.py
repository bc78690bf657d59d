"""From a treeified hypothesis to expressions: gather what is clean, add what is not.

The facts used: a node all of whose parents are clean on one datum is clean on it, so a claim whose
cone reads one datum is a gather; equal expressions are one; those terms of a sum that are clean on
one datum are one gather, of their sum. (Not the whole clean sum less the other terms' clean values:
a difference of large terms, such as a mask, would lose the small ones.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from causal_scrubbing._expressions.expr import Apply, Clean, Space
from causal_scrubbing._graph import Add, Graph, is_hidden
from causal_scrubbing._hypothesis import (
    ChildSource,
    Copy,
    CopySource,
    Tree,
    ablated_node,
)


@dataclass(frozen=True)
class Wild:
    """A node's value of which only the shape matters, or which is the same on every row."""

    node: str


Value: TypeAlias = int | Clean | Wild
"""An expression by its number, a clean value that has none yet, or a value of no consequence."""

Atoms: TypeAlias = tuple[tuple[str, Value], ...]


class Compiler:
    """Builds expressions for hypotheses about one graph into one space.

    Args:
        graph: the graph.
        space: where expressions go; hypotheses compiled into one space share what is equal.
        simplify: False recomputes every node of the treeified graph, for the self-check.
    """

    def __init__(self, graph: Graph, space: Space, *, simplify: bool = True) -> None:
        self.graph = graph
        self.space = space
        self.simplify = simplify
        self._nodes = graph.nodes
        self._constant = graph.is_constant
        self._position = {name: i for i, name in enumerate(graph.names)}
        self._hidden: dict[str, tuple[str, ...]] = {}

    def clean(self, node: str, variable: str) -> int:
        """The node's clean value on the datum of a variable."""
        return self._settle(self._clean(node, variable), variable)

    def tree(self, tree: Tree, variables: Mapping[str, str]) -> int:
        """The value of the root claim.

        Args:
            tree: the treeified hypothesis.
            variables: block key -> draw variable.
        """
        values: dict[int, Value] = {}
        # Children come after parents in the list, so that backwards everything needed is there.
        for entry in reversed(tree.claims):
            variable = variables[entry.draw]
            node = self._nodes[entry.claim.node]
            if entry.children is None or entry.routes is None or node.is_input:
                values[entry.index] = self._clean(entry.claim.node, variable)
                continue
            copies: dict[Copy, Value] = {}
            for copy in self._copy_order(entry.routes.copies):
                parents: dict[str, Value] = {}
                for parent, source in entry.routes.copies[copy].items():
                    if isinstance(source, ChildSource):
                        parents[parent] = values[entry.children[source.child]]
                    elif isinstance(source, CopySource):
                        parents[parent] = copies[source.copy]
                    elif (fixed := entry.ablated.get(source.node)) is not None:
                        hidden = ablated_node(self.graph, source.node, fixed)
                        parents[parent] = self._ablated(hidden, variable)
                    else:
                        parents[parent] = self._clean(
                            source.node, variables[entry.other_draws[source.node]]
                        )
                copies[copy] = self.function(copy[0], parents, variable)
            values[entry.index] = copies[entry.routes.top]
        return self._settle(values[0], variables[tree.claims[0].draw])

    def substitute(self, node: str, swapped: Mapping[str, str], variable: str) -> int:
        """A node's value with other nodes' values taken on other data, the rest on one datum.

        Args:
            node: the node wanted.
            swapped: node -> variable whose datum its clean value is taken on.
            variable: the datum of everything else.
        """
        values: dict[str, Value] = {}
        for name in self.graph.names:
            if name in swapped:
                values[name] = self._clean(name, swapped[name])
            elif self.graph.ancestors(name).isdisjoint(swapped):
                values[name] = self._clean(name, variable)
            else:
                parents = {p: values[p] for p in self.graph.parents(name)}
                values[name] = self.function(name, parents, variable)
        return self._settle(values[node], variable)

    def function(self, node: str, parents: Mapping[str, Value], variable: str) -> Value:
        """A visible node's function on its visible parents' values, through hidden wires.

        Args:
            node: the node.
            parents: value of each of `graph.parents(node)`.
            variable: a datum on which a value of no consequence may be taken.
        """
        if self.simplify and parents:
            shared = self._shared_variable(parents.items())
            if shared is not None:
                return self._clean(node, shared)
        return _Wires(self, parents, variable).value(node, frozenset())

    def _copy_order(self, copies: Mapping[Copy, object]) -> list[Copy]:
        if len(copies) == 1:
            return list(copies)
        return sorted(copies, key=lambda copy: self._position[copy[0]])

    def _clean(self, node: str, variable: str) -> Value:
        return Wild(node) if self._constant[node] else Clean(node, variable)

    def hidden(self, node: str) -> tuple[str, ...]:
        """The hidden nodes whose values a node reads."""
        found = self._hidden.get(node)
        if found is None:
            found = tuple(p for p in self._nodes[node].read if is_hidden(p))
            self._hidden[node] = found
        return found

    def _ablated(self, node: str, variable: str) -> Value:
        if self._constant[node] and is_hidden(node):
            # Not a `Wild`: it is a value of its own, which no clean value of the node stands for.
            return self._settle(Wild(node), variable)
        return self._clean(node, variable)

    def _shared_variable(self, values: Iterable[tuple[str, Value]]) -> str | None:
        """The variable on which all (node, value) pairs are those nodes' clean values, if any."""
        found: str | None = None
        for name, value in values:
            if isinstance(value, Wild):
                continue
            if not isinstance(value, Clean) or value.node != name:
                return None
            if found is not None and found != value.variable:
                return None
            found = value.variable
        return found

    def _settle(self, value: Value, variable: str) -> int:
        """The expression of a value; one of no consequence is taken on the given datum."""
        if isinstance(value, Clean):
            return self.space.add(value)
        if not isinstance(value, Wild):
            return value
        if not self._constant[value.node]:
            return self.space.add(Clean(value.node, variable))
        # A constant is recomputed for each batch, since it may depend on the batch's shape.
        arguments = [
            self._settle(self._clean(p, variable), variable)
            for p in self._nodes[value.node].parents
        ]
        return self.space.add(Apply(value.node, tuple(arguments)))


class _Wires:
    """One evaluation of a visible node's function: hidden nodes between it and its parents."""

    def __init__(self, compiler: Compiler, parents: Mapping[str, Value], variable: str) -> None:
        self.compiler = compiler
        self.nodes = compiler.graph.nodes
        self.constant = compiler.graph.is_constant
        self.parents = parents
        self.variable = variable
        self.memo: dict[tuple[str, frozenset[str]], Value] = {}
        self.sums: dict[tuple[str, frozenset[str]], Atoms] = {}

    def value(self, name: str, blocked: frozenset[str]) -> Value:
        """The value of the node itself or of a hidden node below it."""
        key = (name, blocked)
        if key not in self.memo:
            # An explicit stack: a chain of hidden nodes can be longer than Python's recursion.
            stack = [key]
            while stack:
                top = stack[-1]
                waiting = [k for k in self._needs(top) if k not in self.memo]
                if waiting:
                    stack += waiting
                else:
                    stack.pop()
                    if top not in self.memo:
                        self.memo[top] = self._compute(*top)
        return self.memo[key]

    def _needs(self, key: tuple[str, frozenset[str]]) -> list[tuple[str, frozenset[str]]]:
        hidden = self.compiler.hidden(key[0])
        if not hidden:
            return []
        stop = key[1] | self.nodes[key[0]].ignores
        return [(p, stop) for p in hidden if p not in stop]

    def _argument(self, name: str, stop: frozenset[str]) -> Value:
        if name in stop:
            return Wild(name)
        found = self.parents.get(name)
        return self.memo[(name, stop)] if found is None else found

    def _compute(self, name: str, blocked: frozenset[str]) -> Value:
        node = self.nodes[name]
        stop = blocked | node.ignores
        if self.constant[name]:
            return Wild(name)
        arguments: list[tuple[str, Value]] = [
            (p, Wild(p) if i in node.shapes else self._argument(p, stop))
            for i, p in enumerate(node.parents)
        ]
        if isinstance(node.fn, Add):
            return self._add(name, stop, arguments, (name, blocked))
        if self.compiler.simplify:
            shared = self.compiler._shared_variable(arguments)
            if shared is not None:
                return self.compiler._clean(name, shared)
        settled = tuple(self.compiler._settle(v, self.variable) for _, v in arguments)
        return self.compiler.space.add(Apply(name, settled))

    def _add(
        self,
        name: str,
        stop: frozenset[str],
        arguments: list[tuple[str, Value]],
        key: tuple[str, frozenset[str]],
    ) -> Value:
        space = self.compiler.space
        if not self.compiler.simplify:
            settled = [self.compiler._settle(value, self.variable) for _, value in arguments]
            return space.total(name, settled)
        atoms: list[tuple[str, Value]] = []
        for parent, value in arguments:
            inner = self.sums.get((parent, stop)) if is_hidden(parent) else None
            atoms += inner if inner is not None else [(parent, value)]
        shared = self.compiler._shared_variable(atoms)
        if shared is not None:
            return self.compiler._clean(name, shared)
        self.sums[key] = tuple(atoms)
        return space.total(name, self._terms(name, atoms))

    def _terms(self, name: str, atoms: Sequence[tuple[str, Value]]) -> list[int]:
        """The terms of a sum, those that are clean on one datum as one."""
        space = self.compiler.space
        found: list[int] = []
        clean: dict[str, list[str]] = {}
        free: list[str] = []
        for atom, value in atoms:
            if isinstance(value, Wild):
                free.append(atom)
                continue
            if isinstance(value, Clean) and value.node == atom:
                clean.setdefault(value.variable, []).append(atom)
            else:
                found.append(self.compiler._settle(value, self.variable))
        if clean:  # what any datum will do for goes with the most
            clean[max(clean, key=lambda v: (len(clean[v]), v))] += free
        else:
            found += [self.compiler._settle(Wild(atom), self.variable) for atom in free]
        whole = [atom for atom, _ in atoms]
        for variable, nodes in clean.items():
            node = nodes[0]
            if len(nodes) > 1:
                node = space.sums.name(tuple(nodes), name, whole)
            found.append(space.add(Clean(node, variable)))
        return found
