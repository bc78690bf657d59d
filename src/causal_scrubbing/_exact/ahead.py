"""A look at some samples before an exact computation: how large its tables will be at least.

How many values a claim's node takes is known only once they are computed. But a few thousand
samples say how many there must be at least: where hardly any value is met twice, there are many
more. The number of values never met is at least f1^2 / (2 f2), where f1 and f2 values were met once
and twice, whatever their chances are (Chao 1984, Nonparametric estimation of the number of classes
in a population, Scandinavian Journal of Statistics 11; by the inequality of Cauchy and Schwarz). f1
and f2 are taken five standard deviations to the careful side, so that a table is not taken to be
larger than it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Ints
from causal_scrubbing._exact.budget import NUMBERS_EACH
from causal_scrubbing._exact.distribution import number
from causal_scrubbing._exact.evaluate import Evaluator
from causal_scrubbing._exact.pool import Pool, distinct
from causal_scrubbing._graph import Add, AnyValue, add, call
from causal_scrubbing._hypothesis import (
    REFERENCE,
    Call,
    ChildSource,
    OtherSource,
    TreeClaim,
    ablated_node,
    formula,
)
from causal_scrubbing._sampling import Sampler

FIRST: Final = 100
"""Samples of a first look, which shows how many numbers values have."""
ENOUGH: Final = 6.0
"""How many times the root of the budget samples must be to show that values are more than it."""
GROWTH: Final = 4
SHARE: Final = 25
"""Of the budget that all looks may cost: one part of so many."""
HOPELESS: Final = 8
"""How many times smaller than the budget tables must look to be looked at no more."""
_DEVIATIONS: Final = 5.0
_TELLING: Final = 10
_ROUNDING: Final = {torch.float64: 2.0**-32, torch.float32: 2.0**-16}
"""Of the largest value: steps that values are taken in."""


@dataclass
class _Parts:
    """What is joined at a call, as the exact computation joins it.

    Attributes:
        slots: inputs that are distributed together.
        label: what the distribution depends on, by row of the claim's datum; None where that is
            not one label.
    """

    slots: set[Hashable]
    label: Ints | None


@dataclass
class _Found:
    """What is known of a claim in the samples.

    Attributes:
        ids: number of its value in each sample.
        values: its value in each sample.
        label: of its distribution, by row of its own datum; None where that is not one label.
    """

    ids: Ints
    values: torch.Tensor
    label: Ints | None = field(default=None)


def look_ahead(evaluator: Evaluator, *, by_row: bool) -> None:
    """Refuse what samples show to be too large, at a small part of what it would cost.

    Args:
        evaluator: the computation.
        by_row: whether the behaviour is evaluated for each reference row.

    Raises:
        ExactError: a table, or the values kept, will not fit the budget.
    """
    hypothesis, meter = evaluator.hypothesis, evaluator.meter
    blocks = sum(not one.is_exact for one in evaluator.classes.values())
    if len(evaluator.data) ** (blocks + 1) <= meter.budget:
        return
    calls = {
        entry.index: () if entry.routes is None else formula(evaluator.graph, entry.routes)
        for entry in hypothesis.tree.claims
    }
    each = max(1, sum(map(len, calls.values())))
    left = meter.budget / SHARE
    samples = FIRST
    while samples * each <= left:
        one = _Look(evaluator, calls, samples)
        if one.run(by_row=by_row) * HOPELESS <= meter.budget:
            return
        left -= samples * each
        each = max(each, -(-one.width // NUMBERS_EACH))
        least = int(ENOUGH * meter.budget**0.5) if samples == FIRST else samples
        samples = max(least, min(GROWTH * samples, int(left / each)))


class _Look:
    """One look at so many samples."""

    def __init__(
        self, evaluator: Evaluator, calls: Mapping[int, Sequence[Call]], samples: int
    ) -> None:
        self.evaluator, self.calls, self.samples = evaluator, calls, samples
        sampler = Sampler(evaluator.hypothesis, evaluator.data, 0)
        self.rows = sampler.draw(0, samples).rows
        self.width = 1
        self.largest = 0.0

    def run(self, *, by_row: bool) -> float:
        """Refuse what is too large; the size of the largest table, roughly."""
        evaluator, found = self.evaluator, dict[int, _Found]()
        for entry in reversed(evaluator.hypothesis.tree.claims):
            evaluator.at(entry)
            children = {i: found.pop(i) for i in entry.children or ()}
            found[entry.index] = self._claim(entry, children)
        root = found[0]
        evaluator.meter.where = "the metric on pairs of reference row and scrubbed value"
        evaluator.meter.hints = []
        if by_row:
            self._need([self.rows[REFERENCE], root.ids])
        return self.largest

    def _claim(self, entry: TreeClaim, children: Mapping[int, _Found]) -> _Found:
        evaluator, own = self.evaluator, self.rows[entry.draw]
        calls = self.calls[entry.index]
        if not calls:
            pool = evaluator.clean(entry.claim.node)
            return _Found(pool.ids[own], _taken(pool, own), pool.ids)
        ids: dict[Hashable, Ints] = {}
        values: dict[Hashable, torch.Tensor] = {}
        live = list(self._blocks(entry, children, ids, values))
        last = {slot: i for i, one in enumerate(calls) for slot in one.reads}
        for i, one in enumerate(calls):
            touched = [part for part in live if not part.slots.isdisjoint(one.reads)]
            live = [part for part in live if not any(part is t for t in touched)]
            label = _joined([part.label for part in touched])
            condition = [] if label is None else [label[own]]
            summed = isinstance(evaluator.graph.nodes[one.node].fn, Add)
            if summed and len(one.reads) == len(one.arguments):
                parts = [self._total(part, one, ids, values) for part in touched]
                if len(parts) == 2:
                    self._need([*condition, *parts])
            else:
                slots = [s for part in touched for s in part.slots if last.get(s, -1) >= i]
                self._need([*condition, *(ids[slot] for slot in slots)])
            value = self._call(one, ids, values)
            pool = distinct(_coarse(value))
            ids[one.slot], values[one.slot] = pool.ids, value
            self._hold(pool)
            later = {s for part in touched for s in part.slots if last.get(s, -1) > i}
            live.append(_Parts(later | {one.slot}, label))
            for slot in [s for s in values if last.get(s, -1) <= i and s != one.slot]:
                del values[slot]
        slot = calls[-1].slot
        return _Found(ids[slot], values[slot], _joined([part.label for part in live]))

    def _blocks(
        self,
        entry: TreeClaim,
        children: Mapping[int, _Found],
        ids: dict[Hashable, Ints],
        values: dict[Hashable, torch.Tensor],
    ) -> Iterator[_Parts]:
        """The blocks that a claim is computed from; fills in what they are in the samples."""
        evaluator = self.evaluator
        members: dict[str, list[tuple[Hashable, Ints | None]]] = {}
        for place, child in enumerate(entry.children or ()):
            slot, one = ChildSource(place), children[child]
            ids[slot], values[slot] = one.ids, one.values
            key = evaluator.hypothesis.tree.claims[child].draw
            members.setdefault(key, []).append((slot, one.label))
        for node, key in entry.other_draws.items():
            pool, rows = evaluator.clean(node), self.rows[key]
            ids[OtherSource(node)], values[OtherSource(node)] = pool.ids[rows], _taken(pool, rows)
            members.setdefault(key, []).append((OtherSource(node), pool.ids))
        for node, fixed in entry.ablated.items():
            pool, rows = evaluator.clean(ablated_node(evaluator.graph, node, fixed)), self.rows[
                entry.draw
            ]  # fmt: skip
            ids[OtherSource(node)], values[OtherSource(node)] = pool.ids[rows], _taken(pool, rows)
            yield _Parts({OtherSource(node)}, pool.ids)
        for key, parts in members.items():
            shared = key in evaluator.twins or evaluator.hypothesis.block(key).of == REFERENCE
            label = None if shared else _joined([one for _, one in parts])
            if label is not None:
                classes = evaluator.classes[key]
                # As in `mix`: a datum that agrees in everything that matters changes nothing.
                finer = len(np.unique(number([classes.ids, label]))) > classes.count
                label = classes.ids if finer else label
            yield _Parts({slot for slot, _ in parts}, label)

    def _total(
        self,
        part: _Parts,
        one: Call,
        ids: Mapping[Hashable, Ints],
        values: Mapping[Hashable, torch.Tensor],
    ) -> Ints:
        """Number of the sum of the terms that are drawn together."""
        terms = [slot for slot in one.arguments if slot in part.slots]
        if len(terms) == 1:
            return ids[terms[0]]
        return distinct(_coarse(add(*[values[term] for term in terms]))).ids

    def _call(
        self,
        one: Call,
        ids: Mapping[Hashable, Ints],
        values: Mapping[Hashable, torch.Tensor],
    ) -> torch.Tensor:
        """The call's value in each sample; equal arguments are computed once."""
        evaluator, parts = self.evaluator, []
        node, device = evaluator.graph.nodes[one.node], evaluator.device or "cpu"
        same = number([ids[slot] for slot in one.reads]) if one.reads else None
        if same is None:
            first, place = np.zeros(1, dtype=np.int64), np.zeros(self.samples, dtype=np.int64)
        else:
            _, first, place = np.unique(same, return_index=True, return_inverse=True)
        for start in range(0, len(first), evaluator.batch_size):
            chosen = torch.as_tensor(first[start : start + evaluator.batch_size])
            given = [
                evaluator.machine.free(slot.node, len(chosen))
                if isinstance(slot, AnyValue)
                else values[slot][chosen].to(device)
                for slot in one.arguments
            ]
            with torch.no_grad():
                value = call(node, given)
            if value.ndim == 0 or len(value) != len(chosen):
                value = value.expand(len(chosen), *value.shape[1:])
            parts.append(value.cpu())
        return torch.cat(parts)[torch.as_tensor(place.reshape(-1))]

    def _need(self, columns: Sequence[Ints]) -> None:
        if not columns:
            return
        surely, roughly = fewest(number(columns))
        self.evaluator.meter.need(surely)
        self.largest = max(self.largest, roughly)

    def _hold(self, pool: Pool) -> None:
        size = pool.values[0].numel()
        self.width = max(self.width, size)
        surely, roughly = fewest(pool.ids)
        self.evaluator.meter.hold(surely, size)
        self.largest = max(self.largest, roughly * size / NUMBERS_EACH)


