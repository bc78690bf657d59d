"""The pool of features a search draws on: dataset fields, the user's, and found ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from causal_scrubbing._data import (
    Dataset,
    Feature,
    Floats,
    Ints,
    distinct,
    exact,
    feature_name,
    is_feature,
)
from causal_scrubbing._errors import CausalScrubbingError, HypothesisError
from causal_scrubbing._graph import Graph
from causal_scrubbing._trials.activations import batches

FIT_ROWS = 1000
CLUSTERS = (3, 8)
DIRECTIONS = 3
MOST_DIRECTIONS = 32
MOST_ANSWERS = 8
_SWEEPS = 20


@dataclass(frozen=True, eq=False)
class PoolFeature:
    """A feature of the pool.

    Attributes:
        name: how it is told.
        feature: the feature.
        node: the node in whose activations it was found; None for others.
    """

    name: str
    feature: Feature
    node: str | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """A feature of a node's activations: usable like any function of a dataset.

    Attributes:
        name: node and what was found there.
        graph: the graph of the node.
        node: the node.
        kind: "clusters", "threshold" or "probe".
        weights: directions read off the activations (off their sketch where they are wide), [d, k].
        offset: what is taken from the projections, [k].
        known: classes by dataset, where they were computed with others'.
    """

    name: str
    graph: Graph = field(repr=False)
    node: str
    kind: str
    weights: Floats = field(repr=False)
    offset: Floats = field(repr=False)
    known: list[tuple[Dataset, Ints]] = field(default_factory=list, repr=False)

    def read(self, activations: Floats) -> Ints:
        """The class of each row of activations: nearest centre, side, or the probe's answer."""
        projected: Floats = activations @ self.weights
        if self.kind == "threshold":
            return np.asarray(projected[:, 0] > self.offset[0], dtype=np.int64)
        return np.asarray(np.argmax(projected - self.offset, axis=1), dtype=np.int64)

    def __call__(self, data: Dataset) -> Ints:
        """The class of each row of a dataset."""
        for one, ids in self.known:
            if one is data:
                return ids
        return _read_all(self.graph, data, [self])[0]


def _read_all(
    graph: Graph,
    data: Dataset,
    found: Sequence[Found],
    device: torch.device | str | None = None,
) -> list[Ints]:
    """The classes of several features in one pass over the data, a batch at a time."""
    parts: list[list[Ints]] = [[] for _ in found]
    nodes = [one.node for one in found]
    for matrices in batches(graph, data, np.arange(len(data)), nodes, device):
        for ids, one in zip(parts, found, strict=True):
            ids.append(one.read(matrices[one.node]))
    return [np.concatenate(ids) for ids in parts]


def check_features(pool: Sequence[PoolFeature], data: Dataset) -> None:
    """Refuse features that cannot be used on the data.

    Raises:
        HypothesisError: naming each, with what is wrong.
    """
    faults = []
    for one in pool:
        try:
            data.classes(one.feature)
        except CausalScrubbingError as error:
            faults.append(f"features: {one.name}: {error}")
    if faults:
        raise HypothesisError(faults)


def named_features(features: Sequence[Feature] | Mapping[str, Feature]) -> list[PoolFeature]:
    """The user's features, by name.

    Raises:
        HypothesisError: one is no feature.
    """
    listed = isinstance(features, Mapping | list | tuple)
    pairs = (
        list(features.items())
        if isinstance(features, Mapping)
        else [(feature_name(one), one) for one in features]
        if listed
        else []
    )
    wrong = [one for _, one in pairs if not is_feature(one)]
    if not listed or wrong:
        raise HypothesisError(
            [
                f"features={features!r} must be a list or a mapping of features: field names, "
                "functions of a Dataset, or tuples of them."
            ]
        )
    return [PoolFeature(name, one) for name, one in pairs]


def field_features(data: Dataset) -> list[PoolFeature]:
    """The dataset's fields that have several rows in a class on average."""
    found = []
    for name in data.field_names:
        try:
            if 1 < data.classes(distinct(name)).count <= len(data) / 4:
                data.classes(name)
                found.append(PoolFeature(name, name))
        except CausalScrubbingError:
            continue  # with NaN, or classes that rounding has split, it is not a feature
    return found


