"""The same hypothesis about a finer graph: its swaps, position by position.

Where a node was cut into parts, a datum that was drawn for it is drawn once for all its parts, and
what it was computed from is what each of the parts is computed from, on the same data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from causal_scrubbing._algebra.block_form import (
    BlockForm,
    CopyKey,
    Parts,
    Position,
    Wiring,
    block_form,
)
from causal_scrubbing._algebra.free import Free
from causal_scrubbing._algebra.given import as_hypothesis
from causal_scrubbing._algebra.join_errors import different_graphs
from causal_scrubbing._algebra.rebuild import rebuild
from causal_scrubbing._data import exact
from causal_scrubbing._errors import GraphError, HypothesisError
from causal_scrubbing._graph import Graph, Refinement, Side, is_same, refine
from causal_scrubbing._hypothesis import Hypothesis, node_label

NONE: frozenset[str] = frozenset()

OWN_DATUM: Final = "/~own"
"""Ends the key of a block that is a claim's own datum, read below it."""


def restate(h: Hypothesis | Free, graph: Graph) -> Hypothesis:
    """The same hypothesis about a rewriting of its graph: the same swaps, the same estimate.

    Example::

        finer = graph.split("a*.z", axis=-1, into={"h{}": 2})
        cs.restate(h, finer)        # a claim on a0.z is one on a0.z.h0 and a0.z.h1, drawn as one

    The first part of a node has its claim's path, so that the draws are those of `h`.

    Args:
        h: the hypothesis, or `free(graph)`.
        graph: made from ``h.graph`` by `split`, `split_sum`, `duplicate`, `replace`, `rename`.

    Raises:
        HypothesisError: the graph is not made so, or no claims on it say the same.
    """
    h = as_hypothesis(h, "restate")
    if not isinstance(graph, Graph):
        raise HypothesisError(
            [f"restate takes a graph made from the hypothesis's, not {type(graph).__name__}."],
            name=h.name,
        )
    form = block_form(h)
    try:
        found = refine(h.graph, graph)
    except GraphError as error:
        raise HypothesisError([f"cannot restate: {said(error)}."], name=h.name) from error
    if not is_same(found.graph, graph):
        raise HypothesisError(
            ["cannot restate: the graph was not made from the hypothesis's by rewrites."],
            name=h.name,
        )
    finer = restate_form(form, replace(found, graph=graph), 0)
    return rebuild(finer, (h.unimportant,), h.name)


def forms_on_one_graph(h1: Hypothesis, h2: Hypothesis, what: str) -> tuple[BlockForm, BlockForm]:
    """Two hypotheses in block form about one graph: theirs, or the common refinement of theirs.

    Args:
        h1: a hypothesis.
        h2: another.
        what: begins the error where there is no such graph.

    Raises:
        HypothesisError: their graphs have no common refinement, or one cannot be said on it.
    """
    one, two = block_form(h1), block_form(h2)
    if h1.graph is h2.graph or is_same(h1.graph, h2.graph):
        return one, two
    try:
        found = refine(h1.graph, h2.graph)
    except GraphError as error:
        raise HypothesisError([f"{what}: {different_graphs(h1, h2, said(error))}"]) from error
    return restate_form(one, found, 0), restate_form(two, found, 1)


def said(error: Exception) -> str:
    """What an error says, as part of a sentence."""
    return str(error).removesuffix(".")


def refined_with(h: Hypothesis, others: Iterable[Hypothesis]) -> Hypothesis:
    """The hypothesis on a graph on which others can be joined to it, as far as there is one.

    Args:
        h: the hypothesis.
        others: hypotheses about its graph or other rewrites of it; one whose graph cannot be
            spliced with the rest is passed over.
    """
    for other in others:
        if h.graph is other.graph or is_same(h.graph, other.graph):
            continue
        try:
            found = refine(h.graph, other.graph)
            if found.graph is not h.graph:
                h = rebuild(restate_form(block_form(h), found, 0), (h.unimportant,), h.name)
        except (GraphError, HypothesisError):
            continue
    return h


def restate_form(form: BlockForm, found: Refinement, number: int) -> BlockForm:
    """The block form about the refinement's graph.

    Args:
        form: about the graph of one side.
        found: the refinement.
        number: which side, 0 or 1.

    Raises:
        HypothesisError: a node lies at a place of each row that would be read off two rows.
    """
    maker = _Restating(found, found.sides[number])
    (root,) = maker.positions(form.root)
    return replace(form, graph=found.graph, root=root, features={**form.features, **maker.features})


