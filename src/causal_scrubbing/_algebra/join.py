"""The join of two hypotheses: what permits exactly the swaps that both permit."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from causal_scrubbing._algebra.block_form import (
    GROUP,
    BlockForm,
    CopyKey,
    Parts,
    Position,
    Wiring,
)
from causal_scrubbing._algebra.free import Free
from causal_scrubbing._algebra.join_errors import check_via, crossing, different_graphs
from causal_scrubbing._algebra.pairing import pair_forms
from causal_scrubbing._algebra.rebuild import rebuild
from causal_scrubbing._algebra.restate import forms_on_one_graph
from causal_scrubbing._data import flatten_feature
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._graph import shared
from causal_scrubbing._hypothesis import Hypothesis, check_scrubs


def join(
    h1: Hypothesis | Free,
    h2: Hypothesis | Free,
    *more: Hypothesis | Free,
    how: Literal["swaps", "graphs"] = "swaps",
    name: str | None = None,
) -> Hypothesis:
    """The hypothesis that permits a swap exactly when all of the given ones do.

    Example::

        both = cs.join(counts_parens, looks_at_the_horizon)

    A join only forbids swaps. What one of the hypotheses takes as a whole (a leaf, an unimportant
    parent) is whole in the join, and a claim of the other below it is lost: ``join(h, t)`` with
    the trivial ``t = cs.claim(output, cs.anything)`` is ``cs.claim(output, feature of h's root)``,
    which with the usual root `exact` is the model itself. The hypothesis that adds nothing is
    `free`.

    Two published definitions are implemented and give the same hypothesis. By *swaps*: at every
    position the two equivalence relations are intersected, and the blocks are the finest partition
    that both partitions refine. By *graphs*: both interpretations are brought to one shape, with
    no-op nodes that carry the whole input below a whole member, and every node carries the pair
    of values.

    Args:
        h1: a hypothesis, or `free(graph)`.
        h2: another about the same graph.
        *more: further ones, joined from left to right.
        how: by "swaps" or by "graphs".
        name: name of the join.

    Raises:
        HypothesisError: the join cannot be written as claims: different via sets at one claim, or a
            draw shared across claims that would need a feature. Both places are named.
    """
    joined = _join(h1, h2, how)
    for other in more:
        joined = _join(joined, other, how)
    if isinstance(joined, Free):
        return joined.hypothesis(name=name)
    return joined if name is None else joined.with_(name=name)


def _join(
    h1: Hypothesis | Free, h2: Hypothesis | Free, how: Literal["swaps", "graphs"]
) -> Hypothesis | Free:
    if how not in ("swaps", "graphs"):
        raise HypothesisError([f"how={how!r}: a join is made by 'swaps' or by 'graphs'."])
    for h in (h1, h2):
        if not isinstance(h, Hypothesis | Free):
            raise HypothesisError([f"{h!r} is no hypothesis; join takes hypotheses."])
        if isinstance(h, Hypothesis):
            check_scrubs(h, "join takes")
    # free mirrors the other's shape: at every position it permits everything, drawn apart.
    if isinstance(h1, Free):
        _on_one_graph(h1, h2)
        return h2
    if isinstance(h2, Free):
        _on_one_graph(h1, h2)
        return h1
    if h1.self_draws != h2.self_draws:
        raise HypothesisError(
            [
                "cannot join: one hypothesis has self_draws=False and the other has not, so that "
                "no one set of draws serves both. Give both the same self_draws=."
            ]
        )
    one, two = forms_on_one_graph(h1, h2, "cannot join")
    form = join_forms(one, two) if how == "swaps" else pair_forms(one, two)
    names = [h.name for h in (h1, h2) if h.name]
    called = " & ".join(dict.fromkeys(names)) or None
    return rebuild(form, (h1.unimportant, h2.unimportant), called)


def _on_one_graph(h1: Hypothesis | Free, h2: Hypothesis | Free) -> None:
    """Refuse what is about graphs that have nothing in common, where one of the two is free."""
    if not shared(h1.graph, h2.graph):
        raise HypothesisError([different_graphs(h1, h2, "they do not come from one graph")])


def join_forms(one: BlockForm, two: BlockForm) -> BlockForm:
    """The join by swaps of two block forms about one graph.

    Raises:
        HypothesisError: a claim of one stands where the other's routes pass.
    """
    return _Join(one, two).form()


class _Join:
    """Walks two forms together; blocks of either that share a position become one."""

    def __init__(self, one: BlockForm, two: BlockForm) -> None:
        self.forms = (one, two)
        self.shared = [_drawn_twice(form) for form in self.forms]
        self.above: dict[str, str] = {}
        self.settled: set[str] = set()
        # The datum that each must agree with, by key.
        self.agrees = {
            f"{side}:{member.block}": f"{side}:{inner.block}"
            for side, form in enumerate(self.forms)
            for inner in form.inner()
            for member in (inner.wiring.members if inner.wiring is not None else ())
        }

    def form(self) -> BlockForm:
        """The joined form."""
        root = self.meet(self.forms[0].root, self.forms[1].root, whole=False)
        features: dict[str, Parts] = {}
        for key in sorted(self.above, key=lambda k: k[0]):
            block, parts = self.find(key), self.forms[int(key[0])].features[key[2:]]
            own = key in self.agrees and self.find(self.agrees[key]) == block
            if own or key in self.settled:
                parts = ()  # it is the datum that it would have to agree with
            features[block] = flatten_feature((*features.get(block, ()), *parts))
        within = flatten_feature((*self.forms[0].within, *self.forms[1].within))
        return BlockForm(
            self.forms[0].graph, self.settle(root), features, within, self.forms[0].self_draws
        )

    def find(self, key: str) -> str:
        """The key that stands for all keys tied to this one; keys are "side:block"."""
        while (above := self.above.setdefault(key, key)) != key:
            key = above
        return key

    def tie(self, one: str, two: str) -> None:
        """Draw two blocks as one; a shared draw's key stays, else that of the first."""
        first, second = self.find(one), self.find(two)
        if second[2:].startswith(GROUP):
            first, second = second, first
        self.above[second] = first

    def settle(self, position: Position) -> Position:
        """The position with the final key of every block; whole where all has its own datum."""
        wiring, block = position.wiring, self.find(position.block)
        if wiring is not None:
            wiring = replace(wiring, members=tuple(self.settle(m) for m in wiring.members))
            if wiring.members and all(m.whole and m.block == block for m in wiring.members):
                wiring = None
        return replace(position, block=block, wiring=wiring)

    def meet(self, one: Position, two: Position, *, whole: bool) -> Position:
        """The join at one position."""
        block = f"0:{one.block}"
        self.tie(block, f"1:{two.block}")
        made = Position(
            one.node,
            block,
            claims=one.claims + two.claims,
            paths=one.paths + two.paths,
            rank=one.rank if one.claims else (1, two.rank[1]) if two.claims else (9, 0),
        )
        if whole or one.whole or two.whole:
            self.absorb(0, one, block)
            self.absorb(1, two, block)
            return made
        return replace(made, wiring=self.wire(one, two))

    def absorb(self, side: int, position: Position, block: str) -> None:
        """Tie draws shared with claims elsewhere, below a position that is whole, to its datum."""
        todo = [position]
        while todo:
            wiring = todo.pop().wiring
            for member in wiring.members if wiring is not None else ():
                key = f"{side}:{member.block}"
                if member.block.startswith(GROUP) or member.block in self.shared[side]:
                    self.tie(block, key)
                    self.settled.add(key)  # what it agrees with has the same datum
                todo.append(member)

    def wire(self, one: Position, two: Position) -> Wiring:
        """F(u) of the join: a copy where both open it, whole where either does not."""
        check_via(one, two)
        w1, w2 = one.wiring, two.wiring
        if w1 is None or w2 is None:
            raise AssertionError("both are expanded")
        plan = _Plan(one, two)
        members: list[Position] = []
        number: dict[tuple[object, object], int] = {}
        copies: dict[CopyKey, dict[str, CopyKey | int]] = {}
        for (c1, c2), parents in plan.copies.items():
            sources: dict[str, CopyKey | int] = {}
            for parent, (s1, s2) in parents.items():
                if not isinstance(s1, int) and not isinstance(s2, int):
                    sources[parent] = (parent, (s1, s2))
                    continue
                if (s1, s2) not in number:
                    number[s1, s2] = len(members)
                    if isinstance(s1, int) and isinstance(s2, int):
                        whole = (0, s1) in plan.forced or (1, s2) in plan.forced
                        members.append(self.meet(w1.members[s1], w2.members[s2], whole=whole))
                    elif isinstance(s1, int):
                        members.append(self.close(0, w1.members[s1], w2, s2))
                    elif isinstance(s2, int):
                        members.append(self.close(1, w2.members[s2], w1, s1))
                sources[parent] = number[s1, s2]
            copies[c1[0], (c1, c2)] = sources
        return Wiring((one.node, (w1.top, w2.top)), copies, tuple(members))

    def close(self, side: int, cut: Position, other: Wiring, copy: object) -> Position:
        """One side takes a node whole that the other's routes pass: it is whole, all below tied."""
        block = f"{side}:{cut.block}"
        self.find(block)
        for below in other.below(copy):  # type: ignore[arg-type]
            member = other.members[below]
            self.tie(block, f"{1 - side}:{member.block}")
            self.absorb(1 - side, member, block)
        return replace(cut, block=block, rank=(side, cut.rank[1]) if cut.claims else (9, 0))


def _drawn_twice(form: BlockForm) -> set[str]:
    """Blocks below several claims that are drawn as one: one datum for all of them."""
    owner: dict[str, int] = {}
    twice: set[str] = set()
    for number, inner in enumerate(form.inner()):
        for member in inner.wiring.members if inner.wiring is not None else ():
            if owner.setdefault(member.block, number) != number:
                twice.add(member.block)
    return {block for block in twice if not block.startswith(GROUP)}


class _Plan:
    """Which copies of both sides meet, and which members another route makes whole."""

    def __init__(self, one: Position, two: Position) -> None:
        w1, w2 = one.wiring, two.wiring
        if w1 is None or w2 is None:
            raise AssertionError("both are expanded")
        self.copies: dict[
            tuple[CopyKey, CopyKey], dict[str, tuple[CopyKey | int, CopyKey | int]]
        ] = {}
        self.forced: set[tuple[int, int]] = set()
        met: list[tuple[int, int]] = []
        todo = [(w1.top, w2.top)]
        while todo:
            pair = todo.pop()
            if pair in self.copies:
                continue
            self.copies[pair] = {}
            for parent, s1 in w1.copies[pair[0]].items():
                s2 = w2.copies[pair[1]][parent]
                self.copies[pair][parent] = (s1, s2)
                if isinstance(s1, int) and isinstance(s2, int):
                    met.append((s1, s2))
                elif isinstance(s1, int) and not isinstance(s2, int):
                    crossing(w1.members[s1], w2, s2)
                    self.forced.update((1, i) for i in w2.below(s2))
                elif isinstance(s2, int) and not isinstance(s1, int):
                    crossing(w2.members[s2], w1, s1)
                    self.forced.update((0, i) for i in w1.below(s1))
                elif not isinstance(s1, int) and not isinstance(s2, int):
                    todo.append((s1, s2))
        self.forced |= {(0, i) for i, p in enumerate(w1.members) if p.whole}
        self.forced |= {(1, i) for i, p in enumerate(w2.members) if p.whole}
        # One draw below a member serves all routes to it, so whole on one is whole on all.
        size = -1
        while size != len(self.forced):
            size = len(self.forced)
            for s1, s2 in met:
                if (0, s1) in self.forced or (1, s2) in self.forced:
                    self.forced |= {(0, s1), (1, s2)}
