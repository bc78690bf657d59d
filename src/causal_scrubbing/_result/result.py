"""What a run found: estimates, tables of samples and draws, and how to look at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pandas as pd
import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import Explanation
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import write_page
from causal_scrubbing._format import listed, plural, share
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis
from causal_scrubbing._report import footnotes, plot_scores, render, scores_html, scores_table
from causal_scrubbing._result.distributions import Distributions, distributions
from causal_scrubbing._result.estimates import Estimated
from causal_scrubbing._result.labels import EVERY, Zero, first_notes, headline
from causal_scrubbing._result.subset import Subset, rows_inside, subset_name
from causal_scrubbing._result.tables import by_row_table, draws_table, samples_table
from causal_scrubbing._simulate import (
    Run,
    RunPlan,
    RunRecord,
    Sampled,
    Swaps,
    never_swapped,
    stuck_samples,
)
from causal_scrubbing._statistics import (
    BoolArray,
    Distance,
    FloatArray,
    FunctionComparison,
    KnownMeans,
    Triples,
    VarianceSplit,
    WorstCases,
    compare_functions,
    split_variance,
    worst_cases,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Result(Estimated):
    """The outcome of scrubbing one hypothesis.

    The estimates of the first metric are attributes; ``result["kl"]`` has those of another.

    Attributes:
        scrubbed_values, model_values: metric name -> value of each sample, [N] or [N, k].
        randomized_values: the same for E_randomized; empty where it is undefined.
        drawn: draw key -> row of each sample, with "~ref" the reference rows.
        readable: the hypothesis as plain data.
        agreement: figures of each block of draws (see `Hypothesis.agreement`), as plain data.
        record: samples, seed, versions and the like.
        fingerprints: hashes of data and graph.
        stuck: share of samples in which every claim could only keep the row it had; None where it
            is not known, on subsets of runs saved by a version that kept but the share.
        notes: what a reader should know.
        data: the dataset, where at hand.
        hypothesis: the hypothesis, where at hand (not after loading).
        moved: kind -> comparison of each sample's scrubbed output with the model's own, [N].
        moved_randomized: the same for the outputs of random rows.
        outputs: scrubbed and own output of each sample, where kept.
        run_plan: how the run was made, to explain it (not after loading).
        plan: the plan that was saved with the result, as plain data (after loading only).
        alone: which samples `stuck` counts, [N], where known.
        known: metric name -> what is known of it on every row of the data, without sampling.
        of_means: metric name -> the function of means it is, for those that are one.
        distance: how far apart two mean vectors are, for behaviours that are vectors.
        swaps: how often activations differed where rows were swapped, over all of the run; None
            where checks were left out.
    """

    scrubbed_values: Mapping[str, FloatArray]
    model_values: Mapping[str, FloatArray]
    randomized_values: Mapping[str, FloatArray]
    drawn: Mapping[str, Ints]
    readable: Mapping[str, Any]
    agreement: Mapping[str, Any]
    record: RunRecord
    fingerprints: Mapping[str, str]
    stuck: float | None
    notes: tuple[str, ...] = ()
    data: Dataset | None = None
    hypothesis: Hypothesis | None = None
    moved: Mapping[str, FloatArray] = field(default_factory=dict)
    moved_randomized: Mapping[str, FloatArray] = field(default_factory=dict)
    outputs: tuple[torch.Tensor, torch.Tensor] | None = None
    run_plan: RunPlan | None = None
    plan: Mapping[str, Any] | None = None
    alone: BoolArray | None = None
    known: Mapping[str, KnownMeans] = field(default_factory=dict)
    of_means: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    distance: str | Distance = "euclidean"
    swaps: Swaps | None = None

    @classmethod
    def from_run(cls, sampled: Sampled, data: Dataset, run: Run) -> Result:
        """The result of one hypothesis of a finished run.

        Args:
            sampled: what the run found for the hypothesis.
            data: the dataset.
            run: the run.
        """
        hypothesis, measured, record = sampled.hypothesis, sampled.measured, run.record
        alone = stuck_samples(hypothesis, data, sampled.draws)
        figures = hypothesis.agreement(data)
        notes = list(first_notes(hypothesis, figures, _zero(record)))
        notes += sampled.notes
        if sampled.swaps is not None:
            notes += sampled.swaps.notes
        if run.stopped is not None:
            notes.append(run.stopped)
        if record.store_dtype is not None:
            notes.append(
                f"activations were stored as {record.store_dtype}, which changes results by "
                "rounding"
            )
        return cls(
            scrubbed_values=dict(measured.scrubbed),
            model_values=dict(measured.model),
            randomized_values=dict(measured.randomized),
            drawn=dict(sampled.draws),
            readable=hypothesis.to_dict(),
            agreement=figures.to_dict(),
            record=record,
            fingerprints={"data": data.fingerprint, "graph": hypothesis.graph.fingerprint},
            stuck=float(alone.mean()),
            alone=alone,
            notes=tuple(notes),
            data=data,
            hypothesis=hypothesis,
            moved=dict(measured.moved),
            moved_randomized=dict(measured.moved_randomized),
            outputs=sampled.outputs,
            run_plan=run.plan,
            known=sampled.known,
            of_means=sampled.of_means,
            distance=run.plan.request.distance,
            swaps=sampled.swaps,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """How the run was made and what it took, as plain data (see `record`)."""
        return self.record.to_dict()

    @property
    def name(self) -> str:
        """The hypothesis's name."""
        return str(self.readable.get("name") or "unnamed")

    def __len__(self) -> int:
        return len(self.drawn[REFERENCE])

    def on(self, subset: Subset) -> Result:
        """The same result on the samples whose reference row is in a subset of the data.

        Args:
            subset: a boolean field, a function of a Dataset that gives one boolean a row, or a mask
                with one entry for each row of the dataset.

        Raises:
            ScrubError: the data is not at hand, or the subset holds no sample.
        """
        data = self._need_data("to know which rows are in the subset")
        inside = rows_inside(data, subset)
        keep = inside[self.drawn[REFERENCE]]
        if not keep.any():
            raise ScrubError(
                f"none of the {len(self)} samples has its reference row in "
                f"{subset_name(subset)!r}; take more samples or a larger subset."
            )
        outputs = self.outputs
        if outputs is not None:
            flags = torch.as_tensor(keep)
            outputs = (outputs[0][flags], outputs[1][flags])
        alone = None if self.alone is None else self.alone[keep]
        names = [self.record.subset, subset_name(subset)]
        record = replace(
            self.record,
            samples=int(keep.sum()),
            subset=" & ".join(name for name in names if name),
        )
        return replace(
            self,
            scrubbed_values={k: v[keep] for k, v in self.scrubbed_values.items()},
            model_values={k: v[keep] for k, v in self.model_values.items()},
            randomized_values={k: v[keep] for k, v in self.randomized_values.items()},
            drawn={k: v[keep] for k, v in self.drawn.items()},
            moved={k: v[keep] for k, v in self.moved.items()},
            moved_randomized={k: v[keep] for k, v in self.moved_randomized.items()},
            outputs=outputs,
            record=record,
            alone=alone,
            stuck=None if alone is None else float(alone.mean()),
            known={
                name: part
                for name, one in self.known.items()
                if (part := one.on(inside)) is not None
            },
        )

    def _need_data(self, why: str) -> Dataset:
        if self.data is None:
            raise ScrubError(
                f"this result was loaded without its dataset, which is needed {why}: "
                "cs.load(path, data=data)."
            )
        return self.data

    # --- tables ----------------------------------------------------------------------------

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample: its reference row and the values of every metric.

        The first metric's columns are ``scrubbed``, ``model`` and ``randomized``, another's have
        its name in front, ``kl.scrubbed``; a vector behaviour has one column a component.
        """
        return samples_table(self)

    @property
    def draws(self) -> pd.DataFrame:
        """One row a sample: the reference row and the row drawn for each claim and block.

        Claims drawn together have a column each, of equal values.
        """
        return draws_table(self)

    def by_row(self, metric: str | None = None) -> pd.DataFrame:
        """Mean under the swaps for each reference row drawn, beside the model's own behaviour.

        Args:
            metric: the first if None.
        """
        return by_row_table(self, self.metrics[0] if metric is None else metric)

    def explain(self) -> Explanation:
        """The plan the run followed, beside what it took; see `cs.explain`.

        A loaded result has the plan that was saved with it. Else the expected time is told by
        running up to 256 samples, as `cs.explain` does.

        Raises:
            ScrubError: the result was loaded, and saved by a version that kept no plan.
        """
        if self.run_plan is not None:
            return self.run_plan.explain(self.record.actual, timed=True)
        if self.plan is not None:
            return Explanation.from_dict(self.plan)
        raise ScrubError(
            "this result was loaded from a folder that holds no plan: "
            "cs.explain(hypothesis, data, samples=...) makes one."
        )

    @property
    def summary(self) -> str:
        """One line on samples, seed, policy, what 0% is, and subset."""
        rows = self.record.rows
        size = f"{len(self)} {plural(len(self), 'sample')} of {rows} {plural(rows, 'row')}"
        return headline(
            f"{size}, seed {self.record.seed}",
            self.readable,
            self.zero,
            subset=self.record.subset,
        )

    def __str__(self) -> str:
        table, notes = scores_table(self.scores, zero=self.zero_label)
        lines = [f"{self.name}: {self.summary}", table, *self.untested]
        lines += [f"note: {note}" for note in [*notes, *self.notes]]
        return "\n".join(lines)

    @property
    def untested(self) -> tuple[str, ...]:
        """What the draws left untested, in words: samples stuck, and claims never swapped."""
        lines = [] if self.stuck is None else [f"{EVERY}: {share(self.stuck)}"]
        if self.never_swapped:
            lines.append(f"claims never swapped, each row alone: {listed(self.never_swapped)}")
        return tuple(lines)

    @property
    def zero(self) -> Zero:
        """What 0% is."""
        return _zero(self.record)

    @property
    def zero_label(self) -> str:
        """What the mean that 0% is, `randomized`, is called in tables and pictures."""
        return self.zero.label

    @property
    def never_swapped(self) -> tuple[str, ...]:
        """Paths of the claims below the root that no draw could swap: nothing tests them."""
        return never_swapped(self.agreement["table"])

    def _repr_html_(self) -> str:
        zero = self.zero_label
        notes = [*self.untested, *footnotes(self.scores, zero=zero), *self.notes]
        return scores_html(self.name, self.summary, self.scores, notes, zero=zero)

    def __repr__(self) -> str:
        return f"Result({self.name}: scrubbed {self.scrubbed}, recovered {self.recovered})"

    def to_dict(self) -> dict[str, Any]:
        """Hypothesis, settings, agreement and every estimate as plain data, for JSON."""
        return {
            "hypothesis": dict(self.readable),
            "settings": self.settings,
            "fingerprints": dict(self.fingerprints),
            "agreement": dict(self.agreement),
            "stuck": self.stuck,
            "swaps": None if self.swaps is None else self.swaps.to_dict(),
            "notes": list(self.notes),
            "estimates": {name: scores.to_dict() for name, scores in self.scores.items()},
        }

    # --- beyond the mean ---------------------------------------------------------------------

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
        logits: bool = True,
        lower_is_better: bool | None = None,
        worst: int = 10,
    ) -> FunctionComparison:
        """The scrubbed output at each input against the model's own.

        Args:
            metric: whose values tell better from worse; the first if None.
            logits: whether outputs with several columns are logits, so that KL divergence and
                agreement of predictions mean something.
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

    # --- looking and keeping ---------------------------------------------------------------

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

    @overload
    def report(self, path: None = None) -> str: ...

    @overload
    def report(self, path: str | Path) -> Path: ...

    def report(self, path: str | Path | None = None) -> str | Path:
        """The run as one self-contained HTML page.

        Args:
            path: where to write it; nothing is written if None.

        Returns:
            The path of the file written, or without one the page's text.

        Raises:
            ScrubError: the page cannot be written there.
        """
        from causal_scrubbing._result.page import page

        text = render(page(self))
        if path is None:
            return text
        file = Path(path)
        write_page(file, text)
        return file

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run to a folder: JSON for what is said, Parquet for tables of samples.

        Raises:
            ScrubError: the folder holds something already and `overwrite` is False, it is a file,
                or the disk cannot be written.
        """
        from causal_scrubbing._result.save import save

        return save(self, Path(path), overwrite=overwrite)


def _zero(record: RunRecord) -> Zero:
    return Zero(record.baseline, record.randomize, record.metric_in_graph)


def _is_loss(trio: Triples, given: bool | None) -> bool:
    """Whether lower is better: as told, else the model is on the good side of randomized."""
    if given is not None:
        return given
    return trio.randomized is None or float(trio.model.mean()) <= float(trio.randomized.mean())
