"""How a person sees a row: text, or an image as a data address."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

MOST_TEXT: Final = 4000
"""Characters of a row that a page shows."""


@dataclass(frozen=True)
class Shown:
    """A row for a person's eyes: one of text and image.

    Attributes:
        text: what it says.
        image: a PNG as a ``data:`` address, or "".
    """

    text: str
    image: str = ""

    @property
    def size(self) -> int:
        """Characters it takes on a page."""
        return len(self.text) + len(self.image)


def shown(one: Any) -> Shown:
    """What `show=` made of a row: text, an image (H, W or H, W, 3), a PIL image, or a figure."""
    png = None if isinstance(one, str) else _png(one)
    if png is not None:
        return Shown("", f"data:image/png;base64,{base64.b64encode(png).decode()}")
    text = str(one)
    return Shown(text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 4] + " ...")


def _png(one: Any) -> bytes | None:
    out = io.BytesIO()
    if hasattr(one, "savefig"):
        one.savefig(out, format="png", dpi=110)
    elif hasattr(one, "save") and hasattr(one, "convert"):  # a PIL image
        one.save(out, format="PNG")
    elif getattr(one, "ndim", 0) in (2, 3):
        from matplotlib.image import imsave

        array = np.asarray(one.detach().cpu() if hasattr(one, "detach") else one)
        imsave(out, array, format="png", cmap="gray" if array.ndim == 2 else None)
    else:
        return None
    return out.getvalue()
