"""A bundle run again: whether it gives the draws, values and estimates that it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from causal_scrubbing._claims.reading import read_run
from causal_scrubbing._claims.run_file import make_run
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import read_table, reading
from causal_scrubbing._format import plain, plural, short
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._result import DATA, RUN_FOLDER, Result, data_of_table, load, opened
from causal_scrubbing._scrub import scrub
from causal_scrubbing._simulate import Metric, Options

TOLERANCE: Final = 1e-4
_ESTIMATES: Final = ("model", "scrubbed", "randomized", "gap", "recovered")
_KINDS: Final = ("scrubbed", "model", "randomized")


@dataclass(frozen=True)
class Rerun(Displayed):
    """What a bundle gave when it was run again.

    Attributes:
        file: the bundle.
        name: of the hypothesis.
        draws: how many columns of draws were equal to the bit.
        values: how many values of metrics were compared.
        largest: the largest difference of a value, as a share of the metric's largest.
        tolerance: values may differ by this share.
        differences: what is not as the bundle says, in words; empty where all is.
        result: the new run.
    """

    file: str
    name: str
    draws: int
    values: int
    largest: float
    tolerance: float
    differences: tuple[str, ...]
    result: Result

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __bool__(self) -> bool:
        return self.ok

    def to_dict(self) -> dict[str, Any]:
        """Everything but the run as plain data."""
        keys = ("file", "name", "ok", "draws", "values", "largest", "tolerance", "differences")
        found: dict[str, Any] = plain({key: getattr(self, key) for key in keys})
        return found

    def __repr__(self) -> str:
        return f"Rerun({self.name}: {'as it says' if self.ok else 'it differs'}; print it)"

    def __str__(self) -> str:
        head = f"{self.file}: {self.name}"
        if self.ok:
            return (
                f"{head}: run again; {self.draws} {plural(self.draws, 'column')} of draws equal, "
                f"{self.values} values within {short(self.tolerance)} of the largest "
                f"(at most {short(self.largest, 2)} off)"
            )
        return "\n".join([f"{head} differs:", *(f"  {one}" for one in self.differences)])


def rerun(
    file: str | Path,
    *,
    model: str | Path | None = None,
    allow_code: bool = False,
    graph: Graph | None = None,
    metric: Metric | Mapping[str, Metric] | None = None,
    tolerance: float = TOLERANCE,
) -> Rerun:
    """Run a bundle again and compare: draws to the bit, values within a tolerance, estimates.

    An estimate may differ by its own standard error, or by the tolerance where that is more.

    Example::

        assert cs.rerun("claim.zip", model="models/gpt2")

    Args:
        file: the bundle that `Result.bundle` or ``causal-scrubbing check --out`` wrote.
        model: folder of the `transformers` model, for a bundle of a run file.
        allow_code: whether a model given as ``module:function`` may be called.
        graph: the graph, for a bundle without a run file.
        metric: as `scrub` was given it, for a bundle without a run file.
        tolerance: how far a value may be off, as a share of the metric's largest value.

    Returns:
        What was compared. It is true where nothing differs.

    Raises:
        ScrubError: it is no bundle, a file in it is not as it was written, or it lacks what it
            takes to run it.
        RunFileError: its run file cannot be made, as where the model is not at hand.
    """
    path = Path(file)
    with opened(path) as (folder, body):
        saved = load(folder / RUN_FOLDER)
        tables = graph is not None and body.get("data") == DATA
        if body.get("run_file") is not None and not tables:
            if graph is not None or metric is not None:
                raise ScrubError(
                    f"{path} has a run file, which names the graph and metrics: leave out graph= "
                    "and metric=."
                )
            fresh = _from_run_file(folder, body, model, allow_code=allow_code)
        else:
            fresh = _from_tables(path, folder, body, saved, graph, metric)
    return _compared(path, saved, fresh, tolerance)


def _from_run_file(
    folder: Path, body: Mapping[str, Any], model: str | Path | None, *, allow_code: bool
) -> Result:
    file = folder / str(body["run_file"])
    given = read_run(file)
    paths = [given["data"]["file"], *(one["file"] for one in given["hypotheses"] if "file" in one)]
    paths += [given["model"]["graph"]] if "graph" in given["model"] else []
    for one in paths:
        if not (folder / one).resolve().is_relative_to(folder.resolve()):
            raise ScrubError(f"the run file of the bundle names {one!r}, which is not in it.")
    run = make_run(file, given, allow_code=allow_code, model=None if model is None else Path(model))
    name = str(body["name"])
    if name not in run.hypotheses:
        raise ScrubError(f"the run file of the bundle has no hypothesis {name!r}.")
    return scrub(run.hypotheses[name], run.data, run.metrics, **run.options)


def _from_tables(
    path: Path,
    folder: Path,
    body: Mapping[str, Any],
    saved: Result,
    graph: Graph | None,
    metric: Metric | Mapping[str, Metric] | None,
) -> Result:
    if graph is None:
        raise ScrubError(
            f"{path} was bundled in Python, without a run file: give the graph and the metric, "
            "cs.rerun(file, graph=graph, metric=metric)."
        )
    if body.get("data") != DATA:
        raise ScrubError(f"{path} holds no dataset, only its hash, so that it cannot be run again.")
    with reading(folder / DATA):
        data = data_of_table(read_table((folder / DATA).read_bytes()))
    record = saved.record
    if record.parts:
        raise ScrubError(f"{path} was merged of several runs: run each of them again.")
    options = Options(
        samples=record.samples,
        start=record.start,
        seed=record.seed,
        draw=record.draw,
        randomize=record.randomize,
        store_dtype=record.store_dtype,
    )
    if record.baseline is not None:
        options["baseline"] = Hypothesis.from_dict(graph, record.baseline)
    return scrub(Hypothesis.from_dict(graph, saved.readable), data, metric, **options)


def _compared(path: Path, saved: Result, fresh: Result, tolerance: float) -> Rerun:
    differences = []
    for kind in ("data", "graph"):
        if saved.fingerprints.get(kind) != fresh.fingerprints.get(kind) and kind == "data":
            differences.append("the data is not that of the run: its hash is another one")
    equal = 0
    for key in dict.fromkeys([*saved.drawn, *fresh.drawn]):
        one, other = saved.drawn.get(key), fresh.drawn.get(key)
        if one is None or other is None:
            differences.append(f"draws of {key}: only {'now' if one is None else 'then'}")
        elif not np.array_equal(one, other):
            count = int((one != other).sum()) if len(one) == len(other) else len(one)
            differences.append(f"draws of {key}: {count} of {len(one)} rows differ")
        else:
            equal += 1
    values, largest = 0, 0.0
    for name in dict.fromkeys([*saved.metrics, *fresh.metrics]):
        for count, off, words in _values(saved, fresh, name, tolerance):
            values, largest = values + count, max(largest, off)
            differences += [words] if words else []
    return Rerun(
        str(path), saved.name, equal, values, largest, tolerance, tuple(differences), fresh
    )


def _values(
    saved: Result, fresh: Result, name: str, tolerance: float
) -> Iterator[tuple[int, float, str]]:
    """For each table of a metric, and its estimates: values compared, how far off, in words."""
    if name not in saved.metrics or name not in fresh.metrics:
        yield 0, 0.0, f"metric {name}: only {'then' if name in saved.metrics else 'now'}"
        return
    tables = [
        (
            kind,
            getattr(saved, f"{kind}_values").get(name),
            getattr(fresh, f"{kind}_values").get(name),
        )
        for kind in _KINDS
    ]
    given = [np.abs(one).max(initial=0.0) for _, one, _ in tables if one is not None]
    scale = max(float(max(given, default=0.0)), np.finfo(np.float64).tiny)
    for kind, one, other in tables:
        if one is None and other is None:
            continue
        if one is None or other is None or one.shape != other.shape:
            yield 0, 0.0, f"{name}, {kind}: the tables have different shapes"
            continue
        off = float(np.abs(one - other).max(initial=0.0)) / scale
        far = "" if off <= tolerance else f"{name}, {kind}: a value is off by {short(off, 3)}"
        yield one.size, off, f"{far} of the largest, more than {short(tolerance)}" if far else ""
    for of in _ESTIMATES:
        then, now = getattr(saved.scores[name], of), getattr(fresh.scores[name], of)
        if then.defined != now.defined:
            yield 0, 0.0, f"{name}, {of}: {then} then, and {now} now"
        elif then.defined:
            unit = 100.0 if of == "recovered" else scale
            allowed = max(float(np.nan_to_num(then.se)), tolerance * unit)
            if abs(then.mean - now.mean) > allowed:
                yield 0, 0.0, f"{name}, {of}: {then} then, and {now} now"
