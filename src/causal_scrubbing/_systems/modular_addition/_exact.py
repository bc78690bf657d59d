"""Claims of one row, evaluated over everything that can be drawn: no sampling.

Where all planes come from one row, the loss depends on three things: the sum asked for, the
numbers that the planes came from, and the pair that everything else came from. These are few
enough to go through. The graph here computes the same as the model's, with those three as nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

import causal_scrubbing as cs

from . import _model as model


@dataclass(frozen=True)
class Exact:
    """The exact losses of claims on one model, in nats.

    Attributes:
        model: the model's own.
        randomized: with the logits of any other pair.
        scrubbed: claim -> its loss.
        combinations: claim -> how many combinations of values were gone through.
    """

    model: float
    randomized: float
    scrubbed: Mapping[str, float]
    combinations: Mapping[str, int]

    def recovered(self, claim: str) -> float:
        """In percent of the loss."""
        return 100 * (self.randomized - self.scrubbed[claim]) / (self.randomized - self.model)


def exact_losses(
    weights: model.Weights,
    data: cs.Dataset,
    whole: str,
    parts: Mapping[str, tuple[cs.Graph, Sequence[str]]],
    progress: Callable[[str], None],
) -> Exact:
    """Evaluate exactly that the logits carry a + b, and that parts of the neurons do, in one row.

    Args:
        weights: the model.
        data: the pairs that may be drawn.
        whole: what to call the first claim.
        parts: what to call a claim -> a graph of the model, and the parts of its neurons that carry
            a + b together; everything else comes from any pair.
        progress: told what is being done.
    """
    outward = weights["out"] @ weights["unembed"]
    progress(f"exactly: {whole}")
    a, b = model.pairs()
    everything = cs.Dataset(a=a, b=b)
    plain = _graph(weights)
    any_logits = cs.Hypothesis(plain, cs.claim("loss", "sum", cs.claim("target", "sum")))
    found = {whole: cs.exact_scrub(_claim(plain, "logits"), data, baseline=any_logits)}
    for name, (graph, nodes) in parts.items():
        progress(f"exactly: {name}")
        values = graph.values(everything, list(nodes))
        written = torch.stack([values[node] for node in nodes]).sum(dim=0) @ outward
        few = _graph(weights, written)
        cs.check_equal(few, plain, data)
        # Of each combination one number is kept, and 59 * 59 * 3,481 of them are 12 million.
        budget = 2 * model.PRIME**4
        found[name] = cs.exact_scrub(_claim(few, "key"), data, budget=budget, batch_size=65_536)
    return Exact(
        model=found[whole].model.mean,
        randomized=found[whole].randomized.mean,  # of the baseline: any other pair's logits
        scrubbed={name: result.expectation.mean for name, result in found.items()},
        combinations={name: result.largest for name, result in found.items()},
    )


def _claim(graph: cs.Graph, node: str) -> cs.Hypothesis:
    """The node carries the sum, on which the loss depends besides; nothing else matters."""
    return cs.Hypothesis(
        graph, cs.claim("loss", "sum", cs.claim(node, "sum"), cs.claim("target", "sum"))
    )


def _graph(weights: model.Weights, written: Tensor | None = None) -> cs.Graph:
    """The loss from the logits, or from a part of them [59 * 59, 59] and what that leaves."""
    own = model.logits(weights, *model.pairs())
    pieces = {"logits": own} if written is None else {"key": written, "left": own - written}

    def look_up(table: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda a, b: table[a * model.PRIME + b]

    def loss(target: Tensor, *parts: Tensor) -> Tensor:
        logits = torch.stack(parts).sum(dim=0) if len(parts) > 1 else parts[0]
        return logits.logsumexp(dim=1) - logits.gather(1, target[:, None])[:, 0]

    return cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            **{name: (look_up(table), ["a", "b"]) for name, table in pieces.items()},
            "target": (lambda a, b: (a + b) % model.PRIME, ["a", "b"]),
            "loss": (loss, ["target", *pieces]),
        },
        output="loss",
    )
