"""Scrambled Sobol' points in place of independent random numbers.

A draw is one number in [0, 1) that picks a row by cumulative weight within its class. With Sobol'
points, one dimension a draw, the numbers of N samples fill the unit cube evenly, and scrambling
makes each of them uniform, so that every expectation stays what it was (Owen 1997, Monte Carlo
Variance of Scrambled Net Quadrature, SIAM J. Numer. Anal. 34). The variance falls where the
behaviour changes smoothly with the numbers: rows must lie in an order that makes it do so.

Samples of one scrambling depend on each other. There are several scramblings, independent of each
other, and intervals come from their means alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np

from causal_scrubbing._data import Classes, Dataset, Floats, Ints
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._sampling.sources import Source

SCRAMBLINGS: Final = 16
"""Independent scramblings; sample i belongs to scrambling i mod 16."""

SCRAMBLING: Final = "~scrambling"
"""Key of the scrambling of each sample, beside the rows drawn."""

_FEWEST: Final = 64
_MOST_DIMENSIONS: Final = 21201
"""As many direction numbers as are known (Joe and Kuo 2008)."""


class Sobol(Source):
    """Reference rows and draws from scrambled Sobol' points.

    Args:
        data: the rows to draw from.
        seed: of the scramblings.
        keys: of all draws, the most important first: the first dimensions are the most even.
        orders: draw key -> rows in the order that its numbers run through, int64 [n]; row order for
            a draw without one.
    """

    def __init__(
        self, data: Dataset, seed: int, keys: Sequence[str], orders: Mapping[str, Ints]
    ) -> None:
        super().__init__(data, seed)
        names = list(dict.fromkeys([REFERENCE, *keys]))[:_MOST_DIMENSIONS]
        self.dimensions = {key: i for i, key in enumerate(names)}
        self.orders = orders
        self._points: list[Floats] = []
        self._sorted: dict[tuple[str, str], tuple[Classes, Ints]] = {}

    @property
    def digest(self) -> str:
        """A hash of the orders, which rows drawn depend on."""
        found = blake2b(digest_size=8)
        for key in sorted(self.orders):
            found.update(key.encode() + self.orders[key].astype(np.int64).tobytes())
        return found.hexdigest()

    def numbers(self, key: str, start: int, stop: int) -> Floats:
        """The numbers in [0, 1) that pick the rows of a draw, float64 [stop - start]."""
        place = self.dimensions.get(key)
        if place is None:
            return super().numbers(key, start, stop)
        numbers = np.arange(start, stop)
        rows = numbers // SCRAMBLINGS
        self._grow(int(rows.max(initial=0)) + 1)
        found = np.empty(len(numbers))
        for scrambling in range(SCRAMBLINGS):
            here = numbers % SCRAMBLINGS == scrambling
            found[here] = self._points[scrambling][rows[here], place]
        return found

    def references(self, start: int, stop: int) -> Ints:
        """The reference rows of samples start..stop - 1, int64 [stop - start]."""
        anyone = np.zeros(stop - start, dtype=np.int64)
        return self.pick(REFERENCE, self.data.classes(()), anyone, start, stop)

    def pick(
        self,
        key: str,
        classes: Classes,
        agree: Ints,
        start: int,
        stop: int,
        *,
        self_draws: bool = True,
    ) -> Ints:
        """Rows of a draw; the numbers run through each class in the draw's order of rows."""
        order = self.orders.get(key)
        if order is None:
            return super().pick(key, classes, agree, start, stop, self_draws=self_draws)
        known = (key, classes.digest)
        if known not in self._sorted:
            weights = None if classes.weights is None else classes.weights[order]
            places = np.empty(len(order), dtype=np.int64)
            places[order] = np.arange(len(order))
            self._sorted[known] = (Classes(classes.ids[order], classes.count, weights), places)
        ordered, places = self._sorted[known]
        numbers = self.numbers(key, start, stop)
        picked: Ints = order[ordered.pick(places[agree], numbers, self_draws=self_draws)]
        return picked

    def _grow(self, wanted: int) -> None:
        """Have at least so many points of each scrambling, always from the first on."""
        if self._points and len(self._points[0]) >= wanted:
            return
        from scipy.stats import qmc

        exponent = max(_FEWEST, wanted - 1).bit_length()
        self._points = []
        for scrambling in range(SCRAMBLINGS):
            digest = blake2b(f"{self.seed}|sobol|{scrambling}".encode(), digest_size=16).digest()
            generator: Any = np.random.default_rng(int.from_bytes(digest, "little"))
            engine = qmc.Sobol(len(self.dimensions), scramble=True, rng=generator)
            self._points.append(engine.random_base2(exponent))
