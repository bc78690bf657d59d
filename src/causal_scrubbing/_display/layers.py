"""A graph in layers, from what is read to what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from causal_scrubbing._display.figure import picture, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BOXES: Final = 400


@dataclass(frozen=True, kw_only=True)
class Box:
    """One node of a drawing.

    Attributes:
        text: its first line.
        below: its second line, or "".
        parents: names of the boxes it reads.
        strong: whether it stands out.
    """

    text: str
    below: str = ""
    parents: tuple[str, ...] = ()
    strong: bool = False


def plot_layers(boxes: Mapping[str, Box], *, title: str) -> Figure:
    """Boxes from left to right, each to the right of all that it reads.

    Args:
        boxes: name -> box, parents before those that read them; edges that a longer path implies
            are left out.
        title: above the picture.

    Returns:
        A figure that a notebook shows by itself. Of more than 400 boxes the last are drawn.
    """
    kept = dict(list(boxes.items())[-MOST_BOXES:])
    place, edges = layered(kept)

    @styled
    def draw() -> Figure:
        columns = 1 + max(x for x, _ in place.values())
        lines = max(1.0, 2 * max(abs(y) for _, y in place.values()) + 1)
        figure = picture(min(2.0 * columns + 0.4, 40), min(0.62 * lines + 0.7, 40))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0 - 0.45 / figure.get_figheight()))
        for parent, name in edges:
            (x0, y0), (x1, y1) = place[parent], place[name]
            axes.plot([x0, x1], [y0, y1], color="#a0aec0", linewidth=1, zorder=1)
        for name, box in kept.items():
            x, y = place[name]
            lines_of = [shorten(box.text), *([shorten(box.below)] if box.below else [])]
            axes.text(
                x, y, "\n".join(lines_of), ha="center", va="center", fontsize=8, zorder=2,
                parse_math=False, color="#1a202c",
                bbox={
                    "boxstyle": "round,pad=0.35",
                    "facecolor": "#feebc8" if box.strong else "#edf2f7",
                    "edgecolor": "#b7791f" if box.strong else "#a0aec0",
                },
            )  # fmt: skip
        axes.set_xlim(-0.6, columns - 0.4)
        axes.set_ylim(-lines / 2 - 0.1, lines / 2 + 0.1)
        axes.set_axis_off()
        figure.suptitle(
            shorten(title, int(22 * columns) + 6), x=0.02, ha="left", fontsize=10, parse_math=False
        )
        return figure

    return draw()


def layered(
    boxes: Mapping[str, Box],
) -> tuple[dict[str, tuple[float, float]], list[tuple[str, str]]]:
    """Column and height of each box, and the edges that no longer path implies.

    Args:
        boxes: name -> box, parents before those that read them.

    Returns:
        Name -> (column from the left, boxes above the middle); pairs (read, reader).
    """
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(boxes)
    graph.add_edges_from(
        (p, name) for name, box in boxes.items() for p in box.parents if p in boxes
    )
    graph = nx.transitive_reduction(graph)
    return _places(graph, list(boxes)), list(graph.edges)


def _places(graph: object, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Column by the longest path that ends there; order near the middle of what reads it."""
    import networkx as nx

    assert isinstance(graph, nx.DiGraph)
    column: dict[str, int] = {}
    for name in nx.topological_sort(graph):
        column[name] = max((column[p] + 1 for p in graph.predecessors(name)), default=0)
    # What is read late stands just before what reads it.
    for name in reversed(list(nx.topological_sort(graph))):
        after = [column[c] for c in graph.successors(name)]
        if after:
            column[name] = min(after) - 1
    layers: dict[int, list[str]] = {}
    for name in names:
        layers.setdefault(column[name], []).append(name)
    place: dict[str, tuple[float, float]] = {}
    for x in sorted(layers, reverse=True):
        middle = {
            name: sum(place[c][1] for c in graph.successors(name)) / max(graph.out_degree(name), 1)
            for name in layers[x]
        }
        order = sorted(layers[x], key=lambda name: -middle[name])
        for i, name in enumerate(order):
            place[name] = (float(x), (len(order) - 1) / 2 - i)
    return place


def shorten(text: str, most: int = 24) -> str:
    """A name that fits a box."""
    return text if len(text) <= most else text[: most - 3] + "..."
