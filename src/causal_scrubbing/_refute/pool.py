"""The pool of features a search draws on: dataset fields, the user's, and found ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.vq import kmeans2

from causal_scrubbing._data import Dataset, Feature, exact, feature_name
from causal_scrubbing._data.classes import Floats, Ints
from causal_scrubbing._data.features import is_feature
from causal_scrubbing._errors import CausalScrubbingError, HypothesisError
from causal_scrubbing._graph import Graph
from causal_scrubbing._graph.evaluate import evaluate_dataset

FIT_ROWS = 2000
CLUSTERS = (3, 8)
DIRECTIONS = 3
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


@dataclass(eq=False)
class _Activations:
    """A node's activations as rows of a matrix, kept for the dataset last asked for."""

    graph: Graph
    node: str
    _last: tuple[Dataset, Floats] | None = field(default=None, repr=False)

    def __call__(self, data: Dataset) -> Floats:
        if self._last is None or self._last[0] is not data:
            value = evaluate_dataset(self.graph, data, [self.node], 1024)[self.node]
            matrix = value.reshape(len(data), -1).to("cpu", torch.float64).numpy()
            self._last = (data, matrix)
        return self._last[1]


@dataclass(frozen=True, eq=False)
class Found:
    """A feature of a node's activations: usable like any function of a dataset.

    Attributes:
        name: node and what was found there.
        node: the node.
        kind: "clusters", "threshold" or "probe".
        weights: directions read off the activations, [d, k].
        offset: what is taken from the projections, [k].
    """

    name: str
    node: str
    kind: str
    weights: Floats
    offset: Floats
    activations: _Activations = field(repr=False)

    def __call__(self, data: Dataset) -> npt.NDArray[np.int64]:
        """The class of each row: nearest centre, side of a threshold, or the probe's answer."""
        projected: Floats = self.activations(data) @ self.weights
        if self.kind == "threshold":
            return np.asarray(projected[:, 0] > self.offset[0], dtype=np.int64)
        return np.asarray(np.argmax(projected - self.offset, axis=1), dtype=np.int64)


def named_features(features: Sequence[Feature] | Mapping[str, Feature]) -> list[PoolFeature]:
    """The user's features, by name.

    Raises:
        HypothesisError: one is no feature.
    """
    pairs = (
        list(features.items())
        if isinstance(features, Mapping)
        else [(feature_name(one), one) for one in features]
    )
    wrong = [one for _, one in pairs if not is_feature(one)]
    if isinstance(features, str) or wrong:
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
            classes = data.classes(name)
        except CausalScrubbingError:
            continue  # a field with NaN is no feature
        if 1 < classes.count <= len(data) / 4:
            found.append(PoolFeature(name, name))
    return found


def found_features(
    graph: Graph, data: Dataset, nodes: Sequence[str], probes: Sequence[PoolFeature], seed: int
) -> list[PoolFeature]:
    """Features found in the activations of nodes.

    For each node: k-means clusters of the activations, the sides of the median along the principal
    directions, and what linear probes of the given features answer.

    Args:
        graph: the graph.
        data: rows the activations are taken on; at most 2,000 of them are fitted to.
        nodes: where to look.
        probes: features to train probes for; those of few classes are taken.
        seed: of the choice of rows and of k-means.
    """
    rng = np.random.default_rng([seed, 0x5EED])
    rows = np.arange(len(data))
    if len(data) > FIT_ROWS:
        rows = np.sort(rng.choice(len(data), FIT_ROWS, replace=False))
    found: list[PoolFeature] = []
    for node in nodes:
        activations = _Activations(graph, node)
        matrix = activations(data)[rows]
        if matrix.shape[1] == 0 or not np.isfinite(matrix).all():
            continue
        centre = matrix.mean(axis=0)
        _, scale, directions = np.linalg.svd(matrix - centre, full_matrices=False)
        rank = int((scale > 1e-6 * max(scale[0], 1e-30)).sum()) if len(scale) else 0
        if rank == 0 or scale[0] < 1e-9:
            continue
        made = [
            *_thresholds(matrix, directions[: min(rank, DIRECTIONS)]),
            *_clusters(matrix - centre, centre, directions[: min(rank, 16)], rng),
            *_probes(matrix, data, rows, probes),
        ]
        for name, kind, weights, offset in made:
            one = Found(f"{node}: {name}", node, kind, weights, offset, activations)
            found.append(PoolFeature(one.name, one, node))
    return found


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


def _probes(matrix: Floats, data: Dataset, rows: Ints, features: Sequence[PoolFeature]) -> _Made:
    centre = matrix.mean(axis=0)
    centred = matrix - centre
    ridge = 1e-3 * max(float((centred**2).sum()) / max(centred.shape[1], 1), 1e-12)
    inner = centred.T @ centred + ridge * np.eye(centred.shape[1])
    for one in features:
        classes = data.classes(one.feature)
        if not 2 <= classes.count <= 8:
            continue
        target = np.eye(classes.count)[classes.ids[rows]]
        mean = target.mean(axis=0)
        weights = np.linalg.solve(inner, centred.T @ (target - mean))
        yield f"probe of {one.name}", "probe", weights, centre @ weights - mean


def with_exact(pool: Sequence[PoolFeature]) -> list[PoolFeature]:
    """The pool and `exact`, the addition that forbids every swap of a block."""
    return [PoolFeature("exact", exact), *pool]