def fewest(ids: Ints) -> tuple[int, float]:
    """How many different numbers there are at least, and how many roughly.

    Args:
        ids: those met in independent samples.

    Returns:
        A number that there are surely more of, in two digits; and a rough estimate, infinite where
        the samples do not say.
    """
    met = np.bincount(np.unique(ids, return_counts=True)[1], minlength=3)
    seen, once, twice = int(met.sum()), float(met[1]), float(met[2])
    few = max(0.0, once - _DEVIATIONS * np.sqrt(once))
    many = twice + _DEVIATIONS * np.sqrt(twice) + _DEVIATIONS**2 / 2
    surely = int(seen + few**2 / (2 * many))
    if surely > seen:
        step = 10 ** max(0, len(str(surely)) - 2)
        surely = max(seen, surely // step * step)
    if once >= _TELLING and twice < _TELLING:
        return surely, inf  # too few samples to say
    return surely, seen + once**2 / (2 * max(twice, 1.0))


def _joined(labels: Sequence[Ints | None]) -> Ints | None:
    """Rows that agree in all labels that are known."""
    known = [label for label in labels if label is not None]
    return number(known) if known else None


def _coarse(value: torch.Tensor) -> torch.Tensor:
    """Values that differ by rounding as one: sums may be taken in another order later."""
    if not value.is_floating_point():
        return value
    exact = value.double().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    unit = float(exact.abs().max()) * _ROUNDING.get(value.dtype, 2.0**-8)
    return torch.round(exact / unit) if unit > 0 else exact


def _taken(pool: Pool, rows: Ints) -> torch.Tensor:
    return pool.values[torch.as_tensor(pool.ids[rows])]
