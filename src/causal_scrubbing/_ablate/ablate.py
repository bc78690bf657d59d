"""Ablation: run the model with some nodes' values replaced, everything else on its own row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import torch

from causal_scrubbing._ablate.result import Ablation
from causal_scrubbing._data import Dataset, Feature, Ints, anything, check_dataset
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import listed
from causal_scrubbing._graph import Graph, dataset_means, evaluate, hint
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis
from causal_scrubbing._sampling import uniforms
from causal_scrubbing._simulate import (
    Metric,
    check_device,
    check_samples,
    check_seed,
    evaluate_metric,
    named_metrics,
    try_metrics,
    whole,
)
from causal_scrubbing._statistics import FloatArray

KINDS: Final = ("zero", "mean", "resample")


def ablate(
    graph: Graph,
    nodes: str | Sequence[str],
    data: Dataset,
    kind: str | Sequence[str] = KINDS,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    samples: int = 1000,
    seed: int = 0,
    separate: bool = False,
    within: Feature = anything,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> Ablation:
    """Replace nodes' values and measure what that does, by zero, mean and resample ablation.

    For each sample a reference row is drawn from D, the same as `scrub` draws with this seed. Every
    node named gets, in place of its own value there: zeros; its mean over D; or its clean value on
    another row drawn from D. What is downstream is recomputed, all else stays. Unlike causal
    scrubbing, this tests no hypothesis: it says what a node's removal does, and the three kinds
    differ in what "removed" means. Zeros and means may be values that the node never has.

    Example::

        print(cs.ablate(graph, ["a1.z.h0"], data, metric=cs.metrics.cross_entropy("label")))

    Args:
        graph: the graph.
        nodes: names or patterns; all of them are ablated together.
        data: the dataset D.
        kind: "zero", "mean", "resample", or several, on the same reference rows.
        metric: as for `scrub`.
        samples: number of reference rows drawn.
        seed: with it a run is the same everywhere.
        separate: resample each node from a row of its own, not all from one.
        within: resampled rows agree with the reference row in this feature.
        batch_size: samples run at once.
        device: where to compute; where the graph says if None.

    Raises:
        GraphError: a name matches nothing.
        ScrubError: an unknown kind, no sample, the mean of a node that holds no real numbers, or a
            metric that fails or is no function of a row.
        MetricError: a metric does not give one number (or vector) a row.
    """
    if not isinstance(graph, Graph):
        use = "its .graph" if isinstance(graph, Hypothesis) else "cs.capture(model, ...) makes one"
        raise ScrubError(f"graph is {type(graph).__name__}, not a cs.Graph: {use}.")
    check_dataset(data, error=ScrubError)
    if callable(kind) or isinstance(kind, Mapping):
        raise ScrubError("kind= is a metric; name it: cs.ablate(graph, nodes, data, metric=...).")
    several = isinstance(kind, Iterable) and not isinstance(kind, str)
    kinds = tuple(dict.fromkeys(kind)) if several else (str(kind),)
    for one in kinds:
        if one not in KINDS:
            raise ScrubError(
                f"kind={one!r} is no ablation; there is {', '.join(map(repr, KINDS))}."
                f"{hint(str(one), KINDS)}"
            )
    if not kinds:
        raise ScrubError("ablate needs at least one kind.")
    samples, seed, device = check_samples(samples), check_seed(seed), check_device(device)
    batch_size = whole("batch_size", batch_size, "how many are computed at once")
    names = graph.find(nodes)
    graph.check_fresh()
    idle = [name for name in names if not graph.reaches(name)]
    if idle:
        raise ScrubError(
            f"{listed(idle)} {'does' if len(idle) == 1 else 'do'} not reach the output "
            f"{graph.output!r}, so an ablation there can show nothing; ablate nodes that do."
        )
    metrics = named_metrics(metric)
    try_metrics(metrics, graph, data, device, check=True)
    means = _means(graph, names, data, batch_size, device) if "mean" in kinds else {}
    reference = _draw(data, anything, REFERENCE, seed, samples, np.zeros(samples, dtype=np.int64))
    others = {
        name: _draw(
            data, within, f"~ablate/{name}" if separate else "~ablate", seed, samples, reference
        )
        for name in names
    }
    values: dict[str, dict[str, list[FloatArray]]] = {
        which: {name: [] for name in metrics} for which in ("model", *kinds)
    }
    where = graph.device if device is None else torch.device(device)
    for start in range(0, samples, batch_size):
        part = slice(start, min(start + batch_size, samples))
        rows = data.lazy(reference[part], where)
        with torch.no_grad():
            clean = evaluate(graph, rows, [graph.output, *names], device=where)
            own = clean[graph.output]
            batch = rows.with_model_output(own)
            outputs = {"model": own}
            for one in kinds:
                if one == "zero":
                    given = {name: torch.zeros_like(clean[name]) for name in names}
                elif one == "mean":
                    given = {name: means[name].to(clean[name]).expand_as(clean[name])
                             for name in names}  # fmt: skip
                else:
                    given = {}
                    for drawn, members in _by_rows(others).items():
                        other = data.lazy(others[drawn][part])
                        given |= evaluate(graph, other, members, device=where)
                outputs[one] = evaluate(graph, rows, [graph.output], given=given, device=where)[
                    graph.output
                ]
            for which, output in outputs.items():
                for name, measure in metrics.items():
                    values[which][name].append(evaluate_metric(name, measure, output, batch))
    joined = {
        which: {name: np.concatenate(parts) for name, parts in table.items()}
        for which, table in values.items()
    }
    return Ablation(
        nodes=names,
        model_values=joined.pop("model"),
        values=joined,
        reference=reference,
        seed=seed,
        data=data,
    )


def _by_rows(others: Mapping[str, Ints]) -> dict[str, list[str]]:
    """Nodes that are taken on the same rows, by the first of them."""
    found: dict[str, list[str]] = {}
    for name, rows in others.items():
        first = next((one for one in found if np.array_equal(others[one], rows)), name)
        found.setdefault(first, []).append(name)
    return found


def _draw(data: Dataset, feature: Feature, key: str, seed: int, samples: int, agree: Ints) -> Ints:
    return data.classes(feature).pick(agree, uniforms(seed, key, 0, samples))


def _means(
    graph: Graph,
    names: Sequence[str],
    data: Dataset,
    batch_size: int,
    device: torch.device | str | None,
) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, mean in dataset_means(graph, data, names, batch_size, device).items():
        if not isinstance(mean, torch.Tensor):
            raise ScrubError(
                f"{name} holds {str(mean).removeprefix('torch.')}, of which no mean is a value; "
                "ablate a node downstream of it, or take kind='resample'."
            )
        found[name] = mean
    return found
