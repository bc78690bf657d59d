"""What a run says of itself in words: how it was made, and where its zero is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from causal_scrubbing._hypothesis import (
    RESAMPLE,
    Agreement,
    Hypothesis,
    ablation_label,
    layout_note,
)
from causal_scrubbing._statistics import RANDOM_ROW

EVERY = "samples in which every claim could only keep its own row"
"""What the share of stuck samples is about: all claims at once, unimportant parents left out."""


def headline(
    size: str, readable: Mapping[str, Any], settings: Mapping[str, Any], *, metric_in_graph: bool
) -> str:
    """A run in one line: its size, policy, `within`, zero and subset.

    Args:
        size: samples and rows, in words.
        readable: the hypothesis as plain data.
        settings: "randomize", "baseline" (as plain data) and "subset", where there is one.
        metric_in_graph: whether the graph's output is the behaviour.
    """
    parts = [size, f"unimportant: {policy(readable['unimportant'])}"]
    ablation = readable.get("ablation", RESAMPLE)
    if ablation != RESAMPLE:
        parts.append(f"ablation {ablation_label(ablation)} (not causal scrubbing)")
    if not readable.get("self_draws", True):
        parts.append("no self-draws")
    within = readable.get("within", "anything")
    if within not in ("anything", "()"):
        parts.append(f"within {within}")
    where = zero(settings, readable["output"], metric_in_graph=metric_in_graph)
    if where is not None:
        parts.append(where)
    if "subset" in settings:
        parts.append(f"on {settings['subset']}")
    return "; ".join(parts)


def policy(unimportant: str | Mapping[str, str]) -> str:
    """The policy for unimportant parents in words."""
    if isinstance(unimportant, str):
        return unimportant
    return "groups: " + ", ".join(f"{path} in {group}" for path, group in unimportant.items())


def zero(settings: Mapping[str, Any], output: str, *, metric_in_graph: bool) -> str | None:
    """What 0% is, in words; None where it is what nobody needs telling: another row's output."""
    baseline = settings.get("baseline")
    if baseline is not None:
        return f"baseline: {baseline_name(baseline)} (scrubbed)"
    node = settings.get("randomize")
    if node is None or (node == output and not metric_in_graph):
        return None
    return f"randomized at {node}"


def whose_zero(settings: Mapping[str, Any]) -> str:
    """Whose outputs 0% is about, where outputs are compared."""
    baseline = settings.get("baseline")
    return RANDOM_ROW if baseline is None else f"baseline {baseline_name(baseline)}'s"


def zero_label(settings: Mapping[str, Any]) -> str:
    """What tables and pictures call the mean that 0% is: E_randomized, or a baseline's."""
    return "randomized" if settings.get("baseline") is None else "baseline"


def baseline_name(baseline: Mapping[str, Any]) -> str:
    """What a baseline hypothesis is called."""
    return str(baseline.get("name") or "unnamed")


def first_notes(
    hypothesis: Hypothesis, figures: Agreement, settings: Mapping[str, Any]
) -> tuple[str, ...]:
    """What a reader should know before the numbers.

    With the metric in the graph, an input that only the metric reads is most likely the label; it
    gets a note of its own and is left out of the one on masks and positions.
    """
    notes = list(figures.notes)
    labels = _labels(hypothesis, figures, settings) if settings["metric_in_graph"] else ()
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


def _labels(
    hypothesis: Hypothesis, figures: Agreement, settings: Mapping[str, Any]
) -> Sequence[str]:
    """Inputs no claim reaches that nothing claimed or randomized below the output depends on."""
    graph = hypothesis.graph
    nodes = {entry.claim.node for entry in hypothesis.tree.claims[1:]}
    if settings.get("randomize") is not None:
        nodes.add(settings["randomize"])
    upstream = set[str]().union(*(graph.ancestors(node) | {node} for node in nodes))
    return [name for name in figures.unreached_inputs if name not in upstream]
