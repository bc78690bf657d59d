"""The estimates of a run, from the values of its samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from causal_scrubbing._data import Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._sampling import SCRAMBLING
from causal_scrubbing._simulate import RunRecord
from causal_scrubbing._statistics import (
    Distance,
    Estimate,
    FloatArray,
    KnownMeans,
    Scores,
    Triples,
)

_COMPONENT = re.compile(r"^(?P<name>.+)\[(?P<index>\d+)\]$", re.DOTALL)


class Estimated:
    """The part of a `Result` that estimates.

    Attributes:
        scrubbed_values, model_values, randomized_values: metric name -> value of each sample.
        drawn: draw key -> row of each sample.
        known: metric name -> what is known of it on every row of the data.
        of_means: metric name -> the function of means it is, for those that are one.
        distance: how far apart two mean vectors are, for behaviours that are vectors.
        record: with the seed.
    """

    scrubbed_values: Mapping[str, FloatArray]
    model_values: Mapping[str, FloatArray]
    randomized_values: Mapping[str, FloatArray]
    drawn: Mapping[str, Ints]
    known: Mapping[str, KnownMeans]
    of_means: Mapping[str, Callable[[Any], Any]]
    distance: str | Distance
    record: RunRecord

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the main one first."""
        return tuple(self.scrubbed_values)

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def triples(self, metric: str | None = None) -> Triples:
        """The three values of each sample of a metric (the first, if None).

        Args:
            metric: its name; of one that gives a vector, ``"name[2]"`` is one of its numbers.

        Raises:
            ScrubError: there is no such metric, or number of one.
        """
        name = self.metrics[0] if metric is None else metric
        match = _COMPONENT.match(name)
        if name not in self.scrubbed_values and match is not None:
            values = self.scrubbed_values.get(match["name"])
            if values is not None and values.ndim == 2 and int(match["index"]) < values.shape[1]:
                return self.triples(match["name"]).component(int(match["index"]))
        if name not in self.scrubbed_values:
            known = [
                one if values.ndim == 1 else f"{one} (a vector: {one}[0] and so on)"
                for one, values in self.scrubbed_values.items()
            ]
            raise ScrubError(f"no metric is called {name!r}; there is {', '.join(known)}.")
        return Triples(
            name,
            self.scrubbed_values[name],
            self.model_values[name],
            self.randomized_values.get(name),
            rows=self.drawn[REFERENCE],
            known=self.known.get(name),
            pools=self.drawn.get(SCRAMBLING),
            balanced=self.record.draw == "balanced" and name in self.known,
            of_means=self.of_means.get(name),
            distance=self.distance,
        )

    @cached_property
    def _estimated(self) -> dict[str, Scores]:
        return {}

    @property
    def scores(self) -> Mapping[str, Scores]:
        """The five estimates of every metric, by its name."""
        return {name: self[name] for name in self.metrics}

    def __getitem__(self, metric: str) -> Scores:
        if metric not in self._estimated:
            triples = self.triples(metric)
            self._estimated[metric] = triples.estimate(seed=self.record.seed)
        return self._estimated[metric]

    @property
    def _first(self) -> Scores:
        return self[self.metrics[0]]

    @property
    def model(self) -> Estimate:
        """E_model: mean behaviour on the reference rows, of the first metric."""
        return self._first.model

    @property
    def scrubbed(self) -> Estimate:
        """E_scrubbed: mean behaviour under the swaps, of the first metric."""
        return self._first.scrubbed

    @property
    def randomized(self) -> Estimate:
        """E_randomized: the mean with another row's output or the baseline's, or undefined."""
        return self._first.randomized

    @property
    def gap(self) -> Estimate:
        """E_scrubbed - E_model, paired by reference row."""
        return self._first.gap

    @property
    def recovered(self) -> Estimate:
        """100 (E_scrubbed - E_randomized) / (E_model - E_randomized), or undefined."""
        return self._first.recovered
