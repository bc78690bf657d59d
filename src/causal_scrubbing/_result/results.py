"""The results of several hypotheses that ran together: a list that is a table too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from causal_scrubbing._display import Bar, Tabular, plot_forest
from causal_scrubbing._format import plural
from causal_scrubbing._report import align
from causal_scrubbing._result.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_NAMED = 4


class Results(list[Result], Tabular):
    """What `scrub` gives for several hypotheses: a list, which a notebook shows as a table.

    Example::

        results = cs.scrub([h1, h2, h3], data, metric=cs.metrics.accuracy("label"))
        results[0].recovered          # a list like any other
        print(results.to_markdown())  # and one table of all
    """

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Result: ...

    @overload
    def __getitem__(self, index: slice, /) -> Results: ...

    def __getitem__(self, index: SupportsIndex | slice, /) -> Result | Results:
        if isinstance(index, slice):
            return Results(list(self)[index])
        return super().__getitem__(index)

    def to_frame(self) -> pd.DataFrame:
        """One row for each result and metric, with intervals.

        Returns:
            Column ``run``, and those of `Result.to_frame`.
        """
        import pandas as pd

        if not self:
            return pd.DataFrame({"run": [], "metric": []})
        frames = []
        for result in self:
            frame = result.to_frame()
            frame.insert(0, "run", result.name)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def _worded(self) -> pd.DataFrame:
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for result in self:
            rows += [{"run": result.name} | row for row in result.worded_rows()]
        return pd.DataFrame(rows)

    def plot(self, metric: str | None = None) -> Figure:
        """What each recovers with its interval, or its scrubbed mean where that is undefined.

        Args:
            metric: its name; the first of each result if None.

        Returns:
            A forest plot that a notebook shows by itself, the first result on top.

        Raises:
            ScrubError: a result has no such metric.
        """
        scores = [one[one.metrics[0] if metric is None else metric] for one in self]
        whole = all(one.recovered.defined for one in scores)
        bars = []
        for result, one in zip(self, scores, strict=True):
            estimate = one.recovered if whole else one.scrubbed
            low, high = estimate.interval
            bars.append(
                Bar(
                    label=result.name, mean=estimate.mean, low=low, high=high,
                    text=estimate.ranged() if estimate.defined else "",
                )
            )  # fmt: skip
        names = {metric} if metric is not None else {one.metrics[0] for one in self}
        title = f"{len(self)} {plural(len(self), 'result')}: {', '.join(sorted(names))}"
        axis = "recovered, %" if whole else "scrubbed"
        return plot_forest(bars, title=title, axis=axis, guides=(0.0, 100.0) if whole else ())

    def __str__(self) -> str:
        frame = self._worded()
        rows = [[str(value) for value in row] for row in frame.itertuples(index=False)]
        return align([str(name) for name in frame.columns], rows) if rows else "no results"

    def __repr__(self) -> str:
        names = [one.name if len(one.name) <= 30 else f"{one.name[:27]}..." for one in self]
        if len(names) > _NAMED:
            names = [*names[: _NAMED - 1], f"and {len(names) - _NAMED + 1} more"]
        return f"Results({len(self)}: {'; '.join(names)})"
