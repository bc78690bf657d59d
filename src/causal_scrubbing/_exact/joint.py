"""The joint distribution of the data drawn, for any cut through the treeified hypothesis."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from causal_scrubbing._data import Classes, Dataset, Floats, Ints
from causal_scrubbing._errors import ExactError, HypothesisError
from causal_scrubbing._exact.budget import BUDGET, Meter
from causal_scrubbing._exact.distribution import (
    OWN,
    Distribution,
    certain,
    join,
    mix,
    number,
    refine,
    weigh,
)
from causal_scrubbing._format import plural, short
from causal_scrubbing._graph import nearest
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis, TreeClaim

if TYPE_CHECKING:
    import pandas as pd

_SHOWN, _WRITTEN = 10, 100_000
"""Rows of a joint distribution that printing shows, and combinations it may make for that."""


def bits(prob: Floats) -> float:
    """The entropy of probabilities that sum to one, in bits."""
    kept = prob[prob > 0]
    return float(0.0 - (kept * np.log2(kept)).sum())


@dataclass(frozen=True)
class _Variable:
    """A random datum: all draws that are one by construction.

    Attributes:
        parent: the variable it must agree with; None for the root's datum.
        classes: in what it must agree.
    """

    parent: str | None
    classes: Classes


def _variables(
    hypothesis: Hypothesis, data: Dataset
) -> tuple[dict[str, _Variable], dict[str, str]]:
    """The data drawn as a tree of variables, and which variable each draw is.

    A shared datum agrees with the reference row in `within`, as the root's does, so that it may
    as well be drawn given the root's.
    """
    classes = hypothesis.classes(data)
    root = hypothesis.tree.claims[0].draw
    found = {root: _Variable(None, classes[root])}
    of = {root: root}
    for block in hypothesis.tree.blocks:
        if block.key == root:
            continue
        parent = of[root if block.of == REFERENCE else block.of]
        if classes[block.key].is_exact:
            of[block.key] = parent
        else:
            of[block.key] = block.key
            found[block.key] = _Variable(parent, classes[block.key])
    return found, of


@dataclass(frozen=True, eq=False)
class Joint:
    """The joint distribution of the data of some draws, exact.

    Attributes:
        hypothesis: whose draws.
        data: D.
        draws: the draws whose data these are, by key.
        budget: the most combinations in one table.
    """

    hypothesis: Hypothesis
    data: Dataset
    draws: tuple[str, ...]
    budget: int = BUDGET

    def __repr__(self) -> str:
        draws = plural(len(self.draws), "draw")
        return f"Joint(data of {len(self.draws)} {draws}; print it to see their distribution)"

    def __str__(self) -> str:
        count = len(set(self.variables.values()))
        head = f"joint distribution of the data of {len(self.draws)} draws, as {count} variables"
        try:
            table = replace(self, budget=min(self.budget, _WRITTEN)).table()
        except ExactError:
            return f"{head}; too large to write out here, see .table() and .entropy"
        shown = table.head(_SHOWN).to_string(formatters={"probability": "{:.4g}".format})
        more = len(table) - _SHOWN
        lines = [f"{head}; entropy {short(self.entropy, 4)} bits", shown]
        return "\n".join([*lines, *([f"... {more:,} more rows: .table()"] if more > 0 else [])])

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """Draw -> the variable it is; draws that only ever have one row in common are one."""
        of = _variables(self.hypothesis, self.data)[1]
        return {draw: of[draw] for draw in self.draws}

    @cached_property
    def entropy(self) -> float:
        """The entropy of the joint distribution, in bits.

        A datum at the end of its branch is, given its class, independent of the others, so that
        it adds H(D) - H(feature); and a branch whose data determine the feature at its top is
        summed up on its own. Only what is left is enumerated; without self-draws, all.

        Raises:
            ExactError: it does not fit the budget.
        """
        dist, extra = self._distribution(collapse=True)
        return bits(dist.prob) + extra

    def table(self) -> pd.DataFrame:
        """Every possible tuple of rows with its probability: one column a variable.

        Raises:
            ExactError: there are more than the budget.
        """
        import pandas as pd

        dist, _ = self._distribution(collapse=False)
        meter = Meter(self.budget, "the table of the joint distribution")
        variables = _variables(self.hypothesis, self.data)[0]
        names = list(dict.fromkeys(self.variables.values()))
        for name in names:
            if ("row", name) in dist.columns:
                continue
            ids = variables[name].classes.ids if variables[name].parent else np.zeros_like(
                variables[name].classes.ids)  # fmt: skip
            dist = _expand(dist, name, ids, self.data.weights, meter)
        columns = {name: dist.columns[("row", name)] for name in names}
        table = pd.DataFrame({**columns, "probability": dist.prob})
        if not names:
            return table
        return table.sort_values(names, ignore_index=True)

    def _distribution(self, *, collapse: bool) -> tuple[Distribution, float]:
        """The distribution of the variables, branch ends by class, and the entropy left out."""
        meter = Meter(self.budget, "the joint distribution of the data")
        again = self.hypothesis.self_draws
        variables, of = _variables(self.hypothesis, self.data)
        wanted = {of[draw] for draw in self.draws}
        weights, n = self.data.weights, len(self.data)
        whole = bits(weights)
        below: dict[str, list[str]] = {name: [] for name in variables}
        for name, one in variables.items():
            if one.parent is not None:
                below[one.parent].append(name)
        extra = 0.0
        dists: dict[str, Distribution | None] = {}
        for name in reversed(list(variables)):
            one = variables[name]
            meter.where = f"the joint distribution of the data from {name} down"
            dist: Distribution | None = None
            for child in below[name]:
                found = dists.pop(child)
                if found is not None:
                    dist = found if dist is None else join(dist, found, meter)
            if name in wanted and dist is None and again:
                # The end of a branch: its class is all that links it to the rest.
                ids = one.classes.ids if one.parent is not None else np.zeros(n, dtype=np.int64)
                extra += whole - bits(weigh(ids, weights))
                dists[name] = certain(OWN, ids, {("class", name): ids})
                continue
            if name in wanted:
                rows = np.arange(n)
                own = certain(OWN, rows, {("row", name): rows})
                dist = own if dist is None else join(dist, own, meter)
            if dist is not None and one.parent is not None:
                dist = mix(dist, one.classes, weights, meter, self_draws=again)
                if collapse and again:
                    dist, gained = _collapse(dist, name, one.classes, meter)
                    extra += gained
            dists[name] = dist
        top = dists[next(iter(variables))]
        if top is None:
            return Distribution({}, {}, {}, np.ones(1)), extra
        one_class = Classes(np.zeros(n, dtype=np.int64), 1)
        if OWN in top.labels:
            top = mix(top, one_class, weights, meter)
            top = replace(top, labels={}, given={})
        return top, extra


def _collapse(
    dist: Distribution, name: str, classes: Classes, meter: Meter
) -> tuple[Distribution, float]:
    """A branch that determines the feature at its top, as that feature alone, and what that drops.

    H(branch, rest) = H(feature, rest) + H(branch | feature), since given the feature the branch is
    independent of the rest.
    """
    full = refine(dist, OWN, classes.ids, meter)
    outcome = number(list(full.columns.values()))
    given = full.given[OWN]
    if len(np.unique(number([outcome, given]))) > len(np.unique(outcome)):
        return dist, 0.0
    positive = full.prob > 0
    prob = full.prob[positive]
    lost = -(classes.mass[given[positive]] * prob * np.log2(prob)).sum()
    return certain(OWN, classes.ids, {("class", name): classes.ids}), float(lost)


def _expand(
    dist: Distribution, name: str, ids: Ints, weights: Floats, meter: Meter
) -> Distribution:
    """A variable known by class, told by row."""
    mass = weigh(ids, weights)
    column = dist.columns[("class", name)]
    sizes = np.bincount(ids)[column]
    meter.need(int(sizes.sum()))
    order = np.argsort(ids, kind="stable")
    starts = np.searchsorted(ids[order], column)
    entries = np.repeat(np.arange(len(dist)), sizes)
    offset = np.arange(len(entries)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = order[np.repeat(starts, sizes) + offset]
    taken = dist.take(entries)
    columns: dict[Hashable, Ints] = {**taken.columns, ("row", name): rows}
    return replace(taken, columns=columns, prob=taken.prob * weights[rows] / mass[ids[rows]])


def enters_itself(hypothesis: Hypothesis, entry: TreeClaim) -> bool:
    """Whether a claim's value is read off its own datum: a leaf, or an input with `nothing`."""
    return entry.is_leaf or hypothesis.graph.nodes[entry.claim.node].is_input


