"""Clean values of operations inside a node: as nodes of their own, and of masks on all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Graph, HasSteps, Ref, Size, Step, evaluate, needed_nodes, put_in
from causal_scrubbing._positions.forward import let_through
from causal_scrubbing._positions.trace import Trace

_BATCH: Final = 64
_MOST_NODES: Final = 64


class Inside:
    """The value of one operation of a function, as a function of the same arguments.

    Args:
        steps: all operations of the function.
        number: the operation whose value is wanted.
    """

    def __init__(self, steps: Sequence[Step], number: int) -> None:
        self._steps = steps
        self._number = number
        needed, todo = {number}, [number]
        while todo:
            for ref in reads(steps[todo.pop()]):
                if not ref.is_argument and ref.number not in needed:
                    needed.add(ref.number)
                    todo.append(ref.number)
        self._order = sorted(needed)
        self._last = {ref.number: place for place, number in enumerate(self._order)
                      for ref in reads(steps[number]) if not ref.is_argument}  # fmt: skip

    @property
    def arguments(self) -> set[int]:
        """The arguments that the value depends on."""
        return {ref.number for number in self._order for ref in reads(self._steps[number])
                if ref.is_argument}  # fmt: skip

    def __call__(self, *arguments: torch.Tensor) -> torch.Tensor:
        values: dict[int, Any] = {}

        def put(one: Any) -> Any:
            if isinstance(one, Size):
                return one(arguments)
            return arguments[one.number] if one.is_argument else values[one.number]

        for place, number in enumerate(self._order):
            step = self._steps[number]
            values[number] = step.target(*put_in(step.args, put), **put_in(step.kwargs, put))
            for used in [used for used, last in self._last.items() if last == place]:
                del values[used]
        found: torch.Tensor = values[self._number]
        return found


def reads(step: Step) -> list[Ref]:
    """The values that a step reads."""
    found: list[Ref] = []

    def note(one: Any) -> Any:
        if isinstance(one, Ref):
            found.append(one)
        return one

    put_in(step.args, note)
    put_in(step.kwargs, note)
    return found


class Masks:
    """Which positions attention lets read which, over all rows of a dataset.

    Args:
        graph: the graph.
        data: the dataset.
        device: where to compute.
    """

    def __init__(self, graph: Graph, data: Dataset, device: torch.device | None) -> None:
        self._graph = graph
        self._data = data
        self._device = device
        self._known: dict[tuple[str, Ref], torch.Tensor | None] = {}

    def let_through(
        self, trace: Trace | None, node: str, parents: Sequence[str], ref: Ref
    ) -> torch.Tensor | None:
        """What a clean mask lets through on any row, [positions, read]; None if not known.

        Args:
            trace: the operations of the node that reads it.
            node: that node.
            parents: its arguments.
            ref: the mask among its values.
        """
        if trace is None:
            return None
        constant = trace.constant(ref)
        if constant is not None:
            return let_through(constant)
        key = (parents[ref.number], Ref(0, True)) if ref.is_argument else (node, ref)
        if key not in self._known:
            self._known[key] = self._on_all_rows(node, parents, ref)
        return self._known[key]

    def _on_all_rows(self, node: str, parents: Sequence[str], ref: Ref) -> torch.Tensor | None:
        fn: Any = self._graph.nodes[node].fn if node in self._graph else None
        inside: Any = None
        wanted = [parents[ref.number]] if ref.is_argument else []
        if not ref.is_argument:
            if not isinstance(fn, HasSteps):
                return None
            inside = Inside(fn.steps, ref.number)
            wanted = [parents[i] for i in sorted(inside.arguments)]
        # Cheap to make from the fields: not what layers of a model compute.
        if len(needed_nodes(self._graph, wanted)) > _MOST_NODES:
            return None
        found: torch.Tensor | None = None
        for start in range(0, len(self._data), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(self._data)))
            with torch.no_grad():
                values = evaluate(self._graph, self._data.lazy(rows), wanted, device=self._device)
                if inside is None:
                    mask = values[wanted[0]]
                else:
                    mask = inside(*(values.get(parent, torch.empty(0)) for parent in parents))
            here = let_through(mask)
            if here is None:
                return None
            found = here if found is None else found | here
        return found
