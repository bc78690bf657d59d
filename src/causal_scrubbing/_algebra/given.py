"""What was given where a hypothesis is expected."""

from __future__ import annotations

from causal_scrubbing._algebra.free import Free
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._hypothesis import Hypothesis


def as_hypothesis(given: object, what: str) -> Hypothesis:
    """The hypothesis given, `free` written out.

    Args:
        given: what was given.
        what: what it was given to, for the error.

    Raises:
        HypothesisError: it is no hypothesis, or `free` about a graph of too many paths.
    """
    if isinstance(given, Free):
        return given.hypothesis(name="free")
    if not isinstance(given, Hypothesis):
        raise HypothesisError(
            [
                f"{what} takes a hypothesis, not {type(given).__name__}; make one with "
                "cs.Hypothesis(graph, claim)."
            ]
        )
    return given
