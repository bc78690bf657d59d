"""Figures, of which the library is imported when the first is drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")


def picture(width: float, height: float, **options: Any) -> Figure:
    """An empty figure that a notebook shows by itself, in inches.

    Args:
        width: of the figure.
        height: of the figure.
        **options: of `matplotlib.figure.Figure`.
    """
    from causal_scrubbing._display.picture import Picture

    return Picture(figsize=(width, height), **options)


def wrapped(text: str, width: int, lines: int = 2) -> str:
    r"""A name in few lines, with three dots where it is cut.

    Example:
        >>> wrapped("one two three four", 8)
        'one two\nthre ...'
    """
    found = textwrap.wrap(text, width)
    if len(found) > lines:
        found = [*found[: lines - 1], f"{found[lines - 1][: width - 4]} ..."]
    return "\n".join(found)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in matplotlib's own style: the colours here are made for its white ground."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        from matplotlib import style

        with style.context("default"):
            return draw(*args, **kwargs)

    return inside
