"""Laws under D and under D_scrubbed: of the behaviour, and apart from it of the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from causal_scrubbing._measure import DistributionComparison, Triples, compare_distributions

_LEAF = (
    "the root claim is a leaf: scrubbing only redraws whole outputs, so the law of the output "
    "under D_scrubbed equals that under D by construction, and differences are sampling noise"
)


@dataclass(frozen=True)
class Distributions:
    """The behaviour's law and the output's, each under D and under D_scrubbed.

    Attributes:
        behaviour: of the metric's values.
        output: of the output itself; None where outputs were not kept.
    """

    behaviour: DistributionComparison
    output: DistributionComparison | None

    def to_dict(self) -> dict[str, Any]:
        """Both as plain data."""
        return {
            "behaviour": self.behaviour.to_dict(),
            "output": None if self.output is None else self.output.to_dict(),
        }

    def __str__(self) -> str:
        output = (
            "output: not compared, outputs were not kept (pass keep_outputs=True to scrub)"
            if self.output is None
            else str(self.output)
        )
        return f"{self.behaviour}\n\n{output}"


def distributions(
    triples: Triples,
    outputs: tuple[torch.Tensor, torch.Tensor] | None,
    root_is_leaf: bool,
    seed: int,
) -> Distributions:
    """Compare the laws of a metric's values and, where kept, of the outputs."""
    pools = triples.pools
    behaviour = compare_distributions(
        triples.name, triples.model, triples.scrubbed, seed=seed, pools=pools
    )
    if outputs is None:
        return Distributions(behaviour, None)
    scrubbed, own = (part.reshape(len(part), -1) for part in outputs)
    if scrubbed.shape[1] == 1:
        scrubbed, own = scrubbed[:, 0], own[:, 0]
    return Distributions(
        behaviour,
        compare_distributions(
            "output", own, scrubbed, seed=seed, pools=pools, note=_LEAF if root_is_leaf else None
        ),
    )
