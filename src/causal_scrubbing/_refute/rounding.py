"""The shift that rounding alone may make."""

from __future__ import annotations

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Graph, evaluate
from causal_scrubbing._simulate import TOLERANCE
from causal_scrubbing._trials import Chunk

ROWS = 256
"""Samples on which rounding is measured."""


def measured(chunk: Chunk) -> float:
    """How far hypotheses are from the model on samples where nothing is swapped, on average.

    Args:
        chunk: values with every datum equal to the reference row.
    """
    return max(float(np.abs(values - chunk.model).mean()) for values in chunk.values.values())


PRECISION = {**TOLERANCE, torch.float16: 2**-8, torch.bfloat16: 2**-5}
"""Relative to the metric's scale: what the self-check allows a single output, and in half precision
four units of rounding, as means over samples average the rest."""


def coarsest(graph: Graph, data: Dataset, device: torch.device | str | None) -> float:
    """The relative tolerance of the lowest precision among a graph's values.

    Sums of the residual stream are made in other orders, from other summands, when data are
    swapped, so that they round otherwise in each sample although the hypothesis is true.
    """
    where = graph.device if device is None else torch.device(device)
    with torch.no_grad():
        values = evaluate(graph, data.take(np.array([0])), list(graph.names), device=where)
    return max(PRECISION.get(value.dtype, 0.0) for value in values.values())
