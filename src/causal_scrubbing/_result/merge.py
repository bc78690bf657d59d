"""Runs of other seeds or other ranges of samples as one run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch

from causal_scrubbing._data import Ints
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import REFERENCE
from causal_scrubbing._result.result import Result
from causal_scrubbing._sampling import SCRAMBLING, SCRAMBLINGS
from causal_scrubbing._simulate import RunRecord, Swap, Swaps
from causal_scrubbing._statistics import FloatArray, KnownMeans

_CLOSE: Final = 1e-3
"""How near values of the model on one row must be in two runs, as a share of the largest value."""

_MERGED: Final = "merged of"

_BALANCED: Final = (
    'draw="balanced" balances reference rows over the samples of one run, so that two of them are '
    'not a balanced run together. Make one run of more samples, or take draw="independent".'
)


def merge(results: Sequence[Result]) -> Result:
    """Put runs of other seeds, or of other samples of one seed, together as one run.

    Samples are independent, and a draw is a function of the seed and the sample's number. So runs
    that share no sample are parts of one larger run, and its estimates and intervals are those of
    all samples together. Parts of one seed give what a single run of them gives, up to rounding.
    What is known of the behaviour on every row of the data holds for all parts. A run that stopped
    by ``samples="auto"`` stopped where its error looked small; merging keeps that slight bias.

    Example::

        halves = [cs.scrub(h, data, metric, samples=5000, start=start) for start in (0, 5000)]
        result = cs.merge(halves)
        other = cs.merge([cs.load("monday/"), cs.load("tuesday/")])   # of other seeds

    Args:
        results: at least two, of one hypothesis, dataset and metric; made here or loaded. With
            ``draw="sobol"`` they are of other seeds and as many samples each.

    Returns:
        A result like any other. Its notes name the parts.

    Raises:
        ScrubError: the runs differ in something, which is named, share samples, or were drawn in
            balance.
    """
    runs = _checked(results)
    parts = [part for run in runs for part in _parts(run)]
    _refuse_common(parts)
    known = _known(runs)
    first = runs[0]
    joined, order = _joined(sorted(parts)), _order(parts)
    alone = None
    if all(run.alone is not None for run in runs):
        alone = np.concatenate([run.alone for run in runs if run.alone is not None])[order]
    return replace(
        first,
        scrubbed_values=_stacked([run.scrubbed_values for run in runs], order),
        model_values=_stacked([run.model_values for run in runs], order),
        randomized_values=_stacked([run.randomized_values for run in runs], order),
        drawn={key: rows[order] for key, rows in _drawn(runs).items()},
        record=_record(runs, joined),
        alone=alone,
        stuck=None if alone is None else float(alone.mean()),
        notes=_notes(runs, joined),
        data=next((run.data for run in runs if run.data is not None), None),
        hypothesis=next((run.hypothesis for run in runs if run.hypothesis is not None), None),
        moved=_stacked([run.moved for run in runs], order),
        moved_randomized=_stacked([run.moved_randomized for run in runs], order),
        outputs=_outputs(runs, torch.as_tensor(order)),
        run_plan=None,
        plan=None,
        source=None,
        files=0,
        known=known,
        of_means=next((run.of_means for run in runs if run.of_means), {}),
        swaps=_swaps(runs),
    )


@dataclass(frozen=True, order=True)
class _Part:
    """Samples start..stop - 1 of a seed."""

    seed: int
    start: int
    stop: int

    def __str__(self) -> str:
        return f"samples {self.start:,} to {self.stop - 1:,} of seed {self.seed}"


def _parts(run: Result) -> list[_Part]:
    record = run.record
    if record.parts:
        return [_Part(one["seed"], one["start"], one["stop"]) for one in record.parts]
    return [_Part(record.seed, record.start, record.start + record.samples)]


def _joined(parts: Sequence[_Part]) -> list[_Part]:
    """Parts in order, those of one seed that follow each other as one."""
    found: list[_Part] = []
    for part in parts:
        if found and (found[-1].seed, found[-1].stop) == (part.seed, part.start):
            found[-1] = replace(found[-1], stop=part.stop)
        else:
            found.append(part)
    return found


def _order(parts: Sequence[_Part]) -> Ints:
    """Where the samples of all runs, one after the other, are in order of seed and number."""
    numbers = [np.arange(part.start, part.stop) for part in parts]
    seeds = [np.full(len(one), place) for one, place in zip(numbers, _ranks(parts), strict=True)]
    return np.lexsort((np.concatenate(numbers), np.concatenate(seeds))).astype(np.int64)


def _ranks(parts: Sequence[_Part]) -> list[int]:
    seeds = sorted({part.seed for part in parts})  # they may be larger than 64 bits
    return [seeds.index(part.seed) for part in parts]


# --- what must be equal -----------------------------------------------------------------------


def _checked(results: Sequence[Result]) -> list[Result]:
    runs = list(results) if isinstance(results, Sequence) else [results]
    for i, run in enumerate(runs, 1):
        if not isinstance(run, Result):
            raise ScrubError(
                f"run {i} is {run!r}, which is not a result; cs.merge takes a list of what "
                "cs.scrub or cs.load returned: cs.merge([r1, r2])."
            )
        if run.record.subset is not None:
            raise ScrubError(
                f"run {i} is on the subset {run.record.subset!r}; merge whole runs, and take the "
                "subset of what they give: cs.merge([r1, r2]).on(...)."
            )
    if len(runs) < 2:
        raise ScrubError("merging takes at least two runs: cs.merge([r1, r2]).")
    for i, run in enumerate(runs[1:], 2):
        differing = _differing(runs[0], run)
        if differing:
            raise ScrubError(
                f"runs 1 and {i} are not parts of one run: they differ in {', '.join(differing)}. "
                "cs.compare sets runs of different hypotheses beside each other."
            )
    if runs[0].record.draw == "balanced":
        raise ScrubError(_BALANCED)
    return runs


def _differing(one: Result, other: Result) -> list[str]:
    """What differs between two runs, in words."""
    pairs: dict[str, tuple[Any, Any]] = {
        "data": (one.fingerprints["data"], other.fingerprints["data"]),
        "graph": (one.fingerprints["graph"], other.fingerprints["graph"]),
        "hypothesis": (_unnamed(one.readable), _unnamed(other.readable)),
        "metrics": (one.metrics, other.metrics),
        "distance": (one.distance, other.distance),
    }
    for name in ("baseline", "randomize", "metric_in_graph", "reads_logits"):
        pairs[name.replace("_", " ")] = getattr(one.record, name), getattr(other.record, name)
    for name in ("draw", "order", "store_dtype"):
        pairs[name.replace("_", " ")] = getattr(one.record, name), getattr(other.record, name)
    found = [name for name, (a, b) in pairs.items() if _plain(a) != _plain(b)]
    if not found and _plain(one.agreement["table"]) != _plain(other.agreement["table"]):
        found.append("the classes of its features")
    if not found:
        found += [f"values of {name!r} of the model" for name in _models_differ(one, other)]
    return found


def _plain(value: Any) -> Any:
    """A value as it is after saving and loading, where it can be saved."""
    return value if callable(value) else json.loads(json.dumps(value))


def _unnamed(readable: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in readable.items() if key != "name"}


def _models_differ(one: Result, other: Result) -> list[str]:
    """Metrics whose values of the model differ between two runs on a row that both have."""
    rows, ours, theirs = np.intersect1d(
        one.drawn[REFERENCE], other.drawn[REFERENCE], return_indices=True
    )
    found = []
    for name in one.metrics:
        a, b = one.model_values[name][ours], other.model_values[name][theirs]
        if a.shape != b.shape or (len(rows) and not _close(a, b, _size(one, name))):
            found.append(name)
    return found


def _size(run: Result, name: str) -> float:
    """The largest value of a metric; a loss of the model's own may be rounding alone."""
    both = (run.model_values[name], run.scrubbed_values[name])
    return max(float(np.abs(values).max(initial=0.0)) for values in both)


