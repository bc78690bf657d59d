"""Key frequencies, and the planes of the neurons' space in which each of them is read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from . import _model as model


def waves(frequencies: Sequence[int], number: Tensor) -> Tensor:
    """Cosine and sine of each frequency at numbers [n], [n, 2 * frequencies]."""
    angles = 2 * math.pi / model.PRIME * number.double()[:, None] * torch.tensor(frequencies)
    return torch.stack([angles.cos(), angles.sin()], dim=2).flatten(1)


def spectrum(weights: model.Weights) -> Tensor:
    """The share of the number embedding's variance at frequencies 1 to 29, [29]."""
    embedding = weights["embed"][: model.PRIME].double()
    frequencies = list(range(1, model.PRIME // 2 + 1))
    basis = waves(frequencies, torch.arange(model.PRIME))
    power = (basis.T @ (embedding - embedding.mean(dim=0))).square().sum(dim=1)
    return power.view(-1, 2).sum(dim=1) / power.sum()


def key_frequencies(weights: model.Weights) -> list[int]:
    """The frequencies with at least a twentieth of the embedding's variance, strongest first."""
    shares = spectrum(weights)
    order = shares.argsort(descending=True).tolist()
    return [index + 1 for index in order if shares[index] >= 0.05]


def read_directions(weights: model.Weights, frequencies: Sequence[int]) -> Tensor:
    """The directions of the neurons that write cos and sin of each frequency into the logits.

    Returns:
        [neurons, 2 * frequencies]; two columns span the plane of a frequency.
    """
    to_logits = weights["out"] @ weights["unembed"]
    return to_logits @ waves(frequencies, torch.arange(model.PRIME)).to(to_logits.dtype)


def joint_projections(directions: Tensor) -> list[Tensor]:
    """For each plane the matrix that takes a vector to its part there, given the other planes.

    Planes overlap, so that orthogonal projections onto each would count what they share twice. The
    sum of these is the orthogonal projection onto the span of all.

    Args:
        directions: [neurons, 2 * planes].

    Returns:
        A [neurons, neurons] matrix M a plane, used as x -> M x.
    """
    inverse = torch.linalg.pinv(directions)
    return [directions[:, i : i + 2] @ inverse[i : i + 2] for i in range(0, directions.shape[1], 2)]


def products(frequency: int, a: Tensor, b: Tensor) -> Tensor:
    """Cosine and sine of a frequency at a times those at b, and a constant, [n, 5]."""
    one, two = waves([frequency], a), waves([frequency], b)
    cos_a, sin_a, cos_b, sin_b = *one.unbind(1), *two.unbind(1)
    parts = [cos_a * cos_b, sin_a * sin_b, sin_a * cos_b, cos_a * sin_b, torch.ones_like(cos_a)]
    return torch.stack(parts, dim=1)


def fit_quadratic(frequency: int, part: Tensor) -> tuple[Tensor, float]:
    """The least-squares fit of a plane's part of the neurons by `products`, over all inputs.

    Args:
        frequency: of the plane.
        part: [59 * 59, neurons].

    Returns:
        Coefficients [5, neurons], and the share of the part's variance they leave.
    """
    design = products(frequency, *model.pairs()).to(part.dtype)
    coefficients = torch.linalg.lstsq(design, part).solution
    left = (part - design @ coefficients).square().sum() / (part - part.mean(dim=0)).square().sum()
    return coefficients, float(left)
