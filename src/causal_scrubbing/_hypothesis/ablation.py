"""What unimportant parents are set to where they are ablated: zero, or a mean over rows alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch

from causal_scrubbing._data import Dataset, Feature
from causal_scrubbing._graph import Graph, hint, matches, nearest

RESAMPLE: Final = "resample"
ZERO: Final = "zero"
KINDS: Final = (RESAMPLE, "mean", ZERO)

_WHERE: Final = re.compile(r"^mean\(where=(?P<field>.+)\)$", re.DOTALL)


@dataclass(frozen=True)
class Mean:
    """The mean as an ablation; made by `mean`.

    Attributes:
        where: a boolean field that marks the places whose values count; all count if None.
    """

    where: str | None = None

    def __str__(self) -> str:
        return "mean" if self.where is None else f"mean(where={self.where})"


def mean(where: str | None = None) -> Mean:
    """Mean ablation, as `ablation=` of `Hypothesis` and `kind=` of `ablate`.

    Example::

        h = cs.Hypothesis(graph, root, ablation=cs.mean(where="mask"))

    Args:
        where: a boolean field, [n] or [n, length, ...]. At each place, the mean is over the rows in
            which the field marks that place; a place that no row of the class marks has the plain
            mean. Its axes after the first are the first axes of the node's value. None: all rows
            count at all places, as with ``ablation="mean"``.

    Raises:
        HypothesisError: `where` is not a field's name (raised by the hypothesis that is given it).
    """
    return Mean(where)


Kind: TypeAlias = "str | Mean"
"""One ablation: "resample", "mean", "zero", or `mean(where=...)`."""

Ablation: TypeAlias = "Kind | Mapping[str, Kind]"
"""One for all unimportant parents, or one for each node pattern."""


@dataclass(frozen=True)
class Fixed:
    """What one unimportant parent is set to, in place of another row's value.

    Attributes:
        kind: the mean, or `ZERO`.
        feature: the parts of what a row must agree on with the claim's datum to count in the mean;
            empty where all rows count, and for zero.
    """

    kind: Kind
    feature: tuple[Feature, ...] = ()


def read_kind(given: object, what: str) -> tuple[Kind, list[str]]:
    """One kind of ablation as it is kept, and what is wrong with it.

    Args:
        given: what was given: a kind, or its text as `kind_text` writes it.
        what: what it was given as, for the fault.
    """
    if isinstance(given, Mean):
        if given.where is None or isinstance(given.where, str):
            return given, []
        return given, [f"{what}: cs.mean(where={given.where!r}): give the name of a boolean field."]
    if isinstance(given, str) and given in KINDS:
        return Mean() if given == "mean" else given, []
    if isinstance(given, str) and (found := _WHERE.match(given)):
        return Mean(found["field"]), []
    near = hint(given, KINDS) if isinstance(given, str) else ""
    fault = (
        f"{what}={given!r} is not an ablation; there is {', '.join(map(repr, KINDS))} and "
        f"cs.mean(where=...).{near}"
    )
    return RESAMPLE, [fault]


class Chooser:
    """Which ablation each unimportant parent has; remembers which patterns decided something.

    Args:
        ablation: as it was given.
        graph: whose nodes patterns match.
        what: what it was given as, for faults.
    """

    def __init__(self, ablation: Ablation, graph: Graph, what: str = "ablation") -> None:
        self.what = what
        self.faults: list[str] = []
        self.patterns: list[tuple[str, Kind]] = []
        self.used: set[str] = set()
        if isinstance(ablation, Mapping):
            if not ablation:
                self.faults.append(f"{what}={{}} is empty; leave it out to draw from other rows.")
            for pattern, given in ablation.items():
                kind, faults = read_kind(given, f"{what}[{pattern!r}]")
                self.faults += faults
                if not isinstance(pattern, str):
                    self.faults.append(f"{what}: {pattern!r} is not a node's name or a pattern.")
                elif not any(matches(pattern, name) for name in graph.names):
                    self.faults.append(
                        f"{what}: {pattern!r} matches no node. {nearest(pattern, graph.names)}"
                    )
                else:
                    self.patterns.append((pattern, kind))
            if ablation and not self.faults and {k for _, k in self.patterns} == {RESAMPLE}:
                self.faults.append(f"{what} sets nothing: every kind is 'resample'. Leave it out.")
        else:
            kind, faults = read_kind(ablation, what)
            self.faults += faults
            self.patterns.append(("*", kind))
        self.plain = not isinstance(ablation, Mapping)

    def kind(self, node: str) -> Kind:
        """The ablation of a node: of the last pattern that matches; resampling if none does."""
        for pattern, kind in reversed(self.patterns):
            if self.plain or matches(pattern, node):
                self.used.add(pattern)
                return kind
        return RESAMPLE

    def unused(self) -> list[str]:
        """Faults of what decided nothing."""
        if self.faults or self.plain:
            return []
        return [
            f"{self.what}: {pattern!r} is not used: it is the last match of no unimportant parent. "
            "Remove it, or put it after more general patterns."
            for pattern, _ in self.patterns
            if pattern not in self.used
        ]


def ablation_text(ablation: Ablation) -> str | dict[str, str]:
    """An ablation as plain data, which `read_kind` and `Chooser` read back."""
    if isinstance(ablation, Mapping):
        return {pattern: str(kind) for pattern, kind in ablation.items()}
    return str(ablation)


def ablation_label(ablation: Ablation | Mapping[str, str]) -> str:
    """An ablation in words."""
    if isinstance(ablation, Mapping):
        return ", ".join(f"{pattern}: {kind}" for pattern, kind in ablation.items())
    return str(ablation)


def fixed_label(fixed: Fixed, feature: str, nodes: Sequence[str]) -> str:
    """What some nodes are set to, in words."""
    if fixed.kind == ZERO:
        return "zero"
    where = fixed.kind.where if isinstance(fixed.kind, Mean) else None
    what = "their means" if len(nodes) > 1 else "its mean"
    places = "" if where is None else f" at the places that {where} marks"
    over = f" over the rows that agree on {feature}" if feature else " over the data"
    return what + over + places


def check_marks(kinds: Sequence[Kind], data: Dataset) -> list[str]:
    """Faults of fields that shall mark places."""
    faults = []
    for kind in dict.fromkeys(kinds):
        if not isinstance(kind, Mean) or kind.where is None:
            continue
        if kind.where not in data:
            faults.append(
                f"{kind}: the dataset has no field {kind.where!r}; it has "
                f"{', '.join(data.field_names)}."
            )
        elif not (
            isinstance(field := data[kind.where], torch.Tensor) and field.dtype == torch.bool
        ):
            faults.append(f"{kind}: the field {kind.where!r} is not boolean; give one that is.")
    return faults