def _close(one: FloatArray, other: FloatArray, size: float) -> bool:
    return float(np.abs(one - other).max(initial=0.0)) <= _CLOSE * size


def _refuse_common(parts: Sequence[_Part]) -> None:
    """Refuse samples that two runs have: they would count twice."""
    for one, other in pairwise(sorted(parts)):
        if one.seed == other.seed and other.start < one.stop:
            low, high = other.start, min(one.stop, other.stop)
            raise ScrubError(
                f"samples {low:,} to {high - 1:,} of seed {one.seed} are in two of the runs, and "
                "would count twice. Merge runs of other seeds, or of other samples: "
                f"scrub(..., start={one.stop})."
            )


# --- putting together -------------------------------------------------------------------------


def _stacked(tables: Sequence[Mapping[str, FloatArray]], order: Ints) -> dict[str, FloatArray]:
    """The values of all runs by name, where every run has them."""
    names = [name for name in tables[0] if all(name in table for table in tables)]
    return {name: np.concatenate([table[name] for table in tables])[order] for name in names}


def _drawn(runs: Sequence[Result]) -> dict[str, Ints]:
    found = {
        key: np.concatenate([run.drawn[key] for run in runs])
        for key in runs[0].drawn
        if key != SCRAMBLING
    }
    if SCRAMBLING in runs[0].drawn:
        sizes = [len(run) * SCRAMBLINGS // (int(run.drawn[SCRAMBLING].max()) + 1) for run in runs]
        if len(set(sizes)) > 1:
            raise ScrubError(
                'runs with draw="sobol" have as many samples each, so that the scramblings that '
                f"intervals come from are equally large; these have {', '.join(map(str, sizes))}."
            )
        # The scramblings of another seed are other ones.
        place, numbered = 0, []
        for run in runs:
            numbered.append(run.drawn[SCRAMBLING] + place)
            place += int(run.drawn[SCRAMBLING].max()) + 1
        found[SCRAMBLING] = np.concatenate(numbered)
    return found


def _outputs(
    runs: Sequence[Result], order: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    kept = [run.outputs for run in runs if run.outputs is not None]
    if len(kept) < len(runs):
        return None
    scrubbed, own = zip(*kept, strict=True)
    return torch.cat(scrubbed)[order], torch.cat(own)[order]


def _known(runs: Sequence[Result]) -> dict[str, KnownMeans]:
    """What is known of each metric: of the run that knows most, and all runs agree with it.

    Raises:
        ScrubError: the model's values in a run are not those known in another.
    """
    found: dict[str, KnownMeans] = {}
    for run in runs:
        for name, one in run.known.items():
            if name not in found or _rank(one) > _rank(found[name]):
                found[name] = one
    for name, one in found.items():
        for i, run in enumerate(runs, 1):
            there = one.model[run.drawn[REFERENCE]]
            if not _close(there, run.model_values[name], _size(run, name)):
                raise ScrubError(
                    f"the model's values of {name!r} in run {i} are not those that another run "
                    "found on the same rows: another model or metric. Merge runs of one model."
                )
    return {name: found[name] for name in runs[0].metrics if name in found}


def _rank(one: KnownMeans) -> tuple[bool, int]:
    """The mean over all pairs is better than one over many, and that than one over few."""
    return "randomized" in one.exact, one.pairs if one.randomized is not None else -1


def _swaps(runs: Sequence[Result]) -> Swaps | None:
    """What the swaps of all runs could change, each run counted by its samples."""
    seen = [run.swaps for run in runs if run.swaps is not None]
    if len(seen) < len(runs):
        return None
    total = sum(one.samples for one in seen)
    table = []
    for entries in zip(*(one.table for one in seen), strict=True):
        looked = sum(one.looked for one in entries)
        known = [one for one in entries if one.activations is not None and one.looked]
        weight = sum(one.looked for one in known)
        # Where no run swapped rows each says 0; where none was looked at, nothing is known.
        share = entries[0].activations
        if known:
            share = sum((one.activations or 0.0) * one.looked for one in known) / weight
        rows = sum(e.rows * one.samples for e, one in zip(entries, seen, strict=True)) / total
        table.append(Swap(entries[0].draw, entries[0].nodes, rows, share, looked,
                          entries[0].important))  # fmt: skip
    constant = tuple(node for node in seen[0].constant if all(node in s.constant for s in seen))
    return Swaps(
        tuple(table), constant, max(s.rows for s in seen), total, any(s.every for s in seen)
    )


def _record(runs: Sequence[Result], joined: Sequence[_Part]) -> RunRecord:
    first = runs[0].record
    records = [run.record for run in runs]
    one = len(joined) == 1
    actual = {
        key: sum(record.actual.get(key, 0) for record in records)
        for key, value in first.actual.items()
        if isinstance(value, int | float)
    }
    checks = [record.self_check for record in records]
    looked = None
    if all(checks):
        samples = sum(check.samples for check in checks if check is not None)
        looked = None if checks[0] is None else replace(checks[0], samples=samples)
    return replace(
        first,
        samples=sum(record.samples for record in records),
        seed=joined[0].seed,
        start=joined[0].start,
        parts=()
        if one
        else tuple({"seed": p.seed, "start": p.start, "stop": p.stop} for p in joined),
        batch_size=first.batch_size if _same(records, "batch_size") else None,
        memory=first.memory if _same(records, "memory") else None,
        device=", ".join(dict.fromkeys(record.device for record in records)),
        seconds=sum(record.seconds for record in records),
        actual=actual,
        self_check=looked,
    )


def _same(records: Sequence[RunRecord], name: str) -> bool:
    return all(getattr(one, name) == getattr(records[0], name) for one in records)


def _notes(runs: Sequence[Result], joined: Sequence[_Part]) -> tuple[str, ...]:
    """What a reader should know of a merged run."""
    found = dict.fromkeys(
        note for run in runs for note in run.notes if not note.startswith(_MERGED)
    )
    found[f"{_MERGED} {len(runs)} runs: {', '.join(map(str, joined))}"] = None
    records = [run.record for run in runs]
    differ = [name for name in ("versions", "environment") if not _same(records, name)]
    if differ:
        what = " and ".join(differ)
        found[f"the runs merged differ in {what}; those of the first are shown"] = None
    return tuple(found)
