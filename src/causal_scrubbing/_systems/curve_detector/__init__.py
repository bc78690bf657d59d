"""A curve detector: a unit that tells which way a curve bends, down to oriented edges.

The units that read 5 by 5 places in ``mixed2`` of InceptionV3, a network trained on photographs,
hold a family of curve detectors. The behaviour is the *correlation* of one such unit's activation
with "the curve's angle is near the unit's", on synthetic curves. Where the npm package with the
network is not installed, a small network stands in, which was trained to tell curves apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import causal_scrubbing as cs
from causal_scrubbing.gallery import Entry, GalleryError, Options, Outcome, as_text, ladder_table

from . import _claims as claims
from . import _curves as curves
from . import _inception as inception
from . import _pictures as pictures
from . import _units as units
from ._model import HERE as HERE
from ._model import Network
from ._model import load_small as load_small
from ._model import read as read

SAMPLES, ROWS, CHOSEN_ON = 2000, 1000, 500
METRICS: Mapping[str, Any] = {
    "correlation": cs.metrics.correlation("near"),
    "activation": cs.metrics.to_model("squared_error"),
    "output": lambda output, rows: output,
}


def find_network(options: Options) -> Network:
    """InceptionV3 where its package is found, else the small network.

    Raises:
        GalleryError: the folder given has neither.
    """
    package = inception.find_package(options.weights)
    if package is not None:
        return inception.load(package)
    folder = options.weights or HERE
    if not (folder / "weights.safetensors").is_file():
        raise GalleryError(
            f"{folder} has neither the npm package nsfwjs nor weights.safetensors of the small "
            f"network. Get the package with: {inception.COMMAND}"
        )
    return load_small(folder)


def scrub(
    network: Network, choice: units.Choice, options: Options
) -> tuple[dict[str, cs.Result], cs.Dataset]:
    """Every claim, in the table's order, and the images of the unit's claims."""
    data = curves.make_data(ROWS, options.seed, network.size, network.cell, network.channels)
    reference, other = choice.angle(choice.unit), choice.angle(choice.other)
    own = data.with_fields(near=claims.near(data, reference))
    groups = [
        (own, rungs)
        for rungs in claims.rungs(
            network, choice.unit, reference, choice.places, choice.channels, data
        )
    ]
    unlike = cs.claim("unit", claims.angle(other))
    graph = claims.make_graph(network, choice.other, data)
    others = data.with_fields(near=claims.near(data, other))
    groups.append((others, {claims.OTHER: cs.Hypothesis(graph, unlike)}))
    results: dict[str, cs.Result] = {}
    for rows, rungs in groups:
        options.progress("; ".join(rungs))
        found = cs.scrub(
            list(rungs.values()),
            rows,
            METRICS,
            samples=options.samples or SAMPLES,
            seed=options.seed,
            progress=False,
        )
        results |= dict(zip(rungs, found, strict=True))
    return {name: results[name] for name in claims.NAMES}, own


def run(options: Options) -> Outcome:
    """Choose a unit, its places and its channels; then the ladder of claims about them."""
    network = find_network(options)
    options.progress(f"choosing a unit of {network.name}")
    choice = units.choose(network, CHOSEN_ON, options.seed + 1000)
    results, data = scrub(network, choice, options)
    table = ladder_table(results)
    table["of activation %"] = [one["activation"].recovered.mean for one in results.values()]
    unit, other = (network.first + number for number in (choice.unit, choice.other))
    shown = choice.table.drop(columns="number")
    missing = (
        ""
        if network.first
        else f"\nInceptionV3 was not found. To run the entry on it: `{inception.COMMAND}`\n"
    )
    text = f"""
{as_text(table)}

Unit {unit} of {network.name}, which prefers an angle of {choice.angle(choice.unit):.0f} degrees;
{len(choice.places)} of 25 places matter; {len(choice.channels)} of {network.weight.shape[1]}
channels are edge channels. The other unit is {other}. "recovered" is of the correlation; "of
activation" is the share of the activation's variance that is kept.
{missing}
Its units, most selective first:

{as_text(shown.head(16))}
"""
    return Outcome(
        results=results,
        table=table,
        text=text.lstrip(),
        figure=pictures.draw(network, choice, table, results, data),
        more={"units": shown},
    )


ENTRY = Entry(
    name="curve-detector",
    title="a curve detector of a vision model, from its angle down to oriented edges",
    summary=(
        "A unit is said to tell whether a curve's angle is near its own, from edges of the right "
        "direction at places along the curve; the behaviour is a correlation."
    ),
    run=run,
    page="gallery/curve-detector.md",
    takes=frozenset({"weights"}),
)
