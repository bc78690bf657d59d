"""Which of two hypotheses permits more swaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from causal_scrubbing._data import Classes, Dataset, feature_name
from causal_scrubbing._data.features import flatten_feature
from causal_scrubbing._hypothesis.blockform import CopyKey, Position, Wiring, block_form, normal
from causal_scrubbing._hypothesis.hypothesis import Hypothesis
from causal_scrubbing._hypothesis.tree import REFERENCE

Relation: TypeAlias = Literal[
    "equal", "second permits more", "first permits more", "not comparable"
]


@dataclass(frozen=True)
class Specificity:
    """How two hypotheses compare by the swaps that they permit.

    Attributes:
        relation: "equal", "second permits more", "first permits more" or "not comparable".
        names: of the two.
        obstacles: where one of them may not permit all that the other does, in words: for the
            second against the first, and for the first against the second; "" where none is.
    """

    relation: Relation
    names: tuple[str, str]
    obstacles: tuple[str, str]

    def __str__(self) -> str:
        one, two = self.names
        if self.relation == "equal":
            return f"{one} and {two} permit the same swaps"
        if self.relation == "second permits more":
            return f"{two} permits every swap that {one} permits, and more ({self.obstacles[1]})"
        if self.relation == "first permits more":
            return f"{one} permits every swap that {two} permits, and more ({self.obstacles[0]})"
        return f"{one} and {two} are not comparable: {self.obstacles[0]}; {self.obstacles[1]}"


def permits(h1: Hypothesis, h2: Hypothesis, data: Dataset) -> Specificity:
    """Which of two hypotheses permits more swaps on a dataset.

    h2 permits every swap that h1 permits when, at every position of the treeified graph, h2's
    blocks refine h1's, h2's feature is a function on D of h1's, and what is a leaf in h2 is a leaf
    in h1 (expanding a leaf permits more). This is sufficient, not necessary, and decided without
    running a model; otherwise they are called not comparable. Of the policies, "together" permits
    fewer swaps than "per-claim" and this fewer than "separate". More swaps do not mean a worse
    score.

    Args:
        h1: a hypothesis.
        h2: another about the same graph.
        data: D.

    Raises:
        HypothesisError: a feature cannot be used on this data.
    """
    names = (h1.name or "the first", h2.name or "the second")
    if h1.graph is not h2.graph and h1.graph.fingerprint != h2.graph.fingerprint:
        why = "they are about different graphs"
        return Specificity("not comparable", names, (why, why))
    second = _Walk(h1, h2, data).obstacle()
    first = _Walk(h2, h1, data).obstacle()
    relation: Relation
    if not second:
        relation = "second permits more" if first else "equal"
    else:
        relation = "not comparable" if first else "first permits more"
    return Specificity(relation, names, (second, first))


class _Walk:
    """Walks two hypotheses together, to see whether `more` permits all swaps of `fewer`.

    Every datum of `more` must be one datum of `fewer`, so that `fewer`'s draw is one of `more`'s.
    """

    def __init__(self, fewer: Hypothesis, more: Hypothesis, data: Dataset) -> None:
        self.more = more
        self.names = (fewer.name or "the other", more.name or "this one")
        self.roots = (normal(block_form(fewer).root), normal(block_form(more).root))
        self.few, self.many = fewer.classes(data), more.classes(data)
        self.few_datum = _data(fewer, self.few)
        self.many_datum = _data(more, self.many)
        self.image: dict[str, str] = {}

    def obstacle(self) -> str:
        """The first reason why not, in words; empty if there is none."""
        return self._positions(*self.roots)

    def _maps(self, block: str, datum: str, node: str) -> str:
        """Whether a datum of `more` can be one datum of `fewer`."""
        here = self.many_datum[block]
        if self.image.setdefault(here, datum) != datum:
            return f"{node} is drawn together with others in {self.names[1]}"
        return ""

    def _positions(self, few: Position, many: Position) -> str:
        datum = self.few_datum[few.block]
        found = self._maps(many.block, datum, many.node)
        if found:
            return found
        if not self.few[few.block].refines(self.many[many.block]):
            feature = self.more.block(many.block).feature
            held = " & ".join(map(feature_name, flatten_feature(feature)))
            there = "not" if few.block == many.block else f"not {few.block}"
            fewer, more = self.names
            return f"{many.block} must agree on {held} in {more}, {there} in {fewer}"
        if many.wiring is None:
            if few.wiring is not None:
                return f"{many.node} is taken as a whole in {self.names[1]}"
            return ""
        if few.wiring is None:
            return self._whole(datum, many)
        return self._copies(few.wiring, few.wiring.top, many.wiring, many.wiring.top)

    def _whole(self, datum: str, many: Position) -> str:
        """Below what is whole in `fewer`, everything has its datum."""
        if many.wiring is None:
            return ""
        for member in many.wiring.members:
            found = self._maps(member.block, datum, member.node) or self._whole(datum, member)
            if found:
                return found
        return ""

    def _copies(self, few: Wiring, one: CopyKey, many: Wiring, two: CopyKey) -> str:
        for parent, source in few.copies[one].items():
            other = many.copies[two][parent]
            if isinstance(source, int):
                mine = few.members[source]
                if isinstance(other, int):
                    found = self._positions(mine, many.members[other])
                elif mine.wiring is None:
                    datum = self.few_datum[mine.block]
                    found = self._below_copy(datum, many, other)
                else:
                    found = f"{parent} is passed by routes in {self.names[1]} only"
            elif isinstance(other, int):
                found = f"{parent} is passed by routes in {self.names[0]} only"
            else:
                found = self._copies(few, source, many, other)
            if found:
                return found
        return ""

    def _below_copy(self, datum: str, many: Wiring, copy: CopyKey) -> str:
        for number in many.below(copy):
            member = many.members[number]
            found = self._maps(member.block, datum, member.node) or self._whole(datum, member)
            if found:
                return found
        return ""


def _data(h: Hypothesis, classes: Mapping[str, Classes]) -> dict[str, str]:
    """Draw -> the datum it is: a draw that can only keep the row it agrees with is that row."""
    found = {REFERENCE: REFERENCE}
    for block in h.tree.blocks:
        found[block.key] = found[block.of] if classes[block.key].is_exact else block.key
    return found
