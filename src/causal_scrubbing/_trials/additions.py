"""What can be added to a hypothesis: features, ties, claims taken whole, rivals; and the cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from causal_scrubbing._algebra import block_form, join, swaps_digest
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


@dataclass(frozen=True, eq=False)
class _Change:
    """An addition that is yet to be made."""

    kind: str
    text: str
    where: tuple[str, ...]
    make: Callable[[], Hypothesis]
    feature: str | None = None


def additions(
    h: Hypothesis,
    data: Dataset,
    pool: Sequence[PoolFeature],
    rivals: Sequence[Hypothesis],
    seed: int = 0,
    most: int | None = None,
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
        most: additions made at most; of more, each place gets its share, and a note says so.
    """
    made = _Made(h, data)
    changes = list(_features(h, data, pool, made))
    tied, notes = ties(h, data, seed)
    changes += [_Change(one.kind, one.text, one.where, one.make) for one in tied]
    for number, rival in enumerate(rivals, 1):
        text = f"join with {rival.name or f'rival {number}'}"
        changes.append(_Change("rival", text, (text,), partial(join, h, rival)))
    if most is not None and len(changes) > most:
        notes = [
            *notes,
            f"{most} of {len(changes)} additions were tried, the same number at each place as far "
            "as it goes; a larger budget= tries more",
        ]
        changes = _share(changes, most)
    for change in changes:
        made.add(change.kind, change.text, change.where, change.make, change.feature)
    return made.found, [*made.notes, *notes, *made.left_out()]


def _features(
    h: Hypothesis, data: Dataset, pool: Sequence[PoolFeature], made: _Made
) -> Iterator[_Change]:
    """Features that can be added to each block, those that change its classes."""
    for block in h.tree.blocks:
        where = (block.key,)
        if group_of(block.key) is not None and len(owners(block)) > 1:
            text = block_text(h, block)
            make = partial(exact_group, h, block)
            yield _Change("feature", f"{text} agree on exact", where, make, "exact")
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
            text = f"{block_text(h, block)} {verb} {one.name}"
            yield _Change(
                "feature", text, where, partial(with_feature, h, block, one.feature), one.name
            )


def _share(changes: Sequence[_Change], most: int) -> list[_Change]:
    """So many of the changes: the first of each place, then the second of each, and so on."""
    turns: dict[tuple[str, ...], int] = {}
    turn = []
    for change in changes:
        turns[change.where] = turns.get(change.where, 0) + 1
        turn.append(turns[change.where])
    order = sorted(range(len(changes)), key=lambda i: turn[i])
    return [changes[i] for i in sorted(order[:most])]


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
        self._known = {swaps_digest(block_form(one.hypothesis), data) for one in known}
        self._known.add(swaps_digest(block_form(h), data))

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
        digest = swaps_digest(block_form(changed), self.data)
        if digest in self._known:
            self.equal += 1
            return
        self._known.add(digest)
        bits = max(0.0, self.before - draw_entropy(changed, self.data))
        self.found.append(Addition(kind, text, changed, bits, where, feature))

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
