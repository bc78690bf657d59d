"""Runs beside each other, paired on common reference rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import Specificity, permits
from causal_scrubbing._hypothesis.tree import REFERENCE
from causal_scrubbing._measure import RunComparison, Scores, Triples, compare_runs, holm
from causal_scrubbing._report import align
from causal_scrubbing._scrub.result import Result


@dataclass(frozen=True)
class Comparison:
    """Several runs and their differences from the first.

    Attributes:
        names: of the runs, in the order given.
        metric: the metric compared.
        samples: how many common samples the comparison rests on.
        scores: estimates of each run on those samples.
        differences: of each run but the first: first minus it, with a permutation test.
        adjusted: their p-values, adjusted for their number (Holm).
        swaps: which permits more swaps, of the first and each other run whose hypothesis is at
            hand (it is not after loading).
    """

    names: tuple[str, ...]
    metric: str
    samples: int
    scores: tuple[Scores, ...]
    differences: tuple[RunComparison, ...]
    adjusted: tuple[float, ...]
    swaps: tuple[Specificity, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "names": list(self.names),
            "metric": self.metric,
            "samples": self.samples,
            "scores": [one.to_dict() for one in self.scores],
            "differences": [one.to_dict() for one in self.differences],
            "adjusted": list(self.adjusted),
            "swaps": [asdict(one) for one in self.swaps],
        }

    def __str__(self) -> str:
        head = ("run", "scrubbed", "recovered", "first - it", "recovered, first - it", "p (Holm)")
        rows = []
        for i, (name, scores) in enumerate(zip(self.names, self.scores, strict=True)):
            recovered = str(scores.recovered) if scores.recovered.defined else "undefined"
            row = [name, str(scores.scrubbed), recovered]
            if i == 0:
                row += ["", "", ""]
            else:
                difference = self.differences[i - 1]
                other = difference.recovered
                row += [
                    str(difference.difference),
                    str(other) if other.defined else "undefined",
                    f"{self.adjusted[i - 1]:.3g}",
                ]
            rows.append(row)
        table = align(head, rows)
        head_line = f"{self.metric}, {self.samples} common samples"
        return "\n".join([head_line, table, *(f"swaps: {one}" for one in self.swaps)])


def compare(results: Sequence[Result], *, metric: str | None = None) -> Comparison:
    """Compare runs sample by sample: what they share cancels.

    Runs pair when they have equal data, equal reference rows and equal values of the model's own
    behaviour; their graphs may differ, and runs may come from disk. Where one has fewer samples the
    common first ones are compared.

    Args:
        results: at least two.
        metric: which metric; the first run's first if None.

    Raises:
        ScrubError: fewer than two, or runs that do not pair, saying why.
    """
    if len(results) < 2:
        raise ScrubError("comparing takes at least two runs: cs.compare([r1, r2]).")
    first = results[0]
    name = first.metrics[0] if metric is None else metric
    samples = min(len(result) for result in results)
    trios: list[Triples] = []
    for i, result in enumerate(results, 1):
        if result.fingerprints["data"] != first.fingerprints["data"]:
            raise ScrubError(
                f"run {i} ({result.name}) is on other data than run 1 ({first.name}); runs are "
                "compared on the same rows, fields and weights."
            )
        ours, theirs = first.drawn[REFERENCE][:samples], result.drawn[REFERENCE][:samples]
        if not np.array_equal(ours, theirs):
            raise ScrubError(
                f"run {i} ({result.name}) has other reference rows than run 1 ({first.name}); run "
                "both with the same seed."
            )
        trios.append(_head(result.triples(name), samples))
    differences = tuple(compare_runs(trios[0], other) for other in trios[1:])
    return Comparison(
        names=tuple(result.name for result in results),
        metric=name,
        samples=samples,
        scores=tuple(trio.estimate() for trio in trios),
        differences=differences,
        adjusted=tuple(float(p) for p in holm([d.p_value for d in differences])),
        swaps=_swaps(results),
    )


def _swaps(results: Sequence[Result]) -> tuple[Specificity, ...]:
    first = results[0]
    if first.hypothesis is None or first.data is None:
        return ()
    return tuple(
        permits(first.hypothesis, other.hypothesis, first.data)
        for other in results[1:]
        if other.hypothesis is not None
    )


def _head(triples: Triples, samples: int) -> Triples:
    mask = np.arange(len(triples)) < samples
    return triples if mask.all() else replace(triples.on(mask), name=triples.name)
