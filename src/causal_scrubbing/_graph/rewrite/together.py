"""Edges of many pieces tested together: in one batch, each row changes another piece."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Protocol

import torch

from causal_scrubbing._nodes import Join, Node, Rest, RowPosition, Take, is_hidden

FEWEST: Final = 8
"""Sources below which testing them one by one costs as little."""

_BYTES: Final = 2**24
_ROWS: Final = (8, 1024)


class Alone(Exception):
    """These sources have to be tested one by one."""


class Changes(Protocol):
    """Values to try in place of clean ones."""

    def __call__(self, clean: torch.Tensor, test: str) -> Iterator[torch.Tensor]: ...


def groups(
    asked: Mapping[str, Collection[str]], clean: Mapping[str, torch.Tensor]
) -> list[list[str]]:
    """Sources in groups that can be tested together: of one shape, asked about the same targets.

    Of few sources and many targets there is none: one pass for each source is less work there.
    """
    found: dict[object, list[str]] = {}
    for source, targets in asked.items():
        value = clean[source]
        key = (frozenset(targets), value.dtype, tuple(value.shape))
        if targets:
            found.setdefault(key, []).append(source)
    return [
        sources for sources in found.values() if len(sources) >= max(FEWEST, len(asked[sources[0]]))
    ]


def idle_together(
    nodes: Mapping[str, Node],
    clean: Mapping[str, torch.Tensor],
    order: Sequence[str],
    targets: Collection[str],
    sources: Sequence[str],
    changes: Changes,
    test: str,
) -> dict[str, set[str]]:
    """Targets at which no tried change of a source's value shows, by source.

    Where a target's derivative by a source is not zero, there is an edge, and one pass backwards
    finds these for all sources. Sources left are changed on one row, then on all rows.

    Args:
        nodes: the graph's nodes.
        clean: values of the sources and of all that nodes in `order` read.
        order: the targets, and the hidden nodes between sources and targets, in order.
        targets: what is asked about, of each source.
        sources: nodes of one shape.
        changes: values to try in place of a clean one.
        test: "nan" or "values".

    Raises:
        Alone: a function fails on changed values, or reads at each row's own place.
    """
    for name in order:
        fn = nodes[name].fn
        places = fn.parts if isinstance(fn, Join) else [fn.where] if isinstance(fn, Take) else []
        if any(isinstance(where, RowPosition) for where in places):
            raise Alone
    tried = {source: list(changes(clean[source], test)) for source in sources}
    count = min(map(len, tried.values()))
    if count == 0:
        return {source: set() for source in sources}
    rows = len(clean[sources[0]])
    left = {source: set(targets) for source in sources}
    _follow_slopes(left, nodes, clean, order, sources)
    probe = _Together(nodes, clean, order)
    for number in range(count):
        new = {source: values[number] for source, values in tried.items()}
        for some in [1, rows] if rows > 1 else [1]:
            probe.test(left, new, some)
    return left


def _follow_slopes(
    left: dict[str, set[str]],
    nodes: Mapping[str, Node],
    clean: Mapping[str, torch.Tensor],
    order: Sequence[str],
    sources: Sequence[str],
) -> None:
    """Take out the targets whose derivative by a source is a number other than zero."""
    if not clean[sources[0]].is_floating_point():
        return
    generator = torch.Generator().manual_seed(0)
    values = dict(clean)
    leaves = [clean[source].detach().clone().requires_grad_() for source in sources]
    values.update(zip(sources, leaves, strict=True))
    with torch.enable_grad():
        for name in order:
            node = nodes[name]
            if node.fn is None:
                continue
            try:
                out = node.fn(*(values[parent] for parent in node.parents))
                if is_hidden(name):
                    values[name] = out
                    continue
                seen = node.fn.kept(out) if isinstance(node.fn, Rest) else out
                if not seen.requires_grad or not seen.is_floating_point():
                    continue
                # Weights at random, for what a sum over a softmax, say, would cancel.
                weights = torch.randn(seen.shape, generator=generator).to(seen)
                slopes = torch.autograd.grad(
                    seen, leaves, weights, retain_graph=True, allow_unused=True
                )
            except Exception:
                continue  # not differentiable: changes will tell
            for source, slope in zip(sources, slopes, strict=True):
                if slope is not None and bool(((slope != 0) & slope.isfinite()).any()):
                    left[source].discard(name)


class _Together:
    def __init__(
        self,
        nodes: Mapping[str, Node],
        clean: Mapping[str, torch.Tensor],
        order: Sequence[str],
    ) -> None:
        self.nodes = nodes
        self.clean = clean
        self.order = order
        held = [clean[n] for n in order if n in clean]
        largest = max(value.nbytes // max(1, len(value)) for value in held)
        self.rows = min(max(_BYTES // max(1, largest), _ROWS[0]), _ROWS[1])

    def test(self, left: dict[str, set[str]], new: Mapping[str, torch.Tensor], rows: int) -> None:
        """Take out the targets at which the sources' new values show, on so many rows each."""
        waiting = [source for source, targets in left.items() if targets]
        size = max(1, self.rows // rows)
        for start in range(0, len(waiting), size):
            self._test(left, new, waiting[start : start + size], rows)

    def _test(
        self,
        left: dict[str, set[str]],
        new: Mapping[str, torch.Tensor],
        sources: Sequence[str],
        rows: int,
    ) -> None:
        total = len(new[sources[0]])
        at = torch.arange(len(sources) * rows) % total
        changed: dict[str, torch.Tensor] = {}
        known: dict[str, torch.Tensor] = {}

        def own(name: str) -> torch.Tensor:
            if name not in known:
                value = self.clean[name]
                known[name] = value if len(value) != total else value[at.to(value.device)]
            return known[name]

        for number, source in enumerate(sources):
            value = own(source).clone()
            block = slice(number * rows, (number + 1) * rows)
            value[block] = new[source][at[block].to(value.device)]
            changed[source] = value
        wanted = set().union(*(left[source] for source in sources))
        for name in self.order:
            node = self.nodes[name]
            hidden = is_hidden(name)
            if node.fn is None or not any(parent in changed for parent in node.parents):
                continue
            if not hidden and name not in wanted:
                continue
            try:
                before = node.fn(*(own(parent) for parent in node.parents))
                after = node.fn(*(changed.get(p, own(p)) for p in node.parents))
            except Exception as error:
                raise Alone from error
            if before.shape != after.shape or len(after) != len(at):
                raise Alone
            if hidden:
                changed[name], known[name] = after, before
                continue
            if isinstance(node.fn, Rest):
                before, after = node.fn.kept(before), node.fn.kept(after)
            differs = ~((before == after) | (before.isnan() & after.isnan()))
            shows = differs.reshape(len(sources), -1).any(1).tolist()
            for source, visible in zip(sources, shows, strict=True):
                if visible:
                    left[source].discard(name)
