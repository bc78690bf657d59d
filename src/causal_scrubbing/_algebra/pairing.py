"""The join by graphs: both interpretations on one shape, every node with the pair of values.

It gives what `join_forms` gives and shares nothing with it but the data structure. First both
hypotheses are brought to one shape: below a member that one of them takes as a whole, that one
gets no-op nodes, which carry the whole input and so have the member's own datum. Then a
position's interpretation carries the pair of values; positions that share a datum in either
hypothesis share one. Last, what only repeats the whole input is folded up again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from causal_scrubbing._algebra.block_form import (
    GROUP,
    BlockForm,
    CopyKey,
    Parts,
    Position,
    Wiring,
)
from causal_scrubbing._algebra.join_errors import check_via, crossing
from causal_scrubbing._data import flatten_feature

if TYPE_CHECKING:
    import networkx as nx


@dataclass
class _Pair:
    """One position of the common shape: what each side has there, and the datum it has it on."""

    node: str
    sides: tuple[Position | None, Position | None]
    data: tuple[str, str]
    top: CopyKey | None = None
    copies: dict[CopyKey, dict[str, CopyKey | int]] = field(default_factory=dict)
    members: list[_Pair] = field(default_factory=list)
    cuts: list[tuple[int, Position]] = field(default_factory=list)

    @property
    def noop(self) -> bool:
        """Whether one side has nothing of its own below this."""
        return any(side is None or side.whole for side in self.sides)

    def walk(self, above: _Pair | None = None) -> Iterator[tuple[_Pair | None, _Pair]]:
        """All (parent, position) pairs from here down."""
        yield above, self
        for member in self.members:
            yield from member.walk(self)


def pair_forms(one: BlockForm, two: BlockForm) -> BlockForm:
    """The join by graphs of two block forms about one graph.

    Raises:
        HypothesisError: a claim of one stands where the other's routes pass.
    """
    import networkx as nx

    root = _shape(one.root, two.root, f"0:{one.root.block}", f"1:{two.root.block}")
    # Positions are nodes of a graph whose edges are "same datum in one of the hypotheses".
    sharing: nx.Graph[str] = nx.Graph()
    for _, pair in root.walk():
        sharing.add_edge(*pair.data)
    datum: dict[str, str] = {}
    for component in nx.connected_components(sharing):
        shared = sorted(key for key in component if key[2:].startswith(GROUP))
        first = shared[0] if shared else min(component)
        datum.update(dict.fromkeys(component, first))
    features: dict[str, Parts] = {}
    forms = (one, two)
    for above, pair in root.walk():
        mine = datum[pair.data[0]]
        parts = features.setdefault(mine, ())
        if above is not None and datum[above.data[0]] == mine:
            continue  # tied to the datum it would have to agree with
        for side, position in enumerate(pair.sides):
            if position is not None:
                parts = flatten_feature((*parts, *forms[side].features[position.block]))
        features[mine] = parts
    for _, pair in root.walk():
        for side, cut in pair.cuts:
            mine = datum[f"{side}:{cut.block}"]
            if mine != datum[pair.data[0]]:
                parts = forms[side].features[cut.block]
                features[mine] = flatten_feature((*features[mine], *parts))
    within = flatten_feature((*one.within, *two.within))
    return BlockForm(one.graph, _fold(root, datum), features, within, one.self_draws)


def _shape(a: Position | None, b: Position | None, data1: str, data2: str) -> _Pair:
    """The common shape from one position down.

    Args:
        a: the first hypothesis's position; None where it has a no-op node.
        b: the second's.
        data1: the datum of the first's, that of the whole member above for a no-op node.
        data2: the datum of the second's.
    """
    some = a or b
    if some is None:
        raise AssertionError("one side has the position")
    pair = _Pair(some.node, (a, b), (data1, data2))
    w1, w2 = (a.wiring if a else None), (b.wiring if b else None)
    if a is not None and b is not None and w1 is not None and w2 is not None:
        check_via(a, b)
    if w1 is None and w2 is None:
        return pair
    numbers: dict[tuple[object, object], int] = {}
    # A copy of one side met by a whole member of the other is opened there too, as a no-op with
    # that member's datum. A source is a copy, a member, or the datum of a no-op.
    start = (w1.top if w1 else data1, w2.top if w2 else data2)
    pair.top = (some.node, start)
    todo: list[tuple[CopyKey | str, CopyKey | str]] = [start]
    while todo:
        copies = todo.pop()
        key: CopyKey = (copies[0][0] if isinstance(copies[0], tuple) else copies[1][0], copies)
        if key in pair.copies:
            continue
        pair.copies[key] = {}
        # What each side computes this copy from; nothing where the copy is a no-op.
        lists = [
            w.copies[copy] if w is not None and isinstance(copy, tuple) else None
            for w, copy in zip((w1, w2), copies, strict=True)
        ]
        for parent in next(found for found in lists if found is not None):
            raw: list[CopyKey | int | str] = []
            for side, found in enumerate(lists):
                inside = copies[side]
                raw.append(found[parent] if found is not None else str(inside))
            if all(not isinstance(s, tuple) for s in raw):
                pair.copies[key][parent] = _member(pair, numbers, (w1, w2), raw)
                continue
            opened: list[CopyKey | str] = []
            for side, source in enumerate(raw):
                wiring, other, beyond = (w1, w2)[side], (w1, w2)[1 - side], raw[1 - side]
                if isinstance(source, int) and wiring is not None and other is not None:
                    if isinstance(beyond, tuple):
                        crossing(wiring.members[source], other, beyond)
                    pair.cuts.append((side, wiring.members[source]))
                    opened.append(f"{side}:{wiring.members[source].block}")
                elif not isinstance(source, int):
                    opened.append(source)
            following = (opened[0], opened[1])
            pair.copies[key][parent] = (parent, following)
            todo.append(following)
    return pair


def _member(
    pair: _Pair,
    numbers: dict[tuple[object, object], int],
    wirings: tuple[Wiring | None, Wiring | None],
    sources: list[CopyKey | int | str],
) -> int:
    key = (sources[0], sources[1])
    if key not in numbers:
        positions: list[Position | None] = []
        data: list[str] = []
        for side, (wiring, source) in enumerate(zip(wirings, sources, strict=True)):
            if isinstance(source, int) and wiring is not None:
                positions.append(wiring.members[source])
                data.append(f"{side}:{wiring.members[source].block}")
            else:
                positions.append(None)
                data.append(str(source))
        numbers[key] = len(pair.members)
        pair.members.append(_shape(positions[0], positions[1], data[0], data[1]))
    return numbers[key]


def _fold(pair: _Pair, datum: dict[str, str]) -> Position:
    """The position of the join: whole where everything below only repeats its datum."""
    block = datum[pair.data[0]]
    sides = [side for side in pair.sides if side is not None]
    rank: tuple[int, int] = (9, 0)
    for side in (1, 0):
        one = pair.sides[side]
        if one is not None and one.claims:
            rank = (side, one.rank[1])
    made = Position(
        pair.node,
        block,
        claims=tuple(c for side in sides for c in side.claims),
        paths=tuple(p for side in sides for p in side.paths),
        rank=rank,
    )
    tied = bool(pair.members) and all(datum[m.data[0]] == block for m in pair.members)
    if pair.top is None or pair.noop or tied:
        return made
    members = tuple(_fold(member, datum) for member in pair.members)
    return Position(
        made.node,
        block,
        Wiring(pair.top, pair.copies, members),
        made.claims,
        made.paths,
        rank,
    )
