"""Running a graph on rows, every node once, values freed as soon as nothing needs them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import torch

from causal_scrubbing._data import Dataset, check_dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._nodes.node import Node


class Evaluable(Protocol):
    """What is known of a graph here: its nodes in order, and where they run."""

    device: torch.device | None

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by name in topological order."""
        ...

    @cached_property
    def is_constant(self) -> Mapping[str, bool]:
        """Whether each node reads no input at all."""
        ...


def needed_nodes(
    graph: Evaluable, wanted: Sequence[str], given: Mapping[str, object] | None = None
) -> list[str]:
    """The nodes that must be run for the wanted ones, in topological order, given ones included."""
    given = given or {}
    needed = set(wanted)
    for name in reversed(list(graph.nodes)):
        if name in needed and name not in given:
            needed.update(graph.nodes[name].parents)
    return [name for name in graph.nodes if name in needed]


def evaluate(
    graph: Evaluable,
    rows: Dataset,
    wanted: Sequence[str],
    *,
    given: Mapping[str, torch.Tensor] | None = None,
    device: torch.device | str | None = None,
) -> dict[str, torch.Tensor]:
    """Values of the wanted nodes on a batch of rows.

    Args:
        graph: the graph.
        rows: the batch; every node sees all of it at once.
        wanted: node names, hidden ones allowed.
        given: values to use in place of nodes' own.
        device: where fields are moved before the first node runs.
    """
    values = dict(made(graph, rows, wanted, given=given, device=device))
    return {name: values[name] for name in wanted}


def made(
    graph: Evaluable,
    rows: Dataset,
    wanted: Sequence[str],
    *,
    given: Mapping[str, torch.Tensor] | None = None,
    device: torch.device | str | None = None,
) -> Iterator[tuple[str, torch.Tensor]]:
    """The wanted nodes and their values, each as soon as it is made; see `evaluate`.

    A value that the caller does not keep is freed when nothing downstream needs it any more.
    """
    given = given or {}
    order = needed_nodes(graph, wanted, given)
    uses = dict.fromkeys(order, 0)
    for name in order:
        if name not in given:
            for parent in graph.nodes[name].parents:
                uses[parent] += 1
    shown = set(wanted)
    values: dict[str, torch.Tensor] = {}
    for name in order:
        node = graph.nodes[name]
        parents: tuple[str, ...] = ()
        if name in given:
            values[name] = given[name]
        elif node.is_input:
            values[name] = read_field(node, rows, device)
        else:
            parents = node.parents
            values[name] = call(node, [values[p] for p in parents])
        for parent in parents:
            uses[parent] -= 1
            if uses[parent] == 0:
                values.pop(parent, None)
        if name in shown:
            yield name, values[name] if uses[name] else values.pop(name)


def read_field(node: Node, rows: Dataset, device: torch.device | str | None) -> torch.Tensor:
    """The value of an input node.

    Raises:
        GraphError: the dataset lacks the field, it holds strings, or rows of another shape than
            the graph was captured for.
    """
    field = node.field
    if field is None or field not in rows:
        raise GraphError(
            f"input {node.name!r} reads the dataset field {field!r}, which the dataset lacks; it "
            f"has {', '.join(rows.field_names)}. Add it with data.with_fields(...)."
        )
    value = rows[field]
    if isinstance(value, np.ndarray):
        raise GraphError(f"input {node.name!r} reads {field!r}, which holds strings, not numbers.")
    _check_sizes(node, value)
    tensor: torch.Tensor = value if device is None else value.to(device)
    return tensor if node.fn is None else _run(node, (field,), (tensor,))


def _check_sizes(node: Node, value: torch.Tensor) -> None:
    """Refuse rows of a shape the graph was not made for, on which it may compute anything."""
    if node.sizes is None:
        return
    found = value.shape[1:]
    if len(found) == len(node.sizes) and all(
        size in (None, n) for size, n in zip(node.sizes, found, strict=True)
    ):
        return
    made_for = ", ".join("any" if size is None else str(size) for size in node.sizes)
    raise GraphError(
        f"the graph was captured for rows of {node.field!r} of shape [{made_for}], but the data's "
        f"have shape {list(found)}. Capture with dynamic=True, if the model takes rows of other "
        "lengths, or pad the data to that shape."
    )


def call(node: Node, arguments: Sequence[torch.Tensor]) -> torch.Tensor:
    """One node's function on its parents' values, its failure told with names and shapes.

    Raises:
        GraphError: the function fails or returns no tensor.
    """
    return _run(node, node.parents, arguments)


def _run(node: Node, names: Sequence[str], arguments: Sequence[torch.Tensor]) -> torch.Tensor:
    if node.fn is None:
        raise GraphError(f"input {node.name!r} has no function to call.")
    try:
        value = node.fn(*arguments)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        shapes = ", ".join(f"{p} {list(v.shape)}" for p, v in zip(names, arguments, strict=True))
        raise GraphError(
            f"node {node.name!r} failed on its parents' values ({shapes}): "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(value, torch.Tensor):
        raise GraphError(
            f"node {node.name!r} returned {type(value).__name__}; a node's value is one tensor, "
            "batch first. Make one node for each tensor."
        )
    return value


_OUT_OF_MEMORY: Final = re.compile(
    r"out of memory|can't allocate memory|not enough memory|cannot allocate memory"
    r"|(CUBLAS|CUDNN|CUSOLVER|CUSPARSE)_STATUS_ALLOC_FAILED"
    r"|(CUSPARSE|CUSOLVER)_STATUS_INSUFFICIENT_RESOURCES|CUFFT_ALLOC_FAILED",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or in main memory.

    Allocators of torch raise errors of a type of their own; the libraries beneath it, and other
    devices' allocators, only say so in words.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None


def check_batch(graph: Evaluable, name: str, value: torch.Tensor, rows: int) -> None:
    """A node's value has one entry a row, unless it is a constant.

    Raises:
        GraphError: it has not.
    """
    if graph.is_constant[name] or (value.ndim and len(value) == rows):
        return
    gave = "" if value.ndim else ", one number,"
    raise GraphError(
        f"node {name!r} returned shape {list(value.shape)}{gave} for a batch of {rows} rows; a "
        "node's value is batch first, one entry a row. Sum or average over the other axes only, "
        "x.flatten(1).sum(1)."
    )


def evaluate_dataset(
    graph: Evaluable,
    data: Dataset,
    wanted: Sequence[str],
    batch_size: int,
    device: torch.device | str | None = None,
) -> dict[str, torch.Tensor]:
    """Values of the wanted nodes on every row of a dataset, in batches, without gradients.

    Raises:
        GraphError: the batch size is not a positive number, or a node fails.
    """
    check_dataset(data)
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise GraphError(f"batch_size={batch_size!r}: give a positive number of rows.")
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in wanted}
    with torch.no_grad():
        for start in range(0, len(data), batch_size):
            rows = np.arange(start, min(start + batch_size, len(data)))
            batch = evaluate(graph, data.lazy(rows), wanted, device=device or graph.device)
            for name, value in batch.items():
                check_batch(graph, name, value, len(rows))
                if value.ndim == 0 or len(value) != len(rows):
                    value = value.expand(len(rows), *value.shape[1:])
                parts[name].append(value)
    return {name: torch.cat(found) for name, found in parts.items()}
