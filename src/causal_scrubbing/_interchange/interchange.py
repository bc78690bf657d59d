"""Interchange interventions: swaps that a hypothesis predicts to change the output."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from causal_scrubbing._data import Classes, Dataset, Feature, Ints, feature_name
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import CausalScrubbingError, HypothesisError, ScrubError
from causal_scrubbing._format import plain, plural, share
from causal_scrubbing._hypothesis import REFERENCE, Claim, Hypothesis, TreeClaim
from causal_scrubbing._interchange.program import LookupProgram
from causal_scrubbing._report import align
from causal_scrubbing._sampling import uniforms
from causal_scrubbing._simulate import Outputs
from causal_scrubbing._trials import check_run

SOURCE = "~source"


@dataclass(frozen=True)
class Exchanged(Displayed):
    """Interchange accuracy at one claim.

    Attributes:
        path: the claim whose value was taken from another row.
        accuracy: share of the interventions whose output is what the interpretation predicts; NaN
            where it predicts none.
        se: its standard error.
        changed: share in which the prediction differs from the output without intervention.
        accuracy_changed: accuracy among those; NaN where there is none.
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
class Interchange(Displayed):
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
        """Everything as plain data, for strict JSON: what is no number is the string "nan"."""
        found: dict[str, Any] = plain(
            {
                "rows": self.rows,
                "shared": self.shared,
                "output": self.output,
                "notes": self.notes,
            }
        )
        return found

    def __repr__(self) -> str:
        return (
            f"Interchange({len(self.rows)} {plural(len(self.rows), 'claim')}; print it to see them)"
        )

    def __str__(self) -> str:
        rows = [
            [
                row.path,
                f"{_percent(row.accuracy)} ± {_percent(row.se)}" if row.n else "no prediction",
                _percent(row.changed),
                _percent(row.accuracy_changed),
                _percent(row.predicted),
            ]
            for row in self.rows
        ]
        head = ("claim", "as predicted", "predicted to change", "of those", "predictable")
        how = "wherever the node is used" if self.shared else "at the claim's own copy"
        lines = [f"interchange {how}, predicting {self.output}", align(head, rows)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else share(value)


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

    Treeified, the value is taken at the claim's own copy, and all else is on the base row. Shared,
    it is taken wherever the graph uses the node: then every claim on the node has it, and the
    program is run on with all of them. Where the node is also upstream of a claim that is taken
    whole, nothing is predicted, and the claim is left out with a note. Base rows are drawn from D,
    and the other row from those that disagree with it on the claim's feature and agree on `within`.

    Example::

        print(cs.interchange(h, data, output="balanced", read=lambda logits: logits.argmax(-1)))

    Args:
        h: the hypothesis; the claims on a path that is no program are left out, with a note.
        data: the dataset.
        output: the feature that the root's claims are said to determine, one number a row.
        read: turns outputs into values of that feature, [n]. Numbers are compared by value; floats
            of different precision in the coarser one.
        shared: take the node's value from the other row wherever the graph uses it, not only at
            the claim's copy.
        samples: interventions a claim.
        seed: of the draws.
        batch_size: interventions computed at once.
        device: where to compute.

    Raises:
        HypothesisError: the root has no claims, or no claim's effect is predicted.
        ScrubError: `read` or the output feature does not give one number a row, or an argument is
            wrong.
    """
    check_run(h, data, samples, seed, batch_size, device)
    if not callable(read):
        raise ScrubError(f"read={read!r}: give a function of outputs, like lambda y: y.argmax(-1).")
    if h.root.children is None or not h.root.children:
        raise HypothesisError(
            ["its root has no claims, so that it predicts no change; claim what the output reads."],
            name=h.name,
        )
    # Each claim is intervened on by itself, so draws shared with others are taken apart.
    h = h.with_(root=_untied(h.root), unimportant="per-claim")
    program = LookupProgram(h, data, output)
    rows: list[Exchanged] = []
    notes: dict[str, None] = {}
    for entry in h.tree.claims[1:]:
        fault = program.fault(entry, shared) or _unmoved(h, data, entry)
        if fault is not None:
            notes[fault] = None
            continue
        row = _exchange(h, data, program, entry, read, shared, samples, seed, batch_size, device)
        rows.append(row)
        if row.n == 0:
            notes[
                f"{row.path}: no prediction, since no row of the dataset has any of the "
                "combinations of features that arise."
            ] = None
    if not rows:
        raise HypothesisError(
            [f"no claim's effect on {feature_name(output)} is predicted: {'; '.join(notes)}"],
            name=h.name,
        )
    return Interchange(tuple(rows), shared, feature_name(output), tuple(notes))


def _unmoved(h: Hypothesis, data: Dataset, entry: TreeClaim) -> str | None:
    """Why no intervention at a claim can be made, if none can."""
    joint = data.classes((entry.claim.feature, h.within))
    if joint.count > data.classes(h.within).count:
        return None
    among = "" if data.classes(h.within).count == 1 else f" that agree on {feature_name(h.within)}"
    return f"{entry.path}: no two rows{among} disagree on {feature_name(entry.claim.feature)}."


def _untied(claim: Claim) -> Claim:
    children = claim.children
    return replace(
        claim, tie=None, children=None if children is None else tuple(map(_untied, children))
    )


def _exchange(
    h: Hypothesis,
    data: Dataset,
    program: LookupProgram,
    entry: TreeClaim,
    read: Callable[[torch.Tensor], torch.Tensor],
    shared: bool,
    samples: int,
    seed: int,
    batch_size: int,
    device: torch.device | str | None,
) -> Exchanged:
    base, source = draw_pairs(
        data, h.within, entry.claim.feature, f"~interchange/{entry.path}", samples, seed
    )
    predicted = program.predict(entry, base, source, shared)
    known = predicted >= 0
    if not known.any():
        return Exchanged(entry.path, math.nan, math.nan, math.nan, math.nan, 0.0, 0)
    base, source, predicted = base[known], source[known], predicted[known]
    outputs = Outputs(h.graph, data, batch_size=batch_size, device=device)
    if shared:
        root = outputs.swapped({entry.claim.node: SOURCE})
    else:
        below = {
            block.key: SOURCE if _inside(h, block.key, entry) else REFERENCE
            for block in h.tree.blocks
        }
        root = outputs.scrubbed(h.tree, below)
    found = torch.cat(
        [
            _read(read, values[root])
            for _, _, values in outputs.run({REFERENCE: base, SOURCE: source})
        ]
    )
    right = _equal(found, program.answers[torch.as_tensor(predicted)]).numpy()
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


def draw_pairs(
    data: Dataset, within: Feature, feature: Feature, key: str, samples: int, seed: int
) -> tuple[Ints, Ints]:
    """Base rows from D; for each a row from D given that it agrees on `within`, not on a feature.

    Base rows that no row differs from in this way are left out.
    """
    outer, inner = data.classes(within), data.classes((within, feature))
    # Rows in order of `within` and then of the feature, so that those that agree on both are a run.
    order = np.lexsort((inner.ids, outer.ids))
    running = np.concatenate([[0.0], np.cumsum(data.weights[order])])
    outer_low, outer_high = _runs(outer, order)
    inner_low, inner_high = _runs(inner, order)
    anyone = np.zeros(samples, dtype=np.int64)
    base = data.classes(()).pick(anyone, uniforms(seed, f"{key}/base", 0, samples))
    o, i = outer.ids[base], inner.ids[base]
    base = base[inner_high[i] - inner_low[i] < outer_high[o] - outer_low[o]]
    chance = uniforms(seed, f"{key}/source", 0, samples)[: len(base)]
    o, i = outer.ids[base], inner.ids[base]
    start, skip = running[outer_low[o]], running[inner_low[i]]
    gap = running[inner_high[i]] - skip
    target = start + chance * (running[outer_high[o]] - start - gap)
    target = np.where(target >= skip, target + gap, target)
    place = np.searchsorted(running, target, side="right") - 1
    # Rounding may put a target on the run's edge: the nearest row beside the run is meant.
    place = np.clip(place, outer_low[o], outer_high[o] - 1)
    inside = (place >= inner_low[i]) & (place < inner_high[i])
    beside = np.where(inner_high[i] < outer_high[o], inner_high[i], inner_low[i] - 1)
    return base, order[np.where(inside, beside, place)]


def _runs(classes: Classes, order: Ints) -> tuple[Ints, Ints]:
    """Where each class begins in an order that keeps classes together, and one past its end."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    low = np.full(classes.count, len(order), dtype=np.int64)
    np.minimum.at(low, classes.ids, place)
    return low, low + classes.sizes


def _equal(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Whether numbers are equal by value, whatever they are stored as."""
    if found.is_floating_point() and wanted.is_floating_point():
        coarser = min(found.dtype, wanted.dtype, key=lambda kind: -torch.finfo(kind).eps)
        return found.to(coarser) == wanted.to(coarser)
    if found.is_floating_point() or wanted.is_floating_point():
        return found.double() == wanted.double()
    return found.long() == wanted.long()


def _read(read: Callable[[torch.Tensor], torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    try:
        found = torch.as_tensor(read(output)).detach().cpu()
    except CausalScrubbingError:
        raise
    except Exception as error:
        raise ScrubError(
            f"read= failed on outputs of shape {list(output.shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if found.shape != (len(output),):
        raise ScrubError(
            f"read= gave shape {list(found.shape)} for {len(output)} outputs; it must give one "
            "value a row, like lambda logits: logits.argmax(-1)."
        )
    return found
