"""Behaviour values of samples, three on each reference row, and the estimates made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final, overload

import numpy as np
import numpy.typing as npt

from causal_scrubbing._errors import MetricError
from causal_scrubbing._statistics.columns import Columns, build_columns
from causal_scrubbing._statistics.design import Strata
from causal_scrubbing._statistics.estimate import Estimate
from causal_scrubbing._statistics.known import KnownMeans
from causal_scrubbing._statistics.of_means import along_last
from causal_scrubbing._statistics.resample import Group, jackknife
from causal_scrubbing._statistics.scores import NO_BASELINE, Scores, half_width, scores_of
from causal_scrubbing._statistics.table import check_settings, dense
from causal_scrubbing._statistics.tails import tail_notes
from causal_scrubbing._statistics.values import (
    BoolArray,
    FloatArray,
    IntArray,
    as_values,
    check_finite,
)
from causal_scrubbing._statistics.vectors import Distance, vector_numbers


@final
class Components(Sequence[Scores]):
    """The estimates of each number of a vector behaviour, each made when it is first asked for."""

    def __init__(
        self, triples: Triples, *, seed: int = 0, level: float = 0.95, resamples: int = 1000
    ) -> None:
        self._triples = triples
        self._settings = (seed, level, resamples)
        self._found: dict[int, Scores] = {}

    def __len__(self) -> int:
        return int(self._triples.scrubbed.shape[1])

    @overload
    def __getitem__(self, index: int) -> Scores: ...

    @overload
    def __getitem__(self, index: slice) -> list[Scores]: ...

    def __getitem__(self, index: int | slice) -> Scores | list[Scores]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        place = range(len(self))[index]
        if place not in self._found:
            seed, level, resamples = self._settings
            one = self._triples.component(place)
            self._found[place] = one.estimate(seed=seed, level=level, resamples=resamples)
        return self._found[place]


@dataclass(frozen=True, eq=False)
class Triples:
    """Behaviour values of N independent samples, three on each reference row.

    Attributes:
        name: The metric, for messages.
        scrubbed: Of the scrubbed model, ``[N]``, or ``[N, k]`` for a behaviour that is a vector.
        model: Of the model itself on the same reference rows, same shape.
        randomized: With the output of a random row, same shape; ``None`` if there is no baseline
            on these reference rows.
        baseline: Of another run, on other reference rows and perhaps another number of them,
            ``[M]`` or ``[M, k]``; stands in for ``randomized`` and is resampled on its own.
        pools: The pool each sample was drawn from, ``[N]`` integers, where samples were drawn from
            random sub-datasets; intervals are then Student's over pools.
        why_not: Why there is neither ``randomized`` nor ``baseline``, shown with ``recovered``.
        rows: The reference row of each sample, ``[N]``.
        known: What is known of the behaviour on every row of D. It takes the place of what samples
            say of the model and of a random row, and the model's values become a control variate.
        balanced: Whether reference rows were drawn in balance; needs ``rows`` and ``known``.
        of_means: For a behaviour that is a function of means: what takes means ``[k]`` of the
            columns to one number (or ``[..., k]`` to ``[...]``, which is faster).
        distance: For a behaviour that is a vector: how far apart two mean vectors are.
    """

    name: str
    scrubbed: FloatArray
    model: FloatArray
    randomized: FloatArray | None = None
    baseline: FloatArray | None = None
    pools: IntArray | None = None
    why_not: str = NO_BASELINE
    rows: IntArray | None = None
    known: KnownMeans | None = None
    balanced: bool = False
    of_means: Callable[[Any], Any] | None = None
    distance: str | Distance = "euclidean"

    def __post_init__(self) -> None:
        scrubbed = as_values(self.name, self.scrubbed)
        for what in ("scrubbed", "model", "randomized", "baseline"):
            given = getattr(self, what)
            if given is None:
                continue
            values = as_values(self.name, given)
            if what != "baseline" and values.shape != scrubbed.shape:
                raise MetricError(
                    f"metric {self.name!r}: {what} has shape {list(values.shape)} and scrubbed "
                    f"{list(scrubbed.shape)}; both must be on the same samples. Pass a run on "
                    "other reference rows as baseline"
                )
            if values.shape[1:] != scrubbed.shape[1:]:
                raise MetricError(
                    f"metric {self.name!r}: baseline has shape {list(values.shape)} and scrubbed "
                    f"{list(scrubbed.shape)}; both must come from the same metric"
                )
            check_finite(self.name, what, values)
            object.__setattr__(self, what, values)
        if self.randomized is not None and self.baseline is not None:
            raise MetricError(
                f"metric {self.name!r} has both randomized and baseline values; recovered divides "
                "by one of them, so pass one"
            )
        if self.pools is not None:
            pools = np.asarray(self.pools)
            if pools.shape != (len(scrubbed),) or pools.dtype.kind not in "iu":
                raise MetricError(
                    f"metric {self.name!r}: pools must be {len(scrubbed)} integers, one a sample; "
                    f"they are {pools.dtype} of shape {list(pools.shape)}"
                )
            object.__setattr__(self, "pools", pools.astype(np.int64))
        if self.rows is not None and np.shape(self.rows) != (len(scrubbed),):
            raise MetricError(
                f"metric {self.name!r}: rows has shape {list(np.shape(self.rows))}, wanted the "
                f"reference row of each of the {len(scrubbed)} samples"
            )
        if self.known is not None:
            if self.known.model.shape[1:] != scrubbed.shape[1:]:
                raise MetricError(
                    f"metric {self.name!r}: known values of shape {list(self.known.model.shape)} "
                    f"and scrubbed ones of shape {list(scrubbed.shape)} are not one metric's"
                )
            self.known.check(self.name)
        if self.balanced and (self.rows is None or self.known is None):
            raise MetricError(
                f"metric {self.name!r}: of rows drawn in balance an estimate needs the reference "
                "rows and what is known of every row (rows=, known=)"
            )

    def __len__(self) -> int:
        return len(self.scrubbed)

    def on(
        self,
        subset: npt.ArrayLike,
        *,
        baseline: npt.ArrayLike | None = None,
        of_rows: npt.ArrayLike | None = None,
    ) -> Triples:
        """Return the triples of some samples.

        Args:
            subset: A mask ``[N]``: True for the samples to keep.
            of_rows: Which rows of D the samples kept have, a mask ``[n]``; what is known of these
                is kept. Without it the samples kept stand for rows that nothing is known of.
            baseline: The same subset among the samples of the baseline run, ``[M]``; without it a
                baseline on other reference rows says nothing about the subset and is dropped.

        Raises:
            MetricError: If a mask is no mask of that length, or keeps nothing.
        """
        keep = self._mask(subset, len(self), "subset")
        kept = replace(
            self,
            scrubbed=self.scrubbed[keep],
            model=self.model[keep],
            randomized=None if self.randomized is None else self.randomized[keep],
            pools=None if self.pools is None else self.pools[keep],
            rows=None if self.rows is None else self.rows[keep],
        )
        if self.known is not None:
            kept = replace(kept, **self._known_on(of_rows))
        if self.baseline is None:
            return kept
        if baseline is None:
            return replace(
                kept,
                baseline=None,
                why_not="the baseline is a run on other reference rows, and was not restricted to "
                "this subset; restrict it too, or score both runs on the same reference rows",
            )
        chosen = self._mask(baseline, len(self.baseline), "subset of the baseline")
        return replace(kept, baseline=self.baseline[chosen])

    def head(self, count: int) -> Triples:
        """The first samples, which stand for the same rows as all of them do.

        Those of a balanced draw are not balanced themselves; they are taken for independent ones,
        which makes intervals wider.
        """
        keep = slice(0, count)
        return replace(
            self,
            scrubbed=self.scrubbed[keep],
            model=self.model[keep],
            randomized=None if self.randomized is None else self.randomized[keep],
            pools=None if self.pools is None else self.pools[keep],
            rows=None if self.rows is None else self.rows[keep],
            balanced=self.balanced and count >= len(self),
        )

    def _known_on(self, of_rows: npt.ArrayLike | None) -> dict[str, Any]:
        known = self.known
        if known is None or of_rows is None or self.rows is None:
            return {"known": None, "balanced": False}
        inside = np.asarray(of_rows)
        if inside.dtype != np.bool_ or inside.shape != (len(known),):
            raise MetricError(
                f"metric {self.name!r}: of_rows must be {len(known)} booleans, one a row of data"
            )
        return {"known": known.on(inside)}

    def _mask(self, subset: npt.ArrayLike, count: int, what: str) -> BoolArray:
        mask = np.asarray(subset)
        if mask.dtype != np.bool_ or mask.shape != (count,):
            raise MetricError(
                f"metric {self.name!r}: the {what} must be {count} booleans, one a sample; it is "
                f"{mask.dtype} of shape {list(mask.shape)}"
            )
        if not mask.any():
            raise MetricError(
                f"metric {self.name!r}: the {what} keeps none of the {count} samples; draw more "
                "samples or take a larger subset"
            )
        return mask

    def component(self, index: int) -> Triples:
        """Return one number of a vector behaviour as triples of its own."""

        def pick(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[:, index]

        return replace(
            self,
            name=f"{self.name}[{index}]",
            scrubbed=self.scrubbed[:, index],
            model=self.model[:, index],
            randomized=pick(self.randomized),
            baseline=pick(self.baseline),
            known=None if self.known is None else self.known.component(index),
            of_means=None,
        )

    def estimate(
        self,
        *,
        seed: int = 0,
        level: float = 0.95,
        resamples: int = 1000,
        distance: str | Distance | None = None,
    ) -> Scores:
        """Estimate E_model, E_scrubbed, E_randomized, gap and recovered.

        What is `known` of every row has no error. The model's sampled values then correct those of
        the scrubbed model: gap is the mean of scrubbed - E_model - b (model - E_model), each
        sample's b fitted on the others (see `control`). Where nothing is known gap is the mean of
        scrubbed - model, sample by sample. recovered is
        100 (E_scrubbed - E_randomized) / (E_model - E_randomized), a ratio of means; whole triples
        are resampled, so that the uncertainty of what is not known, and all correlations, are in
        its interval. It is undefined where the 95% interval of E_model - E_randomized contains 0
        (whatever ``level`` is). Standard errors are the jackknife's, which is sd / sqrt(N) for
        means. Intervals are BCa bootstraps; they are Student's over pools where there are pools,
        over strata where rows were drawn in balance, and for fewer than 10 samples, whose
        resamples are too few to have quantiles.

        For a behaviour that is a vector, gap and recovered are of distances between mean vectors
        and the other estimates are per number: see `Scores.components`.

        Args:
            seed: Of the bootstrap; the same seed gives the same intervals.
            level: Coverage of the intervals.
            resamples: How many bootstrap resamples; 0 for Student's intervals without any.
            distance: For vectors, in place of the triples' own: ``"euclidean"``, ``"manhattan"``,
                ``"max"``, or a metric (a, b) -> number.
        """
        check_settings(level, resamples)
        if self.scrubbed.ndim == 2 and self.of_means is None:
            found = self._vector(
                seed, level, resamples, self.distance if distance is None else distance
            )
        else:
            found = self._number(seed, level, resamples)
        return replace(found, exact=() if self.known is None else self.known.exact)

    def rough_half_width(self) -> float:
        """The half-width of recovered's 95% interval without resampling (delta method)."""
        if self.randomized is None and self.known is None:
            return float("inf")
        return half_width(
            self.columns(), None if self.of_means is None else along_last(self.of_means)
        )

    def columns(self, prefix: str = "", into: Columns | None = None) -> Columns:
        """The columns of samples, and the constants, that the estimates are made of."""

        def wide(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values.reshape(len(values), -1)

        scrubbed, model = self.scrubbed, self.model
        return build_columns(
            scrubbed.reshape(len(scrubbed), -1),
            model.reshape(len(model), -1),
            wide(self.randomized),
            wide(self.baseline),
            self.known,
            dense(self.pools),
            self._strata(),
            prefix,
            into,
        )

    def _strata(self) -> Strata | None:
        if not self.balanced or self.rows is None or self.known is None:
            return None
        order = self.model if self.model.ndim == 1 else self.model[:, 0]
        return Strata.of(self.rows, self.known.weights, order)

    @property
    def size(self) -> float:
        """A typical size of the behaviour, against which rounding is measured."""
        return float((np.abs(self.scrubbed).mean() + np.abs(self.model).mean()) / 2)

    def _number(self, seed: int, level: float, resamples: int) -> Scores:
        columns = self.columns()
        n = len(self)
        count = n if self.baseline is None else len(self.baseline)
        of_means = None if self.of_means is None else along_last(self.of_means)
        found = scores_of(
            columns,
            of_means,
            name=self.name,
            size=self.size,
            count=n,
            baseline_count=count,
            why_not=self.why_not,
            seed=seed,
            level=level,
            resamples=resamples,
        )
        if self.of_means is not None:
            return found
        entering = columns.main["gap"][:, 0]
        if self.known is None:
            entering = columns.main["scrubbed"][:, 0]
        moved = self.scrubbed != self.model
        notes = tail_notes(self.name, entering, rows=self.rows, known=self.known, moved=moved)
        return replace(found, notes=notes, factors=self._factors(found))

    def _factors(self, found: Scores) -> dict[str, float]:
        """Squared errors of as many independent draws, nothing known, over those there are."""
        if self.known is None or len(self) < 2:
            return {}
        plain = [self.scrubbed, self.model - self.scrubbed]
        if self.randomized is not None:
            plain.append(self.model - self.randomized)

        def statistic(means: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = 100 * means[..., 1] / means[..., -1]
            return np.stack([means[..., 0], ratio], axis=-1)

        errors = jackknife([Group(np.stack(plain, axis=1))], statistic).se
        pairs = [("scrubbed", found.scrubbed, errors[0])]
        if self.randomized is not None:
            pairs.append(("recovered", found.recovered, errors[1]))
        return {
            name: float(plain_error**2 / estimate.se**2)
            for name, estimate, plain_error in pairs
            if estimate.se > 0 and np.isfinite(plain_error)
        }

    def _vector(self, seed: int, level: float, resamples: int, distance: str | Distance) -> Scores:
        n, width = self.scrubbed.shape
        reason = (
            f"the behaviour is a vector of {width} numbers; gap and recovered are of distances "
            f"between mean vectors, and result[{self.name!r}].components has the estimates of each "
            f"number, the first also called result[{self.name + '[0]'!r}]"
        )
        none = Estimate.undefined(reason, n=n, level=level)
        gap, recovered = vector_numbers(
            self.columns(),
            distance,
            why_not=self.why_not,
            seed=seed,
            level=level,
            resamples=resamples,
        )
        parts = Components(self, seed=seed, level=level, resamples=resamples)
        return Scores(
            none,
            none,
            none,
            replace(gap, n=n),
            replace(recovered, n=n),
            parts,
            log_recovered=replace(none, unit="%"),
        )
