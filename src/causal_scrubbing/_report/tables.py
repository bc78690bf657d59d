"""Plain text tables that can be pasted into a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from causal_scrubbing._measure import Estimate, Scores

KINDS = ("model", "scrubbed", "randomized", "gap", "recovered")
HEAD = ("metric", *KINDS)
MOST_COMPONENTS = 8
"""Numbers of a vector behaviour that tables and pictures show."""


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


def footnotes(scores: Mapping[str, Scores]) -> list[str]:
    """What is undefined or needs a remark, each said once, with what it is about."""
    found: dict[str, dict[str, list[str]]] = {}
    rows = opened(scores)
    for name, one in rows:
        for what in KINDS:
            estimate: Estimate = getattr(one, what)
            for note in (estimate.reason, estimate.note):
                if note is not None:
                    found.setdefault(note, {}).setdefault(name, []).append(what)
    notes = []
    for note, where in found.items():
        about = []
        for name, kinds in where.items():
            shown = [] if dict(rows)[name].components else [", ".join(kinds)]
            about.append(" ".join(([name] if len(rows) > 1 else []) + shown))
        notes.append(f"{'; '.join(about)}: {note}")
    return notes


def scores_table(scores: Mapping[str, Scores]) -> tuple[str, list[str]]:
    """One row a metric, and footnotes for what is undefined or needs a remark.

    Args:
        scores: metric name -> its five estimates.

    Returns:
        The table, and the notes, each once.
    """
    rows = [
        [name, *(cell(getattr(one, what), one) for what in KINDS)] for name, one in opened(scores)
    ]
    return align(HEAD, rows), footnotes(scores)
