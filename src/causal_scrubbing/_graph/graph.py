"""The computational graph G, with the rewrites as methods, each a function of its own module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.rewrite.dictionary import Dictionary
from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._graph.rewrite.duplicate import duplicate
from causal_scrubbing._graph.rewrite.edges import prune, pruning_rows
from causal_scrubbing._graph.rewrite.lineage import recorded
from causal_scrubbing._graph.rewrite.naming import coarsen, rename
from causal_scrubbing._graph.rewrite.replace import replace, verify
from causal_scrubbing._graph.rewrite.split import split
from causal_scrubbing._graph.rewrite.split_sum import split_sum
from causal_scrubbing._nodes import BaseGraph, Node, describe, dot, is_hidden, recognise


class Graph(BaseGraph):
    """A DAG of named nodes: inputs read dataset fields, every other node is a pure function.

    Made by `Graph.build` or `capture`; immutable. Rewrites return a new graph that computes the
    same function, `append` aside.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return describe(self)

    def to_dot(self) -> str:
        """The visible nodes and their direct edges in the DOT language of Graphviz.

        Inputs are boxes, sums are circles, the output has two borders.

        Returns:
            A text to be written to a file, for ``dot -Tsvg``, or pasted into a viewer.

        Example:
            >>> import torch, causal_scrubbing as cs
            >>> graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.relu, ["x"])}, output="y")
            >>> print(graph.to_dot())
            digraph {
              rankdir=BT;
              "x" [shape=box];
              "y" [shape=ellipse, peripheries=2];
              "x" -> "y";
            }
        """
        return dot(self)

    @recorded
    def split(
        self,
        pattern: str,
        *,
        axis: int | None = None,
        axes: Sequence[int] | None = None,
        into: Mapping[str, object],
        rest: str | None = None,
        data: Dataset | None = None,
        edges: str = "nan",
    ) -> Graph:
        """Parts of a node's tensor along an axis become nodes of their own.

        The node dissolves: its pieces have its parents, its consumers read the pieces, put
        together again by a hidden node that every route may pass. Where a consumer is a linear map
        along that axis (an output projection), it becomes a sum of linear maps, one a piece.

        Example::

            graph.split("a*.z", axis=-1, into={"h{}": 12})      # a0.z -> a0.z.h0 ... a0.z.h11
            graph.split("r2", axis=1, rest="rest",
                        into={"p1": 1, "mid": slice(2, 9), "name": "name_position"})

        Args:
            pattern: the nodes to split.
            axis: the axis of their tensors, the batch being axis 0; negative counts from the end.
            axes: instead of `axis`, several axes cut at once, as height and width, ``(2, 3)``.
            into: pieces by name. ``"h{}": 12`` is twelve equal parts, ``"p{}": [3, 5]`` places 3
                and 5 as p3 and p5; else an int (one place, the axis goes), a slice, a list of
                places, or the name of a dataset field that holds each row's own place, int [n] (or
                places, [n, k]). Such a field becomes an input of the graph and a parent of what
                reads it. A boolean mask names the places where it is true. With `axes`, a tuple of
                a place, slice or list for each axis (their box), or a mask over all of them;
                ``"p{}_{}": (range(3), range(3))`` makes each place of a box a piece, and
                ``"p{}_{}": ...`` each place that is in no other piece.
            rest: name of the rest: the whole tensor, in which the pieces overwrite their places.
                Needed where they leave any.
            data: rows on which to look up shapes and test edges; the graph's own example if None.
            edges: an edge of a piece stays only where a value can reach it. "nan": where a NaN
                does, or a change of sign; exact zeros times NaN count as reaching, so that no edge
                is lost to a mask; edges from integers stay. "values": where any of several finite
                changes, of the rows at hand, makes a difference to the bit. That sees through
                causal masks, but also takes a gate shut on these rows for a gate always shut. Where
                a function reads at each row's own place, both see only the places of the rows at
                hand, which are chosen to cover the values of fields that hold one integer a row.

        Raises:
            GraphError: no node matches, a piece is empty, pieces overlap, or leave places and no
                `rest` is named; or the size is needed and there is no data.
        """
        return split(
            self, pattern, axis=axis, axes=axes, into=into, rest=rest, data=data,
            edges=edges,
        )  # fmt: skip

    @recorded
    def split_sum(
        self,
        pattern: str,
        pieces: Mapping[str, object] | Dictionary,
        *,
        rest: str | None = None,
        joint: bool = False,
        data: Dataset | None = None,
        edges: str = "nan",
    ) -> Graph:
        """A node becomes the sum of named summands, each a node of its own.

        The node dissolves: its consumers read the sum of the summands, through a hidden node that
        every route may pass; a linear map among them becomes a sum of linear maps. An input stays,
        as the parent of its summands.

        Example::

            graph.split_sum("a0.z.h0", {"phi": (stand_in, ["share"]), "das": direction},
                            rest="rest")
            graph.split_sum("m3", cs.dictionary(sae.encode, sae.decode, {"names": [17, 402]}),
                            rest="error")

        Args:
            pattern: the nodes to split.
            pieces: summands by name. ``(function, [parents])`` is computed from other nodes or
                fields (an approximation of the node, say), which alone are then its parents. A
                function of the node's value, or a matrix applied to its last axis, has the node's
                parents: a square matrix [d, d] is applied as it is, x -> M x; a vector [d] or
                matrix [d, k] means the orthogonal projection onto the span of its columns. Or a
                `cs.dictionary` of features.
            rest: name of the rest, the node less the summands. Its parents are the node's and
                those of the summands. If None the summands must add up to the node, which is
                checked on data, as in `replace`.
            joint: of directions [d] and matrices [d, k] that are not at right angles, take each
                one's share in the projection onto all of them together (the dual basis): a vector
                in one span belongs to that summand alone, and the rest has nothing in any. Without
                it, each is a projection of its own, and what two of them share is in both, and
                negatively in the rest; the history and `notes` give the largest overlap. Take
                joint where directions were found as a set, as the features of a dictionary; take
                single projections where each direction is a claim of its own.
            data: rows on which to test edges and sums; the graph's own example if None.
            edges: how edges are tested; see `split`.

        Raises:
            GraphError: no node matches, a summand cannot be understood, or they do not add up.
        """
        return split_sum(self, pattern, pieces, rest=rest, joint=joint, data=data, edges=edges)

    @recorded
    def duplicate(self, name: str, copies: Mapping[str, Sequence[str] | str]) -> Graph:
        """Copies of a node, each read by some of its consumers, so that routes become nodes.

        The wires between a copy and its consumers are copied too. Consumers that are not listed
        still read the node; if all are, it goes.

        Example::

            graph.duplicate("embed", {"embed.direct": ["logits"], "embed.early": ["m0", "a0.*"]})

        Args:
            name: the node.
            copies: name of the copy -> the consumers (or patterns) that read it.

        Raises:
            GraphError: a listed node does not read it, or is listed twice, or a name is taken.
        """
        return duplicate(self, name, copies)

    @recorded
    def replace(
        self,
        name: str,
        *,
        nodes: Mapping[str, tuple[Callable[..., Any], Sequence[str]]],
        output: str,
        data: Dataset | None = None,
        tolerance: float | None = None,
    ) -> Graph:
        """A node is replaced by a subgraph that computes the same.

        What only the old node read goes with it.

        Example::

            graph.replace("sq", output="sum", nodes={       # (a + b)^2
                "aa": (torch.square, ["a"]), "bb": (torch.square, ["b"]),
                "ab": (lambda a, b: 2 * a * b, ["a", "b"]),
                "sum": (cs.add, ["aa", "ab", "bb"])})

        Args:
            name: the node that goes.
            nodes: new nodes as in `Graph.build`; their parents are nodes of either kind, or fields.
            output: the new node that takes its place.
            data: rows on which the two graphs are compared. If None they are compared on the
                graph's example, if it has one, and again on the first data that is scrubbed.
            tolerance: the largest difference allowed, as a share of the largest output, as in
                `check_equal`; by dtype if None. A part in single precision inside a model in double
                needs a larger one.

        Raises:
            GraphError: the outputs differ, a name is taken or unknown, or there is a cycle.
        """
        return replace(self, name, nodes, output, data, tolerance)

    def verify(self, data: Dataset) -> Graph:
        """The graph, once all that was only said to be equal has been compared on data.

        Raises:
            GraphError: this graph and one it was rewritten from differ; says where and by how much.
        """
        return verify(self, data)

    @recorded
    def prune(self, data: Dataset | None = None, *, edges: str = "nan") -> Graph:
        """The graph without the edges that carry nothing.

        `split` does this for the edges of its pieces where it has data. See there for `edges`.

        Args:
            data: rows to test on; the graph's own example if None.
            edges: "nan" or "values".

        Raises:
            GraphError: there is no data.
        """
        graph = self
        rows = pruning_rows(graph, data)
        if rows is None:
            raise GraphError("prune: there are no rows to test edges on; give data=.")
        pruned = prune(graph, rows, None, edges)
        return pruned.remake(pruned.nodes.values(), "prune edges that carry nothing")

    @recorded
    def coarsen(self, keep: Sequence[str] | str) -> Graph:
        """The graph with only some of its nodes; what lies between is fused into them.

        Args:
            keep: nodes or patterns to keep; inputs and the output always stay.

        Raises:
            GraphError: a pattern matches nothing.
        """
        return coarsen(self, [keep] if isinstance(keep, str) else keep)

    @recorded
    def rename(self, names: Mapping[str, str]) -> Graph:
        """The graph with nodes renamed; ``{"layer{i}.head*": "a{i}.*"}`` renames many at once.

        Raises:
            GraphError: nothing matches, or two nodes would have one name.
        """
        return rename(self, names)

    @recorded
    def append(self, name: str, fn: Callable[..., Any], *, parents: Sequence[str]) -> Graph:
        """The graph with one more node, which becomes its output (a loss on the logits, say).

        A parent that the graph does not have is a dataset field and becomes an input.

        Raises:
            GraphError: the name is taken, or the parents are no list.
        """
        draft = Draft(self)
        if is_hidden(name):
            raise GraphError(f"append: {name!r} is reserved; names do not begin with ~.")
        if isinstance(parents, str):
            raise GraphError(
                f"append: parents={parents!r} is one string; write a list, parents=[{parents!r}]."
            )
        read = tuple(draft.wire(parent) for parent in parents)
        draft.add(Node(name=name, parents=read, fn=recognise(fn, len(read))))
        draft.output = name
        return draft.finish(f"append {name} of {', '.join(parents)}")
