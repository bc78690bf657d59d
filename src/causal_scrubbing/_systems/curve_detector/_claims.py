"""A unit as a graph, and what is claimed of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from torch import Tensor

import causal_scrubbing as cs

from . import _curves as curves
from ._model import Network, Unit

NEAR, WIDTH = 45.0, 30.0
"""Degrees, either way, that count as near a unit's angle; and degrees in a class of angles, so that
near and far share no class."""
PLACES = range(curves.WINDOW**2)
EDGE: Final = ("edge[{i}]", "side[{i}]")
RADIUS: Final[cs.Feature] = cs.quantiles("radius", 8)

UNIT, PLACED = "the unit carries the angle", "each place carries the angle"
ON, DIRECTION = "places that matter carry the angle", "each place carries its edge's direction"
EDGES, ON_EDGES = "... and the edge's side", "places that matter carry their edges"
CHANNELS, OFF = "edge channels there carry their edges", "control: other places carry the angle"
FALSE, FALSE_PLACES = "false: the unit carries the radius", "false: each place carries the radius"
OTHER = "false: another unit carries its angle"
NAMES: Final = (
    UNIT, PLACED, ON, DIRECTION, EDGES, ON_EDGES, CHANNELS, OFF, FALSE, FALSE_PLACES, OTHER,
)  # fmt: skip
"""What the table calls the claims, in its order."""


def near(data: cs.Dataset, reference: float) -> Tensor:
    """Whether each curve's angle is near another, 0 or 1, float64 [n]."""
    return (curves.distance(data["theta"], round(reference)) < NEAR).double()


def angle(reference: float) -> cs.Feature:
    """The curve's angle in parts of the circle, one of them centred on a unit's own."""
    feature: cs.Feature = cs.bins("theta", width=WIDTH, circular=360, centre=round(reference))
    return feature


def make_graph(
    network: Network, unit: int, data: cs.Dataset, channels: Sequence[int] | None = None
) -> cs.Graph:
    """The image, the maps at each place of the window as `maps.p0` to `maps.p24`, and the unit.

    Args:
        network: the network.
        unit: by its number among the network's units.
        data: of which two rows are run.
        channels: the maps that are at the places, the others being with what is around; all if
            None.
    """
    graph = cs.capture(
        Unit(network, unit), data[:2], fields=["image"], sites={"maps": "maps"}, output="unit"
    )
    count, side = graph.values(data[:2], ["maps"])["maps"].shape[1:3]
    first = (side - curves.WINDOW) // 2
    chosen = slice(0, count) if channels is None else list(channels)
    places = {
        f"p{place}": (chosen, first + place // curves.WINDOW, first + place % curves.WINDOW)
        for place in PLACES
    }
    return graph.split("maps", axes=(1, 2, 3), into=places, rest="around")


def at_places(graph: cs.Graph, feature: cs.Feature, places: Iterable[int]) -> cs.Hypothesis:
    """Each of these places carries a feature, in a row of its own; nothing else matters.

    Args:
        graph: from `make_graph`.
        feature: with `{i}` where the place's number stands.
        places: numbers.
    """
    carry = cs.each("maps.p{i}", feature, sorted(places))
    return cs.Hypothesis(graph, cs.claim("unit", cs.exact, *carry))


def rungs(
    network: Network,
    unit: int,
    reference: float,
    places: Sequence[int],
    channels: Sequence[int],
    data: cs.Dataset,
) -> list[dict[str, cs.Hypothesis]]:
    """The claims about one unit, those on one graph together.

    Args:
        network: the network.
        unit: by its number.
        reference: the angle that it prefers.
        places: those that matter.
        channels: those that carry edges.
        data: of which two rows are run.
    """
    graph, few = (make_graph(network, unit, data, chosen) for chosen in (None, channels))
    own = angle(reference)
    return [
        {
            UNIT: cs.Hypothesis(graph, cs.claim("unit", own)),
            PLACED: at_places(graph, own, PLACES),
            ON: at_places(graph, own, places),
            DIRECTION: at_places(graph, EDGE[0], PLACES),
            EDGES: at_places(graph, EDGE, PLACES),
            ON_EDGES: at_places(graph, EDGE, places),
            OFF: at_places(graph, own, set(PLACES) - set(places)),
            FALSE: cs.Hypothesis(graph, cs.claim("unit", RADIUS)),
            FALSE_PLACES: at_places(graph, RADIUS, PLACES),
        },
        {CHANNELS: at_places(few, EDGE, places)},
    ]
