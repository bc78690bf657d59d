"""Activations of nodes as matrices, a batch at a time, wide ones sketched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Floats, Ints
from causal_scrubbing._graph import Graph, evaluate

WIDE = 2048
"""Numbers a row above which activations are sketched to that many."""

MOST_ROWS = 512
MOST_BYTES = 1 << 26
"""Bytes of activations evaluated at once."""


def batches(
    graph: Graph,
    data: Dataset,
    rows: Ints,
    nodes: Sequence[str],
    device: torch.device | str | None = None,
) -> Iterator[dict[str, Floats]]:
    """The activations of nodes on rows, [batch, d] each, d at most `WIDE`.

    Args:
        graph: the graph.
        data: the dataset.
        rows: the rows, in the order wanted.
        nodes: whose activations.
        device: where to compute; where the graph says if None.
    """
    where = graph.device if device is None else torch.device(device)
    names = list(dict.fromkeys(nodes))
    size, start = 1, 0  # the first row tells how much memory the others take
    while start < len(rows):
        with torch.no_grad():
            part = data.take(rows[start : start + size])
            values = evaluate(graph, part, names, device=where)
            yield {node: _matrix(node, values[node], len(part)) for node in names}
        start += size
        if size == 1:
            bytes_ = sum(v.numel() * v.element_size() for v in values.values())
            size = max(1, min(MOST_ROWS, MOST_BYTES // max(bytes_, 1)))


def _matrix(node: str, value: torch.Tensor, rows: int) -> Floats:
    flat = value.reshape(len(value), -1)
    if flat.shape[1] > WIDE:
        # A count sketch keeps inner products in expectation (Charikar, Chen, Farach-Colton 2002).
        buckets, signs = _sketch(node, flat.shape[1])
        wide = flat.to("cpu", torch.float32 if flat.dtype != torch.float64 else torch.float64)
        flat = wide.new_zeros(len(wide), WIDE).index_add_(1, buckets, wide * signs.to(wide.dtype))
    return np.asarray(flat.expand(rows, -1).to("cpu", torch.float64).numpy(), dtype=np.float64)


@lru_cache(maxsize=64)
def _sketch(node: str, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each number of an activation goes, and with which sign; the same in every run."""
    seed = int.from_bytes(blake2b(node.encode(), digest_size=8).digest(), "big")
    rng = np.random.default_rng(seed)
    buckets = torch.from_numpy(rng.integers(0, WIDE, width))
    return buckets, torch.from_numpy(rng.integers(0, 2, width) * 2.0 - 1.0)
