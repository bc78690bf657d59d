"""How large an exact computation may become, and what is said when it would be larger."""

from __future__ import annotations

from dataclasses import dataclass, field

from causal_scrubbing._errors import ExactError

BUDGET = 10_000_000
NUMBERS_EACH = 16


@dataclass
class Meter:
    """The budget of one exact computation, and where in the hypothesis it is at work.

    Attributes:
        budget: the most combinations of values that a table may have; values kept may hold 16
            numbers for each.
        where: what is being computed, in words.
        hints: what would make the problem smaller.
        largest: the largest table so far.
    """

    budget: int = BUDGET
    where: str = "the hypothesis"
    hints: list[str] = field(default_factory=list)
    largest: int = 0

    def need(self, combinations: int) -> None:
        """Refuse a table that is too large, before it is made.

        Raises:
            ExactError: how many combinations, where, and what would make them fewer.
        """
        if combinations > self.budget:
            self._refuse(f"{combinations:,} combinations of values", self.budget)
        self.largest = max(self.largest, combinations)

    def hold(self, values: int, size: int) -> None:
        """Refuse to keep so many values of so many numbers each.

        Raises:
            ExactError: likewise.
        """
        if values * size > self.budget * NUMBERS_EACH:
            what = f"{values:,} distinct values of {size:,} numbers each"
            self._refuse(what, self.budget)

    def _refuse(self, what: str, budget: int) -> None:
        hints = [
            *self.hints,
            "take fewer rows (data[:100])",
            f"raise budget= (now {budget:,})",
            "or sample with cs.scrub, which needs no budget",
        ]
        raise ExactError(
            f"too large to evaluate exactly: {self.where} needs at least {what}, more than the "
            f"budget of {budget:,} allows. To make it smaller: " + "; ".join(hints) + "."
        )
