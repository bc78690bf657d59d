"""Plain text tables that can be pasted into a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from causal_scrubbing._measure import Scores

HEAD = ("metric", "model", "scrubbed", "randomized", "gap", "recovered")


def align(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest entry, a rule under the head."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(head), rule, *map(line, rows)])


def scores_table(scores: Mapping[str, Scores]) -> tuple[str, list[str]]:
    """One row a metric, and footnotes for what is undefined or needs a remark.

    Args:
        scores: metric name -> its five estimates.

    Returns:
        The table, and the notes, each once.
    """
    notes: list[str] = []
    rows = []
    for name, one in scores.items():
        row = [name]
        for what in HEAD[1:]:
            estimate = getattr(one, what)
            row.append(str(estimate) if estimate.defined else "undefined")
            for note in (estimate.reason, estimate.note):
                if note is not None and f"{what}: {note}" not in notes:
                    notes.append(f"{what}: {note}")
        rows.append(row)
    return align(HEAD, rows), notes
