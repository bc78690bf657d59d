"""A hypothesis: a graph, a tree of claims about it, and what is said of everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from causal_scrubbing._data import (
    Classes,
    Dataset,
    Feature,
    anything,
    check_dataset,
    flatten_feature,
    is_feature,
)
from causal_scrubbing._display import Displayed, html_layers, plot_layers
from causal_scrubbing._errors import CausalScrubbingError, HypothesisError
from causal_scrubbing._files import write_page
from causal_scrubbing._format import is_printable, plural
from causal_scrubbing._graph import Graph, hint, nearest, shorten
from causal_scrubbing._hypothesis.ablation import (
    RESAMPLE,
    Ablation,
    Mean,
    ablation_label,
    ablation_text,
    check_marks,
)
from causal_scrubbing._hypothesis.agreement import Agreement, agreement
from causal_scrubbing._hypothesis.boxes import claim_boxes
from causal_scrubbing._hypothesis.claim import Claim
from causal_scrubbing._hypothesis.pictures import dot_of, networkx_of
from causal_scrubbing._hypothesis.plain import Reader, plain_claims, plain_feature, unsaved
from causal_scrubbing._hypothesis.text import describe
from causal_scrubbing._hypothesis.tree import RANDOMIZED, Block, Tree
from causal_scrubbing._hypothesis.treeify import treeify

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.figure import Figure

POLICIES: Final = ("per-claim", "together", "separate")


@dataclass(frozen=True, eq=False)
class Hypothesis(Displayed):
    """A claim about how a graph computes its output: (G, I, c) of the method.

    Example::

        h = cs.Hypothesis(graph,
            cs.claim("logits", cs.exact, cs.claim("head", "count")),
            unimportant="per-claim")

    Args:
        graph: the computational graph G.
        root: the claim about the graph's output, its children the claims below.
        unimportant: how the parents that no claim names are drawn. "per-claim": one datum for each
            claim's; "separate": one for each parent; "together": one for all of all claims; or a
            mapping from claim path to the name of a group that shares one.
        within: a feature that every datum of a sample shares with the reference row.
        self_draws: whether a row drawn may be the row that it must agree with. False: every block,
            the root and E_randomized draw among the other rows of the class, a row alone in its
            class keeping itself; rows of one class then weigh the same, and no datum is shared
            across claims.
        ablation: what parents that no claim names are set to: "resample" (their value on another
            row), "mean", "zero", `mean(where=...)`, or a mapping from node patterns to these, of
            which the last that matches decides. A mean is over the rows that agree with the
            claim's datum on its `others` and on `within`. All but "resample" is not causal
            scrubbing, since no input may have such activations; for comparison only.
        name: how tables call it.

    Raises:
        HypothesisError: lists every fault of the claims, each with its path and what to do.
    """

    graph: Graph
    root: Claim
    unimportant: str | Mapping[str, str] = "per-claim"
    within: Feature = anything
    name: str | None = None
    self_draws: bool = True
    ablation: Ablation = RESAMPLE

    def __post_init__(self) -> None:
        faults = self._faults()
        if faults:
            raise HypothesisError(faults, name=self.name)

    def _faults(self) -> list[str]:
        if not isinstance(self.graph, Graph):
            return [f"the first argument is a cs.Graph, not {type(self.graph).__name__}."]
        if not isinstance(self.root, Claim):
            return [f"the second argument is a cs.claim(...), not {type(self.root).__name__}."]
        faults = []
        if self.name is not None and not (isinstance(self.name, str) and is_printable(self.name)):
            faults.append(f"name={self.name!r} is not a printable text.")
        if not is_feature(self.within):
            faults.append(f"within={self.within!r} is no feature.")
        if not isinstance(self.unimportant, Mapping) and self.unimportant not in POLICIES:
            means = isinstance(self.unimportant, Mean) or self.unimportant in ("mean", "zero")
            way = f" To set parents to constants give ablation={str(self.unimportant)!r}."
            return [
                *faults,
                f"unimportant={self.unimportant!r} is not a policy; there is "
                f"{', '.join(map(repr, POLICIES))} and a mapping {{claim path: group}}."
                f"{way if means else hint(str(self.unimportant), POLICIES)}",
            ]
        if not isinstance(self.self_draws, bool):
            faults.append(f"self_draws={self.self_draws!r}: give True or False.")
        elif not self.self_draws and (
            isinstance(self.unimportant, Mapping) or self.unimportant == "together"
        ):
            faults.append(
                f"self_draws=False and unimportant={self.unimportant!r}: a row shared by several "
                "claims cannot differ from the row of each. Take 'per-claim' or 'separate'."
            )
        if self.root.node != self.graph.output:
            faults.append(
                f"the root claim is about {self.root.node!r}, but the graph's output is "
                f"{self.graph.output!r}; the root's node is the output."
            )
        if self.root.via or self.root.tie:
            faults.append("the root claim has via= or tie=, but no parent claim to reach or share.")
        tree, found = treeify(self.graph, self.root, self.unimportant, self.within, self.ablation)
        faults += found
        if not faults:
            self.__dict__["tree"] = tree
        return faults

    @cached_property
    def tree(self) -> Tree:
        """The treeified hypothesis: claims, routes and blocks."""
        raise AssertionError("set by __post_init__")  # pragma: no cover

    def plot(self) -> Figure:
        """The claims in layers, what is computed last on the right, unimportant parents folded.

        Returns:
            A figure that a notebook shows by itself: the feature above, the node below.
        """
        return plot_layers(claim_boxes(self.tree), title=repr(self))

    def _repr_html_(self) -> str:
        return html_layers(repr(self), str(self), claim_boxes(self.tree))

    @property
    def policy(self) -> str:
        """What unimportant parents are drawn as or set to, and whether draws may be of oneself."""
        text = str(self.unimportant)
        if isinstance(self.unimportant, Mapping):
            text = "groups: " + ", ".join(f"{p} in {g}" for p, g in self.unimportant.items())
        if self.tree.ablates:
            text += f"; ablation {ablation_label(self.ablation)} (not causal scrubbing)"
        return text if self.self_draws else f"{text}; no self-draws"

    def with_(self, **changes: Any) -> Hypothesis:
        """A hypothesis with some of its arguments changed."""
        if set(changes) == {"name"}:  # the same tree, which is not checked again
            renamed = copy(self)
            object.__setattr__(renamed, "name", changes["name"])
            return renamed
        return replace(self, **changes)

    def classes(self, data: Dataset) -> dict[str, Classes]:
        """The classes each block draws within, by its key; every feature is checked.

        Raises:
            HypothesisError: lists every feature that fails, with the claims that use it.
            DataError: the data is no dataset.
        """
        check_dataset(data)
        found: dict[str, Classes] = {}
        faults: dict[str, list[str]] = {}
        for block in self.tree.blocks:
            good = True
            for part in flatten_feature(block.feature):
                try:
                    data.classes(part)
                except CausalScrubbingError as error:
                    good = False
                    faults.setdefault(str(error), []).append(block.key)
            if good:
                found[block.key] = data.classes(block.feature)
        lacking = [
            f"input {name!r} of the graph reads the field {field!r}, which the dataset lacks; it "
            f"has {', '.join(data.field_names)}."
            for name in self.graph.inputs
            if (field := self.graph.nodes[name].field) not in data
        ]
        kinds = [fixed.kind for entry in self.tree.claims for fixed in entry.ablated.values()]
        lacking += check_marks(kinds, data)
        if faults or lacking:
            listed = [f"claim {', '.join(where)}: {what}" for what, where in faults.items()]
            raise HypothesisError([*listed, *lacking], name=self.name)
        if not self.self_draws:
            self._check_weights(data, found)
        return found

    def _check_weights(self, data: Dataset, classes: Mapping[str, Classes]) -> None:
        """Refuse weights under which drawing other rows alone would not leave D as it is."""
        several = {**classes, RANDOMIZED: data.classes(self.within)}
        wrong = [key for key, one in several.items() if not one.is_uniform_within]
        if wrong:
            raise HypothesisError(
                [
                    "self_draws=False needs rows of equal weight in every class that is drawn "
                    f"from, and in {shorten(wrong)} they differ: the rows drawn would not be "
                    "distributed as the data. Drop the weights, claim a feature that tells rows of "
                    "different weight apart (within=), or allow self-draws."
                ],
                name=self.name,
            )

    def agreement(self, data: Dataset) -> Agreement:
        """How far each claim can be tested on a dataset, before any model runs.

        Raises:
            HypothesisError: a feature cannot be used on this data.
        """
        return agreement(
            self.graph,
            self.tree,
            data,
            self.classes(data),
            self_draws=self.self_draws,
            ablation="" if self.ablation == RESAMPLE else ablation_label(self.ablation),
        )

    def to_dict(self) -> dict[str, Any]:
        """The hypothesis as plain data: claims in a list, each before those it is computed from.

        Example:
            >>> import causal_scrubbing as cs
            >>> graph = cs.Graph.build(
            ...     inputs=["x"], nodes={"y": (lambda x: 2 * x, ["x"])}, output="y"
            ... )
            >>> h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("x", "sign")))
            >>> h.to_dict()["claims"][1]
            {'node': 'x', 'feature': 'sign'}

        Returns:
            Strings, numbers, lists and dicts, of which `from_dict` makes the hypothesis again. A
            feature that is a function has its name alone, which cannot be read back.
        """
        return {
            "name": self.name,
            "unimportant": dict(self.unimportant)
            if isinstance(self.unimportant, Mapping)
            else self.unimportant,
            "within": plain_feature(self.within),
            "self_draws": self.self_draws,
            "ablation": ablation_text(self.ablation),
            "ablates": self.tree.ablates,
            "output": self.graph.output,
            "claims": plain_claims(self.root),
        }

    @classmethod
    def from_dict(cls, graph: Graph, given: Mapping[str, Any]) -> Hypothesis:
        """The hypothesis of which `to_dict` made plain data.

        Args:
            graph: the graph it is about.
            given: the data.

        Raises:
            HypothesisError: lists every fault of the data, with the claim's number and node; a
                feature was a function; or the claims do not fit the graph.
        """
        return cls(graph, **Reader(given).arguments())

    def save(self, file: str | Path) -> None:
        """Write the hypothesis as JSON, the graph left out.

        Args:
            file: where; an existing file is replaced.

        Raises:
            HypothesisError: a feature is a function, which is code; lists each with its claim.
        """
        plain = self.to_dict()
        faults = unsaved(plain)
        if faults:
            raise HypothesisError(faults, name=self.name)
        write_page(Path(file), json.dumps(plain, indent=1) + "\n")

    @classmethod
    def load(cls, graph: Graph, file: str | Path) -> Hypothesis:
        """The hypothesis that `save` wrote.

        Args:
            graph: the graph it is about.
            file: the file.

        Raises:
            HypothesisError: there is no such file, it is not JSON, or as for `from_dict`.
        """
        try:
            given = json.loads(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise HypothesisError([f"{file} cannot be read as a hypothesis: {error}."]) from error
        try:
            return cls.from_dict(graph, given)
        except HypothesisError as error:
            raise HypothesisError([f"{file}: {fault}" for fault in error.faults]) from error

    def to_networkx(self) -> nx.DiGraph[str]:
        """The claim tree as a `networkx.DiGraph`, edges from what is read to what reads it.

        Returns:
            One node a claim, by path, with ``node``, ``feature``, ``draw``, ``leaf`` and
            ``important=True``; and one for each draw of unimportant parents, by key, with ``nodes``
            and ``important=False``. Edges have ``via``.
        """
        return networkx_of(self.tree)

    def to_dot(self) -> str:
        """The claim tree in the DOT language of Graphviz; unimportant parents are dashed.

        Returns:
            A text for ``dot -Tsvg``. Claims that `each` made are one node.

        Example:
            >>> import causal_scrubbing as cs
            >>> graph = cs.Graph.build(
            ...     inputs=["x", "z"], nodes={"y": (cs.add, ["x", "z"])}, output="y"
            ... )
            >>> print(cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("x", "sign"))).to_dot())
            digraph {
              rankdir=BT;
              "y" [label="y: exact", peripheries=2];
              "y/x" [label="x: sign"];
              "y/x" -> "y";
              "y/~other" [label="z", style=dashed];
              "y/~other" -> "y" [style=dashed];
            }
        """
        return dot_of(self.tree)

    def block(self, key: str) -> Block:
        """The block of draws with this key.

        Raises:
            HypothesisError: there is none.
        """
        for block in self.tree.blocks:
            if block.key == key:
                return block
        raise HypothesisError(
            [f"no draw is called {key!r}. {nearest(key, [b.key for b in self.tree.blocks])}"],
            name=self.name,
        )

    def __str__(self) -> str:
        return describe(self.root, self.name, self.policy, self.within)

    def __repr__(self) -> str:
        return (
            f"Hypothesis({self.name or 'unnamed'}: {len(self.tree.claims)} "
            f"{plural(len(self.tree.claims), 'claim')}, "
            f"unimportant {self.policy})"
        )
