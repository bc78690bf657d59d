"""Tables for papers and notes: LaTeX and Markdown, every name escaped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<": "$<$", ">": "$>$", "|": r"\textbar{}",
}  # fmt: skip


def words(value: Any) -> str:
    """A cell: numbers in four digits, nothing for what is no number."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def to_latex(frame: pd.DataFrame) -> str:
    r"""A table as LaTeX, in the rules of booktabs.

    Example:
        >>> import pandas as pd
        >>> print(to_latex(pd.DataFrame({"a_b": [0.5]})))
        \begin{tabular}{l}
        \toprule
        a\_b \\
        \midrule
        0.5 \\
        \bottomrule
        \end{tabular}
    """

    def line(cells: list[str]) -> str:
        return " & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in cells) + r" \\"

    rows = [line([words(value) for value in row]) for row in frame.itertuples(index=False)]
    head = line([str(name) for name in frame.columns])
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{'l' * len(frame.columns)}}}", r"\toprule", head, r"\midrule",
            *rows, r"\bottomrule", r"\end{tabular}",
        ]
    )  # fmt: skip


def to_markdown(frame: pd.DataFrame) -> str:
    r"""A table as Markdown.

    Example:
        >>> import pandas as pd
        >>> print(to_markdown(pd.DataFrame({"a": ["x|y"]})))
        | a |
        | --- |
        | x\|y |
    """

    def line(cells: list[str]) -> str:
        safe = [" ".join(cell.replace("|", "\\|").split()) for cell in cells]
        return f"| {' | '.join(safe)} |"

    rows = [line([words(value) for value in row]) for row in frame.itertuples(index=False)]
    head = line([str(name) for name in frame.columns])
    return "\n".join([head, line(["---"] * len(frame.columns)), *rows])
