"""Plain text tables that can be pasted into a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from causal_scrubbing._statistics import Estimate, Scores

KINDS = ("model", "scrubbed", "randomized", "gap", "recovered")
MOST_COMPONENTS = 8
"""Numbers of a vector behaviour that tables and pictures show."""


def kinds(zero: str = "randomized") -> tuple[str, ...]:
    """What the five estimates are called, with another word for the mean that is 0%."""
    return tuple(zero if kind == "randomized" else kind for kind in KINDS)


def align(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest entry, a rule under the head."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(head), rule, *map(line, rows)])


def cell(estimate: Estimate, scores: Scores) -> str:
    """An estimate in a table: the number, or in one word why there is none."""
    if estimate.defined:
        return str(estimate)
    return "vector" if scores.components else "undefined"


def opened(scores: Mapping[str, Scores]) -> list[tuple[str, Scores]]:
    """The rows of a table: one a metric, and below a vector one for each of its first numbers."""
    rows: list[tuple[str, Scores]] = []
    for name, one in scores.items():
        rows.append((name, one))
        rows += [(f"{name}[{i}]", part) for i, part in enumerate(one.components[:MOST_COMPONENTS])]
    return rows


def footnotes(scores: Mapping[str, Scores], *, zero: str = "randomized") -> list[str]:
    """What is undefined, not shown or needs a remark, each said once, with what it is about.

    Args:
        scores: metric name -> its five estimates.
        zero: what the mean that is 0% is called.
    """
    found: dict[str, dict[str, list[str]]] = {}
    rows = opened(scores)
    for name, one in rows:
        for what, label in zip(KINDS, kinds(zero), strict=True):
            estimate: Estimate = getattr(one, what)
            for note in (estimate.reason, estimate.note):
                if note is not None:
                    found.setdefault(note, {}).setdefault(name, []).append(label)
    notes = []
    for note, where in found.items():
        about = []
        for name, labels in where.items():
            shown = [] if dict(rows)[name].components else [", ".join(labels)]
            about.append(" ".join(([name] if len(rows) > 1 else []) + shown))
        notes.append(f"{'; '.join(about)}: {note}")
    remarks: dict[str, list[str]] = {}
    for name, one in rows:
        for remark in one.remarks:
            remarks.setdefault(remark, []).append(name)
    for remark, names in remarks.items():
        prefix = "" if len(names) == len(rows) else f"{', '.join(names)}: "
        notes.append(prefix + remark)
    for name, one in scores.items():
        if len(one.components) > MOST_COMPONENTS:
            notes.append(
                f"{name}: of its {len(one.components)} numbers the first {MOST_COMPONENTS} are "
                f"shown, {name}[0] to {name}[{MOST_COMPONENTS - 1}]"
            )
    return notes


def scores_table(
    scores: Mapping[str, Scores], *, zero: str = "randomized"
) -> tuple[str, list[str]]:
    """One row a metric, and footnotes for what is undefined or needs a remark.

    Args:
        scores: metric name -> its five estimates.
        zero: what the mean that is 0% is called.

    Returns:
        The table, and the notes, each once.
    """
    rows = [
        [name, *(cell(getattr(one, what), one) for what in KINDS)] for name, one in opened(scores)
    ]
    return align(("metric", *kinds(zero)), rows), footnotes(scores, zero=zero)
