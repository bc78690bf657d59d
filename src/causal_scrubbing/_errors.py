"""The one family of errors users see: each says what was wrong and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class CausalScrubbingError(ValueError):
    """Base of every error this package raises on bad input."""


class DataError(CausalScrubbingError):
    """A dataset, field or feature cannot be used as given."""


class GraphError(CausalScrubbingError):
    """A graph is malformed, or a name or pattern in it matches nothing."""


class HypothesisError(CausalScrubbingError):
    """A hypothesis cannot be about its graph or data; lists every fault found."""

    def __init__(self, faults: Sequence[str], *, name: str | None = None) -> None:
        self.faults = tuple(faults)
        title = f"hypothesis {name!r}" if name else "hypothesis"
        if len(self.faults) == 1:
            message = f"{title}: {self.faults[0]}"
        else:
            listed = "\n".join(f"  {i}. {fault}" for i, fault in enumerate(self.faults, 1))
            message = f"{title} has {len(self.faults)} faults:\n{listed}"
        super().__init__(message)


class ScrubError(CausalScrubbingError):
    """A run cannot start or a self-check failed."""


class MetricError(CausalScrubbingError):
    """A metric cannot be computed, or gave values no statistic can use."""


class ExactError(CausalScrubbingError):
    """A problem is too large for exact evaluation, or has no exact answer as posed."""


class Notice(UserWarning):
    """Something the user should know that does not stop the run."""