class _Restating:
    """Makes the positions of a finer graph from those of one that it refines."""

    def __init__(self, found: Refinement, side: Side) -> None:
        self.graph = found.graph
        self.side = side
        self.at = found.places
        self.features: dict[str, Parts] = {}
        self.owner = {part: name for name, parts in side.parts.items() for part in parts}

    def positions(self, old: Position) -> list[Position]:
        """The positions of a node's parts, which share its datum."""
        return [self.position(old, part) for part in self.side.parts[old.node]]

    def position(self, old: Position, part: str) -> Position:
        """The position of one part of a node."""
        first = self.side.parts[old.node][0] == part
        claims = tuple(
            replace(
                claim,
                node=part,
                name=claim.label if first and claim.label != node_label(part) else None,
            )
            for claim in old.claims
        )
        wiring = None if old.wiring is None else self.wiring(old, old.wiring, part)
        return replace(old, node=part, wiring=wiring, claims=claims)

    def own(self, old: Position) -> str:
        """The block of what is read on a claim's own datum, below it."""
        key = old.block + OWN_DATUM
        self.features[key] = (exact,)
        return key

    def wiring(self, old: Position, wiring: Wiring, part: str) -> Wiring:
        """F(u) of one part: copies of the parts of what was copied."""
        top: CopyKey = (part, wiring.top)
        members: list[Position] = []
        numbers: dict[tuple[object, str], int] = {}
        copies: dict[CopyKey, dict[str, CopyKey | int]] = {}

        def member(key: int | str, node: str) -> int:
            if (key, node) not in numbers:
                numbers[key, node] = len(members)
                made = Position(node, key) if isinstance(key, str) else None
                members.append(made or self.position(wiring.members[int(key)], node))
            return numbers[key, node]

        todo = [top]
        while todo:
            copy = todo.pop()
            if copy in copies:
                continue
            node, whole = copy
            before = wiring.copies[whole]
            placed = self.placed(old, wiring, whole, node)
            copies[copy] = {}
            for parent in self.graph.parents(node):
                # A node within this one is computed like this one; what the finer graph reads
                # besides makes no difference where all of it has one datum: this claim's.
                source: CopyKey | int | None = before.get(self.owner.get(parent, ""))
                if self.side.inside.get(parent) == whole[0]:
                    source = whole
                if isinstance(source, tuple):
                    copies[copy][parent] = (parent, source)
                    todo.append((parent, source))
                elif parent in placed:
                    block = placed[parent]
                    if source is not None and wiring.members[source].block != block:
                        self.refuse(node, parent)
                    copies[copy][parent] = member(block, parent)
                else:
                    copies[copy][parent] = member(
                        self.own(old) if source is None else source, parent
                    )
        return Wiring(top, copies, tuple(members))

    def placed(self, old: Position, wiring: Wiring, whole: CopyKey, node: str) -> dict[str, str]:
        """Inputs that say where parts lie, and the block whose datum they must be read on.

        A part at each row's own place is put back at the place of the row it was taken from.
        """
        wanted: dict[str, set[str]] = {}
        mine = self.at.get(node, NONE) - self.side.places.get(whole[0], NONE)
        for field in mine:
            wanted.setdefault(field, set()).add(self.own(old))
        for parent in self.graph.parents(node):
            owner = self.owner.get(parent, "")
            source = wiring.copies[whole].get(owner)
            block = wiring.members[source].block if isinstance(source, int) else self.own(old)
            for field in self.at.get(parent, NONE) - self.side.places.get(owner, NONE):
                wanted.setdefault(field, set()).add(block)
        found: dict[str, str] = {}
        for name in self.graph.parents(node):
            own = self.graph.nodes[name]
            blocks = wanted.get(own.field or "") if own.fn is None else None
            if blocks is None:
                continue
            if len(blocks) > 1:
                self.refuse(node, name)
            found[name] = next(iter(blocks))
        return found

    def refuse(self, node: str, field: str) -> None:
        """Two data would each say at which place of a row a part lies."""
        raise HypothesisError(
            [
                f"{node!r} reads parts that lie at the place that {field!r} tells of each row, "
                "drawn on different data: one place cannot be read off two rows. Claim the parts "
                "with one tie=."
            ]
        )
