"""What a run says of itself in words: how it was made, and where its zero is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causal_scrubbing._hypothesis import (
    Agreement,
    Hypothesis,
    ablation_label,
    feature_words,
    layout_note,
)
from causal_scrubbing._simulate import RunRecord
from causal_scrubbing._statistics import RANDOM_ROW

EVERY = "samples in which every claim could only keep its own row"
"""What the share of stuck samples is about: all claims at once, unimportant parents left out."""


@dataclass(frozen=True)
class Zero:
    """What 0% is.

    Attributes:
        baseline: the hypothesis that stands in for E_randomized as plain data, or None.
        randomize: the node whose value E_randomized takes on another row, or None.
        metric_in_graph: whether the graph's output is the behaviour.
    """

    baseline: Mapping[str, Any] | None
    randomize: str | None
    metric_in_graph: bool

    @classmethod
    def of(cls, record: RunRecord) -> Zero:
        """What 0% is in a run."""
        return cls(record.baseline, record.randomize, record.metric_in_graph)

    def words(self, output: str) -> str | None:
        """What it is, in words; None where it is the usual: the output on another row.

        Args:
            output: name of the graph's output.
        """
        if self.baseline is not None:
            return f"baseline: {baseline_name(self.baseline)} (scrubbed)"
        if self.randomize is None or (self.randomize == output and not self.metric_in_graph):
            return None
        return f"randomized at {self.randomize}"

    @property
    def whose(self) -> str:
        """Whose outputs it is about, where outputs are compared."""
        return RANDOM_ROW if self.baseline is None else f"baseline {baseline_name(self.baseline)}'s"

    @property
    def label(self) -> str:
        """What tables and pictures call its mean: E_randomized, or a baseline's."""
        return "randomized" if self.baseline is None else "baseline"


def headline(
    size: str, readable: Mapping[str, Any], zero: Zero, *, subset: str | None = None
) -> str:
    """A run in one line: its size, policy, `within`, zero and subset.

    Args:
        size: samples and rows, in words.
        readable: the hypothesis as plain data.
        zero: what 0% is.
        subset: name of the subset of reference rows, where it is on one.
    """
    parts = [size, f"unimportant: {policy(readable['unimportant'])}"]
    if readable.get("ablates"):
        parts.append(f"ablation {ablation_label(readable['ablation'])} (not causal scrubbing)")
    if not readable.get("self_draws", True):
        parts.append("no self-draws")
    within = feature_words(readable.get("within", "anything"))
    if within not in ("anything", "()"):
        parts.append(f"within {within}")
    where = zero.words(readable["output"])
    if where is not None:
        parts.append(where)
    if subset is not None:
        parts.append(f"on {subset}")
    return "; ".join(parts)


def policy(unimportant: str | Mapping[str, str]) -> str:
    """The policy for unimportant parents in words."""
    if isinstance(unimportant, str):
        return unimportant
    return "groups: " + ", ".join(f"{path} in {group}" for path, group in unimportant.items())


def baseline_name(baseline: Mapping[str, Any]) -> str:
    """What a baseline hypothesis is called."""
    return str(baseline.get("name") or "unnamed")


def first_notes(hypothesis: Hypothesis, figures: Agreement, zero: Zero) -> tuple[str, ...]:
    """What a reader should know before the numbers.

    With the metric in the graph, an input that only the metric reads is most likely the label; it
    gets a note of its own and is left out of the one on masks and positions.
    """
    notes = [*figures.notes, *hypothesis.graph.notes]
    labels = _labels(hypothesis, figures, zero.randomize) if zero.metric_in_graph else ()
    if labels:
        rest = [(path, node) for path, node in figures.unclaimed if node not in labels]
        for old in layout_note(figures.unclaimed):
            place = notes.index(old)
            notes[place : place + 1] = layout_note(rest)
        notes.append(
            "the metric is inside the graph and no claim reaches the inputs "
            f"{', '.join(labels)}; if one is the label, claim it, or the metric is taken with "
            "another row's label."
        )
    return tuple(notes)


def _labels(hypothesis: Hypothesis, figures: Agreement, randomize: str | None) -> Sequence[str]:
    """Inputs no claim reaches that nothing claimed or randomized below the output depends on."""
    graph = hypothesis.graph
    nodes = {entry.claim.node for entry in hypothesis.tree.claims[1:]}
    if randomize is not None:
        nodes.add(randomize)
    upstream = set[str]().union(*(graph.ancestors(node) | {node} for node in nodes))
    return [name for name in figures.unreached_inputs if name not in upstream]
