"""Self-checks made before a run: the graph must be what the method takes it for."""

from __future__ import annotations

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._graph import check_batch, evaluate
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis
from causal_scrubbing._simulate.outputs import Outputs

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Largest difference allowed between two ways to one output, relative to the output's scale."""

_ROWS = 4


def self_check(hypothesis: Hypothesis, data: Dataset, device: torch.device | str | None) -> None:
    """The all-`exact` treeified hypothesis must reproduce the model's own output.

    Every node of the treeified graph is recomputed with all data equal to the reference row, on a
    few rows, and compared with the plain graph; and the plain graph must give a row the same value
    alone as in a batch.

    Raises:
        ScrubError: it does not, with the size of the difference and the usual causes.
    """
    if hypothesis.tree.ablates:
        # Constants are no draws that could be set to the reference row; the rest is checked.
        hypothesis = hypothesis.with_(unimportant="per-claim")
    graph = hypothesis.graph
    where = graph.device if device is None else torch.device(device)
    rows = np.unique(np.linspace(0, len(data) - 1, _ROWS).astype(np.int64))
    with torch.no_grad():
        plain = evaluate(graph, data.take(rows), [graph.output], device=where)[graph.output]
        alone = evaluate(graph, data.take(rows[:1]), [graph.output], device=where)[graph.output]
    check_batch(graph, graph.output, plain, len(rows))
    check_batch(graph, graph.output, alone, 1)
    if plain.ndim == 0:  # a constant
        plain, alone = plain[None], alone[None]
    _compare(
        plain[:1],
        alone,
        "the output on one row differs when the row is run alone and when it is run in a batch",
        "Nodes are batch first and one row never reads another: look for statistics over the "
        "batch (batch normalisation or dropout in training mode: model.eval()), for random "
        "numbers, or for a shape that counts rows.",
    )
    outputs = Outputs(graph, data, batch_size=len(rows), device=device, simplify=False)
    keys = {block.key for block in hypothesis.tree.blocks}
    root = outputs.scrubbed(hypothesis.tree, dict.fromkeys(keys, REFERENCE))
    value = next(iter(outputs.run({REFERENCE: rows})))[2][root]
    _compare(
        plain,
        value,
        "with every draw equal to the reference row the treeified graph does not reproduce the "
        "model's own output",
        "A node's function is not a function of its parents alone (hidden state, random numbers, "
        "in-place changes of its arguments), or the graph is not what it is said to be.",
    )


def _compare(want: torch.Tensor, got: torch.Tensor, what: str, why: str) -> None:
    if want.shape != got.shape:
        raise ScrubError(f"self-check: {what}: shapes {list(want.shape)}, {list(got.shape)}. {why}")
    if not want.is_floating_point():
        if not torch.equal(want, got):
            raise ScrubError(f"self-check: {what}. {why}")
        return
    tolerance = TOLERANCE.get(want.dtype, 1e-4)
    finite = want.isfinite() | got.isfinite()
    difference = (want.double() - got.double()).abs()[finite]
    scale = max(1.0, float(want.double().abs()[want.isfinite()].amax()) if want.numel() else 1.0)
    worst = float(difference.amax()) if difference.numel() else 0.0
    if not worst <= tolerance * scale:
        raise ScrubError(
            f"self-check: {what}: largest difference {worst:.3g}, allowed {tolerance * scale:.1g} "
            f"for {str(want.dtype).removeprefix('torch.')}. {why}"
        )
