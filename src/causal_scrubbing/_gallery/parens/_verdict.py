"""Which published claims hold of a paren checker, in a sentence and a number each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import causal_scrubbing as cs

from ._experiments import CAPTURED

HOLDS, MOSTLY = 5.0, 20.0
"""Percentage points of the loss that a claim may cost and hold, or hold for the most part."""
SAME = 1e-3


@dataclass(frozen=True)
class Judged:
    """A published claim: the experiment that tests it, and the one that it refines.

    Attributes:
        experiment: its name.
        base: what its cost is counted from; the model itself if None.
        text: the claim.
    """

    experiment: str
    base: str | None
    text: str


CLAIMS = (
    Judged("1b", None, "heads 1.0 and 2.0 check the counts, head 2.1 the horizon, nothing else"),
    Judged("2a", "1b", "heads 1.0 and 2.0 read the counts at position 1"),
    Judged("2b", "2a", "of what head 0.0 writes at position 1, one direction is enough"),
    Judged("3a", "1b", "head 2.1 reads one horizon class at each position"),
    Judged("3b", "1b", "the same, the horizon as head 0.0's attention weighs it"),
    Judged("4", None, "all of this together"),
)


def verdicts(results: Mapping[str, cs.Result]) -> list[tuple[str, str]]:
    """A verdict and a sentence for each published claim that was run, and for the captured module.

    Args:
        results: experiment -> result, any of them.
    """
    found = [_judge(claim, results) for claim in CLAIMS if _was_run(claim, results)]
    if {"1b", CAPTURED} <= set(results):
        found.append(_same(results["1b"], results[CAPTURED]))
    return found


def _was_run(claim: Judged, results: Mapping[str, cs.Result]) -> bool:
    return claim.experiment in results and (claim.base is None or claim.base in results)


def _judge(claim: Judged, results: Mapping[str, cs.Result]) -> tuple[str, str]:
    result = results[claim.experiment]
    recovered = result.recovered
    cost = 100 - recovered.mean
    against = ""
    if claim.base is not None:
        pair = cs.compare([results[claim.base], result], metric="loss")
        points = pair.differences[0].recovered
        cost = points.mean
        low, high = points.interval
        against = f"; {claim.base} recovers {cost:.1f} points more [{low:.1f}, {high:.1f}]"
        if cost < 0:
            against = f"; {claim.base} recovers {-cost:.1f} points less [{-high:.1f}, {-low:.1f}]"
    right = 100 * result["accuracy"].scrubbed.mean
    sentence = f"{claim.text}: {recovered} of the loss recovered, {right:.0f}% right{against}."
    return f"{_word(cost)} ({claim.experiment})", sentence


def _word(cost: float) -> str:
    if math.isnan(cost):
        return "undefined"
    if cost < HOLDS:
        return "holds"
    return "mostly holds" if cost < MOSTLY else "does not hold"


def _same(by_hand: cs.Result, captured: cs.Result) -> tuple[str, str]:
    """Whether the captured module gives the numbers of the graph written by hand."""
    one, two = (result.samples["scrubbed"].to_numpy() for result in (by_hand, captured))
    equal = bool((abs(one - two) <= SAME).all())
    what = f"the loss of all {len(one):,} samples within {SAME}" if equal else "other losses"
    return (
        f"{'equal' if equal else 'differs'} ({CAPTURED})",
        f"1b on the PyTorch module, captured: {captured.recovered} of the loss recovered, and "
        f"{what} of the graph written by hand.",
    )
