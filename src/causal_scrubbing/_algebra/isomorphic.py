"""The isomorphic form: a hypothesis rewritten so that claims and nodes correspond one to one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from causal_scrubbing._algebra.free import Free
from causal_scrubbing._algebra.given import as_hypothesis
from causal_scrubbing._data import anything
from causal_scrubbing._graph import AnyValue, Graph, Node, Pack, Unpack, is_hidden
from causal_scrubbing._hypothesis import (
    ChildSource,
    Claim,
    Hypothesis,
    OtherSource,
    TreeClaim,
    check_scrubs,
    formula,
)

CLEAN = "~clean/"


def isomorphic(hypothesis: Hypothesis | Free) -> Hypothesis:
    """The hypothesis rewritten so that the correspondence is a bijection, with the same swaps.

    The new graph has one node for each claim, named by the claim's path: a leaf's node with all
    that is upstream of it, or F(u). Each block of unimportant parents, with all that feeds it,
    becomes one node too, with a claim that it carries what the block must agree on (`anything`,
    usually), drawn by the block's own key. So every draw and every value is the same as before,
    and nothing is left unclaimed. The dataset's fields stay as input nodes.

    Where claims share a datum (``together``, groups), they and the claims between pass on the tuple
    of their parents' values up to their lowest common ancestor, which applies them all, together
    with one node for all parents that share the datum. A tuple is one tensor of bytes, through
    which gradients do not pass.

    Args:
        hypothesis: the hypothesis, or `free(graph)`.

    Returns:
        The isomorphic hypothesis, about a graph that computes the same function.

    Raises:
        HypothesisError: unimportant parents are set to means, which are no draws, or what is given
            is no hypothesis.
    """
    hypothesis = as_hypothesis(hypothesis, "isomorphic")
    check_scrubs(hypothesis, "the isomorphic form needs")
    return _Isomorphic(hypothesis).build()


class _Isomorphic:
    """Gathers the nodes and claims of the new hypothesis."""

    def __init__(self, hypothesis: Hypothesis) -> None:
        self.hypothesis = hypothesis
        self.graph = hypothesis.graph
        self.claims = hypothesis.tree.claims
        self.made: dict[str, Node] = {}
        self.units = self._units()
        self.deferred = self._deferred()

    def build(self) -> Hypothesis:
        for node in self.graph.nodes.values():
            self._copy_clean(node)
        for entry in reversed(self.claims):
            for key in self.units[entry.index]:
                self._unit_node(entry, key)
            if entry.is_leaf:
                self._node(self._name(entry), [self._clean(entry.claim.node)], _same)
            elif entry.index in self.deferred:
                self._tuple_node(entry)
            else:
                self._value(entry, self._arguments(entry), {}, self._name(entry))
                self._keep_edges(entry)
        root = self.claims[0]
        graph = Graph(
            self.made.values(),
            self._name(root),
            history=[*self.graph.history, "isomorphic form"],
            device=self.graph.device,
            source=self.graph.source,
        )
        return replace(
            self.hypothesis, graph=graph, root=self._claim(root), unimportant="per-claim"
        )

    # --- where shared draws meet -------------------------------------------------------------

    def _path_up(self, index: int) -> list[int]:
        found = [index]
        while (parent := self.claims[found[-1]].parent) is not None:
            found.append(parent)
        return found

    def _sharing(self) -> dict[str, list[int]]:
        """Key of each unimportant draw -> the claims that have parents on it."""
        found: dict[str, list[int]] = {}
        for entry in self.claims:
            for key in dict.fromkeys(entry.other_draws.values()):
                if self._members(entry, key):
                    found.setdefault(key, []).append(entry.index)
        return found

    def _meet(self, members: list[int]) -> int:
        """The lowest common ancestor of claims; a single one's is itself."""
        common = self._path_up(members[0])
        for index in members[1:]:
            above = set(self._path_up(index))
            common = [one for one in common if one in above]
        return common[0]

    def _units(self) -> dict[int, list[str]]:
        """Claim -> keys of the unimportant draws whose node is its parent."""
        found: dict[int, list[str]] = {entry.index: [] for entry in self.claims}
        for key, members in self._sharing().items():
            found[self._meet(members)].append(key)
        return found

    def _deferred(self) -> frozenset[int]:
        """Claims that pass on a tuple: those below the meeting point of a draw they share."""
        found: set[int] = set()
        for members in self._sharing().values():
            top = self._meet(members)
            for index in members:
                path = self._path_up(index)
                found.update(path[: path.index(top)])
        return frozenset(found)

    def _members(self, entry: TreeClaim, key: str) -> list[str]:
        """The unimportant parents of a claim on a draw whose values can matter."""
        return [
            node
            for node, draw in entry.other_draws.items()
            if draw == key and not self.graph.is_constant[node]
        ]

    def _shared(self, key: str) -> list[str]:
        """All nodes whose value is taken on the datum of a draw, each once, in graph order."""
        nodes = {node for entry in self.claims for node in self._members(entry, key)}
        return [name for name in self.graph.names if name in nodes]

    # --- nodes ---------------------------------------------------------------------------------

    def _clean(self, name: str) -> str:
        return name if self.graph.nodes[name].is_input else CLEAN + name

    def _copy_clean(self, node: Node) -> None:
        """The model's own node, kept as hidden plumbing; inputs stay."""
        name = self._clean(node.name)
        self.made[name] = replace(
            node,
            name=name,
            parents=tuple(self._clean(p) for p in node.parents),
            ignores=frozenset(self._clean(p) for p in node.ignores),
        )

    def _name(self, entry: TreeClaim) -> str:
        return self._free(entry.path)

    def _unit_name(self, entry: TreeClaim, key: str) -> str:
        return self._free(f"{entry.path}/{_unit_label(entry, key)}")

    def _free(self, name: str) -> str:
        # Claims' nodes are named by path, which only a root named like an input could repeat.
        while name in self.graph.inputs:
            name += "'"
        return name

    def _node(
        self,
        name: str,
        parents: Sequence[str],
        fn: Callable[..., Any] | None,
        shapes: frozenset[int] = frozenset(),
    ) -> str:
        self.made[name] = Node(name=name, parents=tuple(parents), fn=fn, shapes=shapes)
        return name

    def _unit_node(self, entry: TreeClaim, key: str) -> None:
        members = [self._clean(name) for name in self._shared(key)]
        fn = _same if len(members) == 1 else Pack()
        self._node(self._unit_name(entry, key), members, fn)

    def _tuple_node(self, entry: TreeClaim) -> None:
        arguments = self._arguments(entry)
        if arguments:
            self._node(self._name(entry), arguments, Pack())
        else:
            self._node(self._name(entry), self.graph.inputs[:1], _empty, frozenset({0}))

    def _arguments(self, entry: TreeClaim) -> list[str]:
        """The visible parents of a claim's node: its claims, then its units."""
        children = [self._name(self.claims[child]) for child in entry.children or ()]
        return [*children, *(self._unit_name(entry, key) for key in self.units[entry.index])]

    def _value(
        self,
        entry: TreeClaim,
        arguments: Sequence[str],
        shared: Mapping[tuple[str, str], str],
        name: str,
    ) -> str:
        """Make the node that applies F(u), and what is deferred to it from below.

        Args:
            entry: the claim.
            arguments: nodes of its claims' and units' values, tuples still packed.
            shared: (draw, original node) -> node of the value taken on that datum, from above.
            name: how the node is called.
        """
        children = entry.children or ()
        shared = dict(shared)
        for key, argument in zip(self.units[entry.index], arguments[len(children) :], strict=True):
            members = self._shared(key)
            for i, node in enumerate(members):
                one = argument
                if len(members) > 1:
                    one = self._node(f"~{entry.path}/{key}#{i}", [argument], Unpack(i))
                shared[(key, node)] = one
        values: dict[Hashable, str] = {}
        for position, (index, argument) in enumerate(zip(children, arguments, strict=False)):
            child = self.claims[index]
            value = argument
            if index in self.deferred:
                count = len(self._arguments(child))
                parts = [
                    self._node(f"~{child.path}/in#{i}", [argument], Unpack(i)) for i in range(count)
                ]
                value = self._value(child, parts, shared, f"~{child.path}/value")
            values[ChildSource(position)] = value
        for node, key in entry.other_draws.items():
            if (key, node) in shared:
                values[OtherSource(node)] = shared[(key, node)]
        return self._calls(entry, values, name)

    def _calls(self, entry: TreeClaim, values: dict[Hashable, str], name: str) -> str:
        if entry.routes is None:
            raise AssertionError("a leaf is not computed from claims")
        calls = formula(self.graph, entry.routes)
        for one in calls:
            parents, shapes = [], set[int]()
            for i, argument in enumerate(one.arguments):
                if not isinstance(argument, AnyValue):
                    parents.append(values[argument])
                    continue
                parents.append(self._clean(argument.node))
                if not self.graph.is_constant[argument.node]:
                    shapes.add(i)
            made = name if one is calls[-1] else f"~{entry.path}/{one.slot}:{one.node}"
            fn = self.graph.nodes[one.node].fn
            values[one.slot] = self._node(made, parents, fn, frozenset(shapes))
        if not calls:
            self._node(name, [self._clean(entry.claim.node)], _same)
        return name

    def _keep_edges(self, entry: TreeClaim) -> None:
        """Wire in what a claim's node is said to be computed from but does not read.

        A claim on a constant, or one whose parents all share their datum with claims above.
        """
        name = self._name(entry)
        reached: set[str] = set()
        todo = list(self.made[name].read)
        while todo:
            one = todo.pop()
            if one not in reached:
                reached.add(one)
                todo += self.made[one].read if is_hidden(one) else ()
        unread = [one for one in self._arguments(entry) if one not in reached]
        if unread:
            top = f"~{entry.path}/top"
            self.made[top] = replace(self.made.pop(name), name=top)
            self._node(name, [top, *unread], _same)

    # --- claims --------------------------------------------------------------------------------

    def _claim(self, entry: TreeClaim) -> Claim:
        children: tuple[Claim, ...] | None = None
        arguments = self._arguments(entry)
        if not entry.is_leaf and arguments:
            children = (
                *(self._claim(self.claims[child]) for child in entry.children or ()),
                *(self._unit_claim(entry, key) for key in self.units[entry.index]),
            )
        elif entry.index in self.deferred or (
            not entry.is_leaf and self.graph.is_constant[entry.claim.node]
        ):
            children = ()
        return replace(
            entry.claim,
            node=self._name(entry),
            children=children,
            via=(),
            others=anything,
            name=entry.claim.label,
        )

    def _unit_claim(self, entry: TreeClaim, key: str) -> Claim:
        return Claim(
            node=self._unit_name(entry, key),
            feature=entry.claim.others,
            name=_unit_label(entry, key),
            draw=key,
        )


def _same(value: torch.Tensor, *unread: torch.Tensor) -> torch.Tensor:
    return value


def _empty(rows: torch.Tensor) -> torch.Tensor:
    return rows.new_empty((len(rows), 0), dtype=torch.uint8)


def _unit_label(entry: TreeClaim, key: str) -> str:
    return key.removeprefix(f"{entry.path}/")
