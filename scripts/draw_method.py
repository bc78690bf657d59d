"""Draw the pictures of the method page, from a hypothesis and a run of it.

    python scripts/draw_method.py           # writes docs/method-tree.svg and docs/method-sample.svg

The example: `left` is read by `mix` and by `out`, so that the tree has two copies of it.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import torch

import causal_scrubbing as cs

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT, ACROSS, DOWN = 150, 46, 196, 76
COLOURS = ("#fde9b8", "#cfe3fa", "#d6f0d8", "#f7d3cf", "#e3d9f7", "#d9e2ec")
Place = tuple[float, float]


def example() -> tuple[cs.Graph, cs.Dataset, cs.Hypothesis]:
    """A graph of two digits, and what is claimed of it."""
    a, b = torch.cartesian_prod(torch.arange(10), torch.arange(10)).T
    data = cs.Dataset(
        a=a, b=b, large_a=a >= 5, large_b=b >= 5, differ=(a >= 5) ^ (b >= 5), label=a + b >= 10
    )
    graph = cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            "left": (lambda a: 1.0 * (a >= 5), ["a"]),
            "right": (lambda b: 1.0 * (b >= 5), ["b"]),
            "mix": (lambda p, q: (p - q).abs(), ["left", "right"]),
            "out": (lambda m, p: m + 2 * p, ["mix", "left"]),
        },
        output="out",
    )
    left, right = cs.claim("left", "large_a"), cs.claim("right", "large_b")
    root = cs.claim("out", cs.exact, cs.claim("mix", "differ", left, right), left)
    return graph, data, cs.Hypothesis(graph, root, name="two digits")


def box(place: Place, lines: list[str], fill: str = "#fff", below: str = "") -> str:
    """A box of one or two lines about a place, with a line under it."""
    x, y = place
    parts = [
        f'<rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" height="{HEIGHT}" '
        f'rx="6" fill="{fill}" stroke="#4a5568"/>'
    ]
    top = y + (5 if len(lines) == 1 else -4)
    for i, line in enumerate(lines):
        weight = ' font-weight="600"' if i == 0 else ""
        parts.append(f'<text x="{x:.0f}" y="{top + 17 * i:.0f}"{weight}>{escape(line)}</text>')
    if below:
        y = y + HEIGHT / 2 + 14
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}" class="soft">{escape(below)}</text>')
    return "".join(parts)


def line(start: Place, end: Place) -> str:
    """An arrow from the right edge of one box to the left edge of another."""
    (x, y), (u, v) = start, end
    x, u = x + WIDTH / 2, u - WIDTH / 2 - 4
    bend = (x + u) / 2
    return (
        f'<path d="M{x:.0f} {y:.0f}C{bend:.0f} {y:.0f} {bend:.0f} {v:.0f} {u:.0f} {v:.0f}" '
        'fill="none" stroke="#4a5568" marker-end="url(#end)"/>'
    )


def head(place: Place, text: str) -> str:
    return f'<text x="{place[0]:.0f}" y="{place[1]:.0f}" class="head">{escape(text)}</text>'


def page(parts: list[str], width: float, height: float, title: str) -> str:
    """The picture as SVG on white."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(title)}">'
        "<style>text{font:13px system-ui,sans-serif;fill:#1a202c;text-anchor:middle}"
        ".soft{fill:#4a5568;font-size:12px}.head{font-size:15px;font-weight:600;text-anchor:start}"
        '</style><defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#4a5568"/></marker></defs>'
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def graph_places(graph: cs.Graph, left: float, top: float) -> dict[str, Place]:
    """Nodes in columns by their distance from the inputs, those between low: edges pass above."""
    column: dict[str, int] = {}
    for name in graph.names:
        column[name] = max((column[p] + 1 for p in graph.parents(name)), default=0)
    rows: dict[int, list[str]] = {}
    for name in graph.names:
        rows.setdefault(column[name], []).append(name)
    tallest, last = max(map(len, rows.values())), max(rows)
    return {
        name: (
            left + ACROSS * x,
            top + DOWN * (i + (tallest - len(names)) / (2 if x == last else 1)),
        )
        for x, names in rows.items()
        for i, name in enumerate(names)
    }


