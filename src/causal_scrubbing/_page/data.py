"""What a page shows, as typed values: the page knows nothing of how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from causal_scrubbing._page.shown import Shown
from causal_scrubbing._statistics import Estimate, FunctionComparison, RunComparison, Scores

Floats32 = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class MetricData:
    """One metric of a run.

    Attributes:
        name: of the metric.
        scores: its five estimates.
        lower_is_better: whether it is a loss; None where that is not known.
        model, scrubbed: the value of each sample, [N]; None for a vector, or where the page would
            be too large with them.
        right: whether every value is 0 or 1, so that it says right or wrong.
    """

    name: str
    scores: Scores
    lower_is_better: bool | None
    model: Floats32 | None
    scrubbed: Floats32 | None
    right: bool


@dataclass(frozen=True, kw_only=True)
class ClaimData:
    """One claim at its place in the tree.

    Attributes:
        path: labels from the root.
        label: the last of them.
        node: the node of the model it is about.
        feature: what the node is said to carry.
        parent: number of the claim it is computed into; None for the root.
        block: number of the block whose datum is this claim's.
        extras: what else was said of it, in words.
        fold: claims of one parent with the same text here are drawn as one strip.
    """

    path: str
    label: str
    node: str
    feature: str
    parent: int | None
    block: int
    extras: tuple[str, ...] = ()
    fold: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassExample:
    """A class of rows that agree on a feature.

    Attributes:
        name: the feature's value.
        size: how many rows have it.
        rows: some of them, shown on the page.
    """

    name: str
    size: int
    rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class BlockData:
    """Parents that are drawn together, as one datum.

    Attributes:
        key: of the draw.
        label: the draw in words.
        feature: what its datum must agree on.
        of: number of the block it must agree with; None for the reference row.
        claims: numbers of the claims that are drawn.
        owner: for unimportant parents, number of the claim they belong to; None where they are
            shared by several or the block is a claim's.
        parts: names of the unimportant parents, where known.
        classes, smallest: number of classes and rows in the smallest.
        one_row: share of the data whose class has one row.
        self_draw: chance that a draw is the row it must agree with.
        swapped: share of samples in which another row was drawn.
        changed: share of samples in which an activation changed, or None.
        moved: mean squared change of the activations, as a share of that between random rows.
        cost: what the resampling cost, in units of the metric, or None.
        examples: some classes.
    """

    key: str
    label: str
    feature: str
    of: int | None
    claims: tuple[int, ...] = ()
    owner: int | None = None
    parts: tuple[str, ...] = ()
    classes: int | None = None
    smallest: int | None = None
    one_row: float | None = None
    self_draw: float | None = None
    swapped: float = 0.0
    changed: float | None = None
    moved: float | None = None
    cost: Estimate | None = None
    examples: tuple[ClassExample, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeData:
    """A node of the model, or several unclaimed ones drawn as one.

    Attributes:
        names: of the nodes; more than one where they are folded.
        parents: numbers of the nodes it reads.
        claims: numbers of the claims about it.
        kind: "input", "output", "claimed" or "other".
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    claims: tuple[int, ...]
    kind: str


@dataclass(frozen=True, kw_only=True)
class FieldData:
    """A field of the data on the reference rows that were drawn.

    Attributes:
        name: of the field.
        numbers: its values, [R], if they are numbers to be binned.
        codes: index into `levels` of each row, [R], if they are classes.
        levels: values of the classes, in order.
    """

    name: str
    numbers: Floats32 | None = None
    codes: Ints32 | None = None
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ControlData:
    """One control of the hypothesis, in words.

    Attributes:
        kind: what sort of change it is.
        text: what was changed.
        scrubbed, recovered: its estimates.
        difference: its estimate less the hypothesis's own.
        p: of "no difference", corrected for their number.
        differs: whether it is told apart from the hypothesis (p < 5%).
    """

    kind: str
    text: str
    scrubbed: str
    recovered: str
    difference: str
    p: str
    differs: bool


@dataclass(frozen=True, kw_only=True)
class SteppedData:
    """The samples that can be looked at step by step.

    Attributes:
        samples: their numbers, [K].
        rows: the row drawn at each block, [K, blocks], as index into `shown`.
        names: number of each shown row in the data, [S].
        shown: how a person sees each of those rows.
        values: index into `classes` of the feature's value, [S, blocks].
        classes: values of features, as text.
        outputs: sample by sample what the model and the scrubbed model gave, in words, if kept.
    """

    samples: Ints32
    rows: Ints32
    names: Ints32
    shown: Sequence[Shown]
    values: Ints32
    classes: Sequence[str]
    outputs: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class PageData:
    """A run as its page shows it.

    Attributes:
        name: of the hypothesis.
        summary: one line on samples, seed and policy.
        zero: what the mean that is 0% is called.
        metrics: the main one first.
        notes: warnings, in words.
        facts: short facts beside the answer: label -> text.
        claims: parents before children.
        blocks: in drawing order.
        nodes: the model's graph, parents first; empty where it is not at hand.
        cost_note: how the costs were found, or why they were not.
        controls: the hypothesis beside its controls; empty where none were given.
        place: index into `rows` of each sample's reference row, [N].
        rows: the reference rows drawn, [R].
        texts: the rows as text, for search; empty where they are too many or not at hand.
        fields: of the reference rows.
        stepped: samples to look at one by one, or None where the data is not at hand.
        functions: the comparison with the model's own output, or None.
        worst: how a person sees each of its worst inputs; empty where the data is not at hand.
        reports: heading -> text, such as the plan.
        settings: seed, versions, hashes.
        recipe: lines of Python and of the command that run and verify it again.
    """

    name: str
    summary: str
    zero: str
    metrics: Sequence[MetricData]
    notes: Sequence[str]
    facts: Mapping[str, str]
    claims: Sequence[ClaimData]
    blocks: Sequence[BlockData]
    nodes: Sequence[NodeData]
    cost_note: str
    controls: Sequence[ControlData]
    place: Ints32
    rows: Ints32
    texts: Sequence[str]
    fields: Sequence[FieldData]
    stepped: SteppedData | None
    functions: FunctionComparison | None
    worst: Sequence[Shown]
    reports: Mapping[str, str]
    settings: Mapping[str, str]
    recipe: str


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One of several runs beside each other.

    Attributes:
        name: of its hypothesis.
        scores: of the metric compared.
        difference: the first run minus it, or None for the first.
        adjusted: p-value of the difference, adjusted for their number.
        claims: path -> what is claimed there, in words.
        policy: how unimportant parents are drawn, and what every draw keeps.
    """

    name: str
    scores: Scores
    difference: RunComparison | None
    adjusted: float | None
    claims: Mapping[str, str]
    policy: str


@dataclass(frozen=True, kw_only=True)
class ComparisonData:
    """Several runs as their page shows them."""

    metric: str
    samples: int
    runs: Sequence[ComparedRun]
    notes: Sequence[str]
