"""What a run can know of its behaviour without sampling: on every row of D, and over pairs of rows.

E_model is a mean over the n rows and E_randomized one over pairs of them. Where the behaviour on
every row costs less than a tenth of the run, beside what the run evaluates anyway, it is evaluated
there, and E_randomized over all pairs, or over as many as cost that little. Costs are counted in
operations, not in seconds, so that what is known does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Classes, Dataset, Floats, Ints
from causal_scrubbing._engine import CleanTable
from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._graph import Graph, evaluate, needed_nodes
from causal_scrubbing._hypothesis import RANDOMIZED
from causal_scrubbing._sampling import uniforms
from causal_scrubbing._simulate.behaviour import Metric, evaluate_metric
from causal_scrubbing._simulate.metric_cost import metric_cost
from causal_scrubbing._statistics import FloatArray, KnownMeans

SHARE: Final = 0.1
"""The share of a run's operations that knowing means may cost."""

FREE: Final = 1 << 24
"""Operations that are nothing, whatever the run's."""

FREE_PAIRS: Final = 1 << 18
"""Pairs of rows that are nothing, where they take no more than so many operations."""

HELD: Final = 1 << 28
"""Bytes of outputs held at once to be paired."""

PARTS: Final = 16
"""Independent parts of the partners, where not all pairs are taken."""

FEWEST_READ: Final = 64
"""Where fewer rows' outputs are measured at once, memory is too tight to know means besides."""

_PAIRS: Final = 1 << 14
"""Pairs evaluated at once."""

_CLOSE: Final = 1e-3
"""How near the values of a second evaluation must be, as a share of the largest."""


