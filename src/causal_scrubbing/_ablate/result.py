"""What an ablation did, kind by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._format import plural, short
from causal_scrubbing._graph import shorten
from causal_scrubbing._report import align
from causal_scrubbing._result import Subset, rows_inside, subset_name
from causal_scrubbing._statistics import (
    Estimate,
    FloatArray,
    RunComparison,
    Scores,
    Triples,
    compare_runs,
)

if TYPE_CHECKING:
    import pandas as pd

_NO_BASELINE = "an ablation is compared with the model itself, not with random outputs"


@dataclass(frozen=True, eq=False)
class Ablation(Displayed):
    """The same nodes ablated in one way or several, on the same reference rows.

    ``ablation["mean"]`` has the estimates of one kind: `scrubbed` is the ablated mean, `gap` the
    effect, ablated minus model, with its interval.

    Attributes:
        nodes: what was ablated.
        model_values: metric name -> the model's own value of each sample, [N] or [N, k].
        values: kind -> metric name -> the ablated value of each sample.
        reference: reference row of each sample.
        seed: of the draws.
        data: the dataset.
    """

    nodes: tuple[str, ...]
    model_values: Mapping[str, FloatArray]
    values: Mapping[str, Mapping[str, FloatArray]]
    reference: Ints
    seed: int
    data: Dataset

    @property
    def kinds(self) -> tuple[str, ...]:
        """The ablations made."""
        return tuple(self.values)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the main one first."""
        return tuple(self.model_values)

    def __len__(self) -> int:
        return len(self.reference)

    def __iter__(self) -> Iterator[str]:
        return iter(self.kinds)

    def __getitem__(self, kind: str) -> Scores:
        return self.scores()[kind] if kind in self.values else self._unknown(kind)

    def _unknown(self, kind: str) -> Scores:
        raise ScrubError(f"{kind!r} was not made; there is {', '.join(self.kinds)}.")

    def triples(self, kind: str, metric: str | None = None) -> Triples:
        """Ablated and own value of each sample."""
        name = self._metric(metric)
        return Triples(name, self.values[kind][name], self.model_values[name], why_not=_NO_BASELINE)

    def _metric(self, metric: str | None) -> str:
        name = self.metrics[0] if metric is None else metric
        if name not in self.model_values:
            raise ScrubError(f"no metric is called {name!r}; there is {', '.join(self.metrics)}.")
        return name

    def scores(self, metric: str | None = None) -> Mapping[str, Scores]:
        """Kind -> estimates of a metric (the first, if None)."""
        return self._scores[self._metric(metric)]

    @cached_property
    def _scores(self) -> Mapping[str, Mapping[str, Scores]]:
        return {
            name: {kind: self.triples(kind, name).estimate(seed=self.seed) for kind in self.kinds}
            for name in self.metrics
        }

    def effect(self, kind: str, metric: str | None = None) -> Estimate:
        """Ablated minus model, paired by reference row."""
        return self.scores(metric)[kind].gap if kind in self.values else self._unknown(kind).gap

    def differences(self, metric: str | None = None) -> Mapping[tuple[str, str], RunComparison]:
        """How the kinds differ, two by two, sample by sample, with a permutation test."""
        name = self._metric(metric)
        return {
            (one, two): compare_runs(
                self.triples(one, name), self.triples(two, name), seed=self.seed
            )
            for one, two in combinations(self.kinds, 2)
        }

    def on(self, subset: Subset) -> Ablation:
        """The same ablation on the samples whose reference row is in a subset of the data.

        Args:
            subset: a boolean field, a function of a Dataset that gives one boolean a row, or a mask
                with one entry for each row of the dataset.

        Raises:
            ScrubError: the subset is no boolean a row, or holds no sample.
        """
        keep = rows_inside(self.data, subset)[self.reference]
        if not keep.any():
            name = subset_name(subset)
            raise ScrubError(f"none of the {len(self)} samples is in {name!r}; take more.")
        return replace(
            self,
            model_values={name: found[keep] for name, found in self.model_values.items()},
            values={
                kind: {name: found[keep] for name, found in table.items()}
                for kind, table in self.values.items()
            },
            reference=self.reference[keep],
        )

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample: reference row, the model's own value and each ablated one."""
        import pandas as pd

        columns: dict[str, Any] = {"reference": self.reference}
        for i, name in enumerate(self.metrics):
            front = "" if i == 0 else f"{name}."
            for kind, table in {"model": self.model_values, **self.values}.items():
                found = table[name]
                if found.ndim == 1:
                    columns[f"{front}{kind}"] = found
                else:
                    columns |= {f"{front}{kind}.{k}": found[:, k] for k in range(found.shape[1])}
        return pd.DataFrame(columns).rename_axis("sample")

    def __str__(self) -> str:
        rows = []
        for name in self.metrics:
            for kind, one in self.scores(name).items():
                bounds = one.gap.bounds()
                interval = "" if bounds is None else f"[{', '.join(bounds)}]"
                shown = [str(e) if e.defined else "vector" for e in (one.model, one.scrubbed)]
                rows.append([name, kind, *shown, str(one.gap), interval])
        table = align(("metric", "ablation", "model", "ablated", "effect", "95% interval"), rows)
        size = f"{len(self)} {plural(len(self), 'sample')}"
        lines = [f"ablation of {shorten(self.nodes)}; {size}, seed {self.seed}", table]
        for name in self.metrics:
            if self.model_values[name].ndim == 1 and len(self) > 1:
                lines += [
                    f"{name}: {one} - {two} = {found.difference}, p = {short(found.p_value, 3)}"
                    for (one, two), found in self.differences(name).items()
                ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Ablation({shorten(self.nodes)}: {', '.join(self.kinds)})"

    def to_dict(self) -> dict[str, Any]:
        """Every estimate as plain data."""
        return {
            "nodes": list(self.nodes),
            "samples": len(self),
            "seed": self.seed,
            "estimates": {
                name: {kind: one.to_dict() for kind, one in self.scores(name).items()}
                for name in self.metrics
            },
        }
