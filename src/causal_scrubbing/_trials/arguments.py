"""Arguments that the searches and controls share, checked before any work."""

from __future__ import annotations

import math
from numbers import Real

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import Executor
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._simulate import (
    check_arguments,
    check_batch_size,
    check_device,
    check_executor,
    check_samples,
    check_seed,
    check_size,
    refuse_autocast,
)


def check_run(
    h: Hypothesis,
    data: Dataset,
    samples: int,
    seed: int,
    batch_size: int | None,
    device: torch.device | str | None,
    randomize: str | None = None,
    executor: Executor | None = None,
) -> None:
    """Refuse arguments that no run can use, and features that the data does not have.

    Raises:
        HypothesisError: a feature or field cannot be used on the data.
        GraphError: there is no node of the name `randomize`.
        ScrubError: an argument is wrong; the message names it.
    """
    refuse_autocast()
    number = check_samples(samples)
    check_seed(seed)
    check_batch_size(batch_size)
    check_arguments([h], data, randomize, None)
    check_device(device)
    check_executor(executor)
    h.classes(data)
    check_size(number, 1, 1, len(h.tree.blocks))


def check_target(target: object) -> float:
    """A percent recovered to reach.

    Raises:
        ScrubError: it is no finite number.
    """
    if isinstance(target, Real) and not isinstance(target, bool) and math.isfinite(target):
        return float(target)
    raise ScrubError(f"target={target!r}: give the percent recovered to reach, like 95.")


def check_patterns(graph: Graph, name: str, patterns: object) -> tuple[str, ...]:
    """Names or patterns of nodes, given as one or a list.

    Args:
        graph: where they must match.
        name: the argument, for messages.
        patterns: what was given.

    Raises:
        GraphError: one matches no node.
        ScrubError: they are no text.
    """
    given = (patterns,) if isinstance(patterns, str) else patterns
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise ScrubError(
            f"{name}={patterns!r}: give a node's name or a pattern, or a list of them."
        )
    graph.find(given)
    return tuple(given)
