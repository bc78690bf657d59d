"""Names of nodes as a person reads them: hidden nodes are told by what they lead to."""

from __future__ import annotations

from causal_scrubbing._engine.run import Executor
from causal_scrubbing._graph import is_hidden
from causal_scrubbing._hypothesis import mean_names


class Said:
    """The names that a plan calls an executor's nodes by.

    Args:
        executor: its graph has the nodes, its space the partial sums.
    """

    def __init__(self, executor: Executor) -> None:
        self._sums = executor.space.sums.nodes
        self._labels = executor.labels
        self._means = mean_names(executor.graph)
        self._readers: dict[str, list[str]] = {}
        for name, node in executor.graph.nodes.items():
            for parent in node.parents:
                self._readers.setdefault(parent, []).append(name)
        self._known: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """The name itself; of a hidden node, what it is."""
        if not is_hidden(name):
            return name
        if name not in self._known:
            self._known[name] = self._words(name)
        return self._known[name]

    def _words(self, name: str) -> str:
        if name in self._labels:
            return self._labels[name]
        if name in self._means:
            return f"mean of {self._means[name]}"
        if name in self._sums:
            return " + ".join(_short([self(one) for one in self._sums[name]]))
        leads = self._leads_to(name)
        return f"wire into {', '.join(_short(leads))}" if leads else "wire"

    def _leads_to(self, name: str) -> list[str]:
        """The nearest visible nodes that read a hidden one, seen through others."""
        found: dict[str, None] = {}
        todo, seen = [name], {name}
        while todo:
            for reader in self._readers.get(todo.pop(), []):
                if not is_hidden(reader):
                    found[reader] = None
                elif reader not in seen:
                    seen.add(reader)
                    todo.append(reader)
        return list(found)


def _short(names: list[str], most: int = 3) -> list[str]:
    return names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
