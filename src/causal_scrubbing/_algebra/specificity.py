"""Which of two hypotheses permits more swaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from causal_scrubbing._algebra.block_form import BlockForm, CopyKey, Position, Wiring, normal
from causal_scrubbing._algebra.free import Free
from causal_scrubbing._algebra.given import as_hypothesis
from causal_scrubbing._algebra.restate import OWN_DATUM, forms_on_one_graph
from causal_scrubbing._data import Dataset, check_dataset, feature_name, flatten_feature
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis, check_scrubs

Relation: TypeAlias = Literal[
    "equal", "second permits more", "first permits more", "not comparable"
]


@dataclass(frozen=True, repr=False)
class Specificity(Displayed):
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

    def __repr__(self) -> str:
        one, two = (name if len(name) <= 40 else f"{name[:37]}..." for name in self.names)
        return f"Specificity({one}, {two}: {self.relation}; print it to see why)"

    def __str__(self) -> str:
        one, two = self.names
        if self.relation == "equal":
            return f"{one} and {two} permit the same swaps"
        if self.relation == "second permits more":
            return f"{two} permits every swap that {one} permits, and more ({self.obstacles[1]})"
        if self.relation == "first permits more":
            return f"{one} permits every swap that {two} permits, and more ({self.obstacles[0]})"
        why = "; ".join(dict.fromkeys(self.obstacles))
        return f"{one} and {two} are not comparable: {why}"


def permits(h1: Hypothesis | Free, h2: Hypothesis | Free, data: Dataset) -> Specificity:
    """Which of two hypotheses permits more swaps on a dataset.

    h2 permits every swap that h1 permits when, at every position of the treeified graph, h2's
    blocks refine h1's, h2's feature is a function on D of h1's, and what is a leaf in h2 is a leaf
    in h1 (expanding a leaf permits more). This is sufficient, not necessary, and decided without
    running a model; otherwise they are called not comparable. Of the policies, "together" permits
    fewer swaps than "per-claim" and this fewer than "separate". More swaps do not mean a worse
    score. With ``self_draws=False`` a row is swapped for others only, so that a hypothesis that may
    keep a row where this one may not is not below it.

    Args:
        h1: a hypothesis, or `free(graph)`.
        h2: another about the same graph, or another rewriting of it.
        data: D.

    Raises:
        HypothesisError: a feature cannot be used on this data, or one is no hypothesis.
    """
    h1, h2 = as_hypothesis(h1, "permits"), as_hypothesis(h2, "permits")
    check_dataset(data)
    names = (h1.name or "the first", h2.name or "the second")
    for h in (h1, h2):
        check_scrubs(h, "comparisons of swaps need")
    try:
        one, two = forms_on_one_graph(h1, h2, "they cannot be compared")
    except HypothesisError as error:
        return Specificity("not comparable", names, (error.faults[0], ""))
    first_side, second_side = _Seen(h1, one, data, names[0]), _Seen(h2, two, data, names[1])
    second = _Walk(first_side, second_side).obstacle()
    first = _Walk(second_side, first_side, swapped=True).obstacle()
    relation: Relation
    if not second:
        relation = "second permits more" if first else "equal"
    else:
        relation = "not comparable" if first else "first permits more"
    return Specificity(relation, names, (second, first))


class _Seen:
    """A hypothesis in block form, with the classes of its blocks and the datum that each is."""

    def __init__(self, h: Hypothesis, form: BlockForm, data: Dataset, name: str) -> None:
        self.name = name
        self.root = normal(form.root)
        self.features = {k: (*parts, *form.within) for k, parts in form.features.items()}
        self.classes = h.classes(data)
        self.self_draws = h.self_draws
        self.of: dict[str, str] = {}
        self.datum = {REFERENCE: REFERENCE}
        for block in h.tree.blocks:
            # A draw that can only keep the row it agrees with is that row.
            is_kept = self.classes[block.key].is_exact
            self.datum[block.key] = self.datum[block.of] if is_kept else block.key
            self.of[block.key] = self.datum[block.of]
        for key, parts in self.features.items():
            if key not in self.classes:  # made to state it on a finer graph: a claim's own datum
                self.classes[key] = data.classes(parts)
                self.datum[key] = self.datum[key.removesuffix(OWN_DATUM)]


class _Walk:
    """Walks two hypotheses together, to see whether `more` permits all swaps of `fewer`.

    Every datum of `more` must be one datum of `fewer`, so that `fewer`'s draw is one of `more`'s.
    """

    def __init__(self, fewer: _Seen, more: _Seen, *, swapped: bool = False) -> None:
        self.swapped = swapped
        self.features = (fewer.features, more.features)
        self.names = (fewer.name, more.name)
        self.roots = (fewer.root, more.root)
        self.few, self.many = fewer.classes, more.classes
        self.few_datum, self.many_datum = fewer.datum, more.datum
        self.few_of, self.many_of = fewer.of, more.of
        self.again = (fewer.self_draws, more.self_draws)
        self.image: dict[str, str] = {REFERENCE: REFERENCE}

    def obstacle(self) -> str:
        """The first reason why not, in words; empty if there is none."""
        return self._positions(*self.roots)

    def _maps(self, block: str, datum: str, node: str) -> str:
        """Whether a datum of `more` can be one datum of `fewer`."""
        here = self.many_datum[block]
        if self.image.setdefault(here, datum) != datum:
            if here == block:
                return f"{node} is drawn together with others in {self.names[1]}"
            kept = "the reference row" if here == REFERENCE else f"the row of {here}"
            return f"{node} has {kept} in {self.names[1]}"
        if here == block and not self.again[1] and self._may_keep(block, datum):
            return f"{node} may keep its row in {self.names[0]}, not in {self.names[1]}"
        return ""

    def _may_keep(self, block: str, datum: str) -> bool:
        """Whether a datum of `fewer` may be the row that a block of `more` must change."""
        if self.again[0] or self.few_of.get(datum) != self.image[self.many_of[block]]:
            return True
        few, many = self.few[datum], self.many[block]
        single = few.sizes[few.ids] == 1
        return bool((single & (many.sizes[many.ids] > 1)).any())

    def _positions(self, few: Position, many: Position) -> str:
        # First the features: a draw that keeps a row has the datum it agrees with by its feature.
        if not self.few[few.block].refines(self.many[many.block]):
            return self._features(few.block, many.block)
        datum = self.few_datum[few.block]
        found = self._maps(many.block, datum, many.node)
        if found:
            return found
        if many.wiring is None:
            if few.wiring is not None:
                return f"{many.node} is taken as a whole in {self.names[1]}"
            return ""
        if few.wiring is None:
            return self._whole(datum, many)
        return self._copies(few.wiring, few.wiring.top, many.wiring, many.wiring.top)

    def _features(self, few: str, many: str) -> str:
        """What a block of `more` must agree on and one of `fewer` need not."""
        told = [
            (block, " & ".join(map(feature_name, flatten_feature(features[block]))), name)
            for block, features, name in zip((few, many), self.features, self.names, strict=True)
        ]
        if told[0][1] and self.swapped:
            told.reverse()  # both ways are told alike, the first hypothesis first
        if not told[0][1]:
            less = f"not in {told[0][2]}" if few == many else f"not {few} in {told[0][2]}"
            return f"{many} must agree on {told[1][1]} in {told[1][2]}, {less}"
        (one, feature, name), (two, other, second) = told
        there = "" if one == two else f"{two} "
        return f"{one} must agree on {feature} in {name}, {there}on {other} in {second}"

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
