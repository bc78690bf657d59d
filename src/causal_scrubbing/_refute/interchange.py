"""Interchange interventions: swaps that a hypothesis predicts to change the output."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Feature, feature_name
from causal_scrubbing._data.classes import Ints
from causal_scrubbing._engine import Compiler, Executor, Space
from causal_scrubbing._errors import HypothesisError, ScrubError
from causal_scrubbing._hypothesis import Claim, Hypothesis, TreeClaim
from causal_scrubbing._hypothesis.tree import REFERENCE
from causal_scrubbing._report import align
from causal_scrubbing._sampling import uniforms

SOURCE = "~source"


@dataclass(frozen=True)
class Exchanged:
    """Interchange accuracy at one claim.

    Attributes:
        path: the claim whose value was taken from another row.
        accuracy: share of the interventions whose output is what the interpretation predicts.
        se: its standard error.
        changed: share in which the prediction differs from the output without intervention.
        accuracy_changed: accuracy among those.
        predicted: share of draws for which the interpretation makes a prediction; in the others a
            combination of features arises that no row of the dataset has.
        n: interventions scored.
    """

    path: str
    accuracy: float
    se: float
    changed: float
    accuracy_changed: float
    predicted: float
    n: int


@dataclass(frozen=True, eq=False)
class Interchange:
    """Interchange accuracy, claim by claim.

    Attributes:
        rows: one a claim.
        shared: whether the node was intervened on wherever it is used, or at the claim's copy only.
        output: name of the feature predicted.
        notes: claims left out, and why.
    """

    rows: tuple[Exchanged, ...]
    shared: bool
    output: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "shared": self.shared,
            "output": self.output,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        rows = [
            [
                row.path,
                f"{row.accuracy:.1%} ± {row.se:.1%}",
                f"{row.changed:.1%}",
                f"{row.accuracy_changed:.1%}",
                f"{row.predicted:.1%}",
            ]
            for row in self.rows
        ]
        head = ("claim", "as predicted", "predicted to change", "of those", "predictable")
        how = "wherever the node is used" if self.shared else "at the claim's own copy"
        lines = [f"interchange {how}, predicting {self.output}", align(head, rows)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def interchange(
    h: Hypothesis,
    data: Dataset,
    *,
    output: Feature,
    read: Callable[[torch.Tensor], torch.Tensor],
    shared: bool = False,
    samples: int = 1000,
    seed: int = 0,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> Interchange:
    """Intervene where a hypothesis predicts a changed output, and count how often it comes.

    Scrubbing makes swaps that should change nothing. Where the interpretation is a program (each
    claim's feature is a function on D of the features of the claims it is computed from), it also
    says what a swap that changes a feature does: the claim's value is taken from a row that
    disagrees on the feature, the program is run on with that value, and its answer is compared with
    what the graph computes (interchange interventions, Geiger et al. 2021).

    Example::

        print(cs.interchange(h, data, output="balanced", read=lambda logits: logits.argmax(-1)))

    Args:
        h: the hypothesis; the claims on a path that is no program are left out, with a note.
        data: the dataset.
        output: the feature that the root's claims are said to determine, one number a row.
        read: turns outputs into values of that feature, [n].
        shared: take the node's value from the other row wherever the graph uses it, not only at
            the claim's copy.
        samples: interventions a claim.
        seed: of the draws.
        batch_size: interventions computed at once.
        device: where to compute.

    Raises:
        HypothesisError: the root has no claims, or no claim's effect is predicted.
        ScrubError: `read` does not give one number a row.
    """
    if h.root.children is None or not h.root.children:
        raise HypothesisError(
            ["its root has no claims, so that it predicts no change; claim what the output reads."],
            name=h.name,
        )
    # Each claim is intervened on by itself, so draws shared with others are taken apart.
    h = h.with_(root=_untied(h.root), unimportant="per-claim")
    program = _Program(h, data, output)
    rows: list[Exchanged] = []
    for entry in h.tree.claims[1:]:
        if program.fault(entry) is None and data.classes(entry.claim.feature).count > 1:
            rows.append(
                _exchange(h, data, program, entry, read, shared, samples, seed, batch_size, device)
            )
    notes = tuple(dict.fromkeys(n for e in h.tree.claims[1:] if (n := program.fault(e))))
    if not rows:
        raise HypothesisError(
            [f"no claim's effect on {feature_name(output)} is predicted: {'; '.join(notes)}"],
            name=h.name,
        )
    return Interchange(tuple(rows), shared, feature_name(output), notes)


def _untied(claim: Claim) -> Claim:
    children = claim.children
    return replace(
        claim, tie=None, children=None if children is None else tuple(map(_untied, children))
    )


class _Program:
    """The interpretation as lookup tables read off the dataset."""

    def __init__(self, h: Hypothesis, data: Dataset, output: Feature) -> None:
        self.h, self.data = h, data
        self.features = {e.index: e.claim.feature for e in h.tree.claims}
        self.features[0] = output
        self.tables: dict[int, dict[tuple[int, ...], int]] = {}
        self.faults: dict[int, str] = {}
        for entry in h.tree.claims:
            if entry.children:
                self._tabulate(entry)
        first = data.classes(output)
        values = torch.as_tensor(data.evaluate(output))
        self.answers = values[torch.as_tensor(first.order[first.starts])].reshape(first.count, -1)

    def ids(self, index: int) -> Ints:
        """Class of each row under a claim's feature."""
        return self.data.classes(self.features[index]).ids

    def _tabulate(self, entry: TreeClaim) -> None:
        inputs = np.stack([self.ids(child) for child in entry.children or ()], axis=1)
        wanted = self.ids(entry.index)
        table: dict[tuple[int, ...], int] = {}
        for key, value in zip(map(tuple, inputs.tolist()), wanted.tolist(), strict=True):
            if table.setdefault(key, value) != value:
                what = feature_name(self.features[entry.index])
                self.faults[entry.index] = (
                    f"{entry.path} is no program: rows that agree on the features of its claims "
                    f"differ in {what}."
                )
                return
        self.tables[entry.index] = table

    def fault(self, entry: TreeClaim) -> str | None:
        """Why a claim's effect cannot be predicted; None where it can."""
        above = entry.parent
        while above is not None:
            if above in self.faults:
                return self.faults[above]
            above = self.h.tree.claims[above].parent
        return None

    def predict(self, entry: TreeClaim, base: Ints, source: Ints) -> Ints:
        """Class of the output for each intervention; -1 where D has no such combination."""
        value = self.ids(entry.index)[source]
        index, above = entry.index, entry.parent
        while above is not None:
            children = self.h.tree.claims[above].children or ()
            columns = [value if c == index else self.ids(c)[base] for c in children]
            table = self.tables[above]
            value = np.array(
                [table.get(key, -1) for key in zip(*(c.tolist() for c in columns), strict=True)],
                dtype=np.int64,
            )
            index, above = above, self.h.tree.claims[above].parent
        return value


def _exchange(
    h: Hypothesis,
    data: Dataset,
    program: _Program,
    entry: TreeClaim,
    read: Callable[[torch.Tensor], torch.Tensor],
    shared: bool,
    samples: int,
    seed: int,
    batch_size: int,
    device: torch.device | str | None,
) -> Exchanged:
    base, source = _draw(
        data, program.ids(entry.index), f"~interchange/{entry.path}", samples, seed
    )
    predicted = program.predict(entry, base, source)
    known = predicted >= 0
    if not known.any():
        return Exchanged(entry.path, math.nan, math.nan, math.nan, math.nan, 0.0, 0)
    base, source, predicted = base[known], source[known], predicted[known]
    space = Space()
    compiler = Compiler(h.graph, space)
    if shared:
        root = compiler.substitute(h.graph.output, {entry.claim.node: SOURCE}, REFERENCE)
    else:
        below = {
            block.key: SOURCE if _inside(h, block.key, entry) else REFERENCE
            for block in h.tree.blocks
        }
        root = compiler.tree(h.tree, below)
    executor = Executor(h.graph, space, [root], data, batch_size=batch_size, device=device)
    found = torch.cat(
        [
            _read(read, values[root])
            for _, _, values in executor.run({REFERENCE: base, SOURCE: source})
        ]
    )
    wanted = program.answers[torch.as_tensor(predicted)][:, 0]
    right = (found.to(wanted.dtype) == wanted).numpy()
    unmoved = program.ids(0)[base]
    moved = predicted != unmoved
    accuracy = float(right.mean())
    return Exchanged(
        path=entry.path,
        accuracy=accuracy,
        se=math.sqrt(accuracy * (1 - accuracy) / len(right)),
        changed=float(moved.mean()),
        accuracy_changed=float(right[moved].mean()) if moved.any() else math.nan,
        predicted=float(known.mean()),
        n=len(right),
    )


def _inside(h: Hypothesis, key: str, entry: TreeClaim) -> bool:
    """Whether a block draws for the claim or for something below it."""
    below = {e.draw for e in h.tree.claims if e.path.startswith(f"{entry.path}/")}
    loose = {
        draw
        for e in h.tree.claims
        if e.path == entry.path or e.path.startswith(f"{entry.path}/")
        for draw in e.other_draws.values()
    }
    return key == entry.draw or key in below or key in loose


def _draw(data: Dataset, ids: Ints, key: str, samples: int, seed: int) -> tuple[Ints, Ints]:
    """Base rows from D, and rows from D given that they are of another class."""
    everyone = data.classes(())
    anyone = np.zeros(samples, dtype=np.int64)
    base = everyone.pick(anyone, uniforms(seed, f"{key}/base", 0, samples))
    source = base.copy()
    # Redraw those that agree: the law of a row given that it disagrees.
    for attempt in range(1000):
        same = ids[source] == ids[base]
        if not same.any():
            break
        fresh = everyone.pick(anyone, uniforms(seed, f"{key}/source/{attempt}", 0, samples))
        source = np.where(same, fresh, source)
    different = ids[source] != ids[base]
    return base[different], source[different]


def _read(read: Callable[[torch.Tensor], torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    found = torch.as_tensor(read(output)).detach().cpu()
    if found.shape != (len(output),):
        raise ScrubError(
            f"read= gave shape {list(found.shape)} for {len(output)} outputs; it must give one "
            "value a row, like lambda logits: logits.argmax(-1)."
        )
    return found
