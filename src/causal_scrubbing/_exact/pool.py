"""Distinct values: tensors numbered so that equal ones are one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from causal_scrubbing._data import Ints
from causal_scrubbing._exact.budget import Meter


@dataclass(frozen=True)
class Pool:
    """Distinct values of one node.

    Attributes:
        values: each once, [count, ...], in main memory.
        ids: number of the value of each thing that was numbered, int64.
    """

    values: torch.Tensor
    ids: Ints


def distinct(values: torch.Tensor) -> Pool:
    """Number values by their bytes, -0.0 counted as 0.0."""
    kept = values.detach().cpu()
    if kept.is_floating_point() or kept.is_complex():
        kept = kept + 0.0
    flat = kept.reshape(len(kept), -1).contiguous()
    if flat.shape[1] == 0:
        return Pool(kept[:1], np.zeros(len(kept), dtype=np.int64))
    raw = flat.view(torch.uint8).numpy()
    width = raw.shape[1]
    key = raw.view(f"u{width}") if width in (1, 2, 4, 8) else raw.view(np.dtype((np.void, width)))
    _, first, ids = np.unique(key[:, 0], return_index=True, return_inverse=True)
    return Pool(kept[torch.as_tensor(first)], ids.reshape(-1).astype(np.int64))


def distinct_in_batches(
    count: int, batch_size: int, make: Callable[[int, int], torch.Tensor], meter: Meter
) -> Pool:
    """Number values that are made a batch at a time, keeping each distinct one once a batch.

    Args:
        count: how many there are.
        batch_size: how many to make at once.
        make: makes the values of start..stop - 1.
        meter: refuses more than fit.
    """
    parts: list[Pool] = []
    held = 0
    for start in range(0, count, batch_size):
        part = distinct(make(start, min(start + batch_size, count)))
        parts.append(part)
        held += len(part.values)
        meter.hold(held, part.values[0].numel())
    if len(parts) == 1:
        return parts[0]
    whole = distinct(torch.cat([part.values for part in parts]))
    offsets = np.cumsum([0, *(len(part.values) for part in parts[:-1])])
    ids = [whole.ids[offset + part.ids] for offset, part in zip(offsets, parts, strict=True)]
    return Pool(whole.values, np.concatenate(ids))
