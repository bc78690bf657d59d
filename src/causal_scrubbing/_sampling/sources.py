"""Where a sampler's reference rows and random numbers come from, by the name of a way to draw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Final

import numpy as np

from causal_scrubbing._data import Classes, Dataset, Floats, Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import plural
from causal_scrubbing._graph import hint
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._sampling.streams import uniforms

DRAWS: Final = ("independent", "balanced", "sobol")
"""The ways to draw, as `draw=` names them."""


class Source(ABC):
    """Reference rows and random numbers as functions of a sample's number alone.

    Args:
        data: the rows to draw from.
        seed: of all random numbers.
    """

    def __init__(self, data: Dataset, seed: int) -> None:
        self.data = data
        self.seed = seed

    def numbers(self, key: str, start: int, stop: int) -> Floats:
        """The numbers in [0, 1) that pick the rows of a draw.

        Args:
            key: of the draw.
            start: number of the first sample.
            stop: one past the last.

        Returns:
            float64 [stop - start].
        """
        return uniforms(self.seed, key, start, stop)

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
        """The rows of a draw, int64 [stop - start].

        Args:
            key: of the draw.
            classes: that each row drawn shares with the one it must agree with.
            agree: the rows to agree with, int64 [stop - start].
            start: number of the first sample.
            stop: one past the last.
            self_draws: whether a row may be drawn as itself.
        """
        return classes.pick(agree, self.numbers(key, start, stop), self_draws=self_draws)

    @abstractmethod
    def references(self, start: int, stop: int) -> Ints:
        """The reference rows of samples start..stop - 1, int64 [stop - start]."""


class Independent(Source):
    """Each reference row is drawn from D by itself."""

    def references(self, start: int, stop: int) -> Ints:
        """The reference rows of samples start..stop - 1, int64 [stop - start]."""
        anyone = np.zeros(stop - start, dtype=np.int64)
        return self.data.classes(()).pick(anyone, self.numbers(REFERENCE, start, stop))


class Balanced(Source):
    """Each row is a reference row as equally often as the number of samples and the weights allow.

    Of N samples, a row of weight w is the reference row of floor(N w) or one more, N w on average,
    so that every mean over samples is unbiased. Where all weights are equal, the samples are cut
    into cycles of n, and each cycle has every row once, in random order; this needs no N. Other
    weights are met by systematic sampling: N points at equal distances, with a random start, on the
    cumulative weights of the rows in random order (Cochran 1977, Sampling Techniques, ch. 8).

    Args:
        data: the rows to draw from.
        seed: of all random numbers.
        samples: N; needed where weights differ.

    Raises:
        ScrubError: weights differ and the number of samples is not known.
    """

    def __init__(self, data: Dataset, seed: int, samples: int | None) -> None:
        super().__init__(data, seed)
        if samples is None and not data.is_uniform:
            raise ScrubError(
                'draw="balanced" on rows of different weight needs to know the number of samples '
                'before it begins: give samples= a number, or take draw="independent".'
            )
        self.samples = samples
        self._cycles: dict[int, Ints] = {}

    def references(self, start: int, stop: int) -> Ints:
        """The reference rows of samples start..stop - 1, int64 [stop - start].

        Raises:
            ScrubError: a sample is asked for beyond the number that the weights were met for.
        """
        if not self.data.is_uniform:
            if stop > len(self._weighted):
                raise ScrubError(
                    f"the balanced draw was made for {len(self._weighted):,} "
                    f"{plural(len(self._weighted), 'sample')}, and {stop:,} are asked for."
                )
            return self._weighted[start:stop]
        n = len(self.data)
        parts = [
            self._cycle(number)[max(start - number * n, 0) : stop - number * n]
            for number in range(start // n, -(-stop // n))
        ]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    def _cycle(self, number: int) -> Ints:
        if number not in self._cycles:
            self._cycles = {number: self._shuffled(f"balanced/{number}", len(self.data))}
        return self._cycles[number]

    @cached_property
    def _weighted(self) -> Ints:
        count = self.samples or 0
        order = self._shuffled("balanced/rows", len(self.data))
        total = np.cumsum(self.data.weights[order])
        offset = uniforms(self.seed, f"{REFERENCE}/balanced/start", 0, 1)
        points = (np.arange(count) + offset) / count * total[-1]
        places = np.minimum(np.searchsorted(total, points, side="right"), len(order) - 1)
        rows: Ints = order[places][self._shuffled("balanced/samples", count)]
        return rows

    def _shuffled(self, what: str, count: int) -> Ints:
        numbers = uniforms(self.seed, f"{REFERENCE}/{what}", 0, count)
        return np.argsort(numbers, kind="stable").astype(np.int64)


def make_source(draw: str, data: Dataset, seed: int, samples: int | None = None) -> Source:
    """The source of a way to draw.

    Args:
        draw: one of `DRAWS`, but for "sobol", whose orders of rows must be known (`Sobol`).
        data: the rows to draw from.
        seed: of all random numbers.
        samples: number of samples of the run; None where it is not known.

    Raises:
        ScrubError: there is no such way to draw, or it cannot be used here.
    """
    if draw == "independent":
        return Independent(data, seed)
    if draw == "balanced":
        return Balanced(data, seed, samples)
    raise ScrubError(
        f"draw={draw!r} is not a way to draw; there is {', '.join(map(repr, DRAWS))}."
        f"{hint(str(draw), DRAWS)}"
    )
