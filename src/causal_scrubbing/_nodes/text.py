"""A graph in words, readable from three nodes to three hundred."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from causal_scrubbing._format import printable
from causal_scrubbing._nodes.core import BaseGraph
from causal_scrubbing._nodes.ops import Add

_NUMBER: Final = re.compile(r"\d+")
_WIDTH: Final = 96
_LONG: Final = 72


def shape_of(name: str) -> str:
    """A name with its numbers left open: what names of one kind have in common."""
    return _NUMBER.sub("#", name)


def shorten(names: Sequence[str], most: int = 8) -> str:
    """Names in one line: long runs as first and last, and, if still long, counts by kind."""
    pieces: list[str] = []
    for shape, run in groupby(names, key=shape_of):
        members = list(run)
        if len(members) < 4:
            pieces += members
        else:
            pieces.append(f"{members[0]} .. {members[-1]} ({len(members)} of {shape})")
    if len(pieces) > most or sum(map(len, pieces)) > _LONG:
        kinds = Counter(map(shape_of, names))
        alone = {shape_of(name): name for name in names}
        pieces = [alone[s] if n == 1 else f"{n} of {s}" for s, n in kinds.items()]
    if len(pieces) > most:
        pieces = [*pieces[: most - 2], f"... {len(pieces) - most + 1} more", pieces[-1]]
    return ", ".join(pieces)


def describe(graph: BaseGraph) -> str:
    """Nodes in topological order with their parents.

    Neighbours that differ in numbers only and read the same are one line; long lists are counted.
    """
    rows: list[tuple[str, str]] = []
    for (_, what), run in groupby(
        graph.names, key=lambda name: (shape_of(name), _what(graph, name))
    ):
        members = list(run)
        if len(members) < 3:
            rows += [(name, what) for name in members]
        else:
            rows.append((f"{members[0]} .. {members[-1]} ({len(members)})", what))
    width = min(32, max(len(name) for name, _ in rows))
    lines = [repr(graph).replace("; print it to see them)", ")")]
    for name, what in rows:
        mark = " *" if name == graph.output else ""
        line = f"  {name:<{width}} {what}{mark}"
        lines.append(line if len(line) <= _WIDTH + width else line[: _WIDTH + width - 3] + "...")
    if len(graph.history) > 1:
        lines += ["history:", *(f"  {i}. {what}" for i, what in enumerate(graph.history, 1))]
    lines += [f"note: {note}" for note in graph.notes]
    if graph.unverified:
        lines.append("not checked on data yet: graph.verify(data), or the first scrub, does it")
    return "\n".join(lines)


def _what(graph: BaseGraph, name: str) -> str:
    node = graph.nodes[name]
    if node.is_input:
        part = "" if node.fn is None else " (a part)"
        return "input" if node.field == name else f"input, field {node.field}{part}"
    parents = shorten(graph.parents(name)) or "nothing (a constant)"
    return ("sum of " if isinstance(node.fn, Add) else "of ") + parents


def dot(graph: BaseGraph) -> str:
    """See `Graph.to_dot`."""
    lines = ["digraph {", "  rankdir=BT;"]
    for name in graph.names:
        node = graph.nodes[name]
        shape = "box" if node.is_input else "circle" if isinstance(node.fn, Add) else "ellipse"
        ends = ", peripheries=2" if name == graph.output else ""
        lines.append(f"  {_quoted(name)} [shape={shape}{ends}];")
    for name in graph.names:
        lines += [f"  {_quoted(parent)} -> {_quoted(name)};" for parent in graph.parents(name)]
    return "\n".join([*lines, "}"])


def _quoted(name: str) -> str:
    escaped = printable(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