def found_features(
    graph: Graph,
    data: Dataset,
    nodes: Sequence[str],
    probes: Sequence[PoolFeature],
    seed: int,
    device: torch.device | str | None = None,
    notes: list[str] | None = None,
) -> list[PoolFeature]:
    """Features found in the activations of nodes.

    For each node: k-means clusters of the activations, the sides of the median along the principal
    directions, and what linear probes of the given features answer.

    Args:
        graph: the graph.
        data: rows the activations are taken on; at most 1,000 of them are fitted to.
        nodes: where to look.
        probes: features to train probes for; those of few classes are taken.
        seed: of the choice of rows and of k-means.
        device: where to compute; where the graph says if None.
        notes: what was skipped is added to it.
    """
    notes = [] if notes is None else notes
    rng = np.random.default_rng([seed, 0x5EED])
    rows = np.arange(len(data))
    if len(data) > FIT_ROWS:
        rows = np.sort(rng.choice(len(data), FIT_ROWS, replace=False))
    read: dict[str, list[Floats]] = {node: [] for node in nodes}
    for part in batches(graph, data, rows, nodes, device) if nodes else ():
        for node, matrix in part.items():
            read[node].append(matrix)
    made: list[Found] = []
    for node in list(read):
        matrix = np.concatenate(read.pop(node))
        if matrix.shape[1] == 0:
            continue
        if not np.isfinite(matrix).all():
            notes.append(f"no features were sought in {node}: its activations are not all finite")
            continue
        centre = matrix.mean(axis=0)
        scale, directions = principal(matrix - centre, rng)
        rank = int((scale > 1e-6 * scale[0]).sum()) if len(scale) and scale[0] > 1e-9 else 0
        if rank == 0:
            continue
        directions = directions[:rank]
        steps = [
            *_thresholds(matrix, directions[:DIRECTIONS]),
            *_clusters(matrix - centre, centre, directions, rng),
            *_probes(matrix - centre, centre, directions, data, rows, probes),
        ]
        for name, kind, weights, offset in steps:
            made.append(Found(f"{node}: {name}", graph, node, kind, weights, offset))
    found: list[PoolFeature] = []
    seen = set[tuple[str, str]]()
    ids_of = _read_all(graph, data, made, device) if made else []
    for one, ids in zip(made, ids_of, strict=True):
        one.known.append((data, ids))
        key = (one.node, data.classes(one).digest)
        if key not in seen:
            seen.add(key)
            found.append(PoolFeature(one.name, one, one.node))
    if len(made) > len(found):
        notes.append(
            f"{len(made) - len(found)} features found in activations had the classes of another "
            "of their node, and were left out"
        )
    return found


def principal(
    centred: Floats, rng: np.random.Generator, most: int = MOST_DIRECTIONS
) -> tuple[Floats, Floats]:
    """Leading singular values and right singular vectors, [k] and [k, d].

    By randomised subspace iteration (Halko, Martinsson and Tropp 2011) where the matrix is large.
    """
    if min(centred.shape) > 4 * most:
        sketch = centred.T @ (centred @ rng.normal(size=(centred.shape[1], most + 8)))
        for _ in range(3):
            sketch = centred.T @ (centred @ np.linalg.qr(sketch)[0])
        basis = np.linalg.qr(sketch)[0]
        _, scale, small = np.linalg.svd(centred @ basis, full_matrices=False)
        vectors = small @ basis.T
    else:
        _, scale, vectors = np.linalg.svd(centred, full_matrices=False)
    return scale[:most], vectors[:most]


_Made = Iterator[tuple[str, str, Floats, Floats]]


def _thresholds(matrix: Floats, directions: Floats) -> _Made:
    for i, direction in enumerate(directions, 1):
        # The sign of a singular vector is arbitrary; its largest entry is made positive.
        one = direction * np.sign(direction[np.argmax(np.abs(direction))])
        along = np.sort(matrix @ one)
        middle = along[len(along) // 2]
        below = along[along < middle]
        # Halfway into a gap, so that rounding moves no row across.
        cut = (middle + below[-1]) / 2 if len(below) else middle
        yield f"side of direction {i}", "threshold", one[:, None], np.array([cut])


def _clusters(
    centred: Floats, centre: Floats, directions: Floats, rng: np.random.Generator
) -> _Made:
    reduced = centred @ directions.T
    for k in CLUSTERS:
        if len(np.unique(reduced.round(9), axis=0)) <= k:
            continue
        centres, _ = kmeans2(reduced, k, iter=_SWEEPS, minit="++", missing="raise", seed=rng)
        # The nearest centre c maximises x.c - |c|^2 / 2, a linear map of the activation.
        weights = directions.T @ centres.T
        offset = centre @ weights + (centres**2).sum(axis=1) / 2
        yield f"cluster of {k}", "clusters", weights, offset


def _probes(
    centred: Floats,
    centre: Floats,
    directions: Floats,
    data: Dataset,
    rows: Ints,
    features: Sequence[PoolFeature],
) -> _Made:
    reduced = centred @ directions.T
    inner = reduced.T @ reduced
    inner += 1e-3 * np.trace(inner) / len(inner) * np.eye(len(inner))
    for one in features:
        classes = data.classes(one.feature)
        if not 2 <= classes.count <= MOST_ANSWERS:
            continue
        target = np.eye(classes.count)[classes.ids[rows]]
        mean = target.mean(axis=0)
        weights = directions.T @ np.linalg.solve(inner, reduced.T @ (target - mean))
        yield f"probe of {one.name}", "probe", weights, centre @ weights - mean


def with_exact(pool: Sequence[PoolFeature]) -> list[PoolFeature]:
    """The pool and `exact`, the addition that forbids every swap of a block."""
    return [PoolFeature("exact", exact), *pool]
