"""Features found in the activations of nodes: clusters, thresholds, answers of linear probes.

Every choice is made so that it does not hang on the last bits of an activation: ties go to the
first, thresholds lie in gaps, and what cannot be settled is left out with a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Floats, Ints
from causal_scrubbing._graph import Graph
from causal_scrubbing._trials.activations import batches
from causal_scrubbing._trials.directions import TIE, principal
from causal_scrubbing._trials.pool import PoolFeature

FIT_ROWS = 1000
CLUSTERS = (3, 8)
DIRECTIONS = 3
MOST_ANSWERS = 8
_SWEEPS = 20


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
        tie: scores closer than this are equal; the first of them is the answer.
        known: classes by dataset, where they were computed with others'.
    """

    name: str
    graph: Graph = field(repr=False)
    node: str
    kind: str
    weights: Floats = field(repr=False)
    offset: Floats = field(repr=False)
    tie: float = field(default=0.0, repr=False)
    known: list[tuple[Dataset, Ints]] = field(default_factory=list, repr=False)

    def read(self, activations: Floats) -> Ints:
        """The class of each row of activations: nearest centre, side, or the probe's answer."""
        scores: Floats = activations @ self.weights - self.offset
        if self.kind == "threshold":
            return np.asarray(scores[:, 0] > 0, dtype=np.int64)
        return first_best(scores, self.tie)

    def __call__(self, data: Dataset) -> Ints:
        """The class of each row of a dataset."""
        for one, ids in self.known:
            if one is data:
                return ids
        return read_all(self.graph, data, [self])[0]


def first_best(scores: Floats, tie: float) -> Ints:
    """The first column of each row that is its largest, up to `tie`."""
    return np.asarray(
        np.argmax(scores >= scores.max(axis=1, keepdims=True) - tie, axis=1), dtype=np.int64
    )


def read_all(
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

    For each node: k-means clusters of the activations, the sides of a gap near the median along the
    principal directions, and what linear probes of the given features answer.

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
            notes.append(
                f"no features were looked for in {node}: its activations are not all finite"
            )
            continue
        centre = matrix.mean(axis=0)
        groups = principal(matrix - centre, rng)
        if not groups:
            if np.abs(matrix - centre).max() > 1e-6 * max(1.0, float(np.abs(centre).max())):
                notes.append(
                    f"no features were looked for in {node}: its directions are equally strong, "
                    "so that none stands out"
                )
            continue
        directions = np.concatenate(groups)
        for name, kind, weights, offset, tie in (
            *_thresholds(node, matrix, directions[:DIRECTIONS], notes),
            *_clusters(matrix - centre, centre, directions, rng),
            *_probes(matrix - centre, centre, directions, data, rows, probes),
        ):
            made.append(Found(f"{node}: {name}", graph, node, kind, weights, offset, tie))
    found: list[PoolFeature] = []
    seen = set[tuple[str, str]]()
    ids_of = read_all(graph, data, made, device) if made else []
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


_Made = Iterator[tuple[str, str, Floats, Floats, float]]


def _thresholds(node: str, matrix: Floats, directions: Floats, notes: list[str]) -> _Made:
    for i, direction in enumerate(directions, 1):
        along = np.sort(matrix @ direction)
        gaps = np.diff(along)
        wide = np.flatnonzero(gaps > TIE * (along[-1] - along[0]))
        if not len(wide):
            notes.append(f"{node}: direction {i} has no gap to put a threshold in")
            continue
        # The gap nearest to the median, the lower one of two: halfway in it, rounding moves no row.
        place = wide[np.argmin(np.abs(2 * wide + 2 - len(along)))]
        cut = (along[place] + along[place + 1]) / 2
        yield f"side of direction {i}", "threshold", direction[:, None], np.array([cut]), 0.0


def _clusters(
    centred: Floats, centre: Floats, directions: Floats, rng: np.random.Generator
) -> _Made:
    reduced = centred @ directions.T
    spread = float((reduced**2).sum(axis=1).max())
    for k in CLUSTERS:
        centres = _k_means(reduced, k, rng, TIE * spread)
        if centres is None:
            continue
        # The nearest centre c maximises x.c - |c|^2 / 2, a linear map of the activation.
        weights = directions.T @ centres.T
        offset = centre @ weights + (centres**2).sum(axis=1) / 2
        yield f"cluster of {k}", "clusters", weights, offset, TIE * spread


def _k_means(points: Floats, k: int, rng: np.random.Generator, tie: float) -> Floats | None:
    """Centres by Lloyd's iteration from a k-means++ start (Arthur and Vassilvitskii 2007).

    A point between two centres goes to the first, which libraries leave to rounding.

    Returns:
        The centres, [k, d], or None where fewer than k + 1 points differ.
    """
    centres = [points[int(rng.integers(len(points)))]]
    far = ((points - centres[0]) ** 2).sum(axis=1)
    for _ in range(k):
        far = np.where(far > tie, far, 0.0)
        if not far.any():
            return None
        row = int(np.searchsorted(np.cumsum(far), rng.random() * far.sum(), side="right"))
        centres.append(points[min(row, len(points) - 1)])
        far = np.minimum(far, ((points - centres[-1]) ** 2).sum(axis=1))
    found = np.array(centres[:k])
    for _ in range(_SWEEPS):
        nearest = first_best(points @ found.T - (found**2).sum(axis=1) / 2, tie)
        found = np.array(
            [points[nearest == i].mean(axis=0) if (nearest == i).any() else found[i]
             for i in range(k)]
        )  # fmt: skip
    return found


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
        yield f"probe of {one.name}", "probe", weights, centre @ weights - mean, TIE