def leaf_draws(hypothesis: Hypothesis) -> tuple[str, ...]:
    """The draws that values enter by: those of leaf claims and of unimportant parents."""
    return cut_draws(hypothesis, [c.path for c in hypothesis.tree.claims if c.is_leaf])


def cut_draws(hypothesis: Hypothesis, claims: Sequence[str]) -> tuple[str, ...]:
    """The draws of a cut through the tree.

    Args:
        hypothesis: the hypothesis.
        claims: paths such that every way from the root to a leaf passes exactly one of them.
            Claims that are computed from nothing, above the cut, enter by their unimportant draw.

    Raises:
        HypothesisError: a path is unknown, or the claims are no cut; lists what is missed.
    """
    tree = hypothesis.tree
    known = {entry.path for entry in tree.claims}
    faults = [
        f"the cut names {path!r}, which is no claim's path. {nearest(path, known)}"
        for path in claims
        if path not in known
    ]
    chosen = set(claims)
    met: dict[int, int] = {}
    draws: dict[str, None] = {}
    for entry in tree.claims:
        above = 0 if entry.parent is None else met[entry.parent]
        met[entry.index] = above + (entry.path in chosen)
        if entry.path in chosen:
            draws[entry.draw] = None
        elif above == 0:
            draws.update(dict.fromkeys(entry.other_draws.values()))
            if enters_itself(hypothesis, entry) and not entry.is_leaf:
                draws[entry.draw] = None
            if entry.is_leaf:
                faults.append(f"the cut misses the leaf {entry.path!r}; add it or a claim above.")
        if entry.path in chosen and above:
            faults.append(f"the cut names {entry.path!r} and a claim above it; keep one of them.")
    if faults:
        raise HypothesisError(faults, name=hypothesis.name)
    return tuple(draws)
