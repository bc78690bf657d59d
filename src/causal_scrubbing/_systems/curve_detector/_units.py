"""Which unit, places and channels are explained: chosen on images that have no other part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

import causal_scrubbing as cs

from . import _claims as claims
from . import _curves as curves
from ._model import Network, read

MATTERS = 0.04
"""Of what resampling the costliest place loses, the share from which on a place is claimed."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What is explained.

    Attributes:
        table: the units, most selective first.
        unit: the one whose activation goes most with being near its angle, by its number.
        other: of the half that most images excite, the one that the angle says least of.
        costs: percent of the unit's activation that resampling each place costs.
        places: those that matter.
        channels: the half of which an edge's direction says most.
        tuning: mean activation of each unit by angle, in steps of ten degrees, [36, units].
    """

    table: pd.DataFrame
    unit: int
    other: int
    costs: Tensor
    places: list[int]
    channels: list[int]
    tuning: Tensor

    def angle(self, unit: int) -> float:
        """The angle that a unit prefers, in degrees."""
        return angles_of(self.table)[unit]


def choose(network: Network, count: int, seed: int) -> Choice:
    """Choose on images of their own.

    Args:
        network: the network.
        count: images.
        seed: of the images.
    """
    data = curves.make_data(count, seed, network.size, network.cell, network.channels)
    with torch.no_grad():
        maps = torch.cat([network.maps(images) for images in data["image"].split(100)])
        activations = read(maps, network.weight, network.bias)
    table = tuning_table(activations, data["theta"], network.first)
    unit = int(table.sort_values("correlation")["number"].iloc[-1])
    often = table[table["active %"] >= table["active %"].median()]
    other = int(often.sort_values("angle's share %")["number"].iloc[0])
    costs = place_costs(network, unit, data, seed)
    part = (data["theta"] / 10).long() % 36
    middle, centre = maps.shape[-1] // 2, len(claims.PLACES) // 2
    return Choice(
        table=table,
        unit=unit,
        other=other,
        costs=costs,
        places=[place for place in claims.PLACES if costs[place] >= MATTERS * costs.max()],
        channels=edge_channels(maps[:, :, middle, middle], data["edge"][:, centre]),
        tuning=torch.stack([activations[part == step].mean(dim=0) for step in range(36)]),
    )


def tuning_table(activations: Tensor, theta: Tensor, first: int) -> pd.DataFrame:
    """The angle that each unit that is ever active prefers, and how much it is tuned to it.

    "selectivity" is the length of the mean direction of the curves, weighted by activation;
    "angle's share" that of the activation's variance that lies between parts of the circle.

    Args:
        activations: [n, units].
        theta: degrees, [n].
        first: what the network calls the first unit.
    """
    turn = torch.deg2rad(theta)[:, None]
    total = activations.sum(dim=0).clamp_min(1e-9)
    across, down = ((activations * side).sum(dim=0) / total for side in (turn.cos(), turn.sin()))
    angle = torch.rad2deg(torch.atan2(down, across)) % 360
    rows = []
    for number, (values, preferred) in enumerate(zip(activations.T, angle.tolist(), strict=True)):
        if not values.any():
            continue
        near = (curves.distance(theta, preferred) < claims.NEAR).to(values.dtype)
        part = (torch.round((theta - preferred) / claims.WIDTH) % (360 / claims.WIDTH)).long()
        rows.append(
            {
                "unit": first + number,
                "angle": preferred,
                "selectivity": float(torch.hypot(across, down)[number]),
                "correlation": float(torch.corrcoef(torch.stack([values, near]))[0, 1]),
                "angle's share %": 100 * share_between(values[:, None], part).item(),
                "active %": 100 * float((values > 0).double().mean()),
                "number": number,
            }
        )
    table = pd.DataFrame(rows)
    return table.sort_values("selectivity", ascending=False, ignore_index=True)


def angles_of(table: pd.DataFrame) -> dict[int, float]:
    """A unit's number -> the angle that it prefers."""
    return dict(zip(table["number"].tolist(), table["angle"].tolist(), strict=True))


def share_between(values: Tensor, classes: Tensor) -> Tensor:
    """The share of the variance of each column that lies between classes of rows; 0 of none."""
    mean, total = values.mean(dim=0), values.var(dim=0, correction=0)
    between = torch.zeros_like(mean)
    for one in sorted(set(classes.tolist())):
        rows = values[classes == one]
        between += len(rows) / len(values) * (rows.mean(dim=0) - mean).square()
    return torch.where(total > 1e-9, between / total.clamp_min(1e-9), torch.zeros_like(between))


def edge_channels(values: Tensor, edge: Tensor) -> list[int]:
    """The half of channels [n, c] at a place of whose variance an edge's direction has most."""
    passes = edge != curves.ABSENT
    shares = share_between(values[passes], edge[passes])
    chosen: list[int] = shares.topk(len(shares) // 2).indices.sort().values.tolist()
    return chosen


def place_costs(network: Network, unit: int, data: cs.Dataset, seed: int) -> Tensor:
    """Percent of a unit's activation that is lost where one place alone is another row's, [25]."""
    graph = claims.make_graph(network, unit, data)
    swapped: Sequence[cs.Hypothesis] = [
        cs.Hypothesis(
            graph,
            cs.claim("unit", cs.exact, cs.claim(f"maps.p{place}", cs.anything), others=cs.exact),
        )
        for place in claims.PLACES
    ]
    metric = cs.metrics.to_model("squared_error")
    results = cs.scrub(swapped, data, metric, samples=400, seed=seed, progress=False)
    return torch.tensor([100 - result.recovered.mean for result in results])
