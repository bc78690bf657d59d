"""Models that several processes hold between them: what all of these must decide alike."""

from __future__ import annotations

from typing import TypeVar

from causal_scrubbing._graph.graph import Graph

T = TypeVar("T")


def is_sharded(graph: Graph) -> bool:
    """Whether the model's weights are shared out over the ranks of `torch.distributed`."""
    return graph.source is not None and graph.source.is_sharded


def agreed(graph: Graph, value: T) -> T:
    """A value that may differ between ranks, as the first of them has it.

    Ranks run a sharded model together, so that each must run the same rows in the same batches. All
    ranks call this in the same places. A model that is whole is no reason to ask others.

    Args:
        graph: of the model.
        value: what this rank found, such as how much memory is free.
    """
    if not is_sharded(graph):
        return value
    from torch import distributed

    if distributed.is_initialized() and distributed.get_world_size() > 1:
        found = [value]
        distributed.broadcast_object_list(found, src=0)
        return found[0]
    return value
