"""Which edges carry anything: a value that cannot reach a node is no parent of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset, check_dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph.rewrite.together import Alone, groups, idle_together
from causal_scrubbing._nodes import G, Join, Rest, RowPosition, Take, evaluate, few_rows, is_hidden

EDGE_TESTS: Final = ("nan", "values")
ROWS: Final = 8
"""Rows on which edges are tested, spread over the data."""

HELD: Final = 2**29
"""Bytes of changed values to keep before starting afresh."""

BOTH: Final = (False, True)

CLEAN: Final = -1
FAILED: Final = -2
CHANGED: Final = -3


def pruning_rows(graph: G, data: Dataset | None) -> Dataset | None:
    """A few rows on which edges are tested: of the data given, else of the graph's example.

    None where there is no data, or the example lacks a field that the graph has come to read.
    """
    source = graph.example if data is None else data
    if source is None:
        return None
    check_dataset(source)
    lacking = {graph.nodes[name].field for name in graph.inputs} - set(source.field_names)
    if lacking and data is None:
        return None
    if lacking:
        raise GraphError(
            f"the data given lacks the field{'s' * (len(lacking) > 1)} "
            f"{', '.join(sorted(map(repr, lacking)))} that the graph reads."
        )
    return few_rows(source, ROWS, [graph.nodes[name].field for name in graph.inputs])


def prune(graph: G, rows: Dataset, fresh: Collection[str] | None, test: str) -> G:
    """The graph without those edges, among the ones at the fresh nodes, that carry nothing.

    Args:
        graph: the graph; its last rewrite is the one that made the fresh nodes.
        rows: a few rows of data.
        fresh: nodes whose edges, in and out, are tested; all nodes' if None.
        test: "nan" or "values"; see `Graph.prune`.
    """
    if test not in EDGE_TESTS:
        raise GraphError(f"edges={test!r} is no test of edges; there is {', '.join(EDGE_TESTS)}.")
    chosen = set(graph.names if fresh is None else fresh)
    asked: dict[str, set[str]] = {}
    for child in graph.names:
        for parent in graph.parents(child):
            if child in chosen or parent in chosen:
                asked.setdefault(parent, set()).add(child)
    # What cancels where all is of one row need not where parents come from different rows.
    probes = [_Probe(graph, rows, asked, mixed) for mixed in ([False] if test == "nan" else BOTH)]
    left = asked
    for probe in probes:
        left = {parent: found for parent, found in probe.all_idle(left, test) if found}
    idle: dict[str, set[str]] = {}
    for parent, children in left.items():
        for child in children:
            idle.setdefault(child, set()).add(parent)
    if not idle:
        return graph
    nodes = [
        replace(node, ignores=node.ignores | idle[name]) if name in idle else node
        for name, node in graph.nodes.items()
    ]
    return graph.remake(nodes)


class _Probe:
    """Changes one node's value and follows the change along wires, to the nodes that read it.

    A wire's changed value is kept under a number, equal values under one, and what follows from
    the numbers of a wire's arguments is computed once: that all heads of a layer spoil the whole
    residual stream is found out once, not once for each head.
    """

    def __init__(self, graph: G, rows: Dataset, asked: dict[str, set[str]], mixed: bool) -> None:
        self.graph = graph
        self.mixed = mixed
        self.position = {name: i for i, name in enumerate(graph.nodes)}
        self.readers: dict[str, list[str]] = {}
        for name, node in graph.nodes.items():
            for parent in node.read:
                self.readers.setdefault(parent, []).append(name)
        wires = self._wires(set().union(*asked.values()) if asked else set())
        wanted = [name for name in graph.nodes if name in wires or name in asked]
        with torch.no_grad():
            self.clean = evaluate(graph, rows, wanted, device=graph.device)
            if mixed:
                put = {
                    name: self.clean[name].roll(shift, 0)
                    for shift, name in enumerate(n for n in wanted if not is_hidden(n))
                }
                self.clean = evaluate(graph, rows, wanted, given=put, device=graph.device)
        self.own: dict[str, torch.Tensor] = {}
        self.states: list[torch.Tensor] = []
        self.known: dict[tuple[str, str], int] = {}
        self.followed: dict[tuple[str, tuple[int, ...]], int] = {}
        self.held = 0

    def _wires(self, targets: Collection[str]) -> set[str]:
        """The targets, the hidden nodes that lead to them, and all that these read."""
        found: set[str] = set()
        todo = list(targets)
        while todo:
            name = todo.pop()
            if name in found:
                continue
            found.add(name)
            if name in targets or is_hidden(name):
                todo += self.graph.nodes[name].parents
        return found

    def all_idle(self, asked: dict[str, set[str]], test: str) -> Iterator[tuple[str, set[str]]]:
        """Of the targets asked about, those that no tried change of each source's value reaches."""
        done: set[str] = set()
        for group in groups(asked, self.clean):
            targets = asked[group[0]]
            order = sorted(
                set().union(*(self._between(source, targets) for source in group)),
                key=self.position.__getitem__,
            )
            try:
                with torch.no_grad():
                    found = idle_together(
                        self.graph.nodes, self.clean, order, targets, group, _changes, test
                    )
            except Alone:
                continue
            done.update(group)
            yield from found.items()
        for source in asked.keys() - done:
            yield source, set(self.idle(source, asked[source], test))

    def idle(self, source: str, targets: Collection[str], test: str) -> list[str]:
        """The targets at which no tried change of the source's value shows."""
        left = set(targets)
        tried: set[str] = set()
        if self.held > HELD:
            self._forget()
        with torch.no_grad():
            for changed in _changes(self.clean[source], test):
                numbers = self._spread(source, changed, left) if left else {}
                failed = {name for name, number in numbers.items() if number == FAILED}
                # A function that stops at a NaN has read it; one that stops at a number that may
                # not be (a token beyond the vocabulary) tells nothing.
                left -= numbers.keys() - failed if test == "values" else numbers.keys()
                tried |= left - failed
        return sorted(left & tried, key=self.position.__getitem__)

    def _spread(
        self, source: str, changed: torch.Tensor, targets: Collection[str]
    ) -> dict[str, int]:
        """The targets whose value a change of the source's changes, with its number."""
        state = {source: self._number(source, changed)}
        found: dict[str, int] = {}
        for name in self._between(source, targets):
            arguments = tuple(state.get(p, CLEAN) for p in self.graph.nodes[name].parents)
            if any(number != CLEAN for number in arguments):
                number = self._follow(name, arguments)
                if number != CLEAN:
                    (state if is_hidden(name) else found)[name] = number
        return found

    def _between(self, source: str, targets: Collection[str]) -> list[str]:
        """Hidden nodes and targets downstream of the source along wires, in order."""
        found: set[str] = set()
        todo = [source]
        while todo:
            for reader in self.readers.get(todo.pop(), ()):
                if reader in found or reader not in self.clean:
                    continue
                if is_hidden(reader):
                    found.add(reader)
                    todo.append(reader)
                elif reader in targets:
                    found.add(reader)
        return sorted(found, key=self.position.__getitem__)

    def _follow(self, name: str, arguments: tuple[int, ...]) -> int:
        key = (name, arguments)
        if key not in self.followed:
            self.followed[key] = self._compute(name, arguments)
        return self.followed[key]

    def _compute(self, name: str, arguments: tuple[int, ...]) -> int:
        node = self.graph.nodes[name]
        if FAILED in arguments or node.fn is None:
            return FAILED
        values = [
            self.clean[parent] if number == CLEAN else self.states[number]
            for parent, number in zip(node.parents, arguments, strict=True)
        ]
        try:
            value = node.fn(*values)
            if isinstance(node.fn, Join) or (isinstance(node.fn, Take) and arguments[0] != CLEAN):
                before = [self.clean[parent] for parent in node.parents]
                value = _anywhere(node.fn, value, values, before)
        except Exception:
            return FAILED
        clean = self._own(name)
        if isinstance(node.fn, Rest) and not is_hidden(name):
            return CLEAN if _same(node.fn.kept(value), node.fn.kept(clean)) else CHANGED
        return CLEAN if _same(value, clean) else self._number(name, value)

    def _own(self, name: str) -> torch.Tensor:
        """A node's value on its parents' unchanged ones."""
        node = self.graph.nodes[name]
        if not self.mixed or is_hidden(name) or node.fn is None:
            return self.clean[name]
        if name not in self.own:
            self.own[name] = node.fn(*(self.clean[parent] for parent in node.parents))
        return self.own[name]

    def _number(self, name: str, value: torch.Tensor) -> int:
        if _has_nan(value) and bool(value.isnan().all()):
            content = "nan"
        else:
            plain = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            content = blake2b(plain.numpy().tobytes(), digest_size=16).hexdigest()
        key = (name, f"{value.dtype}{tuple(value.shape)}{content}")
        number = self.known.setdefault(key, len(self.states))
        if number == len(self.states):
            self.states.append(value)
            self.held += value.nbytes
        return number

    def _forget(self) -> None:
        self.states, self.known, self.followed, self.held = [], {}, {}, 0


