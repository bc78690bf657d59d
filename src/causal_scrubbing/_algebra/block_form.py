"""The block form of a hypothesis: at each inner claim, how the parents fall into blocks.

This is the form in which hypotheses are joined and compared. A *position* is a parent of some
F(u), or the root. It is *whole* (a leaf or an unimportant parent: its clean value) or *expanded*
(computed from positions of its own). A swap (position, row, row') is permitted when the rows agree
on the feature of the position's block; below a whole position everything is tied to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeAlias

from causal_scrubbing._data import Dataset, Feature, FeatureFunction, flatten_feature
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import ChildSource, Claim, CopySource, Hypothesis, check_scrubs

CopyKey: TypeAlias = tuple[str, Any]
"""A node computed anew on the way to a claim, and what tells its copies apart."""

Parts: TypeAlias = tuple[str | FeatureFunction | Any, ...]

GROUP = "~group/"


@dataclass(frozen=True, eq=False)
class Position:
    """A place in the treeified graph whose datum can be swapped.

    Attributes:
        node: the graph's node there.
        block: key of the block that draws its datum.
        wiring: how its value is made of other positions; None where it is whole.
        claims: the claims made of it, of one or two hypotheses; none where it is unimportant.
        paths: those claims' paths, for errors.
        rank: where its claim stood among the siblings.
    """

    node: str
    block: str
    wiring: Wiring | None = None
    claims: tuple[Claim, ...] = ()
    paths: tuple[str, ...] = ()
    rank: tuple[int, int] = (9, 0)

    @property
    def whole(self) -> bool:
        """Whether its value is the clean one on its datum."""
        return self.wiring is None


@dataclass(frozen=True, eq=False)
class Wiring:
    """F(u): copies of nodes from u's own down to its members.

    Attributes:
        top: the copy that is u's node.
        copies: for each copy, each parent's source: another copy, or a member by its number.
        members: the positions that F(u) is computed from.
    """

    top: CopyKey
    copies: Mapping[CopyKey, Mapping[str, CopyKey | int]]
    members: tuple[Position, ...]

    def below(self, copy: CopyKey) -> list[int]:
        """The members that a copy is computed from, directly or through further copies."""
        found, todo, seen = dict[int, None](), [copy], {copy}
        while todo:
            for source in self.copies[todo.pop()].values():
                if isinstance(source, int):
                    found[source] = None
                elif source not in seen:
                    seen.add(source)
                    todo.append(source)
        return list(found)

    def routes(self, member: int) -> tuple[str, ...]:
        """Nodes of the copies, u's own left out, that routes from a member to u pass."""
        users: dict[CopyKey, list[CopyKey]] = {}
        enters: list[CopyKey] = []
        for copy, sources in self.copies.items():
            for source in sources.values():
                if source == member:
                    enters.append(copy)
                elif not isinstance(source, int):
                    users.setdefault(source, []).append(copy)
        seen = dict.fromkeys(enters)
        while enters:
            for user in users.get(enters.pop(), []):
                if user not in seen:
                    seen[user] = None
                    enters.append(user)
        return tuple(sorted({copy[0] for copy in seen if copy != self.top}))


@dataclass(frozen=True, eq=False)
class BlockForm:
    """A hypothesis by its swaps.

    Attributes:
        graph: the graph of all positions.
        root: the position of the graph's output.
        features: block key -> the parts of its feature, `within` left out.
        within: parts of the feature that every block carries besides.
        self_draws: whether a block may draw the row that it must agree with.
    """

    graph: Graph
    root: Position
    features: Mapping[str, Parts]
    within: Parts
    self_draws: bool = True

    def inner(self) -> Iterator[Position]:
        """All expanded positions, the root first."""
        todo = [self.root]
        while todo:
            one = todo.pop(0)
            if one.wiring is not None:
                yield one
                todo += one.wiring.members


def block_form(h: Hypothesis) -> BlockForm:
    """A hypothesis in block form.

    Raises:
        HypothesisError: it ablates, which makes no swaps.
    """
    check_scrubs(h, "joins, searches and comparisons of swaps need")
    features: dict[str, Parts] = {}

    def carry(key: str, feature: Feature) -> str:
        features[key] = flatten_feature((*features.get(key, ()), feature))
        return key

    def visit(index: int, rank: int) -> Position:
        entry = h.tree.claims[index]
        block = carry(entry.draw, entry.claim.feature)
        wiring = None
        if entry.children is not None and entry.routes is not None:
            members = [visit(child, i) for i, child in enumerate(entry.children)]
            place: dict[str, int] = {}
            for node in entry.routes.others:
                place[node] = len(members)
                members.append(Position(node, carry(entry.other_draws[node], entry.claim.others)))
            copies: dict[CopyKey, dict[str, CopyKey | int]] = {}
            for copy, sources in entry.routes.copies.items():
                copies[copy] = {}
                for parent, source in sources.items():
                    if isinstance(source, ChildSource):
                        copies[copy][parent] = source.child
                    elif isinstance(source, CopySource):
                        copies[copy][parent] = source.copy
                    else:
                        copies[copy][parent] = place[source.node]
            wiring = Wiring(entry.routes.top, copies, tuple(members))
        return Position(entry.claim.node, block, wiring, (entry.claim,), (entry.path,), (0, rank))

    root = visit(0, 0)
    return BlockForm(h.graph, root, features, flatten_feature(h.within), h.self_draws)


