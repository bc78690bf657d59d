"""Runs beside each other, paired on common reference rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from causal_scrubbing._algebra import Specificity, permits
from causal_scrubbing._display import Bar, Tabular, plot_forest
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import write_page
from causal_scrubbing._format import plural
from causal_scrubbing._hypothesis import REFERENCE, ablates, feature_words
from causal_scrubbing._report import align
from causal_scrubbing._result.result import Result
from causal_scrubbing._statistics import (
    Estimate,
    RunComparison,
    Scores,
    Triples,
    compare_runs,
    holm,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Comparison(Tabular):
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
        hypotheses: of each run, as plain data (see `Hypothesis.to_dict`).
    """

    names: tuple[str, ...]
    metric: str
    samples: int
    scores: tuple[Scores, ...]
    differences: tuple[RunComparison, ...]
    adjusted: tuple[float, ...]
    swaps: tuple[Specificity, ...] = ()
    hypotheses: tuple[Mapping[str, Any], ...] = ()

    @overload
    def report(self, path: None = None) -> str: ...

    @overload
    def report(self, path: str | Path) -> Path: ...

    def report(self, path: str | Path | None = None) -> str | Path:
        """The runs as one self-contained HTML page: a forest plot, differences, changed claims.

        Args:
            path: where to write it; nothing is written if None.

        Returns:
            The path of the file written, or without one the page's text.

        Raises:
            ScrubError: the page cannot be written there.

        Example::

            cs.compare([r1, r2]).report("compare.html")
        """
        from causal_scrubbing._page import render_comparison
        from causal_scrubbing._result.compared import comparison_data

        text = render_comparison(comparison_data(self))
        if path is None:
            return text
        write_page(Path(path), text)
        return Path(path)

    def plot(self) -> Figure:
        """What each run recovers with its interval, or its scrubbed mean where that is undefined.

        Returns:
            A forest plot that a notebook shows by itself, the first run on top.
        """
        whole = all(scores.recovered.defined for scores in self.scores)
        what = "recovered" if whole else "scrubbed"
        bars = []
        for name, scores in zip(_numbered(self.names), self.scores, strict=True):
            one: Estimate = getattr(scores, what)
            low, high = one.interval
            bars.append(Bar(label=name, mean=one.mean, low=low, high=high, text=one.ranged()))
        guides = (0.0, 100.0) if whole else ()
        title = f"{self.metric}, {self.samples} common {plural(self.samples, 'sample')}"
        axis = "recovered, %" if whole else "scrubbed"
        return plot_forest(bars, title=title, axis=axis, guides=guides)

    def to_frame(self) -> pd.DataFrame:
        """One row a run: scrubbed, recovered, and the paired difference of the first from it."""
        import pandas as pd

        rows = []
        for i, (name, scores) in enumerate(zip(self.names, self.scores, strict=True)):
            row: dict[str, Any] = {"run": name}
            row |= {"scrubbed": scores.scrubbed.mean, "recovered": scores.recovered.mean}
            if i:
                difference = self.differences[i - 1]
                low, high = difference.difference.interval
                row |= {"difference": difference.difference.mean, "low": low, "high": high}
                row |= {"recovered_difference": difference.recovered.mean}
                row |= {"p": self.adjusted[i - 1]}
            rows.append(row)
        return pd.DataFrame(rows)

    def _worded(self) -> pd.DataFrame:
        import pandas as pd

        head, rows = self._rows()
        return pd.DataFrame(rows, columns=list(head))

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

    def __repr__(self) -> str:
        return f"Comparison({len(self.names)} runs, {self.metric}; print it to see them)"

    def _rows(self) -> tuple[tuple[str, ...], list[list[str]]]:
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
        return head, rows

    def __str__(self) -> str:
        table = align(*self._rows())
        common = plural(self.samples, "common sample")
        head_line = f"{self.metric}, {self.samples} {common}"
        lines = [f"note: {note}" for note in self.notes]
        return "\n".join([head_line, table, *lines, *(f"swaps: {one}" for one in self.swaps)])

    @property
    def notes(self) -> tuple[str, ...]:
        """Why something is undefined, each reason once, with the runs it is about."""
        found: dict[str, list[str]] = {}
        runs = _numbered(self.names)
        for run, scores in zip(runs, self.scores, strict=True):
            for note in (scores.recovered.reason, scores.recovered.note):
                if note is not None:
                    found.setdefault(f"recovered: {note}", []).append(run)
        for run, difference in zip(runs[1:], self.differences, strict=True):
            if difference.recovered.reason is not None:
                note = f"recovered, first - it: {difference.recovered.reason}"
                found.setdefault(note, []).append(run)
        return tuple(f"{', '.join(which)}: {note}" for note, which in found.items())


