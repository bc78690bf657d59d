"""A graph being rewritten: its nodes by name, and the edits that rewrites share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Generic

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._nodes import Add, G, Node, is_hidden


class Draft(Generic[G]):
    """The nodes of a graph, open to edits; `finish` makes the new graph.

    Args:
        graph: where to start.
        data: rows given with the rewrite, to be kept as the graph's example if it has none.
    """

    def __init__(self, graph: G, data: Dataset | None = None) -> None:
        self.graph = graph
        self.example = data
        self.nodes: dict[str, Node] = dict(graph.nodes)
        self.output = graph.output
        self.notes: list[str] = []
        self._consumers: dict[str, set[str]] = {}
        self._near: dict[str, list[str]] = {}
        for node in self.nodes.values():
            self._enter(node)

    def _enter(self, node: Node) -> None:
        for parent in node.parents:
            self._consumers.setdefault(parent, set()).add(node.name)

    def add(self, node: Node, near: str | None = None) -> None:
        """A new node, listed where another one is or was, or else before those that read it.

        Raises:
            GraphError: its name is taken.
        """
        if node.name in self.nodes:
            raise GraphError(
                f"the name {node.name!r} is taken; choose another, or rename that node first."
            )
        self.nodes[node.name] = node
        self._enter(node)
        if near is not None:
            self._near.setdefault(near, []).append(node.name)

    def put(self, node: Node) -> None:
        """A node in place of the one of its name."""
        for parent in self.nodes[node.name].parents:
            self._consumers[parent].discard(node.name)
        self.nodes[node.name] = node
        self._enter(node)

    def drop(self, name: str) -> None:
        """Take a node out."""
        for parent in self.nodes.pop(name).parents:
            self._consumers[parent].discard(name)

    def fresh(self, name: str) -> str:
        """The name, or the name with a number, so that it is not taken."""
        found, number = name, 2
        while found in self.nodes:
            found, number = f"{name}.{number}", number + 1
        return found

    def consumers(self, name: str) -> list[str]:
        """Nodes that have a node among their parents."""
        return sorted(self._consumers.get(name, ()))

    def redirect(self, consumer: str, old: str, new: str) -> None:
        """Let one node read another instead of one it reads."""
        node = self.nodes[consumer]
        parents = tuple(new if parent == old else parent for parent in node.parents)
        self.put(replace(node, parents=parents))

    def reignore(self, old: str, new: Iterable[str]) -> None:
        """Where one node was ignored, ignore these instead."""
        instead = frozenset(new)
        for name, node in self.nodes.items():
            if old in node.ignores:
                self.nodes[name] = replace(node, ignores=(node.ignores - {old}) | instead)

    def field(self, name: str) -> str:
        """The input that reads a dataset field, made if there is none."""
        for node in self.nodes.values():
            if node.field == name and node.fn is None and not is_hidden(node.name):
                return node.name
        made = self.fresh(name)
        self.add(Node(name=made, field=name))
        return made

    def wire(self, name: str) -> str:
        """What to read for a node that may have been dissolved, or that only a field is.

        Raises:
            GraphError: neither a node nor, in the example, a field has this name.
        """
        if name in self.nodes:
            return name
        if f"~{name}" in self.nodes:
            return f"~{name}"
        return self.field(name)

    def finish(
        self, note: str | None, *, verify: bool = False, tolerance: float | None = None
    ) -> G:
        """The graph of the nodes as they are now, equal hidden sums made one."""
        self._share_sums()
        return self.graph.remake(
            self._ordered(), note, output=self.output, verify=verify, example=self.example,
            notes=self.notes, tolerance=tolerance,
        )  # fmt: skip

    def _ordered(self) -> list[Node]:
        order: dict[str, Node] = {}

        def enter(name: str) -> None:
            for other in [name, *self._near.get(name, ())]:
                if other in self.nodes and other not in order:
                    order[other] = self.nodes[other]
                if other != name:
                    enter(other)

        for name in [*self.graph.nodes, *self.nodes]:
            enter(name)
        return list(order.values())

    def drop_unread(self, names: Sequence[str]) -> None:
        """Take out nodes that nothing reads, and then those that only they read; inputs stay."""
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in self.nodes or name == self.output or self.nodes[name].is_input:
                continue
            if not self._consumers.get(name):
                todo += self.nodes[name].parents
                self.drop(name)

    def _share_sums(self) -> None:
        # Merging can make sums of sums equal, so again until nothing changes. A merged sum stays,
        # read by nothing, so that the name of a dissolved node can still be asked for.
        changed = True
        while changed:
            changed = False
            known: dict[tuple[str, ...], str] = {}
            for name, node in list(self.nodes.items()):
                if isinstance(node.fn, Add) and is_hidden(name) and not node.ignores:
                    first = known.setdefault(tuple(sorted(node.parents)), name)
                    for consumer in self.consumers(name) if first != name else ():
                        self.redirect(consumer, name, first)
                        changed = True
