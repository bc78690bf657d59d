"""The paren checker as a graph, in pieces as small as the experiments need.

Names: ``a1.h0`` is head 0 of layer 1, what it adds to the residual stream at every position;
``m1`` the MLP of the layer, with the layer's constant attention bias; ``a1.h0.in.p1`` the residual
stream that head reads at position 1. Layers 0 and 1 have all 42 positions; of layer 2 only the
first position is read. Three inputs of heads and one output are split by position:

- ``a1.h0.in`` and ``a2.h0.in``: ``p0``, ``p1`` and the ``rest``;
- ``a2.h1.in``: ``p0`` to ``p41``;
- ``a0.h0``: ``p0``, ``p1`` and the ``rest``, where ``p1`` is the sum of ``p1.phi``, what the head
  would write if it only averaged one direction over the parentheses, and ``p1.rest``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import causal_scrubbing as cs

from . import _model as model
from ._strings import CLOSE, OPEN, POSITIONS

Entry = tuple[Callable[..., Tensor], list[str]]

PIECES = ("p0", "p1", "rest")
POSITION_NAMES = tuple(f"p{i}" for i in range(POSITIONS))


def build_graph(weights: model.Weights) -> cs.Graph:
    """The graph of the model with these weights, from fields `tokens` and `mask` to `logits`."""
    nodes: dict[str, Entry] = {"embed": (lambda tokens: model.embed(weights, tokens), ["tokens"])}
    first = ["embed", "mask"]
    nodes |= {
        "a0.h0.p0": (_head(weights, 0, 0, slice(0, 1)), first),
        "a0.h0.p1.phi": (_open_share_stand_in(weights), ["tokens"]),
        "a0.h0.p1.rest": (_what_the_stand_in_leaves(weights), [*first, "tokens"]),
        "a0.h0.p1": (cs.add, ["a0.h0.p1.phi", "a0.h0.p1.rest"]),
        "a0.h0.rest": (_head(weights, 0, 0, slice(2, None)), first),
        "a0.h1": (_head(weights, 0, 1, slice(None)), first),
    }
    stream = ["a0.h0.p0", "a0.h0.p1", "a0.h0.rest", "embed", "a0.h1"]
    nodes["m0"] = (_mlp(weights, 0), list(stream))
    stream.append("m0")
    nodes |= _split_input("a1.h0.in", stream, PIECES)
    nodes["a1.h0"] = (_head_of_pieces(weights, 1, 0), [*_names("a1.h0.in", PIECES), "mask"])
    nodes["a1.h1"] = (_head_of_stream(weights, 1, 1), [*stream, "mask"])
    stream += ["a1.h0", "a1.h1"]
    nodes["m1"] = (_mlp(weights, 1), list(stream))
    stream.append("m1")
    for head, pieces in ((0, PIECES), (1, POSITION_NAMES)):
        name = f"a2.h{head}"
        nodes |= _split_input(f"{name}.in", stream, pieces)
        parents = [*_names(f"{name}.in", pieces), "mask"]
        nodes[name] = (_head_of_pieces(weights, 2, head, at_start=True), parents)
    start = [name for name in stream if name not in ("a0.h0.p1", "a0.h0.rest")]
    start += ["a2.h0", "a2.h1"]
    bias = weights["blocks.2.attn.b_O"]
    nodes["m2"] = (
        cs.of_sum(lambda x: bias + model.mlp(weights, 2, x + bias), each=_at(0)),
        list(start),
    )
    nodes["logits"] = (
        cs.of_sum(lambda x: model.read_out(weights, x), each=_at(0)),
        [*start, "m2"],
    )
    return cs.Graph.build(inputs=["tokens", "mask"], nodes=nodes, output="logits")


def open_direction(weights: model.Weights) -> Tensor:
    """What head 0.0 writes on "(" less what it writes on ")", halved: v of phi(p) = v (2p - 1).

    Each is the head's value circuit applied to the embedding alone, averaged over the positions
    that can hold a parenthesis, [56].
    """
    positions = weights["pos_embed.W_pos"][1:-1]
    written = []
    for token in (OPEN, CLOSE):
        normed = model.norm(weights, "blocks.0.ln1", weights["embed.W_E"][token] + positions)
        value = normed @ weights["blocks.0.attn.W_V"][0] + weights["blocks.0.attn.b_V"][0]
        written.append((value @ weights["blocks.0.attn.W_O"][0]).mean(dim=0))
    return (written[0] - written[1]) / 2


def _open_share_stand_in(weights: model.Weights) -> Callable[[Tensor], Tensor]:
    direction = open_direction(weights)

    def phi(tokens: Tensor) -> Tensor:
        opens, closes = (tokens == OPEN).sum(dim=1), (tokens == CLOSE).sum(dim=1)
        share = opens.double() / (opens + closes)
        return (2 * share - 1).to(direction.dtype)[:, None] * direction

    return phi


def _what_the_stand_in_leaves(weights: model.Weights) -> Callable[..., Tensor]:
    phi, head = _open_share_stand_in(weights), _head(weights, 0, 0, slice(1, 2))

    def rest(embed: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        return head(embed, mask) - phi(tokens)

    return rest


def _head(weights: model.Weights, layer: int, head: int, at: slice) -> Callable[..., Tensor]:
    """A head at some positions; one position alone gives [n, 56]."""
    alone = at.start is not None and at.stop == at.start + 1

    def run(x: Tensor, mask: Tensor) -> Tensor:
        written = model.head(weights, layer, head, x, mask, at)
        return written[:, 0] if alone else written

    return run


def _head_of_stream(weights: model.Weights, layer: int, head: int) -> Callable[..., Tensor]:
    def run(*parts: Tensor) -> Tensor:
        return model.head(weights, layer, head, _stream(*parts[:-1]), parts[-1])

    return run


def _head_of_pieces(
    weights: model.Weights, layer: int, head: int, at_start: bool = False
) -> Callable[..., Tensor]:
    """A head whose input comes in pieces that follow one another along the positions."""
    only = slice(0, 1) if at_start else slice(None)

    def run(*parts: Tensor) -> Tensor:
        pieces = [p if p.ndim == 3 else p[:, None] for p in parts[:-1]]
        written = model.head(weights, layer, head, torch.cat(pieces, dim=1), parts[-1], only)
        return written[:, 0] if at_start else written

    return run


def _mlp(weights: model.Weights, layer: int) -> Callable[..., Tensor]:
    bias = weights[f"blocks.{layer}.attn.b_O"]
    return lambda *parts: bias + model.mlp(weights, layer, _stream(*parts) + bias)


def _stream(p0: Tensor, p1: Tensor, rest: Tensor, *whole: Tensor) -> Tensor:
    """The residual stream [n, 42, 56]: what is whole, plus head 0.0 from its three pieces."""
    return torch.cat([p0[:, None], p1[:, None], rest], dim=1) + sum(whole)


def _split_input(name: str, stream: list[str], pieces: tuple[str, ...]) -> dict[str, Entry]:
    """The residual stream as a head's input in pieces, each with the parents that reach it."""
    nodes: dict[str, Entry] = {}
    for index, piece in enumerate(pieces):
        last = piece == "rest"
        own = f"a0.h0.{piece}" if piece in PIECES else "a0.h0.rest"
        parents = [own, *(n for n in stream if not n.startswith("a0.h0"))]
        where = _at(slice(index, None) if last else index)
        nodes[f"{name}.{piece}"] = (cs.of_sum(each=where), parents)
    return nodes


def _at(at: int | slice) -> Callable[[Tensor], Tensor]:
    """The residual stream at some positions, of a part that has all of them, or just those."""

    def take(part: Tensor) -> Tensor:
        if part.ndim == 2:
            return part
        # The piece of head 0.0 that is the rest has no first two positions.
        return part[:, at] if part.shape[1] == POSITIONS else part[:, _after_two(at)]

    return take


def _after_two(at: int | slice) -> int | slice:
    return slice(at.start - 2, None) if isinstance(at, slice) else at - 2


def _names(name: str, pieces: tuple[str, ...]) -> list[str]:
    return [f"{name}.{piece}" for piece in pieces]
