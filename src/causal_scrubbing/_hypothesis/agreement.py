"""How far a hypothesis can be tested on a dataset, read off its classes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from causal_scrubbing._data import (
    Classes,
    Dataset,
    distinct,
    exact,
    feature_name,
    flatten_feature,
    joint_classes,
)
from causal_scrubbing._display import Tabular
from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._format import plural, share
from causal_scrubbing._graph import Graph, shorten
from causal_scrubbing._hypothesis.ablation import Fixed, fixed_label
from causal_scrubbing._hypothesis.tree import Block, Tree

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AgreementRow:
    """What one block of draws can swap.

    Attributes:
        draw: key of the block: a claim's path, or that of a set of unimportant parents.
        feature: what its datum must agree on.
        rows: number of rows of the dataset.
        classes: number of classes of rows that agree.
        smallest: rows in the smallest class.
        one_row: share of D (by weight) whose class has one row, which can only keep itself.
        self_draw: chance that the datum drawn is the one it must agree with: the sum over rows of
            w_i^2 / (weight of its class); without self-draws, `one_row`.
        important: whether a claim is drawn by the block.
        claims: paths of the claims drawn by the block: several where they are tied.
        tie: their tie.
        swappable: share of D (by weight) whose class has a row with other inputs upstream of what
            is drawn: elsewhere a swap cannot change anything.
    """

    draw: str
    feature: str
    rows: int
    classes: int
    smallest: int
    one_row: float
    self_draw: float
    important: bool
    claims: tuple[str, ...] = ()
    tie: str | None = None
    swappable: float = 1.0

    @property
    def label(self) -> str:
        """What is drawn, for a table: the key, and of tied claims all paths."""
        return draw_label(self.draw, self.claims, self.tie)


def draw_label(draw: str, claims: Sequence[str], tie: str | None) -> str:
    """A block of draws in words."""
    if len(claims) < 2:
        return draw
    return f"{', '.join(claims)} ({'one draw' if tie is None else f'tie {tie}'})"


@dataclass(frozen=True)
class Agreement(Tabular):
    """The agreement figures of a hypothesis on a dataset, and what they warn of.

    Attributes:
        table: one row a block, in drawing order.
        void: whether no draw can swap anything, so that the hypothesis is not tested at all.
        unclaimed: (claim path, input node) where a claimed node reads an input directly that
            no claim names and no feature holds alike.
        unreached_inputs: input nodes that no claim stands on or above.
        notes: what a person should know, in words.
        constant: nodes claimed or drawn that read the same inputs on every row.
    """

    table: tuple[AgreementRow, ...]
    void: bool
    unclaimed: tuple[tuple[str, str], ...]
    unreached_inputs: tuple[str, ...]
    notes: tuple[str, ...]
    constant: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """The figures as a table, one row a block."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.table])

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        return asdict(self)

    def __repr__(self) -> str:
        return (
            f"Agreement({len(self.table)} {plural(len(self.table), 'draw')}; print it to see them)"
        )

    def __str__(self) -> str:
        frame = self.to_frame()[["draw", "feature", "classes", "smallest", "one_row", "self_draw"]]
        frame["draw"] = [row.label for row in self.table]
        shown = frame.to_string(
            index=False,
            formatters={"one_row": share, "self_draw": lambda value: share(value, 2)},
        )
        return "\n".join([shown, *(f"note: {note}" for note in self.notes)])


def agreement(
    graph: Graph,
    tree: Tree,
    data: Dataset,
    classes: Mapping[str, Classes],
    *,
    self_draws: bool = True,
    ablation: str = "",
) -> Agreement:
    """The figures of every block; see `Agreement`.

    Args:
        graph: the graph.
        tree: the claims and blocks.
        data: D.
        classes: of each block.
        self_draws: see `Hypothesis`.
        ablation: what unimportant parents are set to, in words; empty where they are drawn.
    """
    contents = _Contents(graph, tree, data)
    table = tuple(
        replace(
            _row(tree, block, classes[block.key], self_draws),
            swappable=contents.swappable(block, classes[block.key]),
        )
        for block in tree.blocks
    )
    constant = contents.constant()
    unclaimed = _unclaimed(graph, tree, data, classes)
    reached = _reached(graph, tree)
    unreached = tuple(name for name in graph.inputs if name not in reached)
    void = all(classes[block.key].is_exact for block in tree.blocks)
    notes = []
    if tree.ablates:
        notes.append(_ablated(tree))
    elif ablation:
        notes.append(f"ablation={ablation!r} has no effect: no claim has an unimportant parent.")
    if void:
        notes.append(
            "every class has one row: nothing can be swapped, so the hypothesis is not tested. It "
            "will recover 100% and that means nothing. Claim coarser features."
        )
    if not void:
        notes += _alone(table)
    notes += _idle(tree)
    notes += _unchanged(table, constant)
    notes += layout_note(unclaimed)
    return Agreement(table, void, unclaimed, unreached, tuple(notes), constant)


