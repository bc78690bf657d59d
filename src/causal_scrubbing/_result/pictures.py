"""Pictures and tables of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from causal_scrubbing._data import Feature, feature_name
from causal_scrubbing._display import Bar, Strip, Tabular, plot_forest, plot_strips
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._report import (
    KINDS,
    cell,
    opened,
    plot_by,
    plot_cancellation,
    plot_convergence,
    plot_shown,
)
from causal_scrubbing._result.page.movement import with_movement
from causal_scrubbing._result.page.tree import trees
from causal_scrubbing._result.views import RunViews
from causal_scrubbing._statistics import Estimate, Triples

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


_NUMBER: Final = re.compile(r"\d+")


class RunPictures(RunViews, Tabular):
    """The part of a `Result` that draws itself, and is a table of its estimates."""

    def to_frame(self) -> pd.DataFrame:
        """One row a metric (and one for each of a vector's first numbers), with intervals.

        Returns:
            Columns ``metric`` and, for each of model, scrubbed, randomized, gap and recovered, its
            mean, ``_low`` and ``_high``; NaN where undefined.
        """
        import pandas as pd

        rows = []
        for name, scores in opened(self.scores):
            row: dict[str, Any] = {"metric": name}
            for kind in KINDS:
                one: Estimate = getattr(scores, kind)
                row |= {kind: one.mean, f"{kind}_low": one.interval[0]}
                row[f"{kind}_high"] = one.interval[1]
            rows.append(row)
        return pd.DataFrame(rows)

    def _worded(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self.worded_rows())

    def worded_rows(self) -> list[dict[str, str]]:
        """One row a metric: its name, and its estimates in words."""
        return [
            {"metric": name} | {kind: cell(getattr(scores, kind), scores) for kind in KINDS}
            for name, scores in opened(self.scores)
        ]

    def plot(
        self, metric: str | Sequence[str] | None = None, *, by: Feature | None = None
    ) -> Figure:
        """Model, scrubbed and randomized with their intervals; or a metric against a field.

        Of a behaviour that is a vector, those of its first numbers.

        Args:
            metric: the first if None. Several names: what is recovered by each.
            by: a field or a function of a Dataset: the metric's means against its values.

        Returns:
            A figure that a notebook shows by itself.

        Raises:
            ScrubError: there is no such metric, or `by` is given and the data is not at hand.
        """
        if metric is not None and not isinstance(metric, str):
            bars = [_bar(name, self[name].recovered) for name in metric]
            return plot_forest(bars, title=self.name, axis="recovered, %", guides=(0, 100))
        if by is None:
            return super().plot(metric)
        trio = self._scalar(metric)
        values = self._need_data("to draw a metric against a field").evaluate(by)
        array = values.cpu().numpy() if hasattr(values, "cpu") else np.asarray(values)
        if array.reshape(len(array), -1).shape[1] != 1:
            raise ScrubError(f"by={feature_name(by)!r} gives several values a row; name a column.")
        return plot_by(
            array.reshape(-1)[self.drawn[REFERENCE]],
            trio.model,
            trio.scrubbed,
            field=feature_name(by),
            metric=trio.name,
            title=self.name,
        )

    def plot_claims(self) -> Figure:
        """What each claim's resampling goes with, as far as the run's own draws tell.

        The cost is a regression of the change on how far the activations of each draw moved (see
        the run's page); it is no experiment, as `cs.controls` is.

        Returns:
            A figure that a notebook shows by itself, one line a draw.
        """
        tree = trees(self)
        blocks, _ = with_movement(self, tree.claims, tree.blocks)
        bars = [_bar(block.label, block.cost) for block in blocks]
        return plot_forest(
            bars,
            title=self.name,
            axis=f"cost by regression on this run's draws, in {self.metrics[0]}",
        )

    def plot_positions(self) -> Figure:
        """What the resampling at each position costs: a strip for claims that differ by a number.

        These are the claims of `each`, and other leaves of one claim that are named alike, such as
        ``q.p0`` to ``q.p63``. The costs are those of `plot_claims`.

        Example::

            h = cs.Hypothesis(
                graph, cs.claim("z", cs.exact, *cs.each("q.p{i}", "tokens[{i}]", range(64)))
            )
            cs.scrub(h, data, metric).plot_positions()

        Returns:
            A figure that a notebook shows by itself, a dot where the interval leaves 0 out.

        Raises:
            ScrubError: no two claims of one parent differ by a number alone.
        """
        tree = trees(self)
        groups: dict[tuple[int | None, str], list[int]] = {}
        for i, claim in enumerate(tree.claims):
            if claim.fold:
                groups.setdefault((claim.parent, claim.fold), []).append(i)
        groups = {key: found for key, found in groups.items() if len(found) > 1}
        if not groups:
            raise ScrubError(
                "no two claims of one parent differ by a number alone; cs.each makes one for each "
                "position, and plot_claims() draws any."
            )
        blocks, _ = with_movement(self, tree.claims, tree.blocks)
        strips = []
        for found in groups.values():
            claims = [tree.claims[i] for i in found]
            costs = [blocks[claim.block].cost for claim in claims]
            known = [one if one is not None and one.defined else None for one in costs]
            above = claims[0].path.rpartition("/")[0]
            strips.append(
                Strip(
                    label=f"{above}: {_NUMBER.sub('#', claims[0].label)} carries "
                    f"{_NUMBER.sub('#', claims[0].feature)}",
                    places=[",".join(_NUMBER.findall(claim.label)) for claim in claims],
                    values=[np.nan if one is None else one.mean for one in known],
                    marked=[
                        one is not None and not one.interval[0] <= 0 <= one.interval[1]
                        for one in known
                    ],
                )
            )
        return plot_strips(
            strips, title=self.name, label=f"cost in {self.metrics[0]}",
            mark="the 95% interval leaves 0 out",
        )  # fmt: skip

    def plot_convergence(self, metric: str | None = None) -> Figure:
        """Each mean as the samples come in, with two standard errors.

        Args:
            metric: the first if None.
        """
        trio = self._scalar(metric)
        return plot_convergence(
            trio.model, trio.scrubbed, trio.randomized, metric=trio.name, title=self.name
        )

    def plot_cancellation(self, metric: str | None = None) -> Figure:
        """The change of each sample, and what rises and falls add to the mean.

        Args:
            metric: the first if None.
        """
        trio = self._scalar(metric)
        return plot_cancellation(trio.model, trio.scrubbed, metric=trio.name, title=self.name)

    def show_sample(self, sample: int) -> Figure:
        """One sample: the datum that each claim and each set of unimportant parents saw.

        Args:
            sample: its number, as in `samples`.

        Returns:
            A figure that a notebook shows by itself.

        Raises:
            ScrubError: there is no such sample, or the data is not at hand.
        """
        if not 0 <= sample < len(self):
            raise ScrubError(f"there is no sample {sample}; they are 0 to {len(self) - 1}.")
        data = self._need_data("to show what a sample saw")
        keys = {"reference row": REFERENCE} | {b.label: b.key for b in trees(self).blocks}
        seen = [(label, int(self.drawn[key][sample])) for label, key in keys.items()]
        trio = self.triples()
        values = f"model {_number(trio.model[sample])}, scrubbed {_number(trio.scrubbed[sample])}"
        return plot_shown(
            [(f"{label}: row {row}", data.show(row)) for label, row in seen],
            title=f"sample {sample} of {self.name}; {trio.name}: {values}",
        )

    def _scalar(self, metric: str | None) -> Triples:
        trio = self.triples(metric)
        if trio.scrubbed.ndim != 1:
            raise ScrubError(
                f"metric {trio.name!r} is a vector; name one of its numbers: {trio.name + '[0]'!r}."
            )
        return trio


def _number(value: Any) -> str:
    return ", ".join(f"{one:.4g}" for one in np.atleast_1d(value)[:6])


def _bar(label: str, estimate: Estimate | None) -> Bar:
    if estimate is None or not estimate.defined:
        text = "undefined" if estimate is None or estimate.reason is None else estimate.reason
        return Bar(label=label, mean=np.nan, low=np.nan, high=np.nan, text=text)
    low, high = estimate.interval
    return Bar(
        label=label, mean=estimate.mean, low=low, high=high, text=estimate.ranged(),
        strong=not low <= 0 <= high,
    )  # fmt: skip
