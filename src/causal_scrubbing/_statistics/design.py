"""Reference rows that were drawn in balance: what each sample counts, and how means vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_scrubbing._statistics.values import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Strata:
    """Samples whose reference rows were taken as equally often as their number allows.

    Row x of weight w is taken floor(N w) times for certain, and the rest of the N samples are
    spread over rows at random so that the expected count is N w. A row that was certain to be taken
    is a stratum: its mean counts w, however often it was taken beyond that. A sample of any other
    row counts 1/N, as its count is right on average (Horvitz and Thompson 1952, JASA 47). Both are
    unbiased, and of the rows taken for certain only the draws vary, not which row it is (Cochran
    1977, Sampling Techniques, 5.3).

    Rows taken once have no variance of their own. They are put in order of the model's behaviour
    and joined two by two (collapsed strata, Cochran 5A.12), which makes intervals wider, never
    narrower.

    Attributes:
        factors: What each sample counts, as a multiple of 1/N, ``[N]``.
        labels: The stratum of each sample, ``[N]`` from 0; each has two samples or more.
    """

    factors: FloatArray
    labels: IntArray

    @classmethod
    def of(cls, rows: IntArray, weights: FloatArray, order: FloatArray) -> Strata:
        """The strata of samples drawn in balance.

        Args:
            rows: The reference row of each sample, ``[N]``.
            weights: Weight of each row of D, ``[n]``, summing to one.
            order: What rows taken once are put in order by, a number a sample, ``[N]``.
        """
        total = len(rows)
        counts = np.bincount(rows, minlength=len(weights))
        # A weight of 3/N may be a little less than that in floating point.
        certain = np.floor(total * weights + 1e-9) >= 1
        factors = np.ones(total)
        fixed = certain[rows]
        factors[fixed] = (total * weights[rows] / counts[rows])[fixed]
        labels = np.unique(rows, return_inverse=True)[1].reshape(-1).astype(np.int64)
        single = counts[rows] == 1
        places = np.flatnonzero(single)
        if len(places):
            sequence = places[np.lexsort((rows[places], order[places], fixed[places]))]
            group = np.minimum(np.arange(len(sequence)) // 2, max(len(sequence) // 2 - 1, 0))
            labels[sequence] = labels.max() + 1 + group
            if len(sequence) == 1 and total > 1:
                other = np.flatnonzero(~single)
                nearest = other[np.argmin(np.abs(order[other] - order[sequence[0]]))]
                labels[sequence] = labels[nearest]
        return cls(factors, np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64))

    def on(self, keep: BoolArray) -> Strata:
        """The strata of some samples, scaled so that what they count adds up to their number."""
        factors = self.factors[keep]
        labels = np.unique(self.labels[keep], return_inverse=True)[1].reshape(-1)
        return Strata(factors * (len(factors) / factors.sum()), labels.astype(np.int64))
