"""Orders of rows along which the behaviour changes smoothly, for Sobol' draws.

The number that picks a draw's row runs through the rows of a class in some order. Rows that lie
near each other should do nearly the same to the behaviour. So rows are put in order first by the
classes that draws below must agree with (or those draws would jump), then by a score: the row's
clean activation at the claimed nodes times the mean gradient of the behaviour there, which is what
putting the row's value there changes to first order. For the reference row the score is the model's
own behaviour. Where there are no gradients, all scores are the model's own behaviour.

Scores are rounded coarsely and ties are in row order, so that orders do not hang on the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Classes, Dataset, Floats, Ints
from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._graph import Graph, call, evaluate, needed_nodes, read_field
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis
from causal_scrubbing._simulate.behaviour import Metric, evaluate_metric

GRADIENT_ROWS: Final = 256
"""Rows that the mean gradient is taken over."""

_STEPS: Final = 1024
"""Steps that the range of a score is rounded to."""

_BATCH: Final = 512


@dataclass(frozen=True)
class Orders:
    """How rows lie for each draw.

    Attributes:
        keys: of all draws, parents before children.
        rows: draw key -> rows in order, int64 [n].
        how: what scores were made of, in words.
    """

    keys: tuple[str, ...]
    rows: Mapping[str, Ints]
    how: str


def order_rows(
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    metric: Metric,
    *,
    device: torch.device | None,
) -> Orders:
    """The orders for all draws of some hypotheses about one graph.

    Args:
        hypotheses: a draw that several have is put in order for the first of them.
        data: the rows.
        metric: the behaviour that is to change smoothly.
        device: where to compute.
    """
    graph = hypotheses[0].graph
    blocks: dict[str, _Draw] = {REFERENCE: _Draw()}
    for hypothesis in hypotheses:
        _collect(hypothesis, data, blocks)
    drawn = [one for key, one in blocks.items() if key != REFERENCE]
    nodes = list(dict.fromkeys(node for one in drawn for node in one.nodes))
    gradients = _gradients(graph, data, metric, nodes, device)
    own, scores = _scores(graph, data, metric, gradients or {}, device)
    rows = {}
    for key, one in blocks.items():
        score = own
        if key != REFERENCE and gradients and any(node in scores for node in one.nodes):
            score = np.sum([scores[node] for node in one.nodes if node in scores], axis=0)
        rows[key] = _sorted(score, one.below)
    how = "activations times mean gradients" if gradients else "the model's own behaviour"
    return Orders(tuple(blocks), rows, how)


class _Draw:
    """What the row of a draw decides: values at nodes, and the classes of draws below."""

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.below: list[Classes] = []


def _collect(hypothesis: Hypothesis, data: Dataset, blocks: dict[str, _Draw]) -> None:
    tree, classes = hypothesis.tree, hypothesis.classes(data)
    new: set[str] = {key for key in classes if key not in blocks}
    if len(blocks) == 1:
        new.add(REFERENCE)
    same: dict[str, str] = {REFERENCE: REFERENCE}
    for block in tree.blocks:
        exact = classes[block.key].is_exact
        same[block.key] = same[block.of] if exact else block.key
        key = same[block.key]
        if key not in blocks:
            blocks[key] = _Draw()
        if not exact and same[block.of] in new:
            blocks[same[block.of]].below.append(classes[block.key])
        if key in new:
            nodes = [tree.claims[i].claim.node for i in block.claims]
            blocks[key].nodes += [*nodes, *(node for _, node in block.others)]


def _sorted(score: Floats, below: Sequence[Classes]) -> Ints:
    """Rows by the classes below, those by their mean score, then by score and by number."""
    columns = [np.arange(len(score)), _rounded(score)]
    for classes in reversed(below):
        if 1 < classes.count < len(score):
            totals = np.bincount(classes.ids, score, classes.count)
            mean = _rounded(totals / np.bincount(classes.ids, minlength=classes.count))
            ranks = np.argsort(np.lexsort((np.arange(classes.count), mean)))
            columns.append(ranks[classes.ids])
    return np.lexsort(columns).astype(np.int64)


def _rounded(score: Floats) -> Floats:
    width = float(np.ptp(score))
    if not width > 0 or not np.isfinite(width):
        return np.zeros_like(score)
    steps: Floats = np.round((score - score.min()) / width * _STEPS)
    return steps


def _scores(
    graph: Graph,
    data: Dataset,
    metric: Metric,
    gradients: Mapping[str, torch.Tensor],
    device: torch.device | None,
) -> tuple[Floats, dict[str, Floats]]:
    """The model's behaviour on each row, and each node's value there times the mean gradient."""
    own: list[Floats] = []
    found: dict[str, list[Floats]] = {node: [] for node in gradients}
    for rows in _chunks(len(data)):
        wanted = list(dict.fromkeys([graph.output, *gradients]))
        with torch.no_grad():
            values = evaluate(graph, data.lazy(rows), wanted, device=device)
        output = values[graph.output]
        batch = data.lazy(rows, output.device).with_model_output(output)
        behaviour = evaluate_metric("the ordering", metric, output, batch)
        own.append(behaviour.reshape(len(behaviour), -1)[:, 0])
        for node, gradient in gradients.items():
            value = values[node].reshape(values[node].shape[0], -1).double()
            score = (value @ gradient.reshape(-1).double()).cpu().numpy()
            found[node].append(np.broadcast_to(score, (len(rows),)).copy())
    model = np.nan_to_num(np.concatenate(own))
    return model, {node: np.nan_to_num(np.concatenate(parts)) for node, parts in found.items()}


def _gradients(
    graph: Graph,
    data: Dataset,
    metric: Metric,
    nodes: Sequence[str],
    device: torch.device | None,
) -> dict[str, torch.Tensor] | None:
    """The mean gradient of the behaviour at each node that has one; None without any."""
    rows = np.unique(np.linspace(0, len(data) - 1, GRADIENT_ROWS).astype(np.int64))
    try:
        with torch.enable_grad():
            leaves, output = _forward(graph, data.lazy(rows), nodes, device)
            batch = data.lazy(rows, output.device).with_model_output(output.detach())
            found = _backward(metric(output, batch), leaves)
            if not found:  # a step function, such as accuracy: take what it follows of the output
                found = _backward(_followed(metric, output, batch), leaves)
    except (RuntimeError, TypeError, CausalScrubbingError, NotImplementedError):
        return None
    return found or None


def _forward(
    graph: Graph, batch: Dataset, nodes: Sequence[str], device: torch.device | None
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The output, and a zero added to each floating-point node, to take gradients at."""
    wanted, values = set(nodes), dict[str, torch.Tensor]()
    leaves: dict[str, torch.Tensor] = {}
    for name in needed_nodes(graph, [graph.output, *nodes]):
        node = graph.nodes[name]
        value = (
            read_field(node, batch, device)
            if node.is_input
            else call(node, [values[parent] for parent in node.parents])
        )
        if name in wanted and value.is_floating_point():
            leaves[name] = torch.zeros_like(value, requires_grad=True)
            value = value + leaves[name]
        values[name] = value
    return leaves, values[graph.output]


