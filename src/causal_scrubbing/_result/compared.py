"""What a comparison's page shows: each run's estimates, and its claims in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from causal_scrubbing._algebra import Specificity
from causal_scrubbing._hypothesis import feature_words
from causal_scrubbing._page import ComparedRun, ComparisonData
from causal_scrubbing._result.claims import PlainClaim, plain_claims
from causal_scrubbing._result.labels import policy
from causal_scrubbing._statistics import RunComparison, Scores


class Compared(Protocol):
    """What is read of a comparison."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def metric(self) -> str: ...
    @property
    def samples(self) -> int: ...
    @property
    def scores(self) -> tuple[Scores, ...]: ...
    @property
    def differences(self) -> tuple[RunComparison, ...]: ...
    @property
    def adjusted(self) -> tuple[float, ...]: ...
    @property
    def swaps(self) -> tuple[Specificity, ...]: ...
    @property
    def hypotheses(self) -> tuple[Mapping[str, Any], ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


def comparison_data(comparison: Compared) -> ComparisonData:
    """The runs beside each other, as their page shows them."""
    runs = []
    for i, (name, scores) in enumerate(zip(comparison.names, comparison.scores, strict=True)):
        readable = comparison.hypotheses[i] if comparison.hypotheses else {}
        runs.append(
            ComparedRun(
                name=name,
                scores=scores,
                difference=comparison.differences[i - 1] if i else None,
                adjusted=comparison.adjusted[i - 1] if i else None,
                claims={one.path: _said(one) for one in plain_claims(readable)} if readable else {},
                policy=_policy(readable) if readable else "",
            )
        )
    return ComparisonData(
        metric=comparison.metric,
        samples=comparison.samples,
        runs=runs,
        notes=[*comparison.notes, *(str(one) for one in comparison.swaps)],
    )


def _policy(readable: Mapping[str, Any]) -> str:
    within = feature_words(readable.get("within", "anything"))
    held = "" if within in ("anything", "()") else f", within {within}"
    return f"unimportant: {policy(readable['unimportant'])}{held}"


def _said(claim: PlainClaim) -> str:
    """What is claimed, in words."""
    named = [f"node {claim.node}"] if claim.label != claim.node else []
    leaf = ["a leaf"] if claim.is_leaf else []
    return "; ".join([f"carries {claim.feature}", *named, *claim.extras, *leaf])