def _ablated(tree: Tree) -> str:
    """The note on unimportant parents that are set to constants."""
    nodes: dict[Fixed, dict[str, None]] = {}
    for entry in tree.claims:
        for node, fixed in entry.ablated.items():
            nodes.setdefault(fixed, {})[node] = None
    listed = [
        f"{shorten(list(names))} set to "
        + fixed_label(fixed, " & ".join(map(feature_name, fixed.feature)), list(names))
        for fixed, names in nodes.items()
    ]
    return (
        f"this is ablation, not causal scrubbing: {'; '.join(listed)}. That may take the model off "
        "the activations it ever has."
    )


def _alone(table: Sequence[AgreementRow]) -> list[str]:
    """The notes on claims whose rows are often alone: one for all of a feature and a share."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in table:
        if row.important and row.feature != "exact" and row.one_row > 0.1:
            alike.setdefault((row.feature, share(row.one_row, 0)), []).append(row.label)
    return [
        f"{shorten(labels) if len(labels) > 1 else labels[0]}: {alone} of the data is alone in its "
        f"class of {feature} and can only keep its own row; bin the feature or use more data to "
        f"test {'this claim' if len(labels) == 1 else f'these {len(labels)} claims'}."
        for (feature, alone), labels in alike.items()
    ]


def layout_note(unclaimed: Sequence[tuple[str, str]]) -> list[str]:
    """The note on inputs that claimed nodes read and nothing holds; none where there are none."""
    if not unclaimed:
        return []
    listed = ", ".join(f"{node!r} at {path}" for path, node in unclaimed[:6])
    more = f" and {len(unclaimed) - 6} more" if len(unclaimed) > 6 else ""
    return [
        "claimed nodes read inputs directly that no claim names and nothing holds alike, so "
        f"they are drawn from other rows: {listed}{more}. Where such an input is a mask or a "
        "position index this scrambles layout: claim it, or hold it with others= or within=."
    ]


def _idle(tree: Tree) -> list[str]:
    """What was said in the claims and changes nothing."""
    notes = [
        f"{entry.path}: others={feature_name(entry.claim.others)} has no effect, since a leaf has "
        "no unimportant parents; they are part of what its own datum gives. Give the claim "
        "children, or cs.nothing, to draw its parents apart."
        for entry in tree.claims
        if entry.is_leaf and flatten_feature(entry.claim.others)
    ]
    for entry in tree.claims:
        ties = [tree.claims[child].claim.tie for child in entry.children or ()]
        notes += [
            f"{tree.claims[child].path}: tie={tie!r} ties it to nothing, since no other claim "
            f"under {entry.path} has that tie."
            for child, tie in zip(entry.children or (), ties, strict=True)
            if tie is not None and ties.count(tie) == 1
        ]
    return notes


def _row(tree: Tree, block: Block, classes: Classes, self_draws: bool) -> AgreementRow:
    members = [tree.claims[i] for i in block.claims]
    names = [feature_name(part) for part in flatten_feature(block.feature)]
    return AgreementRow(
        draw=block.key,
        feature=" & ".join(names) or "anything",
        rows=len(classes),
        classes=classes.count,
        smallest=int(classes.sizes.min()),
        one_row=classes.one_row_share,
        self_draw=classes.self_draw_share if self_draws else classes.one_row_share,
        important=not block.is_unimportant,
        claims=tuple(entry.path for entry in members),
        tie=members[0].claim.tie if members else None,
    )


def _unclaimed(
    graph: Graph, tree: Tree, data: Dataset, classes: Mapping[str, Classes]
) -> tuple[tuple[str, str], ...]:
    found = []
    for entry in tree.claims:
        for node, key in entry.other_draws.items():
            field = graph.nodes[node].field
            if field is None:
                continue
            alike = classes[key].refines(data.classes(distinct(field)))
            if not alike:
                found.append((entry.path, node))
    return tuple(found)


def _fields_above(graph: Graph) -> Mapping[str, frozenset[str]]:
    """The dataset fields that each node is computed from; kept for the next hypothesis."""
    if graph not in _FIELDS_ABOVE:
        found: dict[str, frozenset[str]] = {}
        for name in graph.names:
            field = graph.nodes[name].field
            own = frozenset[str]() if field is None else frozenset([field])
            found[name] = own.union(*(found[parent] for parent in graph.parents(name)))
        _FIELDS_ABOVE[graph] = found
    return _FIELDS_ABOVE[graph]


_FIELDS_ABOVE: Final[WeakKeyDictionary[Graph, Mapping[str, frozenset[str]]]] = WeakKeyDictionary()


class _Contents:
    """Rows by what nodes can read of them: those with equal inputs upstream are alike."""

    def __init__(self, graph: Graph, tree: Tree, data: Dataset) -> None:
        self.graph = graph
        self.tree = tree
        self.data = data
        self._fields: dict[str, Classes] = {}
        self._of: dict[frozenset[str], Classes] = {}

    def of(self, nodes: Iterable[str]) -> Classes:
        """The classes of rows on which all inputs upstream of some nodes are equal."""
        above = _fields_above(self.graph)
        fields = frozenset[str]().union(*(above[node] for node in nodes))
        if fields not in self._of:
            parts = [self._field(field) for field in sorted(fields)]
            weights = None if self.data.is_uniform else self.data.weights
            self._of[fields] = joint_classes(parts, len(self.data), weights)
        return self._of[fields]

    def _field(self, field: str) -> Classes:
        if field not in self._fields:
            try:
                self._fields[field] = self.data.classes(distinct(field))
            except CausalScrubbingError:  # NaN equals nothing
                self._fields[field] = self.data.classes(exact)
        return self._fields[field]

    def swappable(self, block: Block, classes: Classes) -> float:
        """The share of D whose class has rows that differ in what the block's nodes read."""
        nodes = [self.tree.claims[i].claim.node for i in block.claims]
        nodes += [node for _, node in block.others]
        contents = self.of(nodes)
        pairs = np.unique(classes.ids * np.int64(contents.count) + contents.ids)
        kinds = np.bincount(pairs // contents.count, minlength=classes.count)
        return float(classes.mass[kinds > 1].sum())

    def constant(self) -> tuple[str, ...]:
        """The nodes that are the same on every row, in graph order."""
        named = {entry.claim.node for entry in self.tree.claims}
        named |= {node for entry in self.tree.claims for node in entry.other_draws}
        return tuple(
            name for name in self.graph.names if name in named and self.of([name]).count == 1
        )


def _unchanged(table: Sequence[AgreementRow], constant: Sequence[str]) -> list[str]:
    """The notes on swaps that cannot change anything."""
    notes = []
    if constant:
        verb = "is" if len(constant) == 1 else "are"
        notes.append(
            f"{shorten(list(constant))} {verb} the same on every row: taking the value of another "
            "row changes nothing, so that nothing about it is tested"
        )
    few = [
        row
        for row in table
        if row.important and row.swappable > 0 and 1 - row.one_row - row.swappable > 0.1
    ]
    notes += [
        f"{row.label}: {share(1 - row.one_row - row.swappable, 0)} of the data shares its class of "
        f"{row.feature} only with rows of equal inputs, where a swap changes nothing."
        for row in few
    ]
    return notes


def _reached(graph: Graph, tree: Tree) -> set[str]:
    """Inputs a claim names, or that lie upstream of a leaf claim."""
    reached: set[str] = set()
    for entry in tree.claims:
        reached.add(entry.claim.node)
        if entry.is_leaf:
            reached |= graph.ancestors(entry.claim.node)
    return reached
