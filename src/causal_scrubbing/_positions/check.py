"""Whether values computed at some positions are those computed at all of them."""

from __future__ import annotations

from typing import Final

import torch

TOLERANCE: Final = {
    torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1,
}  # fmt: skip
"""The largest difference that rounding makes, relative to the largest value."""


def difference(want: torch.Tensor, got: torch.Tensor) -> float:
    """The largest difference of two outputs, as a multiple of what rounding may make."""
    if want.shape != got.shape or want.dtype != got.dtype:
        return float("inf")
    if not want.is_floating_point():
        return 0.0 if torch.equal(want, got) else float("inf")
    one, two = want.double(), got.double()
    same = (one == two) | (one.isnan() & two.isnan())
    apart = torch.where(same, torch.zeros_like(one), (one - two).abs())
    apart = apart.nan_to_num(nan=float("inf"), posinf=float("inf"))
    finite = one.abs()[one.isfinite()]
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    worst = float(apart.max()) if apart.numel() else 0.0
    return worst / (TOLERANCE.get(want.dtype, 1e-4) * scale)
