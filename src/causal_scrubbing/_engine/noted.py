"""How a run used the machine, as plain data, and the same way taken again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any, Final

import torch

from causal_scrubbing._engine.layout import Layout, relaid
from causal_scrubbing._engine.run import Executor
from causal_scrubbing._engine.storage import Storage
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import COUNT, Between, Fixed, ListOf, Optional, Shape

_SIZE: Final = Between(1, 2**62, integer=True)
LAYOUT: Final[Shape] = {
    "batch_size": _SIZE,
    "row_batch": _SIZE,
    "read_batch": Optional(_SIZE),
    "table_bytes": Optional(Between(0, inf), missing=False),
    "storage": Fixed((str, bool)),
    "inlined": ListOf(str),
    "budget": COUNT,
    "notes": ListOf(str),
}
"""The shape of what `note_layout` gives."""


def note_layout(executor: Executor) -> dict[str, Any]:
    """The sizes and places of a run, as plain data."""
    layout = executor.layout
    most = layout.table_bytes
    return {
        "batch_size": executor.batch_size,
        "row_batch": layout.row_batch,
        "read_batch": layout.read_batch,
        "table_bytes": most if math.isfinite(most) else None,
        "storage": [str(layout.storage.device), layout.storage.on_disk],
        "inlined": list(layout.inlined),
        "budget": executor.budget.device,
        "notes": list(layout.notes),
    }


def take_layout(executor: Executor, noted: Mapping[str, Any]) -> None:
    """Run as `note_layout` says, whatever memory is free now, before anything is run.

    Values then come out equal to the last bit, as batches and the order of the table's rows are
    the same.

    Raises:
        ScrubError: it names a node or a device that there is not.
    """
    if noted == note_layout(executor):
        return
    layout: Layout = executor.layout
    inlined = tuple(noted["inlined"])
    unknown = [name for name in inlined if name not in executor.graph.nodes]
    if unknown:
        raise ScrubError(f"the layout names a node {unknown[0]!r}, which the graph does not have.")
    if inlined != layout.inlined:
        layout = relaid(
            layout,
            executor.graph,
            executor.space,
            executor.roots,
            executor.data,
            executor.costs,
            executor.device or torch.device("cpu"),
            inlined=inlined,
            samples=executor.samples,
        )
    kind, on_disk = noted["storage"]
    try:
        where = torch.device(kind)
    except RuntimeError as error:
        raise ScrubError(f"the layout names {kind!r}, which is not a device.") from error
    if executor.device is not None and where.type == executor.device.type:
        where = executor.device  # another of its kind, where several processes share a run
    most = noted["table_bytes"]
    executor.layout = replace(
        layout,
        storage=Storage(where, on_disk, layout.storage.dtype),
        table_bytes=math.inf if most is None else most,
        batch_size=noted["batch_size"],
        row_batch=noted["row_batch"],
        read_batch=noted.get("read_batch"),
        notes=tuple(noted["notes"]),
    )
    executor.batch_size = noted["batch_size"]
    executor.budget = replace(executor.budget, device=noted["budget"])