@dataclass(frozen=True)
class Known:
    """What is known of each metric, and why something is not.

    Attributes:
        means: metric name -> what is known.
        notes: what a reader should know.
    """

    means: Mapping[str, KnownMeans] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class KnownRows:
    """The behaviour on every row of a dataset, evaluated once for all hypotheses of a run.

    Args:
        graph: the graph.
        data: the dataset.
        metrics: by name.
        device: where to compute.
        batch_size: rows evaluated at once.
        read_batch: rows whose outputs are measured at once; None for no limit.
        most_pairs: pairs measured at once, or None to choose it.
        held: bytes of outputs that may be held to be paired.
        table: values on some rows that are at hand, or None.
        seed: of partners, where not all pairs are taken.
        randomize: the node whose value E_randomized takes on another row, or None.
        run: operations of the run, of which a share may be spent on pairs.
        samples: how many samples the run has; each takes the metrics three times.
        costs: operations of each node on a row.
    """

    def __init__(
        self,
        graph: Graph,
        data: Dataset,
        metrics: Mapping[str, Metric],
        *,
        device: torch.device | None,
        batch_size: int,
        read_batch: int | None,
        most_pairs: int | None,
        held: float,
        table: CleanTable | None = None,
        seed: int,
        randomize: str | None,
        run: float,
        samples: int,
        costs: Mapping[str, float],
    ) -> None:
        self.graph = graph
        self.data = data
        self.metrics = metrics
        self.device = device
        # The run's own table is still held; outputs are gathered and copied beside it.
        fewest = _PAIRS if read_batch is None else max(1, read_batch // 4)
        self.batch_size = min(batch_size, fewest)
        self.pairs = min(_PAIRS, fewest, most_pairs or _PAIRS)
        self.held = min(HELD, held)
        self.table = table
        self.seed = seed
        self.randomize = randomize
        self.work = SHARE * run
        self.samples = samples
        self.costs = costs
        self.notes: list[str] = []
        self._output: torch.Tensor | None = None
        self._node: torch.Tensor | None = None
        self._paired: dict[tuple[str, bool], Mapping[str, FloatArray]] = {}
        self.model = self._model()

    def means(self, classes: Classes, *, self_draws: bool) -> Known:
        """What is known where a random row is drawn within some classes.

        Args:
            classes: that the other row must share with the reference row.
            self_draws: whether the other row may be the reference row.
        """
        key = (classes.digest, self_draws)
        if key not in self._paired:
            self._paired[key] = self._pairs(classes, self_draws=self_draws)
        paired = self._paired[key]
        found = {}
        for name, values in self.model.items():
            pairs = paired.get(name)
            if pairs is not None and pairs.shape[1:] != values.shape:
                pairs = None  # a metric that is not checked may give more numbers beside more rows
            found[name] = KnownMeans(self.data.weights, values, pairs)
        return Known(found, tuple(self.notes))

    def agrees(self, name: str, rows: Ints, values: FloatArray, size: float) -> bool:
        """Whether a run's own values on some rows are those found here, up to rounding.

        Args:
            name: the metric.
            rows: the rows.
            values: on these.
            size: the largest value in the run; those of the model itself may be rounding alone.
        """
        there = self.model[name][rows]
        if there.shape != values.shape:
            return False
        return float(np.abs(there - values).max(initial=0.0)) <= _CLOSE * size

    # --- the model on every row ----------------------------------------------------------------

    def _model(self) -> dict[str, FloatArray]:
        parts: dict[str, list[FloatArray]] = {name: [] for name in self.metrics}
        outputs: list[torch.Tensor] = []
        nodes: list[torch.Tensor] = []
        inner = self.randomize if self.randomize != self.graph.output else None
        wanted = [self.graph.output, *([] if inner is None else [inner])]
        held, failed = 0, dict[str, str]()
        for rows in _chunks(len(self.data), self.batch_size):
            found = self._values(rows, wanted)
            own = found[self.graph.output]
            if own.ndim == 0 or len(own) != len(rows):  # a constant
                own = own.expand(len(rows), *own.shape[1:]).clone()
            kept = own if inner is None else found[inner]
            held += kept.numel() * kept.element_size() + own.numel() * own.element_size()
            if self.randomize is not None and held <= self.held:
                outputs.append(own)
                nodes.append(kept)
            elif outputs:
                outputs, nodes = [], []
            for name in [one for one in self.metrics if one not in failed]:
                try:
                    values = self._measure(name, own, own, rows)
                except CausalScrubbingError as error:
                    failed[name] = str(error)
                    continue
                parts[name].append(values)
        if outputs and held <= self.held:
            self._output, self._node = torch.cat(outputs), torch.cat(nodes)
        model = {}
        for name, found_parts in parts.items():
            if name in failed:
                self.notes.append(f"E_model of {name} is not exact: {failed[name]}")
                continue
            if len({part.shape[1:] for part in found_parts}) > 1:
                continue
            values = np.concatenate(found_parts)
            bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            if bad.any():
                self.notes.append(
                    f"{name} is infinite or NaN on {int(bad.sum())} of the {len(values)} rows of "
                    f"the data (the first is row {int(np.argmax(bad))}); its means are over the "
                    "rows drawn, which are others"
                )
                continue
            model[name] = values
        return model

    def _values(self, rows: Ints, nodes: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Values of nodes on some rows, from the table where it has them."""
        table = self.table
        flags = [None if table is None else table.holds_rows(node) for node in nodes]
        here = [one[rows] for one in flags if one is not None]
        if table is None or len(here) < len(nodes):
            have = np.zeros(len(rows), dtype=bool)
        else:
            have = np.logical_and.reduce(here)
        missing = rows[~have]
        found: Mapping[str, torch.Tensor] = {}
        if len(missing):
            with torch.no_grad():
                lazy = self.data.lazy(missing)
                found = evaluate(self.graph, lazy, nodes, device=self.device)
        if table is None or not have.any():
            return found
        joined = {}
        for node in nodes:
            where = torch.as_tensor(rows[have], device=table.storage.device)
            read = table.gather(node, table.index(node, where))
            whole = read.new_empty((len(rows), *read.shape[1:]))
            whole[torch.as_tensor(have, device=read.device)] = read
            if len(missing):
                whole[torch.as_tensor(~have, device=read.device)] = found[node]
            joined[node] = whole
        return joined

    def _measure(
        self, name: str, output: torch.Tensor, own: torch.Tensor, rows: Ints
    ) -> FloatArray:
        batch = self.data.lazy(rows, own.device).with_model_output(own)
        return evaluate_metric(name, self.metrics[name], output, batch)

    # --- pairs of rows ---------------------------------------------------------------------------

    def _pairs(self, classes: Classes, *, self_draws: bool) -> dict[str, FloatArray]:
        """Metric -> mean over partners of each row, [1, n, ...], or [PARTS, n, ...] for some."""
        if self._output is None or self._node is None or not self.model:
            return {}
        sizes = classes.sizes[classes.ids]
        count = int(sizes.sum())
        metrics = self._metric_cost
        each = max(1.0, self._pair_cost() + metrics)
        work = self.work + SHARE * 3 * self.samples * metrics
        most = max(work / each, min(FREE_PAIRS, FREE / each))
        if count <= most:
            return self._mean_over(_all_partners(classes, self_draws=self_draws), 1)
        some = int(most / len(self.data)) // PARTS
        if some < 1:
            return {}
        drawn = self._some_partners(classes, some, self_draws=self_draws)
        return self._mean_over(drawn, PARTS)

    @cached_property
    def _metric_cost(self) -> float:
        """Operations of the metrics on a row, beside those on the numbers of the output."""
        output = self._output
        if output is None or len(self.data) < 2:
            return 0.0
        return sum(metric_cost(self.metrics[name], output, self.data)
                   for name in self.model)  # fmt: skip

    def _pair_cost(self) -> float:
        """Operations of one pair: its metric, and what is downstream of the randomized node."""
        output = self._output
        numbers = 0 if output is None else output[:1].numel()
        if self.randomize is None or self.randomize == self.graph.output:
            return float(numbers)
        given = {self.randomize: None}
        nodes = needed_nodes(self.graph, [self.graph.output], given)
        return numbers + sum(self.costs[one] for one in nodes if one not in given)

    def _some_partners(
        self, classes: Classes, each: int, *, self_draws: bool
    ) -> Iterator[tuple[int, Ints, Ints, Floats]]:
        n = len(self.data)
        step = max(1, _PAIRS // n)
        for part in range(PARTS):
            stream = f"{RANDOMIZED}/known/{part}"
            for first in range(0, each, step):
                last = min(each, first + step)
                rows = np.tile(np.arange(n), last - first)
                numbers = uniforms(self.seed, stream, first * n, last * n)
                partners = classes.pick(rows, numbers, self_draws=self_draws)
                yield part, rows, partners, np.full(len(rows), 1.0 / each)

    def _mean_over(
        self, pairs: Iterator[tuple[int, Ints, Ints, Floats]], parts: int
    ) -> dict[str, FloatArray]:
        sums: dict[str, FloatArray] = {}
        failed: set[str] = set()
        for part, rows, partners, weights in pairs:
            for start in range(0, len(rows), self.pairs):
                cut = slice(start, start + self.pairs)
                for name, values in self._on_pairs(rows[cut], partners[cut], failed).items():
                    n = len(self.data)
                    if name not in sums:
                        sums[name] = np.zeros((parts, n, *values.shape[1:]))
                    columns = values.reshape(len(values), -1).T * weights[cut]
                    added = [np.bincount(rows[cut], column, n) for column in columns]
                    sums[name][part] += np.stack(added, axis=1).reshape(n, *values.shape[1:])
        return {
            name: values
            for name, values in sums.items()
            if name not in failed and np.isfinite(values).all()
        }

    def _on_pairs(self, rows: Ints, partners: Ints, failed: set[str]) -> dict[str, FloatArray]:
        output, node = self._output, self._node
        if output is None or node is None:
            return {}
        at, other = torch.as_tensor(rows, device=output.device), torch.as_tensor(partners)
        swapped = node[other.to(node.device)]
        with torch.no_grad():
            if self.randomize is not None and self.randomize != self.graph.output:
                given = {self.randomize: swapped}
                batch = self.data.lazy(rows)
                wanted = [self.graph.output]
                swapped = evaluate(self.graph, batch, wanted, given=given, device=self.device)[
                    self.graph.output
                ]
            found = {}
            for name in [one for one in self.model if one not in failed]:
                try:
                    found[name] = self._measure(name, swapped, output[at], rows)
                except CausalScrubbingError:
                    failed.add(name)  # E_randomized is then what samples say
            return found


def _all_partners(
    classes: Classes, *, self_draws: bool
) -> Iterator[tuple[int, Ints, Ints, Floats]]:
    """All pairs of a row and another of its class, with the weight of the partner in the class."""
    sizes = classes.sizes[classes.ids]
    order, starts = classes.order, classes.starts
    weights = np.ones(len(classes)) if classes.weights is None else classes.weights
    for rows in _by_size(sizes):
        counts = sizes[rows]
        ends = np.cumsum(counts)
        place = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
        repeated = np.repeat(rows, counts)
        partners = order[starts[classes.ids[repeated]] + place]
        share = weights[partners].astype(np.float64)
        if not self_draws:
            share = np.where((partners == repeated) & (np.repeat(counts, counts) > 1), 0.0, share)
        total = np.add.reduceat(share, ends - counts)
        used = share > 0
        share = share / np.repeat(total, counts)
        yield 0, repeated[used], partners[used], share[used]


def _by_size(sizes: Ints) -> Iterator[Ints]:
    """Rows in runs that have about as many pairs as are evaluated at once."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PAIRS, side="right")))
        yield np.arange(start, stop)
        start = stop


def _chunks(n: int, size: int) -> Iterator[Ints]:
    for start in range(0, n, size):
        yield np.arange(start, min(n, start + size))


def may_know(n: int, drawn: int, row_cost: float, sample_cost: float, samples: int) -> bool:
    """Whether evaluating the rows that a run has not drawn costs little beside the run.

    Args:
        n: rows of the data.
        drawn: how many of them the run evaluates the model on anyway.
        row_cost: operations of the model on a row.
        sample_cost: operations of a sample beside clean rows.
        samples: how many samples the run has.
    """
    more = (n - drawn) * row_cost
    return more <= max(SHARE * (drawn * row_cost + samples * sample_cost), FREE)
