"""Drawing from small random sub-datasets, so that clean activations are reused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from causal_scrubbing._data import Classes, Dataset, Floats, Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import RANDOMIZED, Hypothesis
from causal_scrubbing._sampling.sampler import Draw, Sampler
from causal_scrubbing._sampling.streams import uniforms

Bools = npt.NDArray[np.bool_]

POOL = "~pool"
"""Key of the pool of each sample, beside the rows drawn."""


@dataclass(frozen=True)
class Pools:
    """Independent simple random sub-datasets of m rows, without replacement.

    Attributes:
        rows: the rows of each pool, sorted, int64 [m] each.
        starts: number of each pool's first sample, and one past the last pool's last; pools get
            equal numbers of samples, or the first ones get one more.
    """

    rows: tuple[Ints, ...]
    starts: tuple[int, ...]

    @classmethod
    def choose(cls, data: Dataset, size: int, count: int, samples: int, seed: int) -> Pools:
        """Pools of a dataset, a function of the seed alone.

        Raises:
            ScrubError: the pools are too few, too small or larger than the data, or get no sample.
        """
        if not 2 <= size <= len(data):
            raise ScrubError(
                f"pool={size!r}: give a number of rows from 2 to the dataset's {len(data)}."
            )
        if count < 2:
            raise ScrubError(
                f"pools={count!r}: the interval is over pools, so give at least 2; 8 is usual."
            )
        if samples < count:
            raise ScrubError(
                f"{samples} samples are too few for {count} pools: each needs at least one."
            )
        rows = []
        for number in range(count):
            # The rows with the smallest of n random numbers: a simple random sample of m.
            keys = uniforms(seed, f"{POOL}/{number}/rows", 0, len(data))
            rows.append(np.sort(np.argpartition(keys, size - 1)[:size]).astype(np.int64))
        share, over = divmod(samples, count)
        starts = tuple(number * share + min(number, over) for number in range(count + 1))
        return cls(tuple(rows), starts)

    @property
    def size(self) -> int:
        """Rows of each pool."""
        return len(self.rows[0])


def restrict(classes: Classes, rows: Ints) -> Classes:
    """The classes of some rows among themselves."""
    kept, ids = np.unique(classes.ids[rows], return_inverse=True)
    weights = None
    if classes.weights is not None:
        weights = classes.weights[rows] / classes.weights[rows].sum()
    return Classes(ids.reshape(-1).astype(np.int64), len(kept), weights)


class PoolSampler(Sampler):
    """Draws all data of a sample, its reference row too, from one pool.

    Features are those of the whole dataset, evaluated there; only rows are fewer. The first samples
    are the first pool's, and so on (`Pools.starts`).

    Args:
        hypothesis: see `Sampler`.
        data: see `Sampler`.
        seed: see `Sampler`.
        pools: the pools.
    """

    def __init__(self, hypothesis: Hypothesis, data: Dataset, seed: int, pools: Pools) -> None:
        super().__init__(hypothesis, data, seed)
        self.pools = pools
        self._members = [self._member(number) for number in range(len(pools.rows))]

    def _member(self, number: int) -> _Member:
        rows = self.pools.rows[number]
        classes = {key: restrict(one, rows) for key, one in self.classes.items()}
        return _Member(self, number, rows, classes)

    def draw(self, start: int, stop: int) -> Draw:
        """The rows of samples start..stop - 1, as rows of the whole dataset."""
        parts: list[dict[str, Ints]] = []
        for number, (first, last) in enumerate(pairwise(self.pools.starts)):
            low, high = max(start, first), min(stop, last)
            if low >= high:
                continue
            part = self._members[number].rows(low, high)
            part[POOL] = np.full(high - low, number, dtype=np.int64)
            parts.append(part)
        return Draw(start, stop, {key: np.concatenate([p[key] for p in parts]) for key in parts[0]})

    @cached_property
    def self_draw(self) -> Mapping[str, tuple[float, float]]:
        """Block key -> its self-draw share in the pools (their mean) and in the whole dataset.

        The draw of E_randomized is among them.
        """
        return {
            key: (
                float(np.mean([m.classes_of(key).self_draw_share for m in self._members])),
                self.classes_of(key).self_draw_share,
            )
            for key in (*self.classes, RANDOMIZED)
        }

    def inside(self, key: str) -> list[Classes]:
        """The classes of a draw in each pool."""
        return [member.classes_of(key) for member in self._members]

    def chances(self, key: str, rows: Ints, pools: Ints) -> tuple[Floats, Floats]:
        """Chance that the draw for each row is the row itself: in its pool, and in the dataset.

        Args:
            key: of the draw.
            rows: the rows to agree with, int64 [N].
            pools: the pool of each, int64 [N].
        """
        within = np.empty(len(rows))
        for number, member in enumerate(self._members):
            here = pools == number
            within[here] = member.chances_of(key, rows[here])
        return within, self.classes_of(key).self_draw_chances[rows]

    def alone(self, key: str, rows: Ints, pools: Ints) -> Bools:
        """Whether a draw can only keep the row it must agree with, in that row's pool, [N]."""
        flags = np.empty(len(rows), dtype=bool)
        for number, member in enumerate(self._members):
            here = pools == number
            flags[here] = member.alone(key, rows[here])
        return flags


class _Member(Sampler):
    """The draws of one pool."""

    def __init__(
        self, whole: PoolSampler, number: int, rows: Ints, classes: dict[str, Classes]
    ) -> None:
        self.hypothesis = whole.hypothesis
        self.data = whole.data
        self.seed = whole.seed
        self.classes = classes
        self._number = number
        self._pool = rows
        self._all = restrict(whole._all, rows)
        self._within = restrict(whole._within, rows)

    def rows(self, start: int, stop: int) -> dict[str, Ints]:
        drawn = self.draw(start, stop).rows
        return {key: self._pool[places] for key, places in drawn.items()}

    def chances_of(self, key: str, rows: Ints) -> Floats:
        """Chance that the draw for each row of the whole dataset is the row itself."""
        return self.classes_of(key).self_draw_chances[self._places(rows)]

    def alone(self, key: str, rows: Ints) -> Bools:
        """Whether each row of the whole dataset is alone in its class."""
        classes = self.classes_of(key)
        return np.asarray(classes.sizes[classes.ids[self._places(rows)]] == 1)

    def _places(self, rows: Ints) -> Ints:
        return np.asarray(np.searchsorted(self._pool, rows), dtype=np.int64)

    def _pick(self, classes: Classes, key: str, agree: Ints, start: int, stop: int) -> Ints:
        stream = f"{POOL}/{self._number}/{key}"
        return classes.pick(agree, uniforms(self.seed, stream, start, stop))
