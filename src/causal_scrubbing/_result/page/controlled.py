"""What the controls of a hypothesis add to its run's page; they are made in a later room."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import short
from causal_scrubbing._page import BlockData, ClaimData, ControlData
from causal_scrubbing._result.views import RunViews
from causal_scrubbing._statistics import Estimate


class OneControl(Protocol):
    """One line of the table that `controls` makes."""

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def scrubbed(self) -> Estimate: ...
    @property
    def recovered(self) -> Estimate: ...
    @property
    def difference(self) -> Estimate: ...
    @property
    def p(self) -> float: ...


class ManyControls(Protocol):
    """What `controls` gives."""

    @property
    def metric(self) -> str: ...
    @property
    def samples(self) -> int: ...
    @property
    def rows(self) -> Sequence[OneControl]: ...
    def to_dict(self) -> Mapping[str, object]: ...
    def costs(self) -> Mapping[str, Estimate]: ...


def check_controls(result: RunViews, controls: ManyControls) -> None:
    """Raise unless the controls are of the result's hypothesis and first metric."""
    costs = getattr(controls, "costs", None)
    if not callable(costs):
        raise ScrubError(
            f"controls= is {type(controls).__name__}; pass what cs.controls(h, data, metric) gives."
        )
    if controls.to_dict()["hypothesis"] != result.readable:
        raise ScrubError("controls= are of another hypothesis; pass those of this result's own.")
    if controls.metric != result.metrics[0]:
        raise ScrubError(
            f"controls= are of {controls.metric!r}, and this result's first metric is "
            f"{result.metrics[0]!r}; make them with metric={{{result.metrics[0]!r}: ...}}."
        )


def with_controls(
    blocks: Sequence[BlockData], claims: Sequence[ClaimData], controls: ManyControls
) -> tuple[tuple[BlockData, ...], str]:
    """The blocks with what controls say that each costs, and a note on how that was found."""
    costs = controls.costs()
    found = []
    for block in blocks:
        keys = [block.key, *(claims[i].path for i in block.claims)]
        cost = next((costs[key] for key in keys if key in costs), None)
        found.append(replace(block, cost=cost))
    return tuple(found), (
        f"Costs: {controls.metric} of the hypothesis less that where this one draw keeps its row "
        f"and all else is drawn as before, on {controls.samples:,} common samples (cs.controls). "
        "Draws that must agree on every row anyway have none."
    )


def control_rows(controls: ManyControls) -> list[ControlData]:
    """The controls as a table in words."""
    found = []
    for row in controls.rows:
        itself = row.kind == "itself"
        p = "" if itself else "same swaps" if math.isnan(row.p) else short(row.p, 2)
        found.append(
            ControlData(
                kind=row.kind,
                text=row.text,
                scrubbed=_words(row.scrubbed),
                recovered=_words(row.recovered),
                difference="" if itself else _words(row.difference, signed=True),
                p=p if row.difference.defined else "",
                differs=row.p < 0.05,
            )
        )
    return found


def _words(estimate: Estimate, *, signed: bool = False) -> str:
    if not estimate.defined:
        return "undefined"
    return estimate.ranged(signed=True) if signed else str(estimate)
