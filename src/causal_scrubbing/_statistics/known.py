"""Means that are known: the behaviour on every row of D, and over pairs of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics.values import BoolArray, FloatArray, check_finite


@dataclass(frozen=True, eq=False)
class KnownMeans:
    """What is known of a behaviour on D without sampling.

    E_model is a sum over the n rows of D, and E_randomized one over pairs of them. Where they can
    be summed they have no error.

    Attributes:
        weights: Weight of each row, ``[n]``, summing to one.
        model: The behaviour on each row, ``[n]``, or ``[n, k]`` for a vector.
        randomized: The mean of the behaviour on each row with the outputs of other rows,
            ``[P, n]`` or ``[P, n, k]``. With P = 1 the mean is over all partners of a row. With
            more, it was taken P times, each over partners drawn independently. None if E_randomized
            is not known.
        pairs: How many pairs of rows ``randomized`` rests on.
    """

    weights: FloatArray
    model: FloatArray
    randomized: FloatArray | None = None
    pairs: int = 0

    def __post_init__(self) -> None:
        for what in ("weights", "model", "randomized"):
            given = getattr(self, what)
            if given is not None:
                object.__setattr__(self, what, np.asarray(given, dtype=np.float64))
        n = len(self.weights)
        if self.model.shape[:1] != (n,) or (
            self.randomized is not None and self.randomized.shape[1:] != self.model.shape
        ):
            raise MetricError(
                f"known means: {n} weights, model values of shape {list(self.model.shape)}"
                + (
                    ""
                    if self.randomized is None
                    else f" and randomized ones of shape {list(self.randomized.shape)}"
                )
                + "; give one value for each row in each"
            )

    def __len__(self) -> int:
        return len(self.weights)

    def check(self, name: str) -> None:
        """Refuse values of which there is no mean.

        Raises:
            MetricError: A value is not finite.
        """
        check_finite(name, "model (on every row of the data)", self.model)
        if self.randomized is not None:
            across = self.randomized.reshape(-1, *self.model.shape[1:])
            check_finite(name, "randomized (on every row of the data)", across)

    def on(self, rows: BoolArray) -> KnownMeans | None:
        """The same where only some rows count, weights scaled to sum to one; None without any.

        Args:
            rows: Mask of the rows that count, ``[n]``.
        """
        weights = np.where(rows, self.weights, 0.0)
        total = float(weights.sum())
        return replace(self, weights=weights / total) if total > 0 else None

    def component(self, index: int) -> KnownMeans:
        """What is known of one number of a vector."""
        return replace(
            self,
            model=self.model[:, index],
            randomized=None if self.randomized is None else self.randomized[..., index],
        )

    def model_mean(self) -> FloatArray:
        """E_model, ``[k]`` (k = 1 for a number)."""
        return _mean(self.weights, self.model)

    def randomized_means(self) -> FloatArray | None:
        """E_randomized ``[P, k]``: one exact mean, or P independent estimates of it."""
        if self.randomized is None:
            return None
        return np.stack([_mean(self.weights, one) for one in self.randomized])

    @property
    def exact(self) -> tuple[str, ...]:
        """Which of the two means have no error."""
        over_all = self.randomized is not None and len(self.randomized) == 1
        return ("model", "randomized") if over_all else ("model",)


def _mean(weights: FloatArray, values: FloatArray) -> FloatArray:
    """The weighted mean ``[k]``; a constant column's mean is that constant, to the bit."""
    columns = values.reshape(len(values), -1)[weights > 0]
    constant = (columns == columns[0]).all(axis=0)
    mean: FloatArray = weights[weights > 0] @ columns
    return np.where(constant, columns[0], mean)
