"""What each node costs, counted by running it on a few rows: operations, bytes, working memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry, sdpa_flop_count

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Graph
from causal_scrubbing._graph.evaluate import call, needed_nodes, read_field

_ROWS: Final = 2
_CPU_ATTENTION: Final = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@dataclass(frozen=True)
class NodeCost:
    """What one row of one node costs.

    Attributes:
        flops: floating-point operations: those of matrix products, convolutions and attention as
            counted by `torch.utils.flop_counter`, and one for each element that any other
            operation makes.
        bytes: size of the value.
        peak: most bytes alive at once inside the function, its value included.
        shape: of the value, without the batch dimension.
        dtype: of the value.
    """

    flops: float
    bytes: float
    peak: float
    shape: tuple[int, ...]
    dtype: torch.dtype


def measure_costs(
    graph: Graph,
    data: Dataset,
    wanted: Iterable[str],
    device: torch.device | str | None,
) -> dict[str, NodeCost]:
    """Costs of the wanted nodes and all upstream of them, from one pass over two rows.

    Raises:
        GraphError: a node fails or returns no tensor.
    """
    order = needed_nodes(graph, list(wanted))
    last = {parent: name for name in order for parent in graph.nodes[name].parents}
    rows = data.take(np.array([0, len(data) - 1]))
    values: dict[str, torch.Tensor] = {}
    costs: dict[str, NodeCost] = {}
    counter = FlopCounterMode(display=False, custom_mapping={_CPU_ATTENTION: _attention_flops})
    with torch.no_grad(), counter, _Meter() as meter:
        for name in order:
            node = graph.nodes[name]
            before = counter.get_total_flops()
            meter.begin()
            if node.is_input:
                value = read_field(node, rows, device)
            else:
                value = call(node, [values[p] for p in node.parents])
            values[name] = value
            counted = counter.get_total_flops() - before
            size = value.numel() * value.element_size() / _ROWS
            costs[name] = NodeCost(
                flops=0.0 if node.is_input else (counted + meter.elements) / _ROWS,
                bytes=size,
                peak=max(meter.peak / _ROWS, size),
                shape=tuple(value.shape[1:]),
                dtype=value.dtype,
            )
            for parent in node.parents:
                if last[parent] == name:
                    values.pop(parent, None)
    return costs


def total_flops(costs: Mapping[str, NodeCost], names: Iterable[str]) -> float:
    """Operations of running each of the named nodes once on one row."""
    return sum(costs[name].flops for name in names)


class Closures:
    """Operations of evaluating sets of nodes on one row, everything upstream run once."""

    def __init__(self, graph: Graph, costs: Mapping[str, NodeCost]) -> None:
        self.graph = graph
        self.costs = costs
        self._known: dict[frozenset[str], float] = {}

    def flops(self, nodes: Iterable[str]) -> float:
        """Operations for these nodes together."""
        key = frozenset(nodes)
        if key not in self._known:
            self._known[key] = total_flops(self.costs, needed_nodes(self.graph, list(key)))
        return self._known[key]

    def between(self, node: str, parents: Iterable[str]) -> float:
        """Operations for a node when the values of some upstream of it are given."""
        given = dict.fromkeys(parents)
        inner = [n for n in needed_nodes(self.graph, [node], given) if n not in given]
        return total_flops(self.costs, inner)


def _attention_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    count: Any = sdpa_flop_count
    return int(count(tuple(query), tuple(key), tuple(value)))


class _Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts elements made by operations without a formula, and follows bytes that are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0
        self.alive = 0
        self.peak = 0
        self._known: set[int] = set()

    def begin(self) -> None:
        """Start a node: bytes alive before it are not its own."""
        self.elements = 0
        self.alive = 0
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = func.overloadpacket in flop_registry or func.overloadpacket is _CPU_ATTENTION
        made = out if isinstance(out, tuple | list) else (out,)
        for one in made:
            if isinstance(one, torch.Tensor) and not func.is_view:
                is_new = self._follow(one)
                if not formula and (is_new or func._schema.is_mutable):
                    self.elements += one.numel()
        return out

    def _follow(self, value: torch.Tensor) -> bool:
        """Count a value's bytes from now on; False if its memory was there before."""
        storage = value.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return False
        size = storage.nbytes()
        self._known.add(key)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._gone, key, size)
        return True

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size
