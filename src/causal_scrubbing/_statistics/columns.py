"""The groups of columns behind the numbers of one behaviour, and how those come from their means.

Every number a run reports is a function of three means: of the scrubbed model, of the model and of
the randomized one. Each is the mean of a column of samples, or known. What is known leaves its
group and becomes a constant, so that no interval counts it as noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from causal_scrubbing._statistics.control import paired_changes
from causal_scrubbing._statistics.design import Strata
from causal_scrubbing._statistics.known import KnownMeans
from causal_scrubbing._statistics.resample import Group
from causal_scrubbing._statistics.values import FloatArray, IntArray


@dataclass
class Columns:
    """Columns of samples by name, in independent groups, and constants.

    Attributes:
        pools: The unit of each sample of the main group, ``[N]``.
        strata: How their reference rows were drawn in balance.
        main: Columns of the samples, ``[N, k]`` each.
        others: Of independent groups, ``[M, k]`` each.
        constants: What is known, ``[k]`` each.
        aliases: Names of what another name has already.
    """

    pools: IntArray | None = None
    strata: Strata | None = None
    main: dict[str, FloatArray] = field(default_factory=dict)
    others: dict[str, FloatArray] = field(default_factory=dict)
    constants: dict[str, FloatArray] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, values: FloatArray) -> None:
        """Add a column of the samples, each counted as its stratum says."""
        self.main[name] = values if self.strata is None else values * self.strata.factors[:, None]

    def add_group(self, name: str, values: FloatArray) -> None:
        """Add an independent group, once where another run has the same."""
        for other, there in self.others.items():
            if np.array_equal(there, values):
                self.aliases[name] = other
                return
        self.others[name] = values

    @property
    def names(self) -> set[str]:
        """All that `reader` can read."""
        return {*self.main, *self.others, *self.constants, *self.aliases}

    @property
    def width(self) -> int:
        """How many columns all groups have together."""
        return sum(group.columns.shape[1] for group in self.groups)

    @property
    def groups(self) -> list[Group]:
        """The groups whose means `get` reads."""
        found = []
        if self.main:
            strata = None if self.strata is None else self.strata.labels
            stacked = np.concatenate(list(self.main.values()), axis=1)
            found.append(Group(stacked, self.pools, strata))
        return found + [Group(values) for values in self.others.values()]

    def reader(self) -> Callable[[FloatArray, str], FloatArray]:
        """What reads a column's means ``[..., k]`` by name off the means of all ``[..., C]``."""
        places: dict[str, slice] = {}
        start = 0
        for name, values in (*self.main.items(), *self.others.items()):
            places[name] = slice(start, start + values.shape[1])
            start += values.shape[1]
        constants, aliases = self.constants, self.aliases

        def get(means: FloatArray, name: str) -> FloatArray:
            name = aliases.get(name, name)
            if name in places:
                return means[..., places[name]]
            known = constants[name]
            return np.broadcast_to(known, (*means.shape[:-1], *known.shape))

        return get


def build_columns(
    scrubbed: FloatArray,
    model: FloatArray,
    randomized: FloatArray | None,
    baseline: FloatArray | None,
    known: KnownMeans | None,
    pools: IntArray | None,
    strata: Strata | None,
    prefix: str = "",
    into: Columns | None = None,
) -> Columns:
    """The columns of one run: scrubbed less model is "gap", model less randomized is "span".

    Args:
        scrubbed: ``[N, k]``.
        model: ``[N, k]``.
        randomized: ``[N, k]`` on the same samples, or None.
        baseline: Of other samples, ``[M, k]``, or None.
        known: What is known of every row of D, or None.
        pools: Of each sample.
        strata: Of each sample.
        prefix: Put before the names.
        into: Columns to add to.
    """
    columns = Columns(pools, strata) if into is None else into
    mean = None if known is None else known.model_mean()
    partners = None if known is None else known.randomized_means()
    if mean is None:
        columns.add(prefix + "scrubbed", scrubbed)
        columns.add(prefix + "model", model)
        columns.add(prefix + "gap", scrubbed - model)
    else:
        columns.constants[prefix + "model"] = mean
        columns.add(prefix + "gap", _changes(scrubbed, model, mean, pools, strata))
    if mean is not None and partners is not None:
        if len(partners) == 1:
            columns.constants[prefix + "randomized"] = partners[0]
        else:
            columns.add_group(prefix + "randomized", partners)
    elif randomized is not None and mean is None:
        columns.add(prefix + "randomized", randomized)
        columns.add(prefix + "span", model - randomized)
    elif randomized is not None and mean is not None:
        columns.add(prefix + "span", -_changes(randomized, model, mean, pools, strata))
    elif baseline is not None:
        columns.add_group(prefix + "randomized", baseline)
    return columns


def _changes(
    values: FloatArray,
    model: FloatArray,
    mean: FloatArray,
    pools: IntArray | None,
    strata: Strata | None,
) -> FloatArray:
    # Of rows taken in balance the model's mean is right, or nearly; b = 1 depends on nothing.
    return values - model if strata is not None else paired_changes(values, model, mean, pools)


@dataclass(frozen=True)
class Means:
    """The means behind the numbers of a run, ``[..., k]`` each; those of randomized may lack."""

    scrubbed: FloatArray
    model: FloatArray
    gap: FloatArray
    randomized: FloatArray | None
    span: FloatArray | None


def means_reader(columns: Columns, prefix: str = "") -> Callable[[FloatArray], Means]:
    """What reads a run's means off the means of all columns ``[..., C]``."""
    get, names = columns.reader(), columns.names

    def read(means: FloatArray) -> Means:
        model, gap = get(means, prefix + "model"), get(means, prefix + "gap")
        given = prefix + "scrubbed" in names
        scrubbed = get(means, prefix + "scrubbed") if given else model + gap
        randomized = span = None
        if prefix + "randomized" in names:
            randomized = get(means, prefix + "randomized")
        if prefix + "span" in names:
            span = get(means, prefix + "span")
        if randomized is None and span is not None:
            randomized = model - span
        if span is None and randomized is not None:
            span = model - randomized
        return Means(scrubbed, model, gap, randomized, span)

    return read
