"""Which draws can be tied, and which claims taken whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product

import numpy as np

from causal_scrubbing._data import Dataset, flatten_feature
from causal_scrubbing._hypothesis import Block, Hypothesis
from causal_scrubbing._trials.edits import group_of, owners, tied, whole, whole_and_tied

MOST_PAIRS = 120
"""Pairs of unimportant draws tried at one claim, and across claims: all pairs of 16 draws."""


@dataclass(frozen=True)
class Change:
    """A change of a hypothesis that is yet to be made.

    Attributes:
        kind: "tie" or "whole".
        text: what it says, readable.
        where: keys of the blocks it changes.
        make: gives the changed hypothesis, or raises `HypothesisError`.
    """

    kind: str
    text: str
    where: tuple[str, ...]
    make: Callable[[], Hypothesis]


def block_text(h: Hypothesis, block: Block) -> str:
    """A block in words: its claims, or whose unimportant parents it draws."""
    if block.claims:
        return " + ".join(h.tree.claims[i].path for i in block.claims)
    of = ", ".join(h.tree.claims[i].path for i in owners(block))
    nodes = dict.fromkeys(node for _, node in block.others)
    if len(nodes) == 1:
        return f"unimportant {next(iter(nodes))} of {of}"
    return f"the unimportant parents of {of}"


def ties(h: Hypothesis, data: Dataset, seed: int) -> tuple[list[Change], list[str]]:
    """Draws that could be one, and claims that could be taken whole; notes on what is left out.

    Args:
        h: the hypothesis.
        data: the dataset; a draw that keeps the row it agrees with is not tied.
        seed: of the choice where there are too many pairs.
    """
    found = _Ties(h, data, seed)
    return [*found.at_one_claim(), *found.across_claims(), *found.wholes()], found.notes


class _Ties:
    """The ties of one hypothesis."""

    def __init__(self, h: Hypothesis, data: Dataset, seed: int) -> None:
        self.h = h
        self.free = {b.key: b for b in h.tree.blocks if not data.classes(b.feature).is_exact}
        self.rng = np.random.default_rng([seed, 0x71E5])
        self.notes: list[str] = []

    def text(self, *keys: str) -> str:
        """What is drawn together."""
        first, *rest = (block_text(self.h, self.free[key]) for key in keys)
        return f"{first} drawn together with {' and '.join(rest)}"

    def tie(self, text: str, *groups: Sequence[str]) -> Change:
        """A tie of one or several groups of keys."""
        where = tuple(key for keys in groups for key in keys)
        return Change("tie", text, where, partial(tied, self.h, *groups))

    def some(
        self, pairs: Sequence[tuple[str, str]], what: str, most: int = MOST_PAIRS
    ) -> list[tuple[str, str]]:
        """The pairs, or a random choice of them with a note."""
        if len(pairs) <= most:
            return list(pairs)
        chosen = np.sort(self.rng.choice(len(pairs), most, replace=False))
        self.notes.append(f"{what}: {most} of {len(pairs)} pairs were tried as ties")
        return [pairs[i] for i in chosen]

    def members(self, index: int) -> list[str]:
        """Keys of the draws at a claim that can be tied."""
        entry = self.h.tree.claims[index]
        keys = dict.fromkeys(
            [self.h.tree.claims[i].draw for i in entry.children or ()]
            + list(entry.other_draws.values())
        )
        return [key for key in keys if key in self.free and group_of(key) is None]

    def inner(self) -> Iterator[int]:
        """The claims that have a parent to draw for."""
        return (e.index for e in self.h.tree.claims if e.children is not None)

    def at_one_claim(self) -> Iterator[Change]:
        """Pairs of draws at each claim, all unimportant ones, and all."""
        for index in self.inner():
            path = self.h.tree.claims[index].path
            own = self.members(index)
            loose = [key for key in own if not self.free[key].claims]
            pairs = list(combinations(own, 2))
            kept = [pair for pair in pairs if self.free[pair[0]].claims]
            rest = [pair for pair in pairs if not self.free[pair[0]].claims]
            kept = self.some(kept, f"claims below {path}")
            for pair in [*kept, *self.some(rest, f"unimportant parents of {path}")]:
                yield self.tie(self.text(*pair), pair)
            if len(loose) > 2:
                yield self.tie(f"all unimportant parents of {path} drawn together", loose)
            if len(own) > 2 and len(own) > len(loose):
                yield self.tie(f"all that {path} is computed from drawn together", own)

    def across_claims(self) -> Iterator[Change]:
        """Draws of different claims: unimportant ones, and claims below claims tied with them."""
        loose = [
            key for key, block in self.free.items()
            if block.is_unimportant and not flatten_feature(block.feature)
        ]  # fmt: skip
        by_owner = {key: set(owners(self.free[key])) for key in loose}
        if len(loose) > 1 and len(set[int]().union(*by_owner.values())) > 1:
            yield self.tie("unimportant parents of all claims drawn together", loose)
        pairs = [
            pair for pair in combinations(loose, 2) if not by_owner[pair[0]] & by_owner[pair[1]]
        ]
        same = [pair for pair in pairs if self.nodes(pair[0]) == self.nodes(pair[1])]
        rest = [pair for pair in pairs if pair not in same]
        kept = self.some(same, "equal unimportant parents of different claims")
        kept += self.some(rest, "unimportant parents of different claims")
        if len(loose) > 2:
            for pair in kept:
                yield self.tie(self.text(*pair), pair)
        levels = list(self.levels())
        if len(levels) > MOST_PAIRS:
            self.notes.append(
                f"claims below different claims: {MOST_PAIRS} of {len(levels)} pairs were tried "
                "as ties"
            )
        for groups in levels[:MOST_PAIRS]:
            *above, last = groups
            told = ", and ".join([self.text(*last), *(self.text(*pair) for pair in above)])
            yield self.tie(told, *groups)

    def nodes(self, key: str) -> set[str]:
        """The nodes a block draws for."""
        block = self.free[key]
        claimed = {self.h.tree.claims[i].claim.node for i in block.claims}
        return claimed | {node for _, node in block.others}

    def levels(self) -> Iterator[list[tuple[str, str]]]:
        """Pairs of claims below two tied claims, with the ties above them; equal nodes first.

        Two claims below different ones can only be drawn as one if those are: a row that fits two
        reference data need not exist.
        """
        todo = [
            [(one, two)]
            for index in self.inner()
            for one, two in combinations(self.claimed(index), 2)
        ]
        while todo:
            above = todo.pop(0)
            found = []
            for one, two in product(*(self.below(key) for key in above[-1])):
                found.append([*above, (one, two)])
            found.sort(key=lambda g: self.nodes(g[-1][0]) != self.nodes(g[-1][1]))
            yield from found
            todo += found if len(todo) < MOST_PAIRS else []

    def claimed(self, index: int) -> list[str]:
        """Draws of claims at a claim."""
        return [key for key in self.members(index) if self.free[key].claims]

    def below(self, key: str) -> list[str]:
        """Draws of claims below those of a block."""
        return list(dict.fromkeys(k for i in self.free[key].claims for k in self.claimed(i)))

    def wholes(self) -> Iterator[Change]:
        """Inner claims taken whole, alone and drawn together with their siblings."""
        h = self.h
        for index in self.inner():
            entry = h.tree.claims[index]
            note = " (the model itself)" if index == 0 and entry.draw not in self.free else ""
            yield Change(
                "whole",
                f"{entry.path} taken whole{note}",
                (entry.draw,),
                partial(whole, h, (entry.path,)),
            )
        for index in self.inner():
            children = [h.tree.claims[i] for i in h.tree.claims[index].children or ()]
            open_ = [c for c in children if c.draw in self.free]
            pairs = [
                pair for pair in combinations([c.path for c in open_], 2)
                if not all(h.tree[path].is_leaf for path in pair)
                and h.tree[pair[0]].draw != h.tree[pair[1]].draw
            ]  # fmt: skip
            for pair in self.some(pairs, f"claims below {h.tree.claims[index].path} taken whole"):
                yield self.together(*pair)
            if len(open_) > 2 and not all(c.is_leaf for c in open_):
                yield self.together(*(c.path for c in open_))

    def together(self, *paths: str) -> Change:
        """Claims taken whole and drawn as one."""
        where = tuple(dict.fromkeys(self.h.tree[path].draw for path in paths))
        text = f"{' and '.join(paths)} taken whole and drawn together"
        return Change("whole", text, where, partial(whole_and_tied, self.h, paths))
