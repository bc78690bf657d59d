"""A graph in words, readable from three nodes to three hundred."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from causal_scrubbing._graph.ops import Add

if TYPE_CHECKING:
    from causal_scrubbing._graph.graph import Graph

_NUMBER = re.compile(r"\d+")
_WIDTH = 96


def shorten(names: tuple[str, ...], most: int = 8) -> str:
    """Names in one line: runs that differ in numbers only are told as one pattern and a count."""
    pieces: list[str] = []
    for shape, run in groupby(names, key=lambda name: _NUMBER.sub("#", name)):
        members = list(run)
        if len(members) < 4:
            pieces += members
        else:
            pieces.append(f"{members[0]} .. {members[-1]} ({len(members)} of {shape})")
    if len(pieces) > most:
        pieces = [*pieces[: most - 2], f"... {len(pieces) - most + 1} more", pieces[-1]]
    return ", ".join(pieces)


def describe(graph: Graph) -> str:
    """Nodes in topological order with their parents; long lists shortened."""
    lines = [repr(graph).replace("; print it to see them)", ")")]
    width = min(28, max(len(name) for name in graph.names))
    for name in graph.names:
        node = graph.nodes[name]
        if node.is_input:
            what = "input" if node.field == name else f"input, field {node.field}"
        else:
            parents = shorten(graph.parents(name)) or "nothing (a constant)"
            what = ("sum of " if isinstance(node.fn, Add) else "of ") + parents
        mark = " *" if name == graph.output else ""
        line = f"  {name:<{width}} {what}{mark}"
        lines.append(line if len(line) <= _WIDTH + width else line[: _WIDTH + width - 3] + "...")
    if len(graph.history) > 1:
        lines.append("history: " + "; ".join(graph.history))
    return "\n".join(lines)
