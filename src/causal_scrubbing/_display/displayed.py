"""What gives a class its notebook display and its exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causal_scrubbing._display.export import to_latex, to_markdown, words
from causal_scrubbing._display.html import html_table, html_text

if TYPE_CHECKING:
    import pandas as pd


class Displayed:
    """A value that a notebook shows as its text, in the notebook's own colours."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return html_text(type(self).__name__, str(self))


class Tabular(Displayed):
    """A value that is a table too: shown as one, and written as LaTeX or Markdown."""

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """The table, for pandas."""
        raise NotImplementedError

    def _worded(self) -> pd.DataFrame:
        """The table as exports and displays have it: in words where numbers have intervals."""
        return self.to_frame()

    def to_latex(self) -> str:
        """The table as LaTeX, in the rules of booktabs."""
        return to_latex(self._worded())

    def to_markdown(self) -> str:
        """The table as Markdown."""
        return to_markdown(self._worded())

    def _repr_html_(self) -> str:
        frame = self._worded()
        rows = [[words(value) for value in row] for row in frame.itertuples(index=False)]
        notes = getattr(self, "notes", ())
        return html_table(
            repr(self)
            .removesuffix("; print it to see them)")
            .removesuffix(")")
            .replace("(", ": ", 1),
            [str(name) for name in frame.columns],
            rows,
            notes,
        )
