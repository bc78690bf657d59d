"""What `show=` makes of a row, as one of two things: text, or a picture of bytes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from causal_scrubbing._errors import DataError

Picture = npt.NDArray[np.uint8]
"""A picture, uint8 [height, width, 3]."""

_CHANNELS: Final = (1, 3, 4)


def shown(value: Any) -> str | Picture:
    """What a person sees of a row: text, or a picture as uint8 [height, width, 3].

    Args:
        value: text; a picture as a tensor or array, [height, width], channels first or last, with
            1, 3 or 4 channels; a PIL image; a matplotlib figure; anything else is shown as text.
            Integers of a picture are from 0 to 255. Real numbers from 0 to 1 are brightness; where
            they leave that range, the smallest is black and the largest white.

    Raises:
        DataError: an array that is no picture, or one with values of which none can be made.
    """
    if isinstance(value, str):
        return value
    if hasattr(value, "savefig"):
        return _of_figure(value)
    if hasattr(value, "convert") and hasattr(value, "getbands"):  # a PIL image
        return np.asarray(value.convert("RGB"), dtype=np.uint8)
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        value = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    if not isinstance(value, np.ndarray) or value.ndim < 2:
        return str(value.tolist() if isinstance(value, np.ndarray) else value)
    return _of_array(value)


def _of_array(array: npt.NDArray[Any]) -> Picture:
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim == 3 and _channels_come_first(array.shape[0], array.shape[2]):
        array = np.moveaxis(array, 0, 2)
    if array.ndim != 3 or array.shape[2] not in _CHANNELS or 0 in array.shape:
        raise DataError(
            f"show= made an array of shape {list(array.shape)}, which is no picture: a picture is "
            "[height, width], or has 1, 3 or 4 channels, first or last. Return text for all else."
        )
    pixels = _brightness(array)
    if pixels.shape[2] == 4:  # on white
        alpha = pixels[:, :, 3:]
        pixels = pixels[:, :, :3] * alpha + (1 - alpha)
    return np.repeat((pixels * 255).round().astype(np.uint8), 4 - pixels.shape[2], axis=2)[..., :3]


def _channels_come_first(first: int, last: int) -> bool:
    """Channels are rarely four, so that 4 counts as channels only where nothing else can."""
    return last not in (1, 3) and (first in (1, 3) or (first == 4 and last != 4))


def _brightness(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Pixels from 0 to 1."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"show= made an array of {array.dtype}: a picture has real numbers.")
    pixels = array.astype(np.float64)
    if not np.isfinite(pixels).all():
        raise DataError("show= made a picture with NaN or infinite values: replace them.")
    low, high = float(pixels.min()), float(pixels.max())
    if array.dtype.kind in "iu":
        if low < 0 or high > 255:
            raise DataError(
                f"show= made a picture of integers from {low:.0f} to {high:.0f}: they are from 0 "
                "to 255, or real numbers."
            )
        return pixels / 255
    if array.dtype.kind == "b" or (low >= 0 and high <= 1):
        return pixels
    return (pixels - low) / (high - low) if high > low else np.zeros_like(pixels)


def _of_figure(figure: Any) -> Picture:
    from io import BytesIO

    from matplotlib.image import imread

    out = BytesIO()
    figure.savefig(out, format="png", dpi=110)
    out.seek(0)
    return _of_array(np.asarray(imread(out), dtype=np.float64))
