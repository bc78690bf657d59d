"""A figure that looks the same whatever style is set, and that a notebook shows by itself."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure


class Picture(Figure):
    """A figure that looks the same whatever style its reader has set, also where it is saved."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure to a file, as `matplotlib.figure.Figure.savefig` does."""
        from matplotlib import rcParams, style

        # The salt is no style: it says whether two files of one picture are equal.
        with style.context(["default", {"svg.hashsalt": rcParams["svg.hashsalt"]}]):
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=120)
        return out.getvalue()