def normal(position: Position) -> Position:
    """The position without copies whose parents are all clean on one datum: so are they."""
    wiring = position.wiring
    if wiring is None:
        return position
    members = [normal(member) for member in wiring.members]
    single: dict[CopyKey, str | None] = {}

    def block_of(copy: CopyKey) -> str | None:
        if copy not in single:
            found = set[str | None]()
            for source in wiring.copies[copy].values():
                if not isinstance(source, int):
                    found.add(block_of(source))
                else:
                    found.add(members[source].block if members[source].whole else None)
            single[copy] = found.pop() if len(found) == 1 else None
        return single[copy]

    copies: dict[CopyKey, dict[str, CopyKey | int]] = {}
    made: dict[tuple[str, str], int] = {}
    kept: list[Position] = []

    def place(member: Position) -> int:
        if not member.whole:
            kept.append(member)
            return len(kept) - 1
        key = (member.node, member.block)
        if key not in made:
            made[key] = len(kept)
            kept.append(member)
        elif member.claims and not kept[made[key]].claims:
            kept[made[key]] = member
        return made[key]

    numbers: dict[int, int] = {}
    todo = [wiring.top]
    while todo:
        copy = todo.pop()
        if copy in copies:
            continue
        copies[copy] = {}
        for parent, source in wiring.copies[copy].items():
            if isinstance(source, int):
                if source not in numbers:
                    numbers[source] = place(members[source])
                copies[copy][parent] = numbers[source]
            elif (block := block_of(source)) is not None:
                copies[copy][parent] = place(Position(parent, block))
            else:
                copies[copy][parent] = source
                todo.append(source)
    return replace(position, wiring=Wiring(wiring.top, copies, tuple(kept)))


def same_swaps(one: BlockForm, two: BlockForm, data: Dataset | None = None) -> bool:
    """Whether two forms about one graph permit the same swaps and compute the same values.

    Args:
        one: a block form.
        two: another.
        data: compare features by their classes on this data; by name and identity if None.
    """
    if one.self_draws != two.self_draws:
        return False
    forward: dict[str, str] = {}
    backward: dict[str, str] = {}
    todo = [(normal(one.root), normal(two.root))]
    while todo:
        a, b = todo.pop()
        if forward.setdefault(a.block, b.block) != b.block:
            return False
        if backward.setdefault(b.block, a.block) != a.block:
            return False
        if a.whole != b.whole or a.node != b.node:
            return False
        if a.wiring is None or b.wiring is None:
            continue
        copies, seen = [(a.wiring.top, b.wiring.top)], set[tuple[CopyKey, CopyKey]]()
        pairs: dict[tuple[int, int], None] = {}
        while copies:
            pair = copies.pop()
            if pair in seen:
                continue
            seen.add(pair)
            for parent, source in a.wiring.copies[pair[0]].items():
                other = b.wiring.copies[pair[1]][parent]
                if isinstance(source, int) and isinstance(other, int):
                    pairs[source, other] = None
                elif isinstance(source, int) or isinstance(other, int):
                    return False
                else:
                    copies.append((source, other))
        todo += [(a.wiring.members[i], b.wiring.members[j]) for i, j in pairs]

    def feature(form: BlockForm, block: str) -> object:
        parts = flatten_feature((*form.features[block], *form.within))
        return frozenset(parts) if data is None else data.classes(parts).digest

    return all(feature(one, a) == feature(two, b) for a, b in forward.items())


def swaps_digest(form: BlockForm, data: Dataset) -> str:
    """A hash that two forms about one graph share exactly where `same_swaps` holds on the data.

    Positions are visited from the root down, parents in the graph's order, and blocks are numbered
    as they are met; so what is hashed does not depend on the keys of blocks and copies.
    """
    numbers: dict[str, int] = {}

    def of_position(position: Position) -> bytes:
        block = numbers.setdefault(position.block, len(numbers))
        parts = [position.node.encode(), str(block).encode()]
        if position.wiring is not None:
            parts.append(of_copy(position.wiring, position.wiring.top, {}))
        return _hashed(parts)

    def of_copy(wiring: Wiring, copy: CopyKey, known: dict[CopyKey, bytes]) -> bytes:
        if copy not in known:
            parts = [copy[0].encode()]
            for source in wiring.copies[copy].values():
                if isinstance(source, int):
                    parts.append(b"m" + of_position(wiring.members[source]))
                else:
                    parts.append(b"c" + of_copy(wiring, source, known))
            known[copy] = _hashed(parts)
        return known[copy]

    whole = of_position(normal(form.root))
    features = [
        data.classes(flatten_feature((*form.features[block], *form.within))).digest.encode()
        for block in numbers
    ]
    return _hashed([whole, *features]).hex()


def _hashed(parts: Sequence[bytes]) -> bytes:
    found = blake2b(digest_size=16)
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()