def _numbered(names: Sequence[str]) -> list[str]:
    return [f"run {i} ({name})" for i, name in enumerate(names, 1)]


def compare(results: Sequence[Result], *, metric: str | Sequence[str] | None = None) -> Comparison:
    """Compare runs sample by sample: what they share cancels.

    Runs pair when they have equal data, equal reference rows and equal values of the model's own
    behaviour; their graphs may differ, and runs may come from disk. Where one has fewer samples the
    common first ones are compared.

    Percentages of two runs are on one scale only if both mean the same by 0%: where `baseline=`,
    `randomize=` or `within=` differ, so that the randomized values do, their difference is
    undefined, with the reason.

    Args:
        results: at least two.
        metric: which metric, or of a vector one number of it, like ``"logits[3]"``; the first run's
            first if None. A list names each run's own, where one metric has two names.

    Raises:
        ScrubError: fewer than two, or runs that do not pair, saying why.
    """
    given = list(results) if isinstance(results, list | tuple) else [results]
    for i, one in enumerate(given, 1):
        if not isinstance(one, Result):
            raise ScrubError(
                f"run {i} is {one!r}, which is no result; cs.compare takes a list of what cs.scrub "
                "or cs.load returned: cs.compare([r1, r2])."
            )
    if len(given) < 2:
        raise ScrubError("comparing takes at least two runs: cs.compare([r1, r2]).")
    first = results[0]
    names = _metrics(results, metric)
    samples = min(len(result) for result in results)
    trios: list[Triples] = []
    for i, (result, name) in enumerate(zip(results, names, strict=True), 1):
        _check_pair(first, result, i, samples)
        trio = result.triples(name).head(samples)
        if trio.scrubbed.ndim != 1 and trio.of_means is None:
            raise ScrubError(
                f"metric {name!r} of run {i} ({result.name}) is a vector of "
                f"{trio.scrubbed.shape[1]} numbers, and runs are compared by one number a row; "
                f"compare one of them: cs.compare([r1, r2], metric={name + '[0]'!r})."
            )
        trios.append(trio)
    seed = first.record.seed
    differences = tuple(
        compare_runs(trios[0], trio, seed=seed, apart=_apart(first, result, i, trios[0], trio))
        for i, (result, trio) in enumerate(zip(results[1:], trios[1:], strict=True), 2)
    )
    return Comparison(
        names=tuple(result.name for result in results),
        metric=" / ".join(dict.fromkeys(names)),
        samples=samples,
        scores=tuple(
            trio.estimate(seed=result.record.seed)
            for result, trio in zip(results, trios, strict=True)
        ),
        differences=differences,
        adjusted=tuple(float(p) for p in holm([d.p_value for d in differences])),
        swaps=_told_apart(_swaps(results), results),
        hypotheses=tuple(result.readable for result in results),
    )


def _metrics(results: Sequence[Result], metric: str | Sequence[str] | None) -> list[str]:
    """The metric of each run, by its name there."""
    if metric is None or isinstance(metric, str):
        names = [results[0].metrics[0] if metric is None else metric] * len(results)
    else:
        names = list(metric)
    if len(names) != len(results):
        raise ScrubError(
            f"metric= names {len(names)} metrics for {len(results)} runs; give one for all, or one "
            "for each."
        )
    for i, (result, name) in enumerate(zip(results, names, strict=True), 1):
        try:
            result.triples(name)
        except ScrubError as error:
            others = [one.metrics[0] for one in results]
            raise ScrubError(
                f"run {i} ({result.name}): {error} Name a metric that every run has, or each run's "
                f"own where they are one: cs.compare([...], metric={others})."
            ) from error
    return names


