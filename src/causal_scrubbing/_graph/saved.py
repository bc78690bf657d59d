"""The functions of nodes that are values: a name and fields, which a file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from causal_scrubbing._graph.rewrite.linear import Unsqueeze
from causal_scrubbing._graph.rewrite.places import Then
from causal_scrubbing._graph.rewrite.projections import Projection
from causal_scrubbing._graph.rewrite.split_sum import Difference, Same
from causal_scrubbing._nodes import (
    Add,
    Cells,
    Constant,
    Join,
    JoinBoxes,
    Linear,
    Pack,
    Rest,
    RestOfBoxes,
    RowPosition,
    Share,
    Take,
    TakeBox,
    Unpack,
)

VALUES: Final[Mapping[str, type[Any]]] = {
    cls.__name__: cls
    for cls in (
        Add, Cells, Constant, Difference, Join, JoinBoxes, Linear, Pack, Projection, Rest,
        RestOfBoxes, RowPosition, Same, Share, Take, TakeBox, Then, Unpack, Unsqueeze,
    )
}  # fmt: skip
"""Dataclasses by name; their fields are plain values, tensors and such values again."""
