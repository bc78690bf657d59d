"""What the numbers of a search depend on: by content, since names do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Graph, evaluate
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._refute.options import SearchSettings
from causal_scrubbing._simulate import Metric, evaluate_metric
from causal_scrubbing._statistics import check_finite

PROBED = 16
"""Rows on which a metric and a model are told from others of the same name."""


def content(h: Hypothesis, data: Dataset) -> list[Any]:
    """A hypothesis by its claims and policy, and by the classes that each block draws within."""
    classes = h.classes(data)
    return [h.to_dict(), {key: one.digest for key, one in classes.items()}]


def identity(
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    metric: str,
    randomize: str | None,
    settings: SearchSettings,
    *,
    improve: bool,
) -> dict[str, Any]:
    """Everything that the records of a search depend on.

    Args:
        hypotheses: the one searched around, and all candidates.
        data: the dataset.
        metric: name of the metric.
        randomize: the node that E_randomized randomizes.
        settings: of the search.
        improve: whether it ranks what recovers.
    """
    return {
        "hypotheses": [content(h, data) for h in hypotheses],
        "graph": hypotheses[0].graph.fingerprint,
        "data": data.fingerprint,
        "metric": metric,
        "randomize": randomize,
        "improve": improve,
        **{
            name: getattr(settings, name)
            for name in ("budget", "samples", "keep", "alpha", "tolerance", "seed")
        },
    }


def probe(
    graph: Graph,
    data: Dataset,
    name: str,
    metric: Metric,
    device: torch.device | str | None,
) -> list[float]:
    """Values of a metric on a few rows: on their own outputs, and on one another's.

    Raises:
        MetricError: a value on a row's own output is not finite.
    """
    count = min(PROBED, len(data))
    rows = data.take(np.unique(np.linspace(0, len(data) - 1, count).astype(np.int64)))
    where = graph.device if device is None else torch.device(device)
    with torch.no_grad():
        output = evaluate(graph, rows, [graph.output], device=where)[graph.output]
    output = output.expand(len(rows), *output.shape[1:])
    batch = rows.with_model_output(output)
    own = evaluate_metric(name, metric, output, batch)
    check_finite(name, "model", own)
    other = evaluate_metric(name, metric, output.roll(1, 0), batch)
    values = np.concatenate([own.reshape(-1), other.reshape(-1)])
    return [float(v) for v in np.nan_to_num(values)]
