"""What can be added to a hypothesis: features, ties, claims taken whole, rivals; and the cuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from causal_scrubbing._algebra import block_form, join, same_swaps
from causal_scrubbing._data import Classes, Dataset, exact
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._trials.edits import (
    apart,
    edit,
    exact_group,
    group_of,
    owners,
    with_feature,
)
from causal_scrubbing._trials.pool import PoolFeature, with_exact
from causal_scrubbing._trials.ties import block_text, ties

MOST_APART = 32
"""Unimportant parents of one claim that are each tried with a draw of their own."""


@dataclass(frozen=True, eq=False)
class Addition:
    """A change of a hypothesis, and the hypothesis it gives.

    Attributes:
        kind: "feature", "tie", "whole", "rival", "both" (of two others); or "cut", which permits
            more swaps instead of fewer.
        text: what it says, readable.
        hypothesis: the hypothesis with it: for an addition, a join.
        bits: how much more it claims: the entropy of the draws it forbids, negative for a cut.
        where: keys of the blocks it changes.
        feature: name of the feature added, or None.
    """

    kind: str
    text: str
    hypothesis: Hypothesis
    bits: float
    where: tuple[str, ...]
    feature: str | None = None


def class_entropy(classes: Classes) -> float:
    """Entropy of the class of a row drawn from D, in bits."""
    mass = classes.mass[classes.mass > 0]
    return float(-(mass * np.log2(mass)).sum())


def draw_entropy(h: Hypothesis, data: Dataset) -> float:
    """Entropy of all data drawn, in bits: the sum over blocks of H(D) - H(feature).

    Theorem 2 of the method's appendix: among the laws of the data with the marginals that every
    hypothesis fixes, scrubbing's has this entropy. What an addition claims is by how much it falls.
    """
    whole = class_entropy(data.classes(exact))
    classes = h.classes(data)
    return sum(whole - class_entropy(classes[block.key]) for block in h.tree.blocks)


def additions(
    h: Hypothesis,
    data: Dataset,
    pool: Sequence[PoolFeature],
    rivals: Sequence[Hypothesis],
    seed: int = 0,
) -> tuple[list[Addition], list[str]]:
    """All additions to a hypothesis from a pool, and notes on what cannot be said as one.

    Each is a join: it only forbids swaps. A feature claimed of an unimportant parent is carried by
    its whole block, since the rest of the block stays tied to it.

    Args:
        h: the hypothesis.
        data: the dataset.
        pool: features to add.
        rivals: hypotheses to join in.
        seed: of the choice where there are too many ties.
    """
    made = _Made(h, data)
    for block in h.tree.blocks:
        where = (block.key,)
        if group_of(block.key) is not None and len(owners(block)) > 1:
            text = block_text(h, block)
            make = partial(exact_group, h, block)
            made.add("feature", f"{text} agree on exact", where, make, "exact")
            made.notes.append(
                f"{text} share one draw, to which no feature but exact can be added: features were "
                "tried on claims only. unimportant='per-claim' lifts this."
            )
            continue
        seen = {data.classes(block.feature).digest}
        nodes = {h.tree.claims[i].claim.node for i in block.claims} | {n for _, n in block.others}
        verb = "agree on" if block.is_unimportant else "carries"
        for one in with_exact(pool):
            if one.node is not None and one.node not in nodes:
                continue
            digest = data.classes((block.feature, one.feature)).digest
            if digest in seen:
                made.equal += 1
                continue
            seen.add(digest)
            made.add(
                "feature",
                f"{block_text(h, block)} {verb} {one.name}",
                where,
                partial(with_feature, h, block, one.feature),
                one.name,
            )
    changes, notes = ties(h, data, seed)
    for change in changes:
        made.add(change.kind, change.text, change.where, change.make)
    for number, rival in enumerate(rivals, 1):
        text = f"join with {rival.name or f'rival {number}'}"
        made.add("rival", text, (text,), partial(join, h, rival))
    return made.found, [*made.notes, *notes, *made.left_out()]


def pairs_of(
    h: Hypothesis, data: Dataset, chosen: Sequence[Addition], known: Sequence[Addition]
) -> list[tuple[Addition, int, int]]:
    """The joins of two additions each that are none of those known, with the places of the two."""
    made = _Made(h, data, known)
    parts: list[tuple[int, int]] = []
    for i, one in enumerate(chosen):
        for j, two in enumerate(chosen[i + 1 :], i + 1):
            where = tuple(dict.fromkeys([*one.where, *two.where]))
            text = f"{one.text}; {two.text}"
            made.add("both", text, where, partial(join, one.hypothesis, two.hypothesis))
            parts += [(i, j)] * (len(made.found) - len(parts))
    return [(one, i, j) for one, (i, j) in zip(made.found, parts, strict=True)]


class _Made:
    """Additions made so far, those that permit the same swaps once."""

    def __init__(self, h: Hypothesis, data: Dataset, known: Sequence[Addition] = ()) -> None:
        self.data = data
        self.graph = h.graph
        self.before = draw_entropy(h, data)
        self.found: list[Addition] = []
        self.notes: list[str] = []
        self.refused: list[str] = []
        self.equal = 0
        self._by_bits: dict[float, list[Addition]] = {}
        for one in known:
            self._by_bits.setdefault(round(one.bits, 6), []).append(one)

    def add(
        self,
        kind: str,
        text: str,
        where: tuple[str, ...],
        make: Callable[[], Hypothesis],
        feature: str | None = None,
    ) -> None:
        """Make an addition, unless no claims say it or another permits the same swaps."""
        try:
            changed = make().with_(name=text)
        except HypothesisError as error:
            self.refused.append(f"{text}: {error.faults[0]}")
            return
        if changed.graph is not self.graph:
            self.refused.append(
                f"{text}: the join is about a finer graph. Restate the hypothesis on it with "
                "cs.restate, and search around that"
            )
            return
        bits = max(0.0, self.before - draw_entropy(changed, self.data))
        alike = self._by_bits.setdefault(round(bits, 6), [])
        # A feature's classes were compared before; nothing but a tie or a join can repeat one.
        if kind != "feature" and (bits < 1e-9 or any(self._same(changed, one) for one in alike)):
            self.equal += 1
            return
        made = Addition(kind, text, changed, bits, where, feature)
        alike.append(made)
        self.found.append(made)

    def _same(self, changed: Hypothesis, one: Addition) -> bool:
        return same_swaps(block_form(changed), block_form(one.hypothesis), self.data)

    def left_out(self) -> list[str]:
        """Notes on what was not tried."""
        notes = list(self.refused[:4])
        if len(self.refused) > 4:
            notes.append(f"{len(self.refused) - 4} more changes cannot be written as claims")
        if self.equal:
            notes.append(
                f"{self.equal} further additions permit the swaps of one tried, or of the "
                "hypothesis, and were left out"
            )
        return notes


def draws_several(h: Hypothesis) -> bool:
    """Whether unimportant parents, of one claim or of several, share a draw."""
    return any(len(block.others) > 1 for block in h.tree.blocks if block.is_unimportant)


def cuts(h: Hypothesis, data: Dataset) -> list[Addition]:
    """Changes that permit more swaps: finer policies, ties cut. `separate` comes first."""
    found: list[tuple[str, Hypothesis, tuple[str, ...]]] = []
    unimportant = [b for b in h.tree.blocks if b.is_unimportant]
    if h.unimportant != "separate" and draws_several(h):
        found.append(
            ("all unimportant parents drawn apart (separate)", h.with_(unimportant="separate"), ())
        )
    if h.unimportant not in ("per-claim", "separate"):
        found.append(("unimportant parents drawn per claim", h.with_(unimportant="per-claim"), ()))
    for block in h.tree.blocks:
        if len(block.claims) > 1:
            for index in block.claims:
                entry = h.tree.claims[index]
                cut = edit(h, entry.path, lambda claim: replace(claim, tie=None))
                found.append((f"{entry.path} drawn apart from its tie", cut, (block.key,)))
    if h.unimportant == "per-claim":
        for block in unimportant:
            nodes = [n for _, n in block.others]
            if not 2 <= len(nodes) <= MOST_APART:
                continue
            for node in nodes:
                try:
                    cut = apart(h, block, node)
                except HypothesisError:
                    continue  # its routes cannot be told from those of a sibling
                text = f"unimportant {node} drawn apart from {block_text(h, block)}"
                found.append((text, cut, (block.key,)))
    before = draw_entropy(h, data)
    return [
        Addition("cut", text, one.with_(name=text), before - draw_entropy(one, data), where)
        for text, one, where in found
    ]