def _anywhere(
    fn: Take | Join,
    value: torch.Tensor,
    values: Sequence[torch.Tensor],
    clean: Sequence[torch.Tensor],
) -> torch.Tensor:
    """The value of a part or join at the rows' own places, as if they might lie at any place."""
    if isinstance(fn, Take):
        return torch.full_like(value, torch.nan) if isinstance(fn.where, RowPosition) else value
    if not any(isinstance(where, RowPosition) for where in fn.parts):
        return value
    fixed = [i for i, where in enumerate(fn.parts) if not isinstance(where, RowPosition)]
    under = Join(fn.axis, tuple(fn.parts[i] for i in fixed), rest=True)
    one, two = (under(of[0], *(of[i + 1] for i in fixed)) for of in (values, clean))
    return torch.where(_equal(one, two), value, one)


def _has_nan(value: torch.Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _changes(clean: torch.Tensor, test: str) -> Iterator[torch.Tensor]:
    """Values to try in place of a clean one; none if the test can say nothing of its kind."""
    if not _has_nan(clean):
        if test == "values":
            yield from _other_entries(clean)
        return
    if test == "nan":
        yield torch.full_like(clean, torch.nan)
    # A comparison swallows a NaN, but seldom a change of sign.
    yield torch.where(clean == 0, torch.ones_like(clean), -clean)
    if test == "values":
        yield clean.roll(1, 0)
        generator = np.random.default_rng(0)
        for scale in (1.0, 30.0):
            noise = torch.as_tensor(generator.normal(size=tuple(clean.shape)) * scale)
            yield noise.to(clean)


def _other_entries(clean: torch.Tensor) -> Iterator[torch.Tensor]:
    """Integers that occur in the tensor, put elsewhere in it, and their neighbours."""
    if clean.dtype == torch.bool:
        yield ~clean
    else:
        yield clean + 1
        yield clean - 1
    yield clean.roll(1, 0)
    yield torch.full_like(clean, clean.max().item())
    yield torch.full_like(clean, clean.min().item())
    generator = np.random.default_rng(0)
    flat = clean.reshape(-1)
    for _ in range(4):
        chosen = torch.as_tensor(generator.integers(0, len(flat), len(flat)))
        yield flat[chosen.to(flat.device)].reshape(clean.shape)


def _same(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.shape == two.shape and one.dtype == two.dtype and bool(_equal(one, two).all())


def _equal(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """Where two tensors are equal, NaN being equal to NaN."""
    return (one == two) | (one.isnan() & two.isnan())
