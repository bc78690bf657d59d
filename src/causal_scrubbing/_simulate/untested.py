"""What a run did not test: claims and samples in which a draw could only keep its own row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from causal_scrubbing._data import Classes, Dataset, Ints
from causal_scrubbing._hypothesis import Block, Hypothesis
from causal_scrubbing._statistics import BoolArray, own_row_samples


def tested_blocks(hypothesis: Hypothesis, classes: Mapping[str, Classes]) -> list[Block]:
    """The draws that test what is claimed: those of claims.

    A hypothesis that claims nothing below an exact root speaks through its unimportant parents:
    theirs are the draws then.
    """
    blocks = [block for block in hypothesis.tree.blocks if not block.is_unimportant]
    if len(hypothesis.tree.claims) == 1 and classes[blocks[0].key].is_exact:
        return list(hypothesis.tree.blocks)
    return blocks


def stuck_samples(hypothesis: Hypothesis, data: Dataset, draws: Mapping[str, Ints]) -> BoolArray:
    """In which samples every claim's class had one row, [N]: nothing claimed was tested."""
    classes = hypothesis.classes(data)
    blocks = tested_blocks(hypothesis, classes)
    return own_row_samples([classes[b.key] for b in blocks], [draws[b.of] for b in blocks])


def never_swapped(table: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Claims below the root whose classes all have one row, from an agreement table.

    Args:
        table: the rows of `Agreement.table` as plain data.
    """
    return tuple(
        str(path)
        for row in table
        if row["important"] and row["classes"] == row["rows"] and "/" in row["draw"]
        for path in row.get("claims") or (row["draw"],)
    )
