"""Figures, of which the library is imported when the first is drawn."""

from __future__ import annotations

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


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in matplotlib's own style: the colours here are made for its white ground."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        from matplotlib import style

        with style.context("default"):
            return draw(*args, **kwargs)

    return inside
