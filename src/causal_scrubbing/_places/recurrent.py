"""Running a fused recurrent network step by step, so that each state is a tensor of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from causal_scrubbing._errors import GraphError

Tell: TypeAlias = Callable[[str, Tensor], Tensor]
"""Takes the name of a tensor inside a module, and it; returns what goes on in its place."""


def is_recurrent(module: torch.nn.Module) -> bool:
    """Whether a module is a recurrent network that runs all its steps at once."""
    return isinstance(module, (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN))


def by_steps(module: Any, tell: Tell, x: Any, state: Any = None) -> tuple[Tensor, Any]:
    """What an LSTM, GRU or RNN computes; arguments and result as its forward's.

    The states are told in order, layer after layer, and in a layer step after step: ``h``, and of
    an LSTM ``c`` before it, each [batch, width].

    Raises:
        GraphError: it runs in both directions, projects its states, or its input is packed or has
            no batch.
    """
    if module.bidirectional or module.proj_size or not isinstance(x, Tensor) or x.ndim != 3:
        raise GraphError(
            f"sites at the steps of {type(module).__name__} need one direction, no proj_size and a "
            "batch of sequences that are not packed; take its output as the site."
        )
    steps = x.unbind(1 if module.batch_first else 0)
    lstm = isinstance(module, torch.nn.LSTM)
    first: Any = state
    cells: Any = state
    if state is None:
        size = (module.num_layers, steps[0].shape[0], module.hidden_size)
        first = cells = x.new_zeros(size)
    elif lstm:
        first, cells = state
    lasts: list[tuple[Tensor, Tensor]] = []
    for layer in range(module.num_layers):
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        found: Any = [getattr(module, f"{name}_l{layer}", None) for name in names]
        h, c = first[layer], cells[layer]
        out = []
        for one in steps:
            given = functional.linear(one, found[0], found[2])
            kept = functional.linear(h, found[1], found[3])
            if lstm:
                let_in, forget, new, let_out = (given + kept).chunk(4, -1)
                c = tell("c", forget.sigmoid() * c + let_in.sigmoid() * new.tanh())
                h = tell("h", let_out.sigmoid() * c.tanh())
            else:
                h = tell("h", _next(module, given, kept, h))
            out.append(h)
        steps = tuple(out)
        lasts.append((h, c))
    output = torch.stack(steps, 1 if module.batch_first else 0)
    hidden = torch.stack([h for h, _ in lasts])
    return output, (hidden, torch.stack([c for _, c in lasts])) if lstm else hidden


def _next(module: Any, given: Tensor, kept: Tensor, h: Tensor) -> Tensor:
    """The next state of a GRU or a plain recurrent network."""
    if not isinstance(module, torch.nn.GRU):
        total = given + kept
        return total.tanh() if module.nonlinearity == "tanh" else total.relu()
    reset, update, new = given.chunk(3, -1)
    reset_kept, update_kept, new_kept = kept.chunk(3, -1)
    gate = (update + update_kept).sigmoid()
    fresh = (new + (reset + reset_kept).sigmoid() * new_kept).tanh()
    return (1 - gate) * fresh + gate * h
