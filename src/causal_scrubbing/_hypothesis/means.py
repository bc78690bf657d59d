"""Ablation of unimportant parents: their means over rows alike, or zeros, as nodes of the graph."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import ROW, Classes, Dataset, Floats, Ints
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._graph import Graph, Node, evaluate
from causal_scrubbing._hypothesis.ablation import RESAMPLE, ZERO, Fixed, Kind, Mean
from causal_scrubbing._hypothesis.claim import map_claims
from causal_scrubbing._hypothesis.hypothesis import Hypothesis

_LEVELS: Final = 200
"""Levels of claims that can be compared, joined and rewritten, which follow them by recursion."""


@dataclass(frozen=True, eq=False)
class _Everywhere:
    """A node's mean over all rows, once for each row of what it is given.

    Attributes:
        fixed: which mean it is.
        value: the mean, without batch dimension.
    """

    fixed: Fixed
    value: torch.Tensor

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self.value.to(rows.device).expand(len(rows), *self.value.shape)


@dataclass(frozen=True, eq=False)
class _ByClass:
    """A node's mean over each row's class.

    Attributes:
        fixed: which mean it is.
        ids: class of each row of the dataset, [n].
        values: mean of each class, [classes, ...].
    """

    fixed: Fixed
    ids: torch.Tensor
    values: torch.Tensor

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self.values[self.ids[rows.to(self.ids.device)]]


@dataclass(frozen=True, eq=False)
class _Own:
    """A node's mean over classes of one row: its own value.

    Attributes:
        fixed: which mean it is.
    """

    fixed: Fixed

    def __call__(self, value: torch.Tensor) -> torch.Tensor:
        return value


def ablated_node(graph: Graph, name: str, fixed: Fixed) -> str:
    """The node whose clean value on a claim's datum is what a parent is set to.

    Args:
        graph: a graph made by `with_means`.
        name: the unimportant parent.
        fixed: what it is set to.
    """
    if fixed.kind == ZERO:
        return f"~{ZERO}/{name}"
    if graph.is_constant[name]:
        return name
    for number in range(len(graph.nodes)):
        hidden = graph.nodes.get(_mean_name(name, number))
        if hidden is None:
            break
        if isinstance(hidden.fn, _Own) and hidden.fn.fixed == fixed:
            return name
        if isinstance(hidden.fn, _Everywhere | _ByClass) and hidden.fn.fixed == fixed:
            return hidden.name
    raise AssertionError(f"the graph holds no mean of {name!r}: make it with with_means")


def mean_names(graph: Graph) -> Mapping[str, str]:
    """Hidden nodes that hold means -> the nodes they are means of."""
    return {
        hidden.name: hidden.name.removeprefix("~mean/").rpartition("#")[0]
        for hidden in graph.nodes.values()
        if isinstance(hidden.fn, _Everywhere | _ByClass | _Own)
    }


def _mean_name(name: str, number: int) -> str:
    return f"~mean/{name}#{number}"


def ablated_nodes(hypothesis: Hypothesis) -> Mapping[Fixed, tuple[str, ...]]:
    """What nodes are set to -> those nodes, in graph order; a constant is its own mean already."""
    found: dict[Fixed, dict[str, None]] = {}
    for entry in hypothesis.tree.claims:
        for node, fixed in entry.ablated.items():
            if fixed.kind == ZERO or not hypothesis.graph.is_constant[node]:
                found.setdefault(fixed, {})[node] = None
    order = {name: i for i, name in enumerate(hypothesis.graph.names)}
    return {fixed: tuple(sorted(nodes, key=order.__getitem__)) for fixed, nodes in found.items()}


def with_means(
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    *,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> list[Hypothesis]:
    """The hypotheses on graphs that hold the means over D, and the zeros, that ablation needs.

    Hypotheses without it stay as they are; graphs that were one object stay one. The graphs read
    rows of `data` only.

    Raises:
        HypothesisError: a node to be set to its mean holds no real numbers, or a field that marks
            places does not fit the node.
    """
    needed: dict[int, dict[tuple[Fixed, str], None]] = {}
    graphs: dict[int, Graph] = {}
    for one in hypotheses:
        graphs[id(one.graph)] = one.graph
        found = needed.setdefault(id(one.graph), {})
        for fixed, nodes in ablated_nodes(one).items():
            found.update(dict.fromkeys((fixed, name) for name in nodes))
    made = {
        key: _grounded(graphs[key], list(wanted), data, batch_size, device)
        for key, wanted in needed.items()
        if wanted
    }
    return [
        one.with_(graph=made[id(one.graph)]) if id(one.graph) in made else one for one in hypotheses
    ]


def _grounded(
    graph: Graph,
    wanted: Sequence[tuple[Fixed, str]],
    data: Dataset,
    batch_size: int,
    device: torch.device | str | None,
) -> Graph:
    """The graph with a hidden node for each mean and each zero."""
    classes = {fixed: data.classes(fixed.feature) for fixed, _ in wanted if fixed.kind != ZERO}
    means = class_means(
        graph,
        data,
        {
            (fixed, name): (name, classes[fixed], fixed.kind)
            for fixed, name in wanted
            if fixed.kind != ZERO and not _keeps(fixed, classes[fixed])
        },
        batch_size,
        device,
    )
    # Tables are moved to where they will be used now, not with every batch.
    home = device or graph.device
    nodes: dict[str, Node] = {}
    count: dict[str, int] = {}
    for fixed, name in wanted:
        if fixed.kind == ZERO:
            hidden = f"~{ZERO}/{name}"
            nodes[hidden] = Node(
                name=hidden, parents=(name,), fn=torch.zeros_like, shapes=frozenset({0})
            )
            continue
        hidden = _mean_name(name, count.setdefault(name, 0))
        count[name] += 1
        if _keeps(fixed, classes[fixed]):
            nodes[hidden] = Node(name=hidden, parents=(name,), fn=_Own(fixed))
            continue
        table = means[fixed, name] if home is None else means[fixed, name].to(home)
        if len(table) == 1:  # the same on every row: it reads the size of the batch alone
            nodes[hidden] = Node(
                name=hidden,
                parents=(graph.inputs[0],),
                fn=_Everywhere(fixed, table[0]),
                shapes=frozenset({0}),
            )
            continue
        nodes.setdefault(ROW, Node(name=ROW, field=ROW))
        ids = torch.as_tensor(classes[fixed].ids, device=table.device)
        nodes[hidden] = Node(name=hidden, parents=(ROW,), fn=_ByClass(fixed, ids, table))
    return graph.remake(
        [*graph.nodes.values(), *nodes.values()], "means or zeros of unimportant parents"
    )


def _keeps(fixed: Fixed, classes: Classes) -> bool:
    """Whether the mean is over the row alone, at all places."""
    return classes.is_exact and fixed.kind == Mean()


def class_means(
    graph: Graph,
    data: Dataset,
    wanted: Mapping[Hashable, tuple[str, Classes, Kind]],
    batch_size: int,
    device: torch.device | str | None = None,
) -> dict[Hashable, torch.Tensor]:
    """Weighted means of nodes over classes of rows, summed in double precision.

    Args:
        graph: the graph.
        data: D.
        wanted: any key -> a node, the classes and the kind of mean.
        batch_size: rows evaluated at once.
        device: where; where the graph says if None.

    Returns:
        Key -> means, [classes, ...], of the node's type, in main memory. A place that no row of a
        class marks has the plain mean of the class.

    Raises:
        HypothesisError: a node holds no real or complex numbers, or a field does not mark places
            of it.
    """
    sums: dict[Hashable, _Sums] = {}
    names = list(dict.fromkeys(name for name, _, _ in wanted.values()))
    faults: dict[str, None] = {}
    with torch.no_grad():
        for start in range(0, len(data), batch_size) if names else ():
            rows = np.arange(start, min(start + batch_size, len(data)))
            batch = data.lazy(rows)
            values = evaluate(graph, batch, names, device=device or graph.device)
            for key, (name, classes, kind) in wanted.items():
                value = values[name]
                if not (value.is_floating_point() or value.is_complex()):
                    held = str(value.dtype).removeprefix("torch.")
                    faults[
                        f"{name} holds {held}, of which no mean is a value; claim it or a node "
                        "downstream, or resample it."
                    ] = None
                    continue
                full = value.expand(len(rows), *value.shape[1:]).cpu()
                marks, wrong = _marks(kind, batch, name, full)
                faults.update(dict.fromkeys(wrong))
                if not wrong:
                    one = sums.setdefault(key, _Sums.empty(full, classes.count, marks is not None))
                    one.add(full, marks, classes.ids[rows], data.weights[rows])
            if faults:
                raise HypothesisError(list(faults))
    return {key: one.means() for key, one in sums.items()}


def _marks(
    kind: Kind, rows: Dataset, name: str, value: torch.Tensor
) -> tuple[torch.Tensor | None, list[str]]:
    """The places of a node's value that count, None for all, and why the field cannot say so."""
    if not isinstance(kind, Mean) or kind.where is None:
        return None, []
    marks = rows[kind.where]
    axes = list(marks.shape[1:])
    if list(value.shape[1 : marks.ndim]) != axes:
        return None, [
            f"{kind}: the field {kind.where!r} marks places of shape {axes}, but a row of {name!r} "
            f"has shape {list(value.shape[1:])}, which does not begin so."
        ]
    return marks.cpu().reshape(*marks.shape, *[1] * (value.ndim - marks.ndim)), []


