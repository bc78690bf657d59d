"""The functions of nodes that are values: a name and fields, which a file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from causal_scrubbing._graph.ops import Add, Constant, Linear
from causal_scrubbing._graph.packing import Pack, Unpack
from causal_scrubbing._graph.parts import Join, Rest, RowPosition, Share, Take
from causal_scrubbing._graph.rewrite.linear import Unsqueeze
from causal_scrubbing._graph.rewrite.split import Then
from causal_scrubbing._graph.rewrite.split_sum import Difference, Projection, Same

VALUES: Final[Mapping[str, type[Any]]] = {
    cls.__name__: cls
    for cls in (
        Add, Constant, Difference, Join, Linear, Pack, Projection, Rest, RowPosition, Same, Share,
        Take, Then, Unpack, Unsqueeze,
    )
}  # fmt: skip
"""Dataclasses by name; their fields are plain values, tensors and such values again."""
