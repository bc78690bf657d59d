"""What is claimed of the paren checker: the published experiments as hypotheses."""

from __future__ import annotations

import torch
from torch import Tensor

import causal_scrubbing as cs

from . import _features as features
from . import _model as model
from ._graph import POSITION_NAMES
from ._strings import LONGEST, PAD, POSITIONS, tokenize

CAPTURED = "1b module"
"""Experiment 1b on the graph that is captured from the PyTorch module."""

STATEMENTS = {
    "0": "the model itself: the logits carry the whole string",
    "0r": "the logits carry nothing",
    "1a": "1.0 and 2.0 carry 'equal counts', 2.1 'never above the horizon', nothing else matters",
    "1b": "1a, but 1.0 and 2.0 carry 'equal counts and starts open'",
    CAPTURED: "1b on the graph that cs.capture makes of the PyTorch module",
    "2a": "1b; 1.0 and 2.0 read position 1 only, there directly the embedding and head 0.0",
    "2a routes": "2a, embedding and head 0.0 by every route through the components in between",
    "2b": "2a, and of head 0.0 only phi(p) = v(2p - 1), p the share of opens",
    "2b routes": "2b, embedding and head 0.0 by every route",
    "3a": "1b; 2.1 reads at each position its horizon class alone, and the length from the mask",
    "3b": "3a, the horizon as head 0.0's mean attention weighs it",
    "4": "2b and 3b together",
    "4 routes": "2b routes and 3b together",
}
"""What each experiment claims, in one line."""


def dataset(strings: list[str], weights: model.Weights) -> cs.Dataset:
    """The strings with everything the experiments say of them, one field a feature."""
    table = features.signs(strings)
    tokens = tokenize(strings)
    plain = features.horizon_classes(table)
    weighed = features.horizon_classes(table, side_weights(weights, tokens))
    starts_open, equal = table[:, 0] > 0, features.equal_counts(table)
    never_above = features.no_position_above(plain)
    balanced = equal & never_above
    return cs.Dataset(
        string=strings,
        tokens=tokens,
        mask=tokens == PAD,
        balanced=balanced,
        unbalanced=~balanced,
        count_fails=~equal,
        horizon_fails=~never_above,
        equal_counts=equal,
        starts_open=starts_open,
        equal_and_open=equal & starts_open,
        open_share_if_open=features.open_share_if_open(table),
        length=features.lengths(table),
        horizon=plain,
        never_above=never_above,
        weighed_horizon=weighed,
        never_above_weighed=features.no_position_above(weighed),
    )


def side_weights(weights: model.Weights, tokens: Tensor) -> Tensor:
    """How head 0.0 weighs a parenthesis before a position and one from it on, [41, 42, 2].

    Its attention from each position, averaged over the strings of a length and over the
    parentheses of either side; zero where a side is empty or no string has the length.
    """
    total = torch.zeros(LONGEST + 1, POSITIONS, 2, dtype=torch.float64)
    count = torch.zeros(LONGEST + 1, dtype=torch.float64)
    position = torch.arange(POSITIONS)
    later = (position[None, :] >= position[:, None]).double()
    for rows in torch.split(tokens, 500):
        mask = rows == PAD
        length = (~mask).sum(dim=1) - 2
        pattern = model.attention_pattern(weights, 0, 0, model.embed(weights, rows), mask)
        is_paren = (position >= 1) & (position <= length[:, None])
        pattern = pattern.double() * is_paren[:, None, :]
        sides = torch.stack([(pattern * (1 - later)).sum(-1), (pattern * later).sum(-1)], dim=-1)
        total.index_add_(0, length, sides)
        count.index_add_(0, length, torch.ones(len(rows), dtype=torch.float64))
    length = torch.arange(LONGEST + 1)[:, None]
    before = (position - 1).clamp(min=0).minimum(length)
    keys = torch.stack([before, length - before], dim=-1)
    return torch.where(keys > 0, total / (count[:, None, None] * keys).clamp(min=1), 0.0)


def hypotheses(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """All experiments on the graph written by hand, by name, in the order they are read."""
    count = [_head(name, "equal_counts") for name in ("a1.h0", "a2.h0")]
    count_open = [_head(name, "equal_and_open") for name in ("a1.h0", "a2.h0")]
    direct = [_reads_position_1(layer) for layer in (1, 2)]
    routed = [_reads_position_1(layer, every_route=True) for layer in (1, 2)]
    direct_phi = [_reads_position_1(layer, phi=True) for layer in (1, 2)]
    routed_phi = [_reads_position_1(layer, every_route=True, phi=True) for layer in (1, 2)]
    horizon = _head("a2.h1", "never_above")
    by_position = _reads_horizon("horizon", "never_above")
    weighed = _reads_horizon("weighed_horizon", "never_above_weighed")
    roots = {
        "0": cs.claim("logits", cs.exact),
        "0r": cs.claim("logits", cs.anything),
        "1a": cs.claim("logits", cs.exact, *count, horizon),
        "1b": cs.claim("logits", cs.exact, *count_open, horizon),
        "2a": cs.claim("logits", cs.exact, *direct, horizon),
        "2a routes": cs.claim("logits", cs.exact, *routed, horizon),
        "2b": cs.claim("logits", cs.exact, *direct_phi, horizon),
        "2b routes": cs.claim("logits", cs.exact, *routed_phi, horizon),
        "3a": cs.claim("logits", cs.exact, *count_open, by_position),
        "3b": cs.claim("logits", cs.exact, *count_open, weighed),
        "4": cs.claim("logits", cs.exact, *direct_phi, weighed),
        "4 routes": cs.claim("logits", cs.exact, *routed_phi, weighed),
    }
    return {name: cs.Hypothesis(graph, root, name=name) for name, root in roots.items()}


def captured(graph: cs.Graph) -> cs.Hypothesis:
    """Experiment 1b on a graph that was captured from the module."""
    count_open = [_head(name, "equal_and_open") for name in ("a1.h0", "a2.h0")]
    root = cs.claim("logits", cs.exact, *count_open, _head("a2.h1", "never_above"))
    return cs.Hypothesis(graph, root, name=CAPTURED)


def _head(name: str, feature: str) -> cs.Claim:
    return cs.claim(name, feature)


def _reads_position_1(layer: int, every_route: bool = False, phi: bool = False) -> cs.Claim:
    """Head 0 of a layer reads position 1 alone; there the embedding and head 0.0 matter.

    By every route: through the MLP of layer 0, and for layer 2 through all of layer 1; what the
    embedding feeds into head 0.0 is head 0.0's, and not a route of the embedding's own.
    """
    between = ["m0"] if layer == 1 else ["m0", "a1.*", "m1"]
    via = {"embed": ["a0.h1", *between], "share": between} if every_route else {}
    share = "open_share_if_open"
    stand_in = [cs.claim("a0.h0.p1.phi", share)] if phi else []
    parts = [
        cs.claim("embed", "starts_open", via=via.get("embed", [])),
        cs.claim("a0.h0.p1", share, *stand_in, via=via.get("share", [])),
    ]
    read = cs.claim(f"a{layer}.h0.in.p1", "equal_and_open", *parts)
    return cs.claim(f"a{layer}.h0", "equal_and_open", read)


def _reads_horizon(classes: str, whole: str) -> cs.Claim:
    """Head 2.1 reads one horizon class at each position, and where the pads begin."""
    reads = [
        cs.claim(f"a2.h1.in.{name}", f"{classes}[{position}]")
        for position, name in enumerate(POSITION_NAMES)
    ]
    return cs.claim("a2.h1", whole, *reads, cs.claim("mask", "length"))
