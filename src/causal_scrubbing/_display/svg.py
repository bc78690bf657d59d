"""A graph in layers as static HTML: a picture in an ``img``, which needs no script and no style."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Final

from causal_scrubbing._display.layers import Box, layered, shorten

MOST_PICTURED: Final = 80
"""Boxes of a graph that can still be read in a notebook; a larger one is text there."""

_WIDTH, _HEIGHT, _ACROSS, _DOWN = 168, 38, 200, 48


def html_layers(title: str, text: str, boxes: Mapping[str, Box]) -> str:
    """A graph in layers under a title, and as text in a part that opens.

    The boxes have a ground of their own and the lines a middle grey, so that the picture can be
    read on white and on black. It is an image, so that a notebook that is not trusted shows it too.

    Args:
        title: above the picture.
        text: the same in words.
        boxes: name -> box, parents before those that read them.

    Returns:
        HTML; the text alone where there are more than 80 boxes.

    Example:
        >>> html_layers("g", "a, b", {"a": Box(text="a"), "b": Box(text="b", parents=("a",))})[:28]
        '<div><b>g</b><div><img alt="'
    """
    style = "white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0;font-size:.9em"
    words = f'<pre style="{style}">{escape(text)}</pre>'
    if not 0 < len(boxes) <= MOST_PICTURED:
        return f"<div><b>{escape(title)}</b>{words}</div>"
    svg, width = svg_layers(boxes)
    data = base64.b64encode(svg.encode("utf-8", "replace")).decode()
    return (
        f'<div><b>{escape(title)}</b><div><img alt="{escape(title)} as a graph, in words below" '
        f'width="{width}" style="max-width:100%" src="data:image/svg+xml;base64,{data}"></div>'
        f"<details><summary>in words</summary>{words}</details></div>"
    )


def svg_layers(boxes: Mapping[str, Box]) -> tuple[str, int]:
    """A graph in layers as SVG, and its width in pixels.

    Args:
        boxes: name -> box, parents before those that read them.
    """
    place, edges = layered(boxes)
    columns = 1 + int(max(x for x, _ in place.values()))
    most = max(abs(y) for _, y in place.values())
    width, height = _ACROSS * columns, round(_DOWN * (2 * most + 1))

    def middle(name: str) -> tuple[float, float]:
        x, y = place[name]
        return _ACROSS * (x + 0.5), height / 2 - _DOWN * y

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="12" text-anchor="middle">'
    ]
    for parent, name in edges:
        (x0, y0), (x1, y1) = middle(parent), middle(name)
        start, end = x0 + _WIDTH / 2, x1 - _WIDTH / 2
        bend = (start + end) / 2
        parts.append(
            f'<path d="M{start:.1f} {y0:.1f}C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} '
            f'{end:.1f} {y1:.1f}" fill="none" stroke="#8896a8"/>'
        )
    for name, box in boxes.items():
        x, y = middle(name)
        fill, edge = ("#feebc8", "#b7791f") if box.strong else ("#edf2f7", "#8896a8")
        parts.append(
            f'<rect x="{x - _WIDTH / 2:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{_WIDTH}" '
            f'height="{_HEIGHT}" rx="6" fill="{fill}" stroke="{edge}"/>'
        )
        lines = [(box.text, "#1a202c"), *([(box.below, "#4a5568")] if box.below else [])]
        top = y + (4 if len(lines) == 1 else -3)
        for i, (line, ink) in enumerate(lines):
            seen = escape("".join(c if c.isprintable() else "?" for c in shorten(line)))
            parts.append(f'<text x="{x:.1f}" y="{top + 15 * i:.1f}" fill="{ink}">{seen}</text>')
    return "".join([*parts, "</svg>"]), width
