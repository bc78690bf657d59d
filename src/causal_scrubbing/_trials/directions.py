"""Principal directions of activations in a form that rounding does not decide.

Singular vectors of equal singular values are any basis of their plane: which one a library returns
depends on the last bits of the matrix, and so on the processor. Here such a plane gets a basis that
the plane alone fixes, and a plane that is cut off in its middle is left out.
"""

from __future__ import annotations

import itertools

import numpy as np

from causal_scrubbing._data import Floats

MOST = 32
"""Directions kept at most."""

GAP = 1e-2
"""Singular values closer than this share of the larger one count as equal."""

TIE = 1e-3
"""Numbers closer than this share of the largest one count as equal."""

NOISE = 1e-4
"""Singular values below this share of the largest one are rounding."""


def first_largest(values: Floats) -> int:
    """The first index at which |values| is its maximum, up to `TIE`."""
    size = np.abs(values)
    return int(np.argmax(size >= size.max() * (1 - TIE)))


def canonical_basis(plane: Floats) -> Floats:
    """The basis of a plane that the plane alone fixes, [k, d] orthonormal rows to [k, d].

    Coordinate axes are projected onto the plane and taken one by one, each time the one that is
    longest off those taken before, the first where several are (pivoted Gram-Schmidt). Each points
    to where its first largest entry is positive.
    """
    left = plane.copy()  # [k, d]: column i is the i-th axis, projected onto the plane
    basis = []
    for _ in range(len(plane)):
        axis = left[:, first_largest(np.linalg.norm(left, axis=0))]
        axis = axis / np.linalg.norm(axis)
        left = left - np.outer(axis, axis @ left)
        row = axis @ plane
        basis.append(row * np.sign(row[first_largest(row)]))
    return np.array(basis)


def principal(centred: Floats, rng: np.random.Generator, most: int = MOST) -> list[Floats]:
    """Leading right singular vectors in groups of equal singular values, largest first.

    By randomised subspace iteration (Halko, Martinsson and Tropp 2011) where the matrix is large.

    Args:
        centred: one row per datum, [n, d], columns of mean zero.
        rng: for the subspace iteration.
        most: directions at most; a group that goes beyond is left out whole.

    Returns:
        Groups of orthonormal rows [k_i, d]. No group where nothing varies, or where more than
        `most` directions are equally strong.
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
    size = float(np.abs(centred).max()) if centred.size else 0.0
    if not len(scale) or scale[0] <= 1e-9 * max(size, 1.0):
        return []
    rank = int((scale > NOISE * scale[0]).sum())
    starts = [0, *(i for i in range(1, rank) if scale[i] < (1 - GAP) * scale[i - 1]), rank]
    groups = []
    for start, stop in itertools.pairwise(starts):
        if stop > most or (stop == rank == len(scale) < min(centred.shape)):
            break
        groups.append(canonical_basis(vectors[start:stop]))
    return groups
