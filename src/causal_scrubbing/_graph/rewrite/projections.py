"""Directions as summands: projections onto them, and how far they overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import torch

from causal_scrubbing._errors import GraphError

OVERLAP: Final = 0.01
"""The cosine between two summands' directions from which on they are said to overlap."""

_DEPENDENT: Final = 1e-10


def projection(matrix: torch.Tensor, what: str) -> Projection:
    """The projection a matrix means: itself if square, else onto the span of its columns."""
    if not matrix.is_floating_point() or matrix.ndim not in (1, 2):
        raise GraphError(f"{what}: a projection is a matrix of floating-point numbers.")
    columns = matrix[:, None] if matrix.ndim == 1 else matrix
    if columns.shape[0] == columns.shape[1]:
        return Projection(columns)
    if columns.shape[1] > columns.shape[0]:
        raise GraphError(
            f"{what}: a matrix of shape {list(matrix.shape)} has more columns than rows; the "
            "columns of a [width, k] matrix span the subspace."
        )
    basis, triangle = torch.linalg.qr(columns.double())
    size = triangle.diagonal().abs()
    if bool((size <= _DEPENDENT * size.max()).any()):
        raise GraphError(f"{what}: the columns of the matrix are linearly dependent.")
    return Projection((basis @ basis.T).to(matrix))


@dataclass(frozen=True, eq=False)
class Projection:
    """A square matrix applied along the last axis."""

    matrix: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.matrix.to(x).T


def spans(pieces: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """Of the summands, those that project onto a span: its columns, float64 [width, k]."""
    found = {}
    for piece, entry in pieces.items():
        if isinstance(entry, torch.Tensor | np.ndarray):
            matrix = torch.as_tensor(entry)
            columns = matrix[:, None] if matrix.ndim == 1 else matrix
            if columns.ndim == 2 and columns.shape[1] < columns.shape[0]:
                found[piece] = columns.detach().cpu().double()
    return found


def largest_overlap(pieces: Mapping[str, object]) -> tuple[float, str, str] | None:
    """The two summands whose spans lie closest, and the cosine of the smallest angle between them.

    None where fewer than two summands project onto a span of the same space.
    """
    bases = {piece: torch.linalg.qr(columns)[0] for piece, columns in spans(pieces).items()}
    found = [
        (float(torch.linalg.matrix_norm(bases[a].T @ bases[b], 2).clamp(max=1.0)), a, b)
        for a, b in combinations(bases, 2)
        if len(bases[a]) == len(bases[b])
    ]
    return max(found, key=lambda one: one[0]) if found else None


def joint_projections(pieces: Mapping[str, object], what: str) -> dict[str, Projection]:
    """The share of each span in the projection onto all of them together, by the dual basis.

    With B the columns of all spans side by side and B+ its pseudoinverse, a summand is B_i (B+)_i:
    it gives a vector of its own span unchanged, and nothing of one in another's.

    Raises:
        GraphError: a summand does not project onto a span, or the spans are linearly dependent.
    """
    columns = spans(pieces)
    other = [piece for piece in pieces if piece not in columns]
    if other or len(columns) < 2:
        raise GraphError(
            f"{what}: joint=True is for two summands or more, each a direction [width] or a matrix "
            f"[width, k] with k below the width{', not ' + ', '.join(other) if other else ''}."
        )
    widths = {piece: len(matrix) for piece, matrix in columns.items()}
    if len(set(widths.values())) > 1:
        raise GraphError(f"{what}: the directions differ in width: {widths}.")
    together = torch.cat(list(columns.values()), 1)
    size = torch.linalg.svdvals(together / together.norm(dim=0))
    if together.shape[1] > together.shape[0] or bool(size[-1] <= _DEPENDENT * size[0]):
        raise GraphError(
            f"{what}: joint=True: the directions are linearly dependent, so that nothing says how "
            "much of what they share belongs to each. Leave one out."
        )
    dual = torch.linalg.pinv(together)
    found, start = {}, 0
    for piece, matrix in columns.items():
        stop = start + matrix.shape[1]
        found[piece] = Projection((matrix @ dual[start:stop]).to(torch.as_tensor(pieces[piece])))
        start = stop
    return found
