"""What numbers may depend on beside the request: ambient state of torch, refused or recorded."""

from __future__ import annotations

from typing import Any

import torch

from causal_scrubbing._errors import ScrubError

_DEVICES = ("cpu", "cuda")


def autocast_dtype() -> torch.dtype | None:
    """The dtype that an active `torch.autocast` moves values to, or None where none is active."""
    for device in _DEVICES:
        if torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
    return None


def refuse_autocast() -> None:
    """Refuse to run inside `torch.autocast`, which changes values without a word.

    Raises:
        ScrubError: an autocast is active.
    """
    dtype = autocast_dtype()
    if dtype is not None:
        name = str(dtype).removeprefix("torch.")
        raise ScrubError(
            f"torch.autocast to {name} is active, which changes the values of the model: leave its "
            "block (with torch.autocast(..., enabled=False)), or pass autocast=True to scrub to "
            "have it recorded with the run."
        )


def environment() -> dict[str, Any]:
    """Ambient state that values depend on by rounding, as plain data."""
    dtype = autocast_dtype()
    return {
        "threads": torch.get_num_threads(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "tf32_matmul": bool(torch.backends.cuda.matmul.allow_tf32),
        "tf32_cudnn": bool(torch.backends.cudnn.allow_tf32),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "autocast": None if dtype is None else str(dtype).removeprefix("torch."),
    }