def tree_places(h: cs.Hypothesis, left: float, top: float) -> dict[str, Place]:
    """Claims in columns by depth, the root on the right, a leaf a row."""
    claims = h.tree.claims
    deepest = max(entry.path.count("/") for entry in claims)
    found: dict[str, Place] = {}
    row = 0.0

    def walk(number: int) -> float:
        nonlocal row
        entry = claims[number]
        x = left + ACROSS * (deepest - entry.path.count("/"))
        if entry.children:
            heights = [walk(child) for child in entry.children]
            y = sum(heights) / len(heights)
        else:
            y, row = top + DOWN * row, row + 1
        found[entry.path] = (x, y)
        return y

    walk(0)
    return found


def tree_picture() -> str:
    """The graph above the treeified hypothesis."""
    graph, _, h = example()
    at = graph_places(graph, 90, 76)
    parts = [head((15, 24), "G: the model")]
    parts += [line(at[p], at[name]) for name in graph.names for p in graph.parents(name)]
    claimed = {entry.claim.node for entry in h.tree.claims}
    parts += [
        box(place, [name], COLOURS[0] if name in claimed else "#fff") for name, place in at.items()
    ]
    under = max(y for _, y in at.values()) + HEIGHT / 2 + 50
    tree = tree_places(h, 90, under + 52)
    parts.append(head((15, under), "the hypothesis, treeified: each claim once per path"))
    for entry in h.tree.claims:
        for child in entry.children or ():
            parts.append(line(tree[h.tree.claims[child].path], tree[entry.path]))
    for entry in h.tree.claims:
        feature = entry.claim.feature
        said = feature if isinstance(feature, str) else "exact"
        parts.append(box(tree[entry.path], [entry.claim.node, f"carries {said}"], COLOURS[0]))
    width = max(x for x, _ in at.values()) + WIDTH / 2 + 15
    height = max(y for _, y in tree.values()) + HEIGHT / 2 + 20
    return page(
        parts, width, height, "A graph of six nodes, and a hypothesis of five claims as a tree"
    )


def sample_picture() -> str:
    """One sample of a run: the row that each claim drew, in the colour of the row."""
    _, data, h = example()
    result = cs.scrub(h, data, cs.metrics.to_model("squared_error"), samples=8, seed=3)
    draws = result.draws.iloc[0]
    tree = tree_places(h, 90, 76)
    rows = {path: int(draws[path]) for path in tree}
    colour = {row: COLOURS[i] for i, row in enumerate(dict.fromkeys(reversed(rows.values())))}
    parts = [head((15, 24), "one sample: the row that each claim saw")]
    for entry in h.tree.claims:
        for child in entry.children or ():
            parts.append(line(tree[h.tree.claims[child].path], tree[entry.path]))
    for entry in h.tree.claims:
        row, above = rows[entry.path], entry.parent
        a, b = int(data["a"][row]), int(data["b"][row])
        below = f"the reference row, {row}"
        if above is not None:
            feature = str(entry.claim.feature)
            value = bool(data[feature][row])
            below = f"row {row}: {feature} is {str(value).lower()} too"
        parts.append(
            box(tree[entry.path], [entry.claim.node, f"on a={a}, b={b}"], colour[row], below)
        )
    width = max(x for x, _ in tree.values()) + WIDTH / 2 + 25
    height = max(y for _, y in tree.values()) + HEIGHT / 2 + 34
    return page(parts, width, height, "The tree of claims, each with the row it was computed on")


def main() -> None:
    (DOCS / "method-tree.svg").write_text(tree_picture())
    (DOCS / "method-sample.svg").write_text(sample_picture())


if __name__ == "__main__":
    main()
