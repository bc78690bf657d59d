"""Self-checks: the graph must be what the method takes it for.

Before a run: the output of a row does not depend on the rows beside it, on their order, on their
number, or on what was run before; and the treeified graph with every draw equal to the reference
row reproduces the model. After a run: samples of the run, computed alone, give what the run gave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import Executor
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import plural
from causal_scrubbing._graph import Graph, check_batch, evaluate, is_out_of_memory
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis, resampled
from causal_scrubbing._simulate.outputs import Outputs
from causal_scrubbing._statistics import FloatArray

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Largest difference allowed between two ways to one output, relative to the output's scale."""

_ALONE: Final = 4
"""Rows that are run alone."""
_TREES: Final = 4
"""Trees of one graph that are checked at most."""
_BATCH: Final = 64
"""Rows beside each other, where the size of the run's batches is not known."""

_MIXES: Final = (
    "Nodes are batch first and one row never reads another: look for a layer that takes the first "
    "axis as time (an LSTM or attention without batch_first=True), for sums, ranks or statistics "
    "over the batch (batch normalisation or dropout in training mode: model.eval()), for random "
    "numbers, for state kept from call to call, or for a shape that counts rows."
)


@dataclass(frozen=True)
class Checked:
    """What the self-checks of a run looked at.

    Attributes:
        rows: rows run alone and beside others.
        batch: how many rows were beside each other.
        samples: samples of the run that were computed again after it, alone.
    """

    rows: int
    batch: int
    samples: int = 0

    def __str__(self) -> str:
        text = f"checked on {self.rows} {plural(self.rows, 'row')}, batches of {self.batch:,}"
        if self.samples:
            text += f", and on {self.samples} {plural(self.samples, 'sample')} of the run"
        return text

    def to_dict(self) -> dict[str, int]:
        """The same as plain data."""
        return asdict(self)


def self_check(
    hypotheses: Hypothesis | Sequence[Hypothesis],
    data: Dataset,
    device: torch.device | str | None = None,
    *,
    batch_size: int | None = None,
) -> Checked:
    """Check a graph, and that a sample of the trees about it reproduce it.

    Args:
        hypotheses: one, or several about one graph.
        data: the dataset.
        device: where to compute; where the graph says if None.
        batch_size: how many rows a run has beside each other; 64 if None.

    Returns:
        What was looked at.

    Raises:
        ScrubError: a row's output depends on other rows or changes from call to call, or a
            treeified graph does not reproduce the model; with the size of the difference and the
            usual causes.
    """
    many = [hypotheses] if isinstance(hypotheses, Hypothesis) else list(hypotheses)
    graph = many[0].graph
    where = graph.device if device is None else torch.device(device)
    rows, crowd, places = _rows(len(data), batch_size or _BATCH)
    plain = _check_rows(graph, data, where, rows, crowd, places)
    for one in _sample(many):
        _check_tree(one, data, device, rows, plain)
    return Checked(len(rows), len(crowd))


def _rows(count: int, batch: int) -> tuple[Ints, Ints, Ints]:
    """Rows to run alone, and a batch with them in another order, from its start to its end.

    Returns:
        The rows, the batch, and the places of the rows in the batch.
    """
    alone = np.unique(np.linspace(0, count - 1, _ALONE).astype(np.int64))
    # Rows are repeated where the data has fewer than a batch, and none is ever without another.
    size = max(batch, len(alone), 2)
    crowd = np.resize(np.random.default_rng(0).permutation(count).astype(np.int64), size)
    places = np.linspace(size - 1, 0, len(alone)).astype(np.int64)
    crowd[places] = alone
    return alone, crowd, places


def _check_rows(
    graph: Graph, data: Dataset, where: torch.device | None, rows: Ints, crowd: Ints, places: Ints
) -> torch.Tensor:
    """The model's own outputs on the rows; refuses those that depend on other rows."""

    def output(chosen: Ints) -> torch.Tensor:
        with torch.no_grad():
            found = evaluate(graph, data.take(chosen), [graph.output], device=where)[graph.output]
        check_batch(graph, graph.output, found, len(chosen))
        return found[None] if found.ndim == 0 else found

    plain = output(rows)
    if graph.is_constant[graph.output] or len(plain) != len(rows):
        return plain
    for place in range(len(rows)):
        _compare(
            plain[place : place + 1],
            output(rows[place : place + 1]),
            "the output on one row differs when the row is run alone and when it is run in a batch",
            _MIXES,
        )
    try:
        crowded = output(crowd)[torch.as_tensor(places)]
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return plain  # the run takes fewer rows, too, or says what to do
    _compare(
        plain,
        crowded,
        f"the output on a row differs in a batch of {len(rows)} and in another order in a batch of "
        f"{len(crowd)}",
        _MIXES,
    )
    _compare(plain, output(rows), "the output changes when the same rows are run again", _MIXES)
    return plain


