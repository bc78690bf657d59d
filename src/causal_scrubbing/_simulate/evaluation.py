"""Reading a batch of outputs: metrics and comparisons, in slices that memory holds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import peak_bytes, release
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._graph import Graph, evaluate, is_out_of_memory
from causal_scrubbing._metrics import compare_all
from causal_scrubbing._simulate.behaviour import Metric, evaluate_metric
from causal_scrubbing._simulate.record import Measured
from causal_scrubbing._statistics import FloatArray

_TRIED = 2


@dataclass
class Spent:
    """Seconds a run took beside the engine's own.

    Attributes:
        drawing: drawing rows.
        metrics: evaluating metrics.
        comparing: comparing outputs with the model's own.
        ordering: putting rows in order for Sobol' draws.
        knowing: evaluating the behaviour on every row, and on pairs of rows.
    """

    drawing: float = 0.0
    metrics: float = 0.0
    comparing: float = 0.0
    ordering: float = 0.0
    knowing: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """As entries of what a run took."""
        return {f"{name}_seconds": seconds for name, seconds in asdict(self).items()}


@dataclass
class Reader:
    """What is read off the outputs of several hypotheses about one graph.

    Attributes:
        data: the dataset.
        metrics: by name.
        model: number of the model's own output.
        roots: number of each hypothesis's scrubbed output.
        randomized: number of each one's output on another row, or None.
        compare: whether outputs are compared with the model's own.
        spent: seconds this takes are added here.
        most: rows read at once; None for no limit. Halved where memory runs out.
    """

    data: Dataset
    metrics: Mapping[str, Metric]
    model: int
    roots: Sequence[int]
    randomized: Sequence[int | None]
    compare: bool = True
    spent: Spent = field(default_factory=Spent)
    most: int | None = field(default=None, init=False)

    def cost(self, graph: Graph, device: torch.device | None) -> float:
        """Bytes a row that reading takes besides the outputs, measured on two rows."""
        rows = np.linspace(0, len(self.data) - 1, _TRIED).astype(np.int64)
        with torch.no_grad():
            own = evaluate(graph, self.data.lazy(rows), [graph.output], device=device)
        found = dict.fromkeys(self._numbers, own[graph.output])
        return peak_bytes(lambda: self._read(found, rows)) / _TRIED

    def read(
        self, found: Mapping[int, torch.Tensor], reference: Ints, most: int | None
    ) -> tuple[Measured, ...]:
        """Values of each hypothesis, a row each.

        Args:
            found: outputs by number, [B, ...].
            reference: the reference rows, [B].
            most: rows to read at once, or None for no limit.

        Raises:
            ScrubError: memory runs out on a single row.
        """
        rows = len(reference)
        if self.most is None:
            self.most = most
        parts: list[tuple[Measured, ...]] = []
        start = 0
        while start < rows:
            stop = rows if self.most is None else min(rows, start + self.most)
            piece = {number: value[start:stop] for number, value in found.items()}
            try:
                values = self._read(piece, reference[start:stop])
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if stop - start == 1:
                    raise ScrubError(
                        f"memory ran out while one output of shape "
                        f"{list(found[self.model].shape[1:])} was measured: {error}. Free some, "
                        "lower memory=, or reduce the output in the graph: graph.append(...)."
                    ) from error
                self.most = (stop - start) // 2
                release(found[self.model].device)
                continue
            parts.append(values)
            start = stop
        return joined(parts)

    def rows(self, rows: Ints, own: torch.Tensor) -> Dataset:
        """What a metric is given: the rows where the outputs are, with the model's own output."""
        return self.data.lazy(rows, own.device).with_model_output(own)

    def _read(self, found: Mapping[int, torch.Tensor], reference: Ints) -> tuple[Measured, ...]:
        began = time.perf_counter()
        own = found[self.model]
        batch = self.rows(reference, own)
        known = {
            name: {
                number: evaluate_metric(name, metric, found[number], batch)
                for number in self._numbers
            }
            for name, metric in self.metrics.items()
        }
        measured = time.perf_counter()
        self.spent.metrics += measured - began
        moved: Mapping[int, Mapping[str, FloatArray]] = {}
        if self.compare:
            moved = self._compare_outputs(found, own)
            self.spent.comparing += time.perf_counter() - measured
        return tuple(
            Measured(
                scrubbed={name: values[root] for name, values in known.items()},
                model={name: values[self.model] for name, values in known.items()},
                randomized={}
                if other is None
                else {name: values[other] for name, values in known.items()},
                moved=moved.get(root, {}),
                moved_randomized={} if other is None else moved.get(other, {}),
            )
            for root, other in zip(self.roots, self.randomized, strict=True)
        )

    @property
    def _numbers(self) -> list[int]:
        """Outputs that are read, each once, the model's own first."""
        others = [n for pair in zip(self.roots, self.randomized, strict=True) for n in pair]
        return list(dict.fromkeys([self.model, *(n for n in others if n is not None)]))

    def _compare_outputs(
        self, found: Mapping[int, torch.Tensor], own: torch.Tensor
    ) -> Mapping[int, Mapping[str, FloatArray]]:
        """Compare outputs with the model's own while they are at hand."""
        logits = own.ndim == 2 and own.shape[1] > 1 and own.is_floating_point()
        wanted = {n for n in (*self.roots, *self.randomized) if n is not None}
        return compare_all({n: found[n] for n in wanted}, own, logits=logits)


def joined(parts: Sequence[Sequence[Measured]]) -> tuple[Measured, ...]:
    """Values of hypotheses on samples that follow each other, a hypothesis each."""
    return tuple(Measured.joined(list(one)) for one in zip(*parts, strict=True))
