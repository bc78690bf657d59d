"""Laws under D and under D_scrubbed: of the behaviour, and apart from it of the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch

from causal_scrubbing._display import Displayed
from causal_scrubbing._statistics import DistributionComparison, Triples, compare_distributions

NOT_KEPT: Final = "not compared, outputs were not kept (pass keep_outputs=True to scrub)"
_LEAF: Final = (
    "the root claim is a leaf: scrubbing only redraws whole outputs, so the law of the output "
    "under D_scrubbed equals that under D by construction, and differences are sampling noise"
)


@dataclass(frozen=True)
class Distributions(Displayed):
    """The behaviour's law and the output's, each under D and under D_scrubbed.

    Attributes:
        behaviour: of the metric's values.
        output: of the output itself; None where it was not compared.
        why_not: why it was not, or "".
        note: what is known of the output's law without looking, or None.
    """

    behaviour: DistributionComparison
    output: DistributionComparison | None
    why_not: str = ""
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Both as plain data."""
        return {
            "behaviour": self.behaviour.to_dict(),
            "output": None if self.output is None else self.output.to_dict(),
            "why_not": self.why_not,
            "note": self.note,
        }

    def __repr__(self) -> str:
        return f"Distributions({self.behaviour.name}; print it to see them)"

    def __str__(self) -> str:
        output = f"output: {self.why_not}" if self.output is None else str(self.output)
        lines = [str(self.behaviour), "", output]
        if self.output is None and self.note is not None:
            lines.append(self.note)
        return "\n".join(lines)


def distributions(
    triples: Triples,
    outputs: tuple[torch.Tensor, torch.Tensor] | None,
    root_is_leaf: bool,
    seed: int,
) -> Distributions:
    """Compare the laws of a metric's values and, where kept, of the outputs.

    Args:
        triples: the metric's values.
        outputs: scrubbed and own output of each sample, or None.
        root_is_leaf: whether the root is a leaf and the samples are all of a run's.
        seed: of the tests.
    """
    note = _LEAF if root_is_leaf else None
    behaviour = compare_distributions(triples.name, triples.model, triples.scrubbed, seed=seed)
    if outputs is None:
        return Distributions(behaviour, None, NOT_KEPT, note)
    scrubbed, own = (part.reshape(len(part), -1) for part in outputs)
    if scrubbed.shape[1] == 1:
        scrubbed, own = scrubbed[:, 0], own[:, 0]
    bad = int((~(scrubbed.isfinite() & own.isfinite())).reshape(len(own), -1).any(1).sum())
    if bad:
        why = f"not compared, on {bad} of {len(own)} samples it holds NaN or infinity"
        return Distributions(behaviour, None, why, note)
    law = compare_distributions("output", own, scrubbed, seed=seed, note=note)
    return Distributions(behaviour, law, note=note)