def _sample(many: Sequence[Hypothesis]) -> list[Hypothesis]:
    """A few of the hypotheses, each with the most nodes that are recomputed in none before it."""
    nodes = {i: set(_recomputed(one)) for i, one in enumerate(many)}
    chosen: list[Hypothesis] = []
    seen: set[str] = set()
    while nodes and len(chosen) < _TREES:
        best = max(nodes, key=lambda i: (len(nodes[i] - seen), -i))
        if chosen and not nodes[best] - seen:
            break
        seen |= nodes.pop(best)
        chosen.append(many[best])
    return chosen


def _recomputed(one: Hypothesis) -> Iterable[str]:
    for entry in one.tree.claims:
        if entry.routes is not None:
            yield entry.claim.node
            yield from (copy[0] for copy in entry.routes.copies)


def _check_tree(
    hypothesis: Hypothesis,
    data: Dataset,
    device: torch.device | str | None,
    rows: Ints,
    plain: torch.Tensor,
) -> None:
    """With all data equal to the reference row, the treeified graph must give the model's output.

    Every node of the treeified graph is recomputed for it.
    """
    # Constants are no draws that could be set to the reference row; the rest is checked.
    hypothesis = resampled(hypothesis)
    outputs = Outputs(hypothesis.graph, data, batch_size=len(rows), device=device, simplify=False)
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


def check_samples_again(
    again: Executor,
    roots: Sequence[int],
    rows: Mapping[str, Ints],
    kept: Mapping[int, Sequence[torch.Tensor]],
    store_dtype: torch.dtype | None,
) -> int:
    """Compute samples of a finished run again, each alone, and compare.

    Args:
        again: of the outputs of the run, in batches of one.
        roots: numbers of the outputs to compare.
        rows: draw variable -> row of each sample.
        kept: number of a sample -> its outputs in the run, in the order of `roots`.
        store_dtype: what activations were rounded to when they were stored.

    Returns:
        How many samples were compared.

    Raises:
        ScrubError: an output differs.
    """
    samples = list(kept)
    for low, _, found in again.run(rows):
        for root, want in zip(roots, kept[samples[low]], strict=True):
            _compare(
                want,
                found[root][:1].cpu(),
                f"sample {samples[low]} of the run has another output when it is computed alone, "
                "after the run",
                _MIXES,
                least=0.0 if store_dtype is None else TOLERANCE[store_dtype],
            )
    return len(samples)


def _compare(
    want: torch.Tensor, got: torch.Tensor, what: str, why: str, *, least: float = 0.0
) -> None:
    if want.shape != got.shape:
        raise ScrubError(f"self-check: {what}: shapes {list(want.shape)}, {list(got.shape)}. {why}")
    if not want.is_floating_point():
        if not torch.equal(want, got):
            raise ScrubError(f"self-check: {what}. {why}")
        return
    tolerance = max(TOLERANCE.get(want.dtype, 1e-4), least)
    finite = want.isfinite() | got.isfinite()
    difference = (want.double() - got.double()).abs()[finite]
    size = want.double().abs()[want.isfinite()]
    scale = max(1.0, float(size.amax()) if size.numel() else 1.0)
    worst = float(difference.amax()) if difference.numel() else 0.0
    if not worst <= tolerance * scale:
        raise ScrubError(
            f"self-check: {what}: largest difference {worst:.3g}, allowed {tolerance * scale:.1g} "
            f"for {str(want.dtype).removeprefix('torch.')}. {why}"
        )


FEW: Final = 4
"""Samples of a run by workers that this process computes too."""


def check_workers(
    mine: Sequence[Mapping[str, FloatArray]], theirs: Sequence[Mapping[str, FloatArray]]
) -> None:
    """Hold the first samples of a run that workers made against this process's own.

    Args:
        mine: metric name -> scrubbed values of the first samples, a hypothesis each.
        theirs: the same of the workers, of these samples and more.

    Raises:
        ScrubError: they differ by more than float32 may.
    """
    for one, other in zip(mine, theirs, strict=True):
        for name, own in one.items():
            found = other[name][: len(own)]
            scale = float(np.abs(own).max(initial=0.0))
            if not np.allclose(own, found, rtol=0.0, atol=TOLERANCE[torch.float32] * scale):
                raise ScrubError(
                    f"a worker gave other values of {name!r} than this process on the same samples "
                    f"(sample 0: {found[0]} and {own[0]}). The model, a metric or a feature reads "
                    "something that differs between processes, such as a global or a file."
                )


def check_draws(mine: Sequence[Mapping[str, Ints]], theirs: Sequence[Mapping[str, Ints]]) -> None:
    """Hold the rows that workers drew for the first samples of a run against this process's own.

    Args:
        mine: draw key -> rows of the first samples, a hypothesis each.
        theirs: the same of the workers, of these samples and more.

    Raises:
        ScrubError: they differ.
    """
    for one, other in zip(mine, theirs, strict=True):
        for key, rows in one.items():
            if not np.array_equal(rows, other[key][: len(rows)]):
                raise ScrubError(
                    f"a worker drew other rows for {key!r} than this process for the same samples. "
                    "A feature reads something that differs between processes, such as a global "
                    "or a file."
                )
