"""Ablation: run the model with some nodes' values replaced, everything else on its own row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import torch

from causal_scrubbing._ablate.result import Ablation
from causal_scrubbing._data import (
    Classes,
    Dataset,
    Feature,
    Ints,
    anything,
    check_dataset,
    flatten_feature,
)
from causal_scrubbing._errors import HypothesisError, ScrubError
from causal_scrubbing._format import listed
from causal_scrubbing._graph import Graph, evaluate
from causal_scrubbing._hypothesis import (
    REFERENCE,
    RESAMPLE,
    ZERO,
    Hypothesis,
    Kind,
    Mean,
    check_marks,
    class_means,
    read_kind,
)
from causal_scrubbing._sampling import uniforms
from causal_scrubbing._simulate import (
    Metric,
    check_device,
    check_samples,
    check_seed,
    check_size,
    evaluate_metric,
    named_metrics,
    refuse_autocast,
    try_metrics,
    whole,
)
from causal_scrubbing._statistics import FloatArray

KINDS: Final = ("zero", "mean", "resample")


def ablate(
    graph: Graph,
    nodes: str | Sequence[str],
    data: Dataset,
    kind: Kind | Sequence[Kind] = KINDS,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    samples: int = 1000,
    seed: int = 0,
    separate: bool = False,
    within: Feature = anything,
    self_draws: bool = True,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> Ablation:
    """Replace nodes' values and measure what that does, by zero, mean and resample ablation.

    For each sample a reference row is drawn from D, the same as `scrub` draws with this seed. Every
    node named gets, in place of its own value there: zeros; its mean over the rows that agree with
    the reference row on `within`; or its clean value on a row drawn from those. What is downstream
    is recomputed, all else stays. Unlike causal scrubbing, this does not test a hypothesis: it says
    what a node's removal does, and the kinds differ in what "removed" means. Zeros and means may be
    values that the node never has.

    Example::

        print(cs.ablate(graph, ["a1.z.h0"], data, metric=cs.metrics.cross_entropy("label")))

    Args:
        graph: the graph.
        nodes: names or patterns; all of them are ablated together.
        data: the dataset D.
        kind: "zero", "mean", `cs.mean(where=...)`, "resample", or several, on the same reference
            rows.
        metric: as for `scrub`.
        samples: number of reference rows drawn.
        seed: with it a run is the same everywhere.
        separate: resample each node from a row of its own, not all from one.
        within: resampled rows, and rows that count in a mean, agree with the reference row on this
            feature.
        self_draws: whether the row drawn may be the reference row; if not, a row alone in its class
            keeps its own value, and rows of a class must weigh the same.
        batch_size: samples run at once.
        device: where to compute; where the graph says if None.

    Raises:
        GraphError: a name matches nothing.
        ScrubError: an unknown kind, an option that no kind uses, no sample, the mean of a node that
            holds no real numbers, or a metric that fails or is not a function of a row.
        MetricError: a metric does not give one number (or vector) a row.
    """
    if not isinstance(graph, Graph):
        use = "its .graph" if isinstance(graph, Hypothesis) else "cs.capture(model, ...) makes one"
        raise ScrubError(f"graph is {type(graph).__name__}, not a cs.Graph: {use}.")
    check_dataset(data, error=ScrubError)
    refuse_autocast()
    if callable(kind) or isinstance(kind, Mapping):
        raise ScrubError("kind= is a metric; name it: cs.ablate(graph, nodes, data, metric=...).")
    kinds = _kinds(kind)
    _check_options(kinds, data, separate=separate, within=within, self_draws=self_draws)
    samples, seed, device = check_samples(samples), check_seed(seed), check_device(device)
    check_size(samples, 1, 1, 1)
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
    classes = data.classes(within)
    means = _means(graph, names, data, kinds, classes, batch_size, device)
    anyone = np.zeros(samples, dtype=np.int64)
    reference = data.classes(anything).pick(anyone, uniforms(seed, REFERENCE, 0, samples))
    others = {
        name: classes.pick(
            reference,
            uniforms(seed, f"~ablate/{name}" if separate else "~ablate", 0, samples),
            self_draws=self_draws,
        )
        for name in names
    }
    values: dict[str, dict[str, list[FloatArray]]] = {
        which: {name: [] for name in metrics} for which in ("model", *map(str, kinds))
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
                if one == ZERO:
                    given = {name: torch.zeros_like(clean[name]) for name in names}
                elif isinstance(one, Mean):
                    ids = torch.as_tensor(classes.ids[reference[part]])
                    given = {
                        name: means[one, name][ids].to(clean[name]).expand_as(clean[name])
                        for name in names
                    }
                else:
                    given = {}
                    for drawn, members in _by_rows(others).items():
                        other = data.lazy(others[drawn][part])
                        given |= evaluate(graph, other, members, device=where)
                outputs[str(one)] = evaluate(
                    graph, rows, [graph.output], given=given, device=where
                )[graph.output]
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


def _kinds(given: object) -> tuple[Kind, ...]:
    """The kinds asked for, each once."""
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    kinds: dict[Kind, None] = {}
    for one in several:
        kind, faults = read_kind(one, "kind")
        if faults:
            raise ScrubError(faults[0])
        kinds[kind] = None
    if not kinds:
        raise ScrubError("ablate needs at least one kind.")
    return tuple(kinds)


def _check_options(
    kinds: Sequence[Kind], data: Dataset, *, separate: bool, within: Feature, self_draws: bool
) -> None:
    """Refuse what no kind uses, and draws of other rows that would not be distributed as D."""
    faults = check_marks(kinds, data)
    made = ", ".join(map(str, kinds))
    if RESAMPLE not in kinds:
        for name, used in (("separate=True", separate), ("self_draws=False", not self_draws)):
            if used:
                faults.append(f"{name} says how rows are drawn, and kind={made} draws none.")
    if set(kinds) == {ZERO} and flatten_feature(within):
        faults.append("within= says which rows may stand in, and kind=zero takes none.")
    if not self_draws and not data.classes(within).is_uniform_within:
        faults.append(
            "self_draws=False needs rows of equal weight in every class of within=; drop the "
            "weights or allow self-draws."
        )
    if faults:
        raise ScrubError(" ".join(faults))


def _means(
    graph: Graph,
    names: Sequence[str],
    data: Dataset,
    kinds: Sequence[Kind],
    classes: Classes,
    batch_size: int,
    device: torch.device | str | None,
) -> Mapping[Hashable, torch.Tensor]:
    """Kind and node -> mean of each class, [classes, ...]."""
    wanted: dict[Hashable, tuple[str, Classes, Kind]] = {
        (kind, name): (name, classes, kind)
        for kind in kinds
        if isinstance(kind, Mean)
        for name in names
    }
    try:
        return class_means(graph, data, wanted, batch_size, device)
    except HypothesisError as error:
        raise ScrubError("; ".join(error.faults)) from error
