"""Synthetic curves: images of one arc each, and what a person knows of them.

Lengths are in cells: one cell is what a model moves by from one place of its maps to the next. The
angle of a curve is the direction from its middle to the centre of its circle, in degrees, clockwise
from the right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import causal_scrubbing as cs

WINDOW = 5
"""Places along a side of the window that a unit reads."""
HALF_LENGTH, REACH = 2.6, 1.0
"""Cells from a curve's middle to its end, and from a place to the curves that pass it."""
ABSENT = -9
"""The edge and side of a place that no curve passes."""


@dataclass(frozen=True)
class Curves:
    """Curves to draw, all fields [n].

    Attributes:
        theta: angle in degrees.
        radius: of the circle.
        right: of the curve's middle from the image's.
        down: likewise.
        polarity: 1 for a light curve on a dark ground, -1 for a dark one on a light ground.
    """

    theta: Tensor
    radius: Tensor
    right: Tensor
    down: Tensor
    polarity: Tensor


def choose(count: int, source: torch.Generator, *, jitter: float = 0.2) -> Curves:
    """Curves at random: angles all around, radius 1 to 4, either polarity.

    Args:
        count: how many.
        source: of chance.
        jitter: how far, either way, the middle lies from the image's.
    """

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=source)

    return Curves(
        theta=between(0, 360),
        radius=between(1, 4),
        right=between(-jitter, jitter),
        down=between(-jitter, jitter),
        polarity=torch.where(torch.rand(count, generator=source) < 0.5, 1.0, -1.0),
    )


def _from_circle(curves: Curves, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of points: signed distance from the circle, distance along it, direction from its centre."""
    one = (-1, *[1] * x.dim())
    angle, radius = torch.deg2rad(curves.theta).view(one), curves.radius.view(one)
    across = x - curves.right.view(one) - radius * angle.cos()
    along = y - curves.down.view(one) - radius * angle.sin()
    direction = torch.atan2(along, across)
    turn = torch.remainder(direction - angle, 2 * math.pi) - math.pi
    return (across.square() + along.square()).sqrt() - radius, turn.abs() * radius, direction


def draw(curves: Curves, size: int, cell: int) -> Tensor:
    """Grey images in [0, 1], float [n, size, size].

    Args:
        curves: what to draw.
        size: pixels along a side.
        cell: pixels a cell.
    """
    line = (torch.arange(size) - (size - 1) / 2) / cell
    away, along, _ = _from_circle(curves, line[None, :], line[:, None])
    ink = torch.exp(-((away / 0.19).square())) * torch.sigmoid((HALF_LENGTH - along) * 8)
    return 0.5 + 0.45 * curves.polarity.view(-1, 1, 1) * ink


def edges(curves: Curves) -> tuple[Tensor, Tensor]:
    """What of the curve passes each place of the window, row by row.

    Returns:
        Its direction in eight parts of the half circle, the first centred on 0, and on which side
        of the circle the place is: 0 where it goes through the place's middle, 1 outside, -1
        inside; each `ABSENT` where no curve passes, [n, 25].
    """
    places = torch.arange(WINDOW) - (WINDOW - 1) / 2
    away, along, direction = _from_circle(curves, places[None, :], places[:, None])
    passes = ((away.abs() < REACH) & (along < HALF_LENGTH)).flatten(1)
    part = torch.remainder(torch.round((torch.rad2deg(direction) + 90) / 22.5), 8)
    side = torch.round(away / (2 * REACH / 3))
    absent = torch.tensor(float(ABSENT))
    found = [torch.where(passes, of.flatten(1), absent).long() for of in (part, side)]
    return found[0], found[1]


def make_data(count: int, seed: int, size: int, cell: int, channels: int) -> cs.Dataset:
    """Images of curves with their angle, radius, polarity, and the edge and side at each place.

    Args:
        count: rows.
        seed: of the curves.
        size: pixels along a side.
        cell: pixels a cell.
        channels: of the images, all alike.
    """
    curves = choose(count, torch.Generator().manual_seed(seed))
    edge, side = edges(curves)
    images = draw(curves, size, cell)[:, None].expand(-1, channels, -1, -1).contiguous()
    return cs.Dataset(
        image=images,
        theta=curves.theta,
        radius=curves.radius,
        polarity=curves.polarity.long(),
        edge=edge,
        side=side,
        show=lambda row: row["image"],
    )


def distance(theta: Tensor, to: float) -> Tensor:
    """Degrees between angles and another, in [0, 180]."""
    return (torch.remainder(theta - to + 180, 360) - 180).abs()