def _check_pair(first: Result, result: Result, i: int, samples: int) -> None:
    """Refuse runs that are not about the same rows, with what differs."""
    what = f"run {i} ({result.name})"
    if result.fingerprints["data"] != first.fingerprints["data"]:
        raise ScrubError(
            f"{what} is on other data than run 1 ({first.name}); runs are compared on the same "
            "rows, fields and weights."
        )
    ours, theirs = first.drawn[REFERENCE][:samples], result.drawn[REFERENCE][:samples]
    if np.array_equal(ours, theirs):
        return
    subsets = [one.record.subset for one in (result, first)]
    seeds = [one.record.seed for one in (result, first)]
    if subsets[0] != subsets[1]:
        on = [f"on {subset!r}" if subset else "on all its samples" for subset in subsets]
        why = f"it is {on[0]} and run 1 {on[1]}. Restrict both alike: r.on(...) of each."
    elif seeds[0] != seeds[1]:
        why = f"it has seed {seeds[0]} and run 1 seed {seeds[1]}. Run both with the same seed."
    elif subsets[0] is not None:
        why = f"functions of one name, {subsets[0]!r}, choose other rows. Restrict both alike."
    elif "sobol" in (result.record.draw, first.record.draw):
        why = (
            'rows lie in another order for draw="sobol". Scrub both in one call, which puts them '
            "in one order: cs.scrub([h1, h2], ...)."
        )
    else:
        why = "they were drawn in another way. Run both with the same seed and draw=."
    raise ScrubError(f"{what} has other reference rows than run 1 ({first.name}): {why}")


def _apart(first: Result, result: Result, i: int, ours: Triples, theirs: Triples) -> str | None:
    """Why percentages of two runs have different zeros; None where they have the same.

    Paired runs with one zero have equal randomized values, whatever their graphs call its node.
    """
    if ours.randomized is None or theirs.randomized is None:
        return None
    if np.allclose(ours.randomized, theirs.randomized, rtol=1e-4, atol=1e-6):
        return None
    zeros = [_zero(one) for one in (first, result)]
    return (
        f"the runs mean different things by 0%: {zeros[0]} in run 1, {zeros[1]} in run {i}. Run "
        "both with the same baseline=, randomize= and within="
    )


def _zero(result: Result) -> str:
    """What a run means by 0%, in words."""
    output = str(result.readable["output"])
    within = feature_words(result.readable.get("within", "anything"))
    where = result.zero.words(output) or f"randomized at {output}"
    return where + ("" if within in ("anything", "()") else f" within {within}")


def _swaps(results: Sequence[Result]) -> tuple[Specificity, ...]:
    first = results[0]
    if first.hypothesis is None or first.data is None:
        return ()
    found = []
    for other in results[1:]:
        if other.hypothesis is None:
            continue
        pair = ((first.name, first.hypothesis), (other.name, other.hypothesis))
        ablating = [name for name, one in pair if ablates(one)]
        if ablating:
            why = f"{' and '.join(ablating)} ablates unimportant parents, which swaps nothing"
            found.append(Specificity("not comparable", (first.name, other.name), (why, "")))
        else:
            found.append(permits(first.hypothesis, other.hypothesis, first.data))
    return tuple(found)


def _told_apart(swaps: Sequence[Specificity], results: Sequence[Result]) -> tuple[Specificity, ...]:
    """The comparisons with runs called by their number, where names are shared."""
    if len({result.name for result in results}) == len(results):
        return tuple(swaps)
    first, *others = _numbered([result.name for result in results])
    # There is a comparison for each other run whose hypothesis is at hand.
    known = [
        name
        for name, result in zip(others, results[1:], strict=True)
        if result.hypothesis is not None
    ]
    return tuple(replace(one, names=(first, name)) for one, name in zip(swaps, known, strict=False))
