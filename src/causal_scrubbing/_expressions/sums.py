"""Partial sums of clean activations as nodes, with what several of them have in common added once.

Where each of n claims leaves another term out of one sum of n terms, adding what is left would take
n² additions. A sum is cut into blocks of 2, 4, 8, ... neighbouring terms instead, each added once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from causal_scrubbing._graph import Graph, Node, add

_WORTH: Final = 2
"""How many times fewer additions blocks must need."""

_FLAT: Final = 8
"""Most terms of a block that is added term by term where no part of it is wanted."""


class PartialSums:
    """The sums of some of the terms of a graph's sums.

    Attributes:
        nodes: name -> the nodes that are added, in order.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, tuple[str, ...]] = {}
        self._name: dict[tuple[str, ...], str] = {}
        self._whole: dict[str, tuple[str, ...]] = {}

    def name(self, nodes: tuple[str, ...], of: str, whole: Sequence[str]) -> str:
        """The name of a partial sum, new or known.

        Args:
            nodes: the terms, in the order of the whole.
            of: the node whose terms they are.
            whole: all of its terms.
        """
        if nodes not in self._name:
            made = f"~part {len(self.nodes) + 1} of {of}"
            self._name[nodes] = made
            self.nodes[made] = nodes
            self._whole[made] = tuple(whole)
        return self._name[nodes]

    def extend(self, graph: Graph) -> Graph:
        """The graph with the partial sums as hidden nodes, each as early as can be.

        Summands then need not be kept any longer than they would be otherwise.
        """
        missing = [name for name in self.nodes if name not in graph]
        if not missing:
            return graph
        terms = {name: self.nodes[name] for name in missing}
        blocks = _Blocks({name: self._whole[name] for name in missing}, terms)
        if blocks.additions * _WORTH <= sum(len(found) - 1 for found in terms.values()):
            terms = {**blocks.terms, **blocks.sums}
        place = {name: number for number, name in enumerate(graph.nodes)}
        after: dict[int, list[Node]] = {}
        for name, found in terms.items():  # the terms of a block come before it
            place[name] = max(place[one] for one in found)
            after.setdefault(place[name], []).append(Node(name=name, parents=found, fn=add))
        nodes: list[Node] = []
        for number, node in enumerate(graph.nodes.values()):
            nodes += [node, *after.get(number, ())]
        return graph.remake(nodes)


class _Blocks:
    """Sums cut into aligned blocks of neighbouring terms.

    Args:
        whole: sum -> all terms of the node it is a part of: where its blocks begin.
        terms: sum -> its terms.

    Attributes:
        terms: block -> what is added for it, parts before wholes.
        sums: sum -> its blocks, and terms that are no block's.
    """

    def __init__(
        self, whole: Mapping[str, tuple[str, ...]], terms: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.terms: dict[str, tuple[str, ...]] = {}
        self._known: dict[tuple[str, ...], str] = {}
        cut: dict[str, list[tuple[str, ...]]] = {}
        for name, found in terms.items():
            place = {one: number for number, one in enumerate(whole[name])}
            places = [place[one] for one in found]
            cut[name] = [found[low:high] for low, high in _aligned(places)]
        self._wanted = {piece for pieces in cut.values() for piece in pieces}
        self.sums = {name: tuple(map(self._block, pieces)) for name, pieces in cut.items()}

    @property
    def additions(self) -> int:
        """How many additions of two values all of it takes."""
        return sum(len(found) - 1 for found in (*self.terms.values(), *self.sums.values()))

    def _block(self, nodes: tuple[str, ...]) -> str:
        if len(nodes) == 1:
            return nodes[0]
        if nodes not in self._known:
            middle = len(nodes) // 2
            parts: tuple[str, ...] = nodes
            if len(nodes) > _FLAT or self._has_parts(nodes):
                parts = (self._block(nodes[:middle]), self._block(nodes[middle:]))
            made = f"~block {len(self.terms) + 1}"
            self._known[nodes] = made
            self.terms[made] = parts
        return self._known[nodes]

    def _has_parts(self, nodes: tuple[str, ...]) -> bool:
        return any(nodes[low:high] in self._wanted for low, high in _halves(nodes))


def _halves(nodes: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """The halves of a block, of its halves, and so on, of two terms and more."""
    size = len(nodes) // 2
    while size > 1:
        for low in range(0, len(nodes), size):
            yield low, low + size
        size //= 2


def _aligned(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Sorted places cut into the longest runs of neighbours that begin at multiples of a length.

    Yields:
        First and one past the last index of a run; its length is a power of two.
    """
    start = 0
    while start < len(places):
        size, here = 1, places[start]
        while (
            here % (2 * size) == 0
            and start + 2 * size <= len(places)
            and places[start + 2 * size - 1] == here + 2 * size - 1
        ):
            size *= 2
        yield start, start + size
        start += size
