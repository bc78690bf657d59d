"""A run beyond its means: distributions, functions, bad cases, variance, and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import share
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._report import plot_scores
from causal_scrubbing._result.distributions import Distributions, distributions
from causal_scrubbing._result.labels import EVERY
from causal_scrubbing._result.run_data import RunData
from causal_scrubbing._statistics import (
    FunctionComparison,
    Triples,
    VarianceSplit,
    WorstCases,
    compare_functions,
    split_variance,
    worst_cases,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RunViews(RunData):
    """The part of a `Result` that looks beyond the means."""

    def compare_distributions(self, metric: str | None = None) -> Distributions:
        """The behaviour, and apart from it the output, as distributions under D and D_scrubbed.

        Args:
            metric: whose values are the behaviour; the first if None.
        """
        # On a subset the reference rows are not D's, and what a leaf root draws need not be in it.
        redrawn = self.root_is_leaf and self.record.subset is None
        return distributions(self.triples(metric), self.outputs, redrawn, self.record.seed)

    def compare_functions(
        self,
        metric: str | None = None,
        *,
        logits: bool | None = None,
        lower_is_better: bool | None = None,
        worst: int = 10,
    ) -> FunctionComparison:
        """The scrubbed output at each input against the model's own.

        Args:
            metric: whose values tell better from worse; the first if None.
            logits: whether outputs with several columns are logits, so that KL divergence and
                agreement of predictions mean something. None: where a metric reads them as such.
            lower_is_better: whether the behaviour is a loss; None reads it off the run: the model
                is on the good side of randomized.
            worst: how many of the worst inputs to list.

        Raises:
            ScrubError: the behaviour is a vector, or outputs were not compared.
        """
        trio = self.triples(metric)
        if trio.scrubbed.ndim != 1:
            raise ScrubError(
                f"metric {trio.name!r} gives a vector a row; compare_functions tells better from "
                f"worse by one number a row. Name one of them, like {trio.name + '[0]'!r}."
            )
        if not self.moved:
            raise ScrubError(
                "outputs were not compared with the model's own: the run was made with "
                "compare=False. Run it with compare=True."
            )
        if logits is None:
            logits = self.record.reads_logits
        dropped = () if logits else ("kl", "agreement", "total_variation")
        return compare_functions(
            {k: v for k, v in self.moved.items() if k not in dropped},
            model=trio.model,
            scrubbed=trio.scrubbed,
            rows=self.drawn[REFERENCE],
            randomized={k: v for k, v in self.moved_randomized.items() if k not in dropped} or None,
            lower_is_better=_is_loss(trio, lower_is_better),
            worst=worst,
            seed=self.record.seed,
            zero=self.zero.whose,
        )

    def worst_cases(
        self, metric: str | None = None, *, lower_is_better: bool | None = None
    ) -> WorstCases:
        """The bad tail of the scrubbed behaviour: percentiles with intervals of their own.

        Args:
            metric: the first if None.
            lower_is_better: whether the behaviour is a loss; None reads it off the run.
        """
        trio = self.triples(metric)
        loss = _is_loss(trio, lower_is_better)
        return worst_cases(trio.name, trio.scrubbed, lower_is_better=loss)

    def split_variance(self, metric: str | None = None) -> VarianceSplit:
        """The variance of the scrubbed behaviour, split into reference rows and resampling."""
        trio = self.triples(metric)
        rows = self.drawn[REFERENCE]
        weights = None
        if self.data is not None and not self.data.is_uniform:
            weights = self.data.weights[rows]
        return split_variance(
            trio.name,
            trio.scrubbed,
            rows,
            weights=weights,
            seed=self.record.seed,
        )

    @property
    def root_is_leaf(self) -> bool:
        """Whether the root claim is a leaf, so that scrubbing only redraws the output."""
        return "children" not in self.readable["claims"][0]

    def plot(self, metric: str | None = None) -> Figure:
        """Model, scrubbed and randomized with their intervals, as a matplotlib figure.

        Of a behaviour that is a vector, those of its first numbers.

        Args:
            metric: the first if None.
        """
        name = self.metrics[0] if metric is None else metric
        return plot_scores(
            self[name],
            title=self.name,
            metric=name,
            caption=self.summary
            if self.stuck is None
            else f"{self.summary}\n{EVERY}: {share(self.stuck)}",
            zero=self.zero_label,
        )


def _is_loss(trio: Triples, given: bool | None) -> bool:
    """Whether lower is better: as told, else the model is on the good side of randomized."""
    if given is not None:
        return given
    return trio.randomized is None or float(trio.model.mean()) <= float(trio.randomized.mean())
