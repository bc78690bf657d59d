"""A linear map of a split tensor is a sum of linear maps, one for each piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from causal_scrubbing._graph.rewrite.draft import Draft
from causal_scrubbing._nodes import Constant, Linear, Node, Rest, Take, Where, add, pick, uncovered


@dataclass(frozen=True)
class Unsqueeze:
    """The tensor with a last axis of size one."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x.unsqueeze(-1)


def distribute(
    draft: Draft[Any],
    consumer: str,
    linear: Linear,
    pieces: Sequence[tuple[str, Where | Rest | None]],
) -> None:
    """Make a linear node the sum of linear maps of pieces of its argument, plus its bias.

    Args:
        draft: the graph being rewritten.
        consumer: the node whose function is the linear map.
        linear: the map.
        pieces: node and place along the last axis of each piece; None for a summand, which has
            all places.
    """
    base = consumer.removeprefix("~")
    terms = []
    for piece, where in pieces:
        source, weight = piece, linear.weight
        if isinstance(where, Rest):
            left = uncovered(where.parts, weight.shape[1])
            source = draft.fresh(f"~{base}:{piece}:kept")
            draft.add(Node(name=source, parents=(piece,), fn=Take(-1, left)))
            weight = pick(weight, 1, left)
        elif isinstance(where, int):
            source = draft.fresh(f"~{base}:{piece}:wide")
            draft.add(Node(name=source, parents=(piece,), fn=Unsqueeze()))
            weight = pick(weight, 1, (where,))
        elif where is not None:
            weight = pick(weight, 1, where)
        term = draft.fresh(f"~{base}:{piece}")
        draft.add(Node(name=term, parents=(source,), fn=Linear(weight)))
        terms.append(term)
    if linear.bias is not None:
        bias = draft.fresh(f"~{base}:bias")
        draft.add(Node(name=bias, fn=Constant(linear.bias[None])))
        terms.append(bias)
    draft.put(replace(draft.nodes[consumer], parents=tuple(terms), fn=add))
