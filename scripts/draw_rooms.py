"""Draw the rooms of the package and what imports what, read from the code.

    python scripts/draw_rooms.py            # writes docs/rooms.svg

A room stands one floor above the highest room it imports. Arrows that follow from others are left
out: where A imports B and B imports C, an import of C by A is not drawn.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "causal_scrubbing"
PICTURE = ROOT / "docs" / "rooms.svg"
WIDTH, HEIGHT, GAP, RISE = 128, 44, 22, 74


def rooms() -> nx.DiGraph:
    """Rooms and their imports; each has its number of lines and its one-line description."""
    graph = nx.DiGraph()
    for file in sorted(PACKAGE.rglob("*.py")):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if not room.startswith("_") or room.startswith("__"):
            continue
        graph.add_node(room)
        here = graph.nodes[room]
        source = file.read_text()
        tree = ast.parse(source)
        here["lines"] = here.get("lines", 0) + len(source.splitlines())
        if (file.name == "__init__.py" and file.parent.parent == PACKAGE) or file.parent == PACKAGE:
            graph.nodes[room]["says"] = (ast.get_docstring(tree) or "").splitlines()[0]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                f"{PACKAGE.name}."
            ):
                other = str(node.module).split(".")[1]
                if other != room and other.startswith("_"):
                    graph.add_edge(room, other)
    for room, public in list(graph.nodes(data="public")):
        if public and not list(graph.successors(room)):
            tops = [other for other in graph if other != room and not graph.in_degree(other)]
            graph.add_edges_from((room, other) for other in tops if other != "_cli")
    return graph


def draw(graph: nx.DiGraph) -> str:
    """The picture as SVG."""
    floors: dict[str, int] = {}
    for room in reversed(list(nx.topological_sort(graph))):
        floors[room] = 1 + max((floors[other] for other in graph.successors(room)), default=-1)
    rows: dict[int, list[str]] = {}
    for room, floor in floors.items():
        rows.setdefault(floor, []).append(room)
    widest = max(map(len, rows.values()))
    width = widest * (WIDTH + GAP) + GAP
    height = (max(rows) + 1) * (HEIGHT + RISE) - RISE + 2 * GAP
    place = {}
    for floor, members in rows.items():
        indent = (width - len(members) * (WIDTH + GAP) + GAP) / 2
        for i, room in enumerate(sorted(members)):
            place[room] = (
                indent + i * (WIDTH + GAP),
                height - GAP - HEIGHT - floor * (HEIGHT + RISE),
            )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, sans-serif">',
        "<title>The rooms of the package; each imports the rooms below it that it points to"
        "</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for one, other in nx.transitive_reduction(graph).edges:
        x, y = place[one][0] + WIDTH / 2, place[one][1] + HEIGHT
        to, end = place[other][0] + WIDTH / 2, place[other][1]
        middle = (y + end) / 2
        parts.append(
            f'<path d="M{x},{y} C{x},{middle} {to},{middle} {to},{end}" fill="none" '
            'stroke="#8a94a6" stroke-width="1.2"/>'
        )
    for room, (x, y) in place.items():
        lines, says = graph.nodes[room]["lines"], escape(graph.nodes[room]["says"])
        parts.append(
            f"<g><title>{says}</title>"
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
            'fill="#eef3fb" stroke="#4a6fa5"/>'
            f'<text x="{x + WIDTH / 2}" y="{y + 19}" text-anchor="middle" font-size="13" '
            f'fill="#1b2a41">{room.removeprefix("_")}</text>'
            f'<text x="{x + WIDTH / 2}" y="{y + 35}" text-anchor="middle" font-size="10" '
            f'fill="#5a6b85">{lines:,} lines</text></g>'
        )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    target.write_text(draw(rooms()))
    print(f"wrote {target}")
