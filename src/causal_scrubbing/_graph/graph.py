"""The computational graph G: a DAG of named nodes over a dataset's fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import networkx as nx
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.evaluate import evaluate, evaluate_dataset
from causal_scrubbing._graph.node import Node, is_hidden
from causal_scrubbing._graph.ops import Add, recognise
from causal_scrubbing._graph.patterns import matches, nearest


class Graph:
    """A DAG of named nodes: inputs read dataset fields, every other node is a pure function.

    Made by `Graph.build` or `capture`; immutable. Rewrites return a new graph that computes the
    same function.
    """

    __slots__ = ("__dict__", "_nodes", "device", "history", "output", "unverified")

    def __init__(
        self,
        nodes: Iterable[Node],
        output: str,
        *,
        history: Sequence[str] = (),
        unverified: Sequence[Graph] = (),
        device: torch.device | str | None = None,
    ) -> None:
        """Sort and check the nodes; most people want `Graph.build`.

        Args:
            nodes: all nodes, hidden ones included, in any order.
            output: the node whose value is the behaviour's output.
            history: what was done to get here, one line a rewrite.
            unverified: graphs this one is said to equal, to be checked on the first data seen.
            device: where the nodes' functions expect their tensors; None if they do not care.

        Raises:
            GraphError: a repeated or unknown name, a cycle, no input.
        """
        self._nodes = _sorted(list(nodes), output)
        self.output = output
        self.history = tuple(history)
        self.unverified = tuple(unverified)
        self.device = None if device is None else torch.device(device)

    @classmethod
    def build(
        cls,
        *,
        inputs: Sequence[str] | Mapping[str, str],
        nodes: Mapping[str, tuple[Callable[..., Any], Sequence[str]]],
        output: str,
        device: torch.device | str | None = None,
    ) -> Graph:
        """A graph written by hand.

        Example::

            graph = cs.Graph.build(
                inputs=["x1", "x2"],
                nodes={"s": (cs.add, ["x1", "x2"]), "y": (torch.relu, ["s"])},
                output="y")

        Args:
            inputs: names of dataset fields, or node name -> field name.
            nodes: node name -> (function, parents). The function takes the parents' values, batch
                first, in order, and returns a tensor, batch first; one row never reads another.
                `cs.add` (or `torch.add` of two) marks a sum, which the engine scrubs cheaply.
                Order is free.
            output: the node that is the output.
            device: where the functions expect their tensors; None if they do not care.

        Raises:
            GraphError: a repeated or unknown name, a cycle, a parent list that is not a list.
        """
        fields = dict(inputs) if isinstance(inputs, Mapping) else {name: name for name in inputs}
        made = [Node(name=name, field=field) for name, field in fields.items()]
        for name, entry in nodes.items():
            if not (isinstance(entry, tuple) and len(entry) == 2 and callable(entry[0])):
                raise GraphError(
                    f"node {name!r} must be given as (function, [parents]), not {entry!r}."
                )
            fn, parents = entry
            if isinstance(parents, str):
                raise GraphError(
                    f"node {name!r}: its parents are the string {parents!r}; "
                    f"write a list, [{parents!r}]."
                )
            if name.startswith("~"):
                raise GraphError(f"node {name!r}: names that begin with ~ are reserved.")
            made.append(Node(name=name, parents=tuple(parents), fn=recognise(fn, len(parents))))
        return cls(made, output, history=[f"built by hand, {len(made)} nodes"], device=device)

    # --- looking ---------------------------------------------------------------------------

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by name in topological order, hidden plumbing included."""
        return MappingProxyType(self._nodes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes a person can claim, in topological order."""
        return tuple(name for name in self._nodes if not is_hidden(name))

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the input nodes."""
        return tuple(name for name, node in self._nodes.items() if node.is_input)

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __len__(self) -> int:
        return len(self.names)

    def find(self, pattern: str | Sequence[str]) -> tuple[str, ...]:
        """Names that match a pattern (``*`` anything, ``{i}`` a number), in topological order.

        Raises:
            GraphError: a pattern matches nothing; the nearest names are given.
        """
        patterns = [pattern] if isinstance(pattern, str) else list(pattern)
        found = set[str]()
        for one in patterns:
            hits = [name for name in self.names if matches(one, name)]
            if not hits:
                raise GraphError(f"no node matches {one!r}. {nearest(one, self.names)}")
            found.update(hits)
        return tuple(name for name in self.names if name in found)

    def node(self, name: str) -> Node:
        """One node by its exact name.

        Raises:
            GraphError: there is none; the nearest names are given.
        """
        if name not in self._nodes:
            raise GraphError(f"the graph has no node {name!r}. {nearest(name, self.names)}")
        return self._nodes[name]

    @cached_property
    def _parents(self) -> dict[str, tuple[str, ...]]:
        memo: dict[tuple[str, frozenset[str]], tuple[str, ...]] = {}

        def frontier(name: str, blocked: frozenset[str]) -> tuple[str, ...]:
            key = (name, blocked)
            if key not in memo:
                node = self._nodes[name]
                stop = blocked | node.ignores
                found = dict[str, None]()
                for parent in node.read:
                    if parent in stop:
                        continue
                    if is_hidden(parent):
                        found.update(dict.fromkeys(frontier(parent, stop)))
                    else:
                        found[parent] = None
                memo[key] = tuple(found)
            return memo[key]

        # In topological order, so that recursion is never deeper than one hidden step.
        for name in self._nodes:
            frontier(name, frozenset())
        position = {name: i for i, name in enumerate(self._nodes)}
        return {
            name: tuple(sorted(frontier(name, frozenset()), key=position.__getitem__))
            for name in self._nodes
        }

    def parents(self, name: str) -> tuple[str, ...]:
        """The nodes whose values reach a node directly, in topological order.

        Raises:
            GraphError: there is no such node.
        """
        return self._parents[self.node(name).name]

    @cached_property
    def _children(self) -> dict[str, tuple[str, ...]]:
        children: dict[str, list[str]] = {name: [] for name in self.names}
        for name in self.names:
            for parent in self._parents[name]:
                children[parent].append(name)
        return {name: tuple(found) for name, found in children.items()}

    def children(self, name: str) -> tuple[str, ...]:
        """The nodes that a node's value reaches directly, in topological order."""
        return self._children[self.node(name).name]

    @cached_property
    def _ancestors(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for name in self.names:
            parents = self._parents[name]
            found[name] = frozenset(parents).union(*(found[p] for p in parents))
        return found

    def ancestors(self, name: str) -> frozenset[str]:
        """All nodes upstream of a node, itself not included."""
        return self._ancestors[self.node(name).name]

    def descendants(self, name: str) -> frozenset[str]:
        """All nodes downstream of a node, itself not included."""
        self.node(name)
        return frozenset(other for other in self.names if name in self._ancestors[other])

    @cached_property
    def is_constant(self) -> Mapping[str, bool]:
        """Whether a node reads no input at all, so that its value is the same on every row."""
        constant: dict[str, bool] = {}
        for name, node in self._nodes.items():
            constant[name] = not node.is_input and all(constant[p] for p in node.read)
        return constant

    def to_networkx(self) -> nx.DiGraph[str]:
        """The visible nodes and their direct edges as a `networkx.DiGraph`.

        Node attributes: ``kind`` ("input", "sum", "function"), ``field``, ``output``.
        """
        graph: nx.DiGraph[str] = nx.DiGraph()
        for name in self.names:
            node = self._nodes[name]
            kind = "input" if node.is_input else "sum" if isinstance(node.fn, Add) else "function"
            graph.add_node(name, kind=kind, field=node.field, output=name == self.output)
        graph.add_edges_from((p, name) for name in self.names for p in self._parents[name])
        return graph

    @cached_property
    def fingerprint(self) -> str:
        """A hash of names and edges (not of the functions, which are code)."""
        digest = blake2b(digest_size=16)
        for name in self.names:
            digest.update(f"{name}<{','.join(self._parents[name])}|".encode())
        digest.update(self.output.encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        return (
            f"Graph({len(self.names)} nodes, {len(self.inputs)} inputs, output {self.output!r}; "
            "print it to see them)"
        )

    def __str__(self) -> str:
        from causal_scrubbing._graph.text import describe

        return describe(self)

    # --- running ---------------------------------------------------------------------------

    def __call__(
        self, data: Dataset, *, batch_size: int = 1024, device: torch.device | str | None = None
    ) -> torch.Tensor:
        """The output on every row of a dataset, in row order, [n, ...]."""
        return evaluate_dataset(self, data, [self.output], batch_size, device)[self.output]

    def values(
        self,
        data: Dataset,
        names: Sequence[str] | str | None = None,
        given: Mapping[str, torch.Tensor] | None = None,
        *,
        device: torch.device | str | None = None,
    ) -> dict[str, torch.Tensor]:
        """Values of nodes on all rows at once, differentiable in what is given.

        Args:
            data: the rows, run as one batch.
            names: nodes or patterns to return; the output if None.
            given: node -> tensor [n, ...] used in place of the node's own value, upstream of which
                nothing is run.
            device: where to run; where the graph says, or where the data is, if None.

        Raises:
            GraphError: a name matches nothing, or a given tensor has the wrong number of rows.
        """
        wanted = self.find(names) if names is not None else (self.output,)
        for name, tensor in (given or {}).items():
            self.node(name)
            if len(tensor) != len(data):
                raise GraphError(
                    f"given[{name!r}] has {len(tensor)} rows for {len(data)} rows of data."
                )
        return evaluate(self, data, wanted, given=given, device=device or self.device)

    # --- the simplest rewrites ---------------------------------------------------------------

    def remake(
        self,
        nodes: Iterable[Node],
        note: str,
        *,
        output: str | None = None,
        verify: bool = False,
    ) -> Graph:
        """A graph of these nodes with this one's past; `verify` marks it to be checked on data."""
        unverified = (*self.unverified, self) if verify else self.unverified
        return Graph(
            nodes,
            self.output if output is None else output,
            history=[*self.history, note],
            unverified=unverified,
            device=self.device,
        )

    def append(self, name: str, fn: Callable[..., Any], *, parents: Sequence[str]) -> Graph:
        """The graph with one more node, which becomes its output (a loss on the logits, say).

        A parent that the graph does not have is a dataset field and becomes an input.

        Raises:
            GraphError: the name is taken.
        """
        if name in self._nodes or is_hidden(name):
            raise GraphError(f"the name {name!r} is taken or reserved; choose another for append.")
        made = list(self._nodes.values())
        made += [Node(name=p, field=p) for p in dict.fromkeys(parents) if p not in self._nodes]
        made.append(Node(name=name, parents=tuple(parents), fn=recognise(fn, len(parents))))
        return self.remake(made, f"append {name} of {', '.join(parents)}", output=name)


def _sorted(nodes: list[Node], output: str) -> dict[str, Node]:
    by_name: dict[str, Node] = {}
    for node in nodes:
        if node.name in by_name:
            raise GraphError(f"two nodes are called {node.name!r}; names are unique in a graph.")
        by_name[node.name] = node
    visible = [name for name in by_name if not is_hidden(name)]
    for node in nodes:
        for parent in node.parents:
            if parent not in by_name:
                raise GraphError(
                    f"node {node.name!r} has the parent {parent!r}, which is neither an input nor "
                    f"a node. {nearest(parent, visible)}"
                )
    if output not in by_name:
        raise GraphError(f"the output {output!r} is no node. {nearest(output, visible)}")
    # Depth-first over parents keeps the order that was written wherever it already fits.
    done: dict[str, Node] = {}
    open_: set[str] = set()
    for start in by_name:
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, index = stack.pop()
            if name in done:
                continue
            parents = by_name[name].parents
            if index == 0:
                open_.add(name)
            if index < len(parents):
                stack.append((name, index + 1))
                parent = parents[index]
                if parent in open_ and parent not in done:
                    raise GraphError(_cycle(by_name, parent))
                if parent not in done:
                    stack.append((parent, 0))
            else:
                done[name] = by_name[name]
    return done


def _cycle(nodes: Mapping[str, Node], start: str) -> str:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((p, n.name) for n in nodes.values() for p in n.parents)
    cycle = [edge[0] for edge in nx.find_cycle(graph, start, orientation="reverse")]
    loop = " <- ".join([*cycle, cycle[0]])
    return f"the graph has a cycle, {loop}: a node cannot be computed from itself."
