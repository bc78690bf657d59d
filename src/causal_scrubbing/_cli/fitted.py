"""Text as a terminal shows it: its tables laid out in columns that fit the width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

_GAP = 2
_LEAST = 12
"""No column becomes narrower than this to make room for others."""


def fitted(text: str, width: int) -> str:
    r"""A text with its Markdown tables as plain ones.

    A table that is too wide has its longest cells wrapped; where that is not enough it is cut into
    several, each with the first column.

    Args:
        text: in Markdown.
        width: columns of the terminal.

    Example:
        >>> print(fitted("a table:\n\n| n | what |\n| --- | --- |\n| 1 | one \\| 1 |", 40))
        a table:
        <BLANKLINE>
        n  what
        -  -------
        1  one | 1
    """
    lines: list[str] = []
    table: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
            table.append([cell.strip().replace("\\|", "|") for cell in cells])
            continue
        if table:
            lines += _tables([table[0], *table[2:]], width)
            table = []
        lines.append(line)
    return "\n".join(lines[:-1])


def refitted(text: str, width: int) -> str:
    r"""A text whose plain tables, made of three columns or more, are cut where they are too wide.

    A table is a line of columns, a line of rules and the lines below that keep to the same columns.

    Args:
        text: with tables as `str` of a result or comparison has them.
        width: columns of the terminal.

    Example:
        >>> print(refitted("name  one  two\n----  ---  ---\nabcd  1.0  2.0\nend", 10))
        name  one
        ----  ---
        abcd  1.0
        <BLANKLINE>
        name  two
        ----  ---
        abcd  2.0
        end
    """
    lines = text.split("\n")
    found: list[str] = []
    i = 0
    while i < len(lines):
        rule = lines[i + 1] if i + 1 < len(lines) else ""
        if len(rule) <= width or not _RULE.fullmatch(rule):
            found.append(lines[i])
            i += 1
            continue
        edges = [match.span() for match in re.finditer("-+", rule)]
        last = i + 2
        while last < len(lines) and _keeps_to(lines[last], edges):
            last += 1
        rows = [[line[a:b].strip() for a, b in edges] for line in [lines[i], *lines[i + 2 : last]]]
        found += _tables(rows, width)
        i = last
    return "\n".join(found)


_RULE = re.compile("-+(?:  -+){2,}")


def _keeps_to(line: str, edges: Sequence[tuple[int, int]]) -> bool:
    """Whether a line goes past the first column, and has nothing between the columns."""
    long = len(line) > edges[0][1] + _GAP
    return long and not any(line[end : end + _GAP].strip() for _, end in edges)


def _tables(rows: list[list[str]], width: int) -> list[str]:
    """The lines of a table, or of several that have its columns between them."""
    count = len(rows[0])
    rows = [[*row[:count], *[""] * (count - len(row))] for row in rows]
    natural = [max(1, *(len(row[i]) for row in rows)) for i in range(count)]
    least = [min(size, max(_LEAST, _word(rows, i))) for i, size in enumerate(natural)]
    groups: list[list[int]] = [[0]]
    for i in range(1, count):
        if sum(least[j] + _GAP for j in [*groups[-1], i]) - _GAP > width and len(groups[-1]) > 1:
            groups.append([0])
        groups[-1].append(i)
    lines: list[str] = []
    for number, group in enumerate(groups):
        lines += [""] if number else []
        lines += _laid_out([[row[i] for i in group] for row in rows], group, natural, least, width)
    return lines


def _word(rows: Sequence[Sequence[str]], column: int) -> int:
    """The longest word of a column: it is not cut to make room."""
    words = (len(word) for row in rows for word in row[column].split())
    return min(max(words, default=1), 30)


def _laid_out(
    rows: list[list[str]],
    group: Sequence[int],
    natural: Sequence[int],
    least: Sequence[int],
    width: int,
) -> list[str]:
    sizes = [natural[i] for i in group]
    while sum(sizes) + _GAP * (len(sizes) - 1) > width:
        room = [size - least[i] for size, i in zip(sizes, group, strict=True)]
        if max(room) <= 0:
            break
        sizes[room.index(max(room))] -= 1
    lines: list[str] = []
    for number, row in enumerate(rows):
        cells = [wrap(cell, size) or [""] for cell, size in zip(row, sizes, strict=True)]
        for i in range(max(map(len, cells))):
            parts = [cell[i] if i < len(cell) else "" for cell in cells]
            padded = [part.ljust(size) for part, size in zip(parts, sizes, strict=True)]
            lines.append((" " * _GAP).join(padded).rstrip())
        if number == 0:
            lines.append((" " * _GAP).join("-" * size for size in sizes))
    return lines