@dataclass
class _Sums:
    """Running sums over classes.

    Attributes:
        plain: of all values, [classes, ...].
        mass: weight of each class, [classes].
        marked: of values at marked places; None where all places count.
        weight: of the rows that mark each place.
        dtype: of the node.
    """

    plain: torch.Tensor
    mass: torch.Tensor
    marked: torch.Tensor | None
    weight: torch.Tensor | None
    dtype: torch.dtype

    @classmethod
    def empty(cls, value: torch.Tensor, classes: int, masked: bool) -> _Sums:
        """Nothing summed yet."""
        wide = torch.complex128 if value.is_complex() else torch.float64
        zeros = torch.zeros(classes, *value.shape[1:], dtype=wide)
        return cls(
            zeros,
            torch.zeros(classes, dtype=torch.float64),
            zeros.clone() if masked else None,
            torch.zeros(zeros.shape, dtype=torch.float64) if masked else None,
            value.dtype,
        )

    def add(
        self, value: torch.Tensor, marks: torch.Tensor | None, ids: Ints, weights: Floats
    ) -> None:
        """Add a batch of rows with their classes and weights."""
        into, each = torch.as_tensor(ids), torch.as_tensor(weights)
        factor = each.reshape(-1, *[1] * (value.ndim - 1))
        wide = value.to(self.plain.dtype)
        self.plain.index_add_(0, into, wide * factor)
        self.mass.index_add_(0, into, each)
        if marks is not None and self.marked is not None and self.weight is not None:
            kept = torch.where(marks, wide, torch.zeros((), dtype=wide.dtype))
            self.marked.index_add_(0, into, kept * factor)
            counted = (marks * factor).expand(value.shape)
            self.weight.index_add_(0, into, counted.contiguous())

    def means(self) -> torch.Tensor:
        """The mean of each class, [classes, ...]."""
        mass = self.mass.reshape(-1, *[1] * (self.plain.ndim - 1))
        found = self.plain / mass
        if self.marked is not None and self.weight is not None:
            found = torch.where(self.weight > 0, self.marked / self.weight, found)
        return found.to(self.dtype)