def _backward(behaviour: object, leaves: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not isinstance(behaviour, torch.Tensor) or not behaviour.requires_grad or not leaves:
        return {}
    total = behaviour.reshape(len(behaviour), -1)[:, 0].sum()
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, retain_graph=True)
    means = {
        name: one.mean(dim=0)
        for name, one in zip(leaves, found, strict=True)
        if one is not None and bool(one.isfinite().all())
    }
    return means if any(bool(one.any()) for one in means.values()) else {}


def _followed(metric: Metric, output: torch.Tensor, batch: Dataset) -> torch.Tensor:
    """The combination of the output's numbers that the behaviour follows best (least squares)."""
    with torch.no_grad():
        values = torch.as_tensor(metric(output, batch)).reshape(len(output), -1)[:, 0]
        flat = output.detach().reshape(len(output), -1).double()
        flat = flat - flat.mean(dim=0)
        target = (values.double() - values.double().mean())[:, None]
        weights: torch.Tensor = torch.linalg.lstsq(flat, target).solution.to(output.dtype)
    followed: torch.Tensor = output.reshape(len(output), -1) @ weights
    return followed


def _chunks(n: int) -> Iterator[Ints]:
    for start in range(0, n, _BATCH):
        yield np.arange(start, min(n, start + _BATCH))
