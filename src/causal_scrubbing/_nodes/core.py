"""The computational graph G: a DAG of named nodes over a dataset's fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch

from causal_scrubbing._data import Dataset, check_dataset
from causal_scrubbing._display import Box, Displayed, html_layers, plot_layers
from causal_scrubbing._errors import GraphError
from causal_scrubbing._format import listed, plural
from causal_scrubbing._nodes.boxes import JoinBoxes
from causal_scrubbing._nodes.build import make_nodes, sort_nodes
from causal_scrubbing._nodes.evaluate import evaluate, evaluate_dataset, needed_nodes
from causal_scrubbing._nodes.node import Node, is_hidden
from causal_scrubbing._nodes.ops import Add
from causal_scrubbing._nodes.parts import Join
from causal_scrubbing._nodes.patterns import matches, nearest
from causal_scrubbing._nodes.rows import EXAMPLE_ROWS, few_rows
from causal_scrubbing._nodes.source import Source
from causal_scrubbing._nodes.wires import visible_parents

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.figure import Figure

G = TypeVar("G", bound="BaseGraph")


class BaseGraph(Displayed):
    """A graph as it is looked at and run; `Graph` adds the rewrites."""

    __slots__ = (
        "__dict__", "__weakref__", "_nodes", "device", "example", "history", "notes", "output",
        "rewrite", "source", "unverified",
    )  # fmt: skip

    def __init__(
        self,
        nodes: Iterable[Node],
        output: str,
        *,
        history: Sequence[str] = (),
        unverified: Sequence[tuple[BaseGraph, float | None]] = (),
        device: torch.device | str | None = None,
        example: Dataset | None = None,
        source: Source | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Sort and check the nodes; most people want `Graph.build`.

        Args:
            nodes: all nodes, hidden ones included, in any order.
            output: the node whose value is the behaviour's output.
            history: what was done to get here, one line a rewrite.
            unverified: graphs this one is said to equal, to be checked on the first data seen, and
                the tolerance of each, as in `check_equal`.
            device: where the nodes' functions expect their tensors; None if they do not care.
            example: rows on which rewrites look up shapes and test edges; a few of them are kept.
            source: the model that the nodes were captured from, if they were.
            notes: what a reader of any result on this graph should know.

        Raises:
            GraphError: a repeated or unknown name, or a cycle.
        """
        self.notes = tuple(dict.fromkeys(notes))
        """What a reader of any result on this graph should know."""
        self._nodes = sort_nodes(list(nodes), output)
        self.output = output
        self.source = source
        self.history = tuple(history)
        self.unverified = tuple(unverified)
        self.rewrite: Rewrite | None = None
        """The rewrite that made this graph, and of which graph."""
        self.device = None if device is None else torch.device(device)
        fields = [node.field for node in self._nodes.values() if node.is_input]
        self.example = None if example is None else few_rows(example, EXAMPLE_ROWS, fields)

    @classmethod
    def build(
        cls,
        *,
        inputs: Sequence[str] | Mapping[str, str],
        nodes: Mapping[str, tuple[Callable[..., Any], Sequence[str]]],
        output: str,
        device: torch.device | str | None = None,
        example: Dataset | None = None,
    ) -> Self:
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
            example: rows on which rewrites look up shapes and test edges; a few of them are kept.

        Raises:
            GraphError: a repeated or unknown name, a cycle, inputs or parents that are no list.
        """
        if isinstance(inputs, str):
            raise GraphError(f"inputs={inputs!r} is one string; write a list, inputs=[{inputs!r}].")
        fields = dict(inputs) if isinstance(inputs, Mapping) else {name: name for name in inputs}
        made = [Node(name=name, field=field) for name, field in fields.items()]
        made += make_nodes(nodes)
        history = [f"built by hand, {len(made)} nodes"]
        return cls(made, output, history=history, device=device, example=example)

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
                if self._is_dissolved(one):
                    self.node(one)
                raise GraphError(f"no node matches {one!r}. {nearest(one, self.names)}")
            found.update(hits)
        return tuple(name for name in self.names if name in found)

    def node(self, name: str) -> Node:
        """One node by its exact name.

        Raises:
            GraphError: there is none; the nearest names are given.
        """
        if self._is_dissolved(name):
            pieces = [n for n in self.names if n.startswith(f"{name}.")]
            instead = f"split into {', '.join(pieces[:8])}" if pieces else "fused by coarsen"
            raise GraphError(f"{name!r} is no node any more: it was {instead}.")
        if name not in self._nodes:
            raise GraphError(f"the graph has no node {name!r}. {nearest(name, self.names)}")
        return self._nodes[name]

    @cached_property
    def _parents(self) -> dict[str, tuple[str, ...]]:
        position = {name: i for i, name in enumerate(self._nodes)}
        return {
            name: tuple(sorted(visible_parents(self._nodes, name), key=position.__getitem__))
            for name in self.names
        }

    def parents(self, name: str) -> tuple[str, ...]:
        """The nodes whose values reach a node directly, in topological order.

        Raises:
            GraphError: there is no such node.
        """
        if self.node(name).name not in self._parents:
            raise GraphError(f"{name!r} is a hidden wire, which has no parents of its own.")
        return self._parents[name]

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

    def reaches(self, name: str) -> bool:
        """Whether a node's value reaches the output, or is it.

        Example::

            [name for name in graph.names if not graph.reaches(name)]   # by-products

        Raises:
            GraphError: there is no such node.
        """
        return self.node(name).name in (self.output, *self.ancestors(self.output))

    @cached_property
    def is_constant(self) -> Mapping[str, bool]:
        """Whether a node reads no input at all, so that its value is the same on every row."""
        constant: dict[str, bool] = {}
        for name, node in self._nodes.items():
            constant[name] = not node.is_input and all(constant[p] for p in node.read)
        return constant

    def plot(self) -> Figure:
        """The visible nodes in layers, inputs on the left; edges that others imply are left out.

        Returns:
            A figure that a notebook shows by itself. Of more than 400 nodes the last are drawn.
        """
        return plot_layers(self._boxes(), title=self._title)

    def _boxes(self) -> dict[str, Box]:
        return {
            name: Box(
                text=name,
                below="input" if self._nodes[name].is_input else "",
                parents=self._parents[name],
                strong=name == self.output,
            )
            for name in self.names
        }

    @property
    def _title(self) -> str:
        return repr(self).removesuffix("; print it to see them)") + ")"

    def _repr_html_(self) -> str:
        return html_layers(self._title, str(self), self._boxes())

    def to_networkx(self) -> nx.DiGraph[str]:
        """The visible nodes and their direct edges as a `networkx.DiGraph`.

        Node attributes: ``kind`` ("input", "sum", "function"), ``field``, ``output``.
        """
        import networkx as nx

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
            f"Graph({len(self.names)} {plural(len(self.names), 'node')}, "
            f"{len(self.inputs)} {plural(len(self.inputs), 'input')}, output {self.output!r}; "
            "print it to see them)"
        )

    # --- running ---------------------------------------------------------------------------

    def __call__(
        self, data: Dataset, *, batch_size: int = 1024, device: torch.device | str | None = None
    ) -> torch.Tensor:
        """The output on every row of a dataset, in row order, [n, ...].

        Args:
            data: the rows.
            batch_size: how many are run at once.
            device: where to run; where the graph says, or where the data is, if None.

        Raises:
            GraphError: the batch size is not a positive number, or a node fails.
        """
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
            names: nodes or patterns to return; the output if None. A node that was split or fused
                may still be named in full.
            given: node -> tensor [n, ...] used in place of the node's own value, upstream of which
                nothing is run.
            device: where to run; where the graph says, or where the data is, if None.

        Raises:
            GraphError: a name matches nothing, or a given tensor has the wrong number of rows or
                reaches none of the nodes returned.
        """
        check_dataset(data)
        asked = [self.output] if names is None else [names] if isinstance(names, str) else names
        wanted = {
            name: wire
            for pattern in asked
            for name, wire in (
                {pattern: f"~{pattern}"}
                if self._is_dissolved(pattern)
                else {name: name for name in self.find(pattern)}
            ).items()
        }
        put: dict[str, torch.Tensor] = {}
        for name, tensor in (given or {}).items():
            if not isinstance(tensor, torch.Tensor) or tensor.ndim == 0:
                raise GraphError(
                    f"given[{name!r}] is {tensor!r}; give a tensor with one entry for each of the "
                    f"{len(data)} rows."
                )
            if len(tensor) != len(data):
                raise GraphError(
                    f"given[{name!r}] has {len(tensor)} rows for {len(data)} rows of data."
                )
            put[self._source(name)] = tensor
        read = set(needed_nodes(self, list(wanted.values())))
        for name in given or {}:
            if self._source(name) not in read:
                raise GraphError(
                    f"given[{name!r}] does not reach {listed(list(wanted))}, so it can change "
                    "nothing there; name nodes downstream of it."
                )
        found = evaluate(self, data, list(wanted.values()), given=put, device=device or self.device)
        return {name: found[wire] for name, wire in wanted.items()}

    def _is_dissolved(self, name: str) -> bool:
        return name not in self._nodes and f"~{name}" in self._nodes

    def _source(self, name: str) -> str:
        """Where to put a value for a node, also one that was split or fused."""
        if f"~whole:{name}" in self._nodes:
            return f"~whole:{name}"
        if self._is_dissolved(name) and isinstance(self._nodes[f"~{name}"].fn, Join | JoinBoxes):
            raise GraphError(f"given[{name!r}]: the input {name!r} was split; give its pieces.")
        return f"~{name}" if self._is_dissolved(name) else self.node(name).name

    def check_fresh(self) -> None:
        """Check that the model a graph was captured from is still what it was then.

        `scrub` and its kin do so before they run. A graph built by hand is always fresh.

        Example::

            graph = cs.capture(model, data[:2])
            model.load_state_dict(other_weights)
            graph.check_fresh()  # GraphError: ... weights have changed since ...

        Raises:
            GraphError: the model's weights, modules or hooks have changed since; says which.
        """
        if self.source is not None:
            self.source.check()

    def save(self, folder: str | Path) -> None:
        """Write a captured graph to a folder, rewrites included, to be opened by `load_graph`.

        The files name operators and the model's weights; they hold no code and none of the
        weights. So nodes made from functions of one's own cannot be saved.

        Example::

            graph.save("graph/")
            graph = cs.load_graph("graph/", model)

        Args:
            folder: where; made if it is not there.

        Raises:
            GraphError: the graph was built by hand, its model has changed, or some nodes are code;
                they are named.
            ScrubError: there is a file in the place of the folder.
        """
        if self.source is None:
            raise GraphError(
                "a graph built by hand is code, which a file does not hold; only captured graphs "
                "can be saved."
            )
        self.source.save(self, Path(folder))

    # --- remaking ----------------------------------------------------------------------------

    def remake(
        self,
        nodes: Iterable[Node],
        note: str | None = None,
        *,
        output: str | None = None,
        verify: bool = False,
        tolerance: float | None = None,
        verified: bool = False,
        example: Dataset | None = None,
        notes: Sequence[str] = (),
    ) -> Self:
        """A graph of these nodes with this one's past, for rewrites.

        Args:
            nodes: all nodes, hidden ones included.
            note: what was done, for the history; nothing is added if None.
            output: the output's name, if it has another now.
            verify: say that the new graph computes the same as this one, to be checked on data.
            tolerance: within which; see `check_equal`.
            verified: say that all that was to be checked has been.
            example: rows to keep as the example, if this graph has none.
            notes: what a reader of results should know besides what is noted already.
        """
        waiting: tuple[tuple[BaseGraph, float | None], ...] = (
            (*self.unverified, (self, tolerance)) if verify else self.unverified
        )
        return type(self)(
            nodes,
            self.output if output is None else output,
            history=[*self.history, *([] if note is None else [note])],
            unverified=() if verified else waiting,
            device=self.device,
            example=example if self.example is None else self.example,
            source=self.source,
            notes=(*self.notes, *notes),
        )


@dataclass(frozen=True, eq=False)
class Rewrite:
    """One rewrite: what it was called with, and the graph it was done to.

    Attributes:
        kind: name of the method.
        before: the graph it was called on.
        target: its first argument, a pattern, a name or a mapping of names; None if it has none.
        options: its other arguments.
    """

    kind: str
    before: BaseGraph
    target: Any
    options: Mapping[str, Any]