def resampled(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis with every unimportant parent drawn, none ablated."""
    if not hypothesis.tree.ablates:
        return hypothesis
    root = map_claims(hypothesis.root, lambda claim: replace(claim, ablation=None))
    return hypothesis.with_(root=root, ablation=RESAMPLE)


def ablates(hypothesis: Hypothesis) -> bool:
    """Whether a hypothesis sets unimportant parents to constants, which swaps nothing."""
    return hypothesis.tree.ablates


def check_scrubs(hypothesis: Hypothesis, what: str) -> None:
    """Refuse ablation where only swaps make sense, and trees too deep to be followed.

    Args:
        hypothesis: the hypothesis.
        what: what needs it, with a verb: "join takes".

    Raises:
        HypothesisError: some unimportant parent is ablated, or the tree has more than 200 levels.
    """
    if hypothesis.tree.depth > _LEVELS:
        fault = (
            f"{what} a hypothesis of at most {_LEVELS} levels of claims, and this one has "
            f"{hypothesis.tree.depth}. Claim fewer of the nodes on the way (via=)."
        )
        raise HypothesisError([fault], name=hypothesis.name)
    if ablates(hypothesis):
        fault = (
            f"{what} a hypothesis that swaps activations, which ablation does not; take "
            "ablation='resample'."
        )
        raise HypothesisError([fault], name=hypothesis.name)
