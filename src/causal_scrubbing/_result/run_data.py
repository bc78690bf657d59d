"""What a run found: values, draws, tables, and a few lines of words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import Explanation
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import listed, plural, printable, share
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis
from causal_scrubbing._report import scores_table
from causal_scrubbing._result.estimates import Estimated
from causal_scrubbing._result.labels import EVERY, Zero, headline
from causal_scrubbing._result.subset import Subset, rows_inside, subset_name
from causal_scrubbing._result.tables import by_row_table, draws_table, samples_table
from causal_scrubbing._simulate import RunPlan, RunRecord, Swaps, never_swapped
from causal_scrubbing._statistics import BoolArray, Distance, FloatArray, KnownMeans

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class RunData(Estimated):
    """What a run found for one hypothesis, its tables, and what is said of it in a few lines.

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
        source: the folder or address it was loaded from, or that `scrub` kept it at.
        files: how many files it was loaded from.
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
    source: Path | str | None = None
    files: int = 0
    known: Mapping[str, KnownMeans] = field(default_factory=dict)
    of_means: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    distance: str | Distance = "euclidean"
    swaps: Swaps | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """How the run was made and what it took, as plain data (see `record`)."""
        return self.record.to_dict()

    @property
    def name(self) -> str:
        """The hypothesis's name."""
        return printable(str(self.readable.get("name") or "unnamed"))

    def __len__(self) -> int:
        return len(self.drawn[REFERENCE])

    def on(self, subset: Subset) -> Self:
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
        return draws_table(self.drawn, self.agreement["table"])

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
            ScrubError: the result was merged, or saved by a version that kept no plan.
        """
        if self.run_plan is not None:
            return self.run_plan.explain(self.record.actual, timed=True)
        if self.plan is not None:
            return Explanation.from_dict(self.plan)
        raise ScrubError(
            "this result holds no plan: it was merged of runs that have one each, or saved by a "
            "version that kept none. cs.explain(hypothesis, data, samples=...) makes one."
        )

    @property
    def summary(self) -> str:
        """One line on samples, seed, policy, what 0% is, and subset."""
        rows = self.record.rows
        size = f"{len(self)} {plural(len(self), 'sample')} of {rows} {plural(rows, 'row')}"
        return headline(
            f"{size}, {self._of_seed}",
            self.readable,
            self.zero,
            subset=self.record.subset,
        )

    @property
    def _of_seed(self) -> str:
        record = self.record
        if record.parts:
            seeds = list(dict.fromkeys(str(one["seed"]) for one in record.parts))
            word = plural(len(seeds), "seed")
            return f"merged of {len(record.parts)} ranges, {word} {listed(seeds)}"
        return f"seed {record.seed}" + (f" from sample {record.start:,}" if record.start else "")

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
        return Zero.of(self.record)

    @property
    def zero_label(self) -> str:
        """What the mean that 0% is, `randomized`, is called in tables and pictures."""
        return self.zero.label

    @property
    def never_swapped(self) -> tuple[str, ...]:
        """Paths of the claims below the root that no draw could swap: nothing tests them."""
        return never_swapped(self.agreement["table"])

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
