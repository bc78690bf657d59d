"""Conditional distributions as tables: what is given, what is then the case, with what probability.

A distribution is conditional on the rows of some draws, but only through a labelling of the rows:
rows with one label give one distribution. So a table has one entry for each label and possible
outcome, not for each row, and distributions are joined, mixed and merged like relations.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causal_scrubbing._data import Classes, Floats, Ints
from causal_scrubbing._exact.budget import Meter

OWN = ""
"""The datum of the claim or block that a distribution is of, among what can be given."""


@dataclass(frozen=True)
class Distribution:
    """A conditional distribution over tuples of numbers.

    Attributes:
        labels: draw -> label of each row of D, int64 [n]; the distribution depends on a draw's row
            through its label alone.
        given: draw -> label, one an entry.
        columns: what is distributed: name -> number (of a value or class), one an entry.
        prob: probability of the entry's columns under its labels, float64.
    """

    labels: Mapping[str, Ints]
    given: Mapping[str, Ints]
    columns: Mapping[Hashable, Ints]
    prob: Floats

    def __len__(self) -> int:
        return len(self.prob)

    def take(self, entries: Ints) -> Distribution:
        """Some of the entries, in the given order."""
        return replace(
            self,
            given={k: v[entries] for k, v in self.given.items()},
            columns={k: v[entries] for k, v in self.columns.items()},
            prob=self.prob[entries],
        )

    def keep(self, names: Sequence[Hashable]) -> Distribution:
        """The marginal distribution of some columns: equal entries become one."""
        columns = {name: self.columns[name] for name in names}
        if len(columns) == len(self.columns):
            return self
        return merge(replace(self, columns=columns))


def weigh(ids: Ints, weights: Floats, count: int = 0) -> Floats:
    """The sum of the weights that have each number, float64 [count or more]."""
    return np.bincount(ids, weights=weights, minlength=count).astype(np.float64, copy=False)


def certain(draw: str, labels: Ints, columns: Mapping[Hashable, Ints]) -> Distribution:
    """The distribution of numbers that are a function of a draw's row.

    Args:
        draw: the draw.
        labels: equal for rows on which all columns are equal, int64 [n].
        columns: name -> number on each row, int64 [n].
    """
    _, first = np.unique(labels, return_index=True)
    given = labels[first]
    return Distribution(
        {draw: labels}, {draw: given}, {k: v[first] for k, v in columns.items()},
        np.ones(len(first)),
    )  # fmt: skip


def number(parts: Sequence[Ints]) -> Ints:
    """Equal tuples numbered alike: one int64 a tuple, dense from 0."""
    if not parts:
        raise AssertionError("tuples have at least one part")
    code: Ints = parts[0]
    if len(code) == 0:
        return code
    top = int(code.max()) + 1
    for part in parts[1:]:
        size = int(part.max()) + 1
        if top > 2**62 // size:
            code = np.unique(code, return_inverse=True)[1].reshape(-1)
            top = int(code.max()) + 1
        code, top = code * size + part, top * size
    return np.unique(code, return_inverse=True)[1].reshape(-1).astype(np.int64)


def merge(dist: Distribution) -> Distribution:
    """Entries with equal labels and columns made one, their probabilities added."""
    parts = [*dist.given.values(), *dist.columns.values()]
    if not parts:
        return replace(dist, prob=np.array([dist.prob.sum()]))
    ids = number(parts)
    _, first = np.unique(ids, return_index=True)
    if len(first) == len(dist):
        return dist
    prob = weigh(ids, dist.prob, len(first))
    return replace(dist.take(first), prob=prob)


def join(one: Distribution, two: Distribution, meter: Meter) -> Distribution:
    """The product of two distributions that are independent given what both are conditional on."""
    shared = [draw for draw in one.labels if draw in two.labels]
    for draw in shared:
        if np.array_equal(one.labels[draw], two.labels[draw]):
            continue
        labels = number([one.labels[draw], two.labels[draw]])
        one, two = refine(one, draw, labels, meter), refine(two, draw, labels, meter)
    left, right = _match(
        [one.given[d] for d in shared], [two.given[d] for d in shared], len(one), len(two), meter
    )
    a, b = one.take(left), two.take(right)
    return Distribution(
        {**a.labels, **b.labels},
        {**a.given, **b.given},
        {**a.columns, **b.columns},
        a.prob * b.prob,
    )


def refine(dist: Distribution, draw: str, labels: Ints, meter: Meter) -> Distribution:
    """The same distribution, conditional on a draw through a finer labelling of the rows."""
    if draw not in dist.labels:
        fine = np.unique(labels)
        left, right = _match([], [], len(dist), len(fine), meter)
        coarse = dist.take(left)
        return replace(
            coarse,
            labels={**coarse.labels, draw: labels},
            given={**coarse.given, draw: fine[right]},
        )
    fine, first = np.unique(labels, return_index=True)
    old = dist.labels[draw][first]
    left, right = _match([dist.given[draw]], [old], len(dist), len(fine), meter)
    taken = dist.take(left)
    return replace(
        taken,
        labels={**taken.labels, draw: labels},
        given={**taken.given, draw: fine[right]},
    )


def mix(
    dist: Distribution, classes: Classes, weights: Floats, meter: Meter, *, self_draws: bool = True
) -> Distribution:
    """The distribution given the row that the own draw must agree with, instead of its own row.

    Args:
        dist: conditional on the own draw.
        classes: which rows agree.
        weights: weight of each row of D.
        meter: the budget.
        self_draws: whether the own row may be the row it must agree with.
    """
    if OWN not in dist.labels:
        return dist
    labels = dist.labels[OWN]
    # A datum that agrees in everything that matters changes nothing.
    if classes.refines(Classes(labels, int(labels.max()) + 1)):
        return dist
    kernel = _kernel(classes, labels, weights, meter, self_draws)
    left, right = _match([dist.given[OWN]], [kernel.label], len(dist), len(kernel.label), meter)
    taken = dist.take(left)
    return merge(
        replace(
            taken,
            labels={**taken.labels, OWN: kernel.given},
            given={**taken.given, OWN: kernel.of[right]},
            prob=taken.prob * kernel.prob[right],
        )
    )


def average(
    dist: Distribution,
    draw: str,
    within: Classes,
    weights: Floats,
    meter: Meter,
    of: str = OWN,
    *,
    self_draws: bool = True,
) -> Distribution:
    """The distribution without a shared draw, whose row comes from another's class.

    Args:
        dist: conditional on the draw.
        draw: the draw.
        within: what its row must agree in.
        weights: weight of each row of D.
        meter: the budget.
        of: the draw it must agree with.
        self_draws: whether its row may be the row it must agree with.
    """
    labels = dist.labels[draw]
    if of not in dist.labels:
        dist = refine(dist, of, np.zeros(len(labels), dtype=np.int64), meter)
    kernel = _kernel(within, labels, weights, meter, self_draws)
    dist = refine(dist, of, number([dist.labels[of], kernel.given]), meter)
    own = dist.labels[of]
    _, first = np.unique(own, return_index=True)
    left, right = _match(
        [kernel.given[first][dist.given[of]], dist.given[draw]],
        [kernel.of, kernel.label],
        len(dist),
        len(kernel.of),
        meter,
    )
    taken = dist.take(left)
    return merge(
        replace(
            taken,
            labels={k: v for k, v in taken.labels.items() if k != draw},
            given={k: v for k, v in taken.given.items() if k != draw},
            prob=taken.prob * kernel.prob[right],
        )
    )


@dataclass(frozen=True)
class _Kernel:
    """The chance of each label of the row drawn, given a row.

    Attributes:
        given: what of the given row matters, as a label of each row of D.
        of: label of the given row, one an entry.
        label: label of the row drawn, one an entry.
        prob: its chance.
    """

    given: Ints
    of: Ints
    label: Ints
    prob: Floats


def _kernel(
    classes: Classes, labels: Ints, weights: Floats, meter: Meter, self_draws: bool
) -> _Kernel:
    pairs = number([classes.ids, labels])
    _, first = np.unique(pairs, return_index=True)
    mass = weigh(pairs, weights)
    into, label = classes.ids[first], labels[first]
    whole = weigh(into, mass)
    if self_draws:
        return _Kernel(classes.ids, into, label, mass / whole[into])
    # Another row of the class: the given row's own label has one row less. Rows of a class weigh
    # the same, so that they can be counted.
    count = np.bincount(pairs).astype(np.float64)
    rows = np.bincount(into, weights=count)
    here, there = _match([into], [into], len(first), len(first), meter)
    same = here == there
    others = rows[into[here]] - 1
    prob = np.where(others > 0, (count[there] - same) / np.maximum(others, 1), same)
    kept = prob > 0
    return _Kernel(pairs, here[kept], label[there[kept]], prob[kept])


def _match(
    one: Sequence[Ints], two: Sequence[Ints], first: int, second: int, meter: Meter
) -> tuple[Ints, Ints]:
    """All pairs of entries, by position, whose keys are equal; all pairs if there are no keys."""
    if not one:
        meter.need(first * second)
        return (
            np.repeat(np.arange(first), second),
            np.tile(np.arange(second), first),
        )
    both = number([np.concatenate(pair) for pair in zip(one, two, strict=True)])
    left, right = both[:first], both[first:]
    order = np.argsort(right, kind="stable")
    starts = np.searchsorted(right[order], left, side="left")
    counts = np.searchsorted(right[order], left, side="right") - starts
    total = int(counts.sum())
    meter.need(total)
    entries = np.repeat(np.arange(first), counts)
    offset = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return entries, order[np.repeat(starts, counts) + offset]
