"""What each node costs, counted by running it on a few rows: operations, bytes, working memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from causal_scrubbing._data import Dataset
from causal_scrubbing._graph import Add, Graph, Node, call, needed_nodes, read_field

T = TypeVar("T")

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
    sums: dict[tuple[str, ...], str] = {}
    for name in order:
        node = graph.nodes[name]
        if isinstance(node.fn, Add):
            first = sums.setdefault(node.parents, name)
            if first in values:
                values[name], costs[name] = values[first], costs[first]
            else:
                values[name], costs[name] = _sum(node, [values[p] for p in node.parents])
        else:
            values[name], costs[name] = _measured(node, rows, values, device)
        for parent in node.parents:
            if last[parent] == name:
                values.pop(parent, None)
    return costs


def _measured(
    node: Node, rows: Dataset, values: Mapping[str, torch.Tensor], device: torch.device | str | None
) -> tuple[torch.Tensor, NodeCost]:
    """A node's value on two rows, and what making it took of each."""
    with torch.no_grad(), _Meter() as meter:
        if node.is_input:
            value = read_field(node, rows, device)
        else:
            value = call(node, [values[p] for p in node.parents])
    return value, _cost(value, 0.0 if node.is_input else meter.flops / _ROWS, meter.peak / _ROWS)


def _sum(node: Node, terms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, NodeCost]:
    """A sum's value on two rows, and what adding term by term takes of each."""
    with torch.no_grad():
        try:
            value = total(terms)
        except Exception:
            value = call(node, terms)  # names the node
    numbers = value.numel() / _ROWS
    alive = min(len(terms) - 1, 2)
    return value, _cost(value, (len(terms) - 1) * numbers, alive * numbers * value.element_size())


def _cost(value: torch.Tensor, flops: float, peak: float) -> NodeCost:
    size = value.numel() * value.element_size() / _ROWS
    return NodeCost(flops, size, max(peak, size), tuple(value.shape[1:]), value.dtype)


def total(terms: Sequence[torch.Tensor]) -> torch.Tensor:
    """A sum, in place from the second addition on."""
    made = terms[0]
    for number, value in enumerate(terms[1:]):
        if number and value.shape == made.shape and value.dtype == made.dtype:
            made.add_(value)
        else:
            made = made + value
    return made


def peak_bytes(work: Callable[[], object]) -> int:
    """Most bytes of tensors that are alive at once while something is done, made by it."""
    meter = _Meter()
    with meter:
        work()
    return meter.peak


class Closures:
    """What is upstream of sets of nodes, and what evaluating it on one row takes.

    Args:
        graph: the graph.
        costs: of the nodes that are asked about, and of all upstream of them.
    """

    def __init__(self, graph: Graph, costs: Mapping[str, NodeCost]) -> None:
        self._nodes = graph.nodes
        self._names = [name for name in graph.nodes if name in costs]
        self._flops = np.array([costs[name].flops for name in self._names])
        self._costs = costs
        # The cone of each node as the bits of one number: a graph can have more edges than can be
        # walked for each of many sets.
        self._cone: dict[str, int] = {}
        read: dict[tuple[str, ...], int] = {}
        for place, name in enumerate(self._names):
            parents = self._nodes[name].parents
            if parents not in read:
                read[parents] = 0
                for parent in parents:
                    read[parents] |= self._cone[parent]
            self._cone[name] = read[parents] | 1 << place
        self._between: dict[tuple[str, frozenset[str]], float] = {}

    def cone(self, nodes: Iterable[str]) -> int:
        """The nodes and all upstream of them, a bit each."""
        found = 0
        for name in nodes:
            found |= self._cone[name]
        return found

    def flops(self, nodes: Iterable[str]) -> float:
        """Operations for these nodes together, everything upstream run once."""
        return self.weigh(self.cone(nodes))

    def weigh(self, cone: int) -> float:
        """Operations for the nodes of a cone."""
        size = len(self._names)
        flags = np.frombuffer(cone.to_bytes(size // 8 + 1, "little"), dtype=np.uint8)
        bits = np.unpackbits(flags, count=size, bitorder="little")
        return float(bits @ self._flops)

    def between(self, node: str, parents: Iterable[str]) -> float:
        """Operations for a node when the values of some upstream of it are given."""
        key = (node, frozenset(parents))
        if key not in self._between:
            found, todo = {node}, [node]
            while todo:
                fresh = set(self._nodes[todo.pop()].parents) - found - key[1]
                found |= fresh
                todo += fresh
            self._between[key] = sum(self._costs[name].flops for name in found)
        return self._between[key]


def count_flops(run: Callable[[], T]) -> tuple[T, int]:
    """What a call gives, and the floating-point operations of torch that it takes."""
    with _Meter() as meter:
        found = run()
    return found, meter.flops


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

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from torch.utils.flop_counter import flop_registry, sdpa_flop_count

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
