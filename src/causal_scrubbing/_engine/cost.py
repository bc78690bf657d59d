"""What each node costs, counted by running it on a few rows: operations, bytes, working memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Graph, call, needed_nodes, read_field

_ROWS: Final = 2
_CPU_ATTENTION: Final = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@dataclass(frozen=True)
class NodeCost:
    """What one row of one node costs.

    Attributes:
        flops: floating-point operations: those of matrix products, convolutions and attention by
            the formulas of `torch.utils.flop_counter`, and one for each element that any other
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
    with torch.no_grad(), _Meter() as meter:
        for name in order:
            node = graph.nodes[name]
            meter.begin()
            if node.is_input:
                value = read_field(node, rows, device)
            else:
                value = call(node, [values[p] for p in node.parents])
            values[name] = value
            size = value.numel() * value.element_size() / _ROWS
            costs[name] = NodeCost(
                flops=0.0 if node.is_input else meter.flops / _ROWS,
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


def peak_bytes(work: Callable[[], object]) -> int:
    """Most bytes of tensors that are alive at once while something is done, made by it."""
    meter = _Meter()
    with meter:
        work()
    return meter.peak


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


class _Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, and follows bytes that are alive.

    `torch.utils.flop_counter.FlopCounterMode` counts the same, but loads the compiler to do so,
    which takes longer than many a run.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self.alive = 0
        self.peak = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch loads the compiler, only to tell it to leave this class alone

    def begin(self) -> None:
        """Start a node: bytes alive before it are not its own."""
        self.flops = 0
        self.alive = 0
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.is_view:
            return out
        packet = func.overloadpacket
        formula: Any = flop_registry.get(packet)
        if packet is _CPU_ATTENTION:
            count: Any = sdpa_flop_count
            self.flops += count(*(tuple(tensor.shape) for tensor in args[:3]))
        elif formula is not None:
            self.flops += formula(*args, **kwargs, out_val=out)
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, torch.Tensor):
                is_new = self._follow(one)
                if (
                    formula is None
                    and packet is not _CPU_ATTENTION
                    and (is_new or func._schema.is_mutable)
                ):
                    self.flops += one.numel()
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
