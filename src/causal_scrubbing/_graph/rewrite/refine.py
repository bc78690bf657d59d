"""The common refinement of two graphs that were rewritten from one: both sets of rewrites at once.

The rewrites of both are done over on the graph they share, those of the first before those of the
second. A split of a node that the other graph has cut too cuts each of the other's pieces, along
its own axis or, along the same axis, where the places of both meet. For each of the two graphs it
is kept which nodes of the refinement together are the value of a node there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.graph import Graph
from causal_scrubbing._graph.rewrite.dictionary import Dictionary
from causal_scrubbing._graph.rewrite.lineage import plain, shared
from causal_scrubbing._graph.rewrite.naming import renaming
from causal_scrubbing._graph.rewrite.sides import (
    NONE,
    Refinement,
    Side,
    own_places,
    piece_view,
    rename_keys,
)
from causal_scrubbing._graph.rewrite.splicing import Splicing
from causal_scrubbing._graph.rewrite.split import parse_pieces
from causal_scrubbing._graph.rewrite.views import View, cut
from causal_scrubbing._nodes import Rewrite, RowPosition, Where, same


def refine(one: Graph, two: Graph) -> Refinement:
    """The common refinement of two rewrites of one graph.

    Raises:
        GraphError: they come from different graphs, or their rewrites cannot be done together.
    """
    if not shared(one, two):
        raise GraphError("they do not come from one graph by rewrites")
    try:
        return _Refining(one, two).run()
    except GraphError as error:
        # A node cut into places has no summands, but summands can be cut into places.
        try:
            other = _Refining(two, one).run()
        except GraphError:
            raise error from None
        return Refinement(other.graph, (other.sides[1], other.sides[0]), other.places)


class _Refining(Splicing):
    """Does the rewrites of both graphs over, one after the other."""

    def run(self) -> Refinement:
        """The refinement."""
        for number, chain in enumerate(self.chains):
            side = self.sides[number]
            for graph in chain:
                step = graph.rewrite
                if step is None:
                    raise AssertionError("a graph in a lineage was rewritten")
                made = _STEPS.get(step.kind)
                if made is None:
                    raise GraphError(f"{step.kind} is not spliced with the rewrites of another")
                before = self.graph
                made(self, side, step, graph)
                if before is step.before:
                    self.graph = graph  # the very same rewrite, done once already
                self.enter_inputs(side, graph)
        return Refinement(self.graph, (self.sides[0], self.sides[1]), self.places)

    # --- the rewrites --------------------------------------------------------------------------

    def split(self, side: Side, step: Rewrite, after: Graph) -> None:
        """Pieces along an axis."""
        if step.options.get("axes") is not None:
            raise GraphError("a split over several axes is not spliced with another's rewrites")
        rest = step.options.get("rest")
        pieces = parse_pieces(step.options["into"], rest)
        names = [*([] if rest is None else [rest]), *(name for name, _ in pieces)]
        axis = step.options["axis"]
        fields = own_places(pieces)
        mark = (axis, tuple((p, plain(where)) for p, where in pieces), rest)
        for name in step.before.find(step.target):
            self.end(side, step, name)
            parts = side.parts[name]
            known = self.made.get((side.whole.get(name, ""), mark))
            pieces_of: dict[str, tuple[str, ...]]
            if known is not None:  # the other graph was split just so
                pieces_of = {p: self.now[known[p]] for p in names}
            elif len(parts) == 1 and self.untouched(side, name, parts[0]):
                pieces_of = self._split_alike(side, name, parts[0], step, pieces, rest, mark)
            else:
                pieces_of = self._split_across(side, name, parts, step, pieces, rest)
            own = side.places.get(name, NONE) | fields
            view = self.later_view(side, name)
            for p in names:
                made = f"{name}.{p}"
                side.parts[made] = pieces_of[p]
                side.places[made] = own
                side.whole[made] = pieces_of[p][0] if len(pieces_of[p]) == 1 else ""
                side.views[made] = piece_view(view, axis, pieces, rest, p)
            if name != step.before.output:
                del side.parts[name]

    def _split_alike(
        self,
        side: Side,
        name: str,
        part: str,
        step: Rewrite,
        pieces: Sequence[tuple[str, Where]],
        rest: str | None,
        mark: object,
    ) -> dict[str, tuple[str, ...]]:
        """The same split of a node that the other graph has left alone."""
        options = step.options
        before = self.graph
        held = self.later(part)
        if before is not step.before:
            self.graph = before.split(part, **{**options, "into": dict(options["into"])})
        names = [*([] if rest is None else [rest]), *(p for p, _ in pieces)]
        made = {p: f"{part}.{p}" for p in names}
        self.made[part, mark] = made
        for p in names:
            self.views[made[p]] = piece_view(held, options["axis"], pieces, rest, p)
        self.dissolve(side, name, part, list(made.values()), before.output == part)
        self.place(made.values(), own_places(pieces))
        return {p: (made[p],) for p in names}

    def _split_across(
        self,
        side: Side,
        name: str,
        parts: Sequence[str],
        step: Rewrite,
        pieces: Sequence[tuple[str, Where]],
        rest: str | None,
    ) -> dict[str, tuple[str, ...]]:
        """A split of a node that the other graph has cut: each part is cut, or is in one piece."""
        view = self.side_view(side, name)
        axis = step.options["axis"]
        base = view.base(axis)
        names = [*([] if rest is None else [rest]), *(p for p, _ in pieces)]
        found: dict[str, list[str]] = {p: [] for p in names}
        own = any(isinstance(where, RowPosition) for _, where in pieces)
        if base in view.own:
            raise GraphError(f"{name!r} is cut at each row's own place along the axis of a split")
        asked = {} if own else {p: v.live(base) for p, v in cut(view, axis, pieces, rest).items()}
        for part in parts:
            held = self.view(part)
            number = held.number(base)
            if base in held.own or (own and held.live(base) != view.live(base)):
                raise GraphError(
                    f"{name!r} is cut along one axis at each row's own place in the one and at "
                    "other places in the other, and no place is always in both"
                )
            if own:
                into, left = dict(step.options["into"]), rest
            else:
                hits = {p: held.live(base) & places for p, places in asked.items()}
                hits = {p: places for p, places in hits.items() if places}
                if frozenset().union(*hits.values()) != held.live(base):
                    raise GraphError(f"{part!r}, a part of {name!r}, has another shape than it")
                if len(hits) == 1 or number is None:
                    found[next(iter(hits))].append(part)
                    continue
                last = rest if rest in hits else list(hits)[-1]
                covered = sum(len(held.at(base, places)) for places in hits.values())
                left = last if covered < len(held.axes[number - 1].coords) else None
                into = {p: held.at(base, places) for p, places in hits.items() if p != left}
            if number is None:
                raise AssertionError("an axis cut at rows' own places is there")
            for p, made in self._cut(side, name, part, number, into, left, step).items():
                found[p].append(made)
        return {p: tuple(found[p]) for p in names}

    def _cut(
        self,
        side: Side,
        name: str,
        part: str,
        axis: int,
        into: Mapping[str, Any],
        rest: str | None,
        step: Rewrite,
    ) -> dict[str, str]:
        """Split one node of the refinement, under names that are free."""
        before, held = self.graph, self.later(part)
        free = {p: p if f"{part}.{p}" not in before else f"{p}'" for p in (*into, rest) if p}
        renamed = {free.get(p, p): places for p, places in into.items()}
        left = None if rest is None else free[rest]
        options = {key: step.options[key] for key in ("data", "edges") if key in step.options}
        self.graph = before.split(part, axis=axis, into=renamed, rest=left, **options)
        pieces = parse_pieces(renamed, left)
        names = [*([] if left is None else [left]), *(p for p, _ in pieces)]
        for p in names:
            self.views[f"{part}.{p}"] = piece_view(held, axis, pieces, left, p)
        made = [f"{part}.{p}" for p in names]
        self.dissolve(side, name, part, made, before.output == part)
        self.place(made, own_places(pieces))
        back = {new: old for old, new in free.items()}
        return {back.get(p, p): f"{part}.{p}" for p in names}

    def split_sum(self, side: Side, step: Rewrite, after: Graph) -> None:
        """Summands."""
        pieces, rest = step.options["pieces"], step.options.get("rest")
        if isinstance(pieces, Dictionary):
            names = [*pieces.groups, *([] if pieces.other is None else [pieces.other])]
        else:
            names = list(pieces)
        names += [] if rest is None else [rest]
        before = self.graph
        for name in step.before.find(step.target):
            self.end(side, step, name)
            told = pieces if isinstance(pieces, Dictionary) else self._told(side, step, pieces)
            key, view = (side.whole.get(name, ""), tuple(names)), self.later_view(side, name)
            known = self.sums.get(key)
            if known is not None and same(known[0], told):  # the other graph's is just such a sum
                for p in names:
                    self._piece_of(side, name, p, self.now[known[1][p]], view)
                del side.parts[name]
                continue
            part = self.single(side, step, name)
            held, was = self.later(part), self.graph
            if before is not step.before:
                options = {k: v for k, v in step.options.items() if k != "pieces"}
                self.graph = self.graph.split_sum(part, told, **options)
            made = [f"{part}.{p}" for p in names]
            now = after if before is step.before else self.graph
            self.sums[part, tuple(names)] = (told, dict(zip(names, made, strict=True)))
            for p, one in zip(names, made, strict=True):
                self.views[one] = self._summand(now, one, was, part, held)
                self._piece_of(side, name, p, (one,), view)
            self.dissolve(side, name, part, made, step.before.output == name)
            if name != step.before.output:
                del side.parts[name]

    def _piece_of(
        self,
        side: Side,
        name: str,
        piece: str,
        parts: tuple[str, ...],
        view: Callable[[], View | None],
    ) -> None:
        """Note a summand of a node of one of the graphs."""
        own = f"{name}.{piece}"
        side.parts[own] = parts
        side.places[own] = side.places.get(name, NONE)
        side.whole[own] = parts[0] if len(parts) == 1 else ""
        side.views[own] = view

    def _summand(
        self, now: Graph, one: str, before: Graph, part: str, held: Callable[[], View | None]
    ) -> Callable[[], View | None]:
        """A summand holds what the sum holds, if it has its shape."""
        return lambda: held() if self.shape(now, one) == self.shape(before, part) else None

    def _told(self, side: Side, step: Rewrite, pieces: Mapping[str, Any]) -> dict[str, Any]:
        """The summands, with the names that the refinement has for what they read."""
        found: dict[str, Any] = {}
        for piece, entry in pieces.items():
            if isinstance(entry, tuple):
                fn, parents = entry
                found[piece] = (fn, [self._read(side, step, p) for p in parents])
            else:
                found[piece] = entry
        return found

    def _read(self, side: Side, step: Rewrite, parent: str) -> str:
        return self.single(side, step, parent) if parent in side.parts else parent

    def duplicate(self, side: Side, step: Rewrite, after: Graph) -> None:
        """Copies for groups of consumers."""
        name, copies = step.target, step.options["copies"]
        part = self.single(side, step, name)
        if self.graph is not step.before:
            groups = {
                copy: self._readers(side, step, part, wanted) for copy, wanted in copies.items()
            }
            self.graph = self.graph.duplicate(part, groups)
            after = self.graph
        left = [part] if part in after else []
        self.instead(part, [*left, *copies], side, name)
        for copy in copies:
            self.home[copy] = after
            side.parts[copy] = (copy,)
            side.whole[copy] = copy
            side.places[copy] = side.places.get(name, NONE)
            if name in side.views:
                side.views[copy] = side.views[name]
            if part in self.views:
                self.views[copy] = self.views[part]
        if not left:
            del side.parts[name]

    def _readers(
        self, side: Side, step: Rewrite, part: str, wanted: Sequence[str] | str
    ) -> list[str]:
        """What reads a node in the refinement for the consumers that a copy was made for.

        Raises:
            GraphError: nothing does.
        """
        consumers = set(step.before.find(wanted)) & set(step.before.children(step.target))
        inner = [one for one, owner in side.inside.items() if owner in consumers]
        read = {*inner, *(one for name in consumers for one in side.parts[name])}
        found = [one for one in self.graph.children(part) if one in read]
        if not found:
            raise GraphError(f"nothing reads {step.target!r} where its copy was made for")
        return found

    def replace(self, side: Side, step: Rewrite, after: Graph) -> None:
        """Another subgraph in place of a node."""
        name, nodes, output = step.target, step.options["nodes"], step.options["output"]
        self.end(side, step, name)
        part = self.single(side, step, name)
        if self.graph is not step.before:
            told = {
                new: (fn, [p if p in nodes else self._read(side, step, p) for p in parents])
                for new, (fn, parents) in nodes.items()
            }
            options = {k: v for k, v in step.options.items() if k not in ("nodes", "output")}
            self.graph = self.graph.replace(part, nodes=told, output=output, **options)
            after = self.graph
        self.instead(part, [output], side, name)
        other = self.other(side)
        owner = next(n for n, parts in other.parts.items() if output in parts)
        del side.parts[name]
        for new in nodes:
            side.parts[new] = side.parts.get(new, (new,))
            side.whole[new] = new
            self.home[new] = after
            self.now.setdefault(new, (new,))
            if new != output:
                other.inside[new] = owner

    def rename(self, side: Side, step: Rewrite, after: Graph) -> None:
        """Other names in one graph; in the refinement too, where it is that graph so far."""
        new = renaming(step.before, step.target)
        rename_keys(side.parts, new)
        rename_keys(side.places, new)
        rename_keys(side.whole, new)
        rename_keys(side.views, new)
        side.inside.update({part: new.get(name, name) for part, name in side.inside.items()})
        if self.graph is not step.before:
            return
        self.home.update(dict.fromkeys(new.values(), after))
        rename_keys(self.places, new)
        rename_keys(self.views, new)
        rename_keys(self.now, new)
        for table in (self.now, *(one.parts for one in self.sides)):
            table.update({k: tuple(new.get(p, p) for p in parts) for k, parts in table.items()})
        for one in self.sides:
            rename_keys(one.inside, new)
            one.whole = {k: new.get(part, part) for k, part in one.whole.items()}
        self.made = {
            (new.get(part, part), mark): {p: new.get(m, m) for p, m in made.items()}
            for (part, mark), made in self.made.items()
        }

    def prune(self, side: Side, step: Rewrite, after: Graph) -> None:
        """An edge that carries nothing does no harm."""


_STEPS: Mapping[str, Callable[[_Refining, Side, Rewrite, Graph], None]] = {
    "split": _Refining.split,
    "split_sum": _Refining.split_sum,
    "duplicate": _Refining.duplicate,
    "replace": _Refining.replace,
    "rename": _Refining.rename,
    "prune": _Refining.prune,
}
