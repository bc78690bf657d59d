"""Whether processes of one machine should fill one table of clean activations together."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from causal_scrubbing._engine.memory import show_bytes
from causal_scrubbing._engine.run import Executor
from causal_scrubbing._engine.shared import shared_tensor
from causal_scrubbing._graph import evaluate

_ROWS: Final = 64
_SPARE: Final = 1.1


@dataclass(frozen=True)
class Sharing:
    """What sharing the table costs and saves, measured on a few rows.

    Attributes:
        pays: whether the table is shared.
        words: why, in words.
    """

    pays: bool
    words: str


def weigh_sharing(executor: Executor, folder: Path) -> Sharing:
    """Whether writing a clean row to common memory takes less than running it again.

    Args:
        executor: of the run.
        folder: where files are in memory.
    """
    alone = "each worker runs the clean rows that its blocks need"
    layout = executor.layout
    columns = [column for column in layout.columns if column.bytes]
    size = sum(column.bytes for column in columns) * len(executor.data)
    where = {device.type for device in (layout.storage.device, executor.device) if device}
    if not columns or where - {"cpu"} or layout.storage.on_disk or not executor.table_is_dense:
        return Sharing(False, f"{alone}: its table is not one in main memory with every row")
    if size * _SPARE > shutil.disk_usage(folder).free:
        return Sharing(False, f"{alone}: {folder} has no room for {show_bytes(size)}")
    nodes = [node for column in columns for node in column.nodes]
    rows = np.unique(np.linspace(0, len(executor.data) - 1, _ROWS).astype(np.int64))
    data = executor.data.take(rows)
    with torch.no_grad():
        for _ in range(2):  # the first time costs more
            began = time.thread_time()
            values = evaluate(executor.graph, data, nodes, device=executor.device)
            run = (time.thread_time() - began) / len(rows)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            made = {
                node: shared_tensor(Path(name), node, tuple(value.shape), value.dtype, value.dtype)
                for node, value in values.items()
            }
            began = time.thread_time()
            for node, value in values.items():
                made[node].copy_(value)
            write = (time.thread_time() - began) / len(rows)
    figures = f"a row takes {1e3 * run:.2g} ms to run and {1e3 * write:.2g} ms to write"
    if write < run:
        whole = f"workers fill one table of {show_bytes(size)} together in common memory"
        return Sharing(True, f"{whole}: {figures}")
    return Sharing(False, f"{alone}: {figures} to common memory")
