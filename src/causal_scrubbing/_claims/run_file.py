"""A run file made into what `scrub` takes: graph, data, hypotheses, metrics, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._claims.data_file import read_data
from causal_scrubbing._claims.faults import Fault, RunFileError, pointer
from causal_scrubbing._claims.model_file import read_model
from causal_scrubbing._claims.reading import read_plain, read_run, schema_faults
from causal_scrubbing._claims.schema import SAVED
from causal_scrubbing._data import Dataset, Feature, feature_from_plain
from causal_scrubbing._errors import DataError, HypothesisError, MetricError
from causal_scrubbing._graph import Graph, nearest
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._metrics import metrics as made
from causal_scrubbing._simulate import Metric, Options

_KEPT: Final = ("samples", "tolerance", "max_samples", "seed", "draw", "randomize")
_FIELDS: Final = ("label", "target", "field", "where")
_CLASSES: Final = ("correct", "wrong", "at")
_OWN: Final = {"name", "file", "root", "require"}
_MOST_PLACES: Final = 100_000
"""Paths of claims looked through for the place of a fault; claims may be shared."""


@dataclass(frozen=True)
class RunFile:
    """A run file, read and made; everything in it fits together.

    Example::

        run = cs.RunFile.read("claim.toml")
        results = cs.scrub(list(run.hypotheses.values()), run.data, run.metrics, **run.options)

    Attributes:
        file: where it was read.
        body: it as plain data.
        graph: of the model.
        data: the dataset.
        hypotheses: by name.
        metrics: by name; None where the graph's own output is the behaviour.
        options: what `scrub` is given besides.
    """

    file: Path
    body: Mapping[str, Any]
    graph: Graph
    data: Dataset
    hypotheses: Mapping[str, Hypothesis]
    metrics: Mapping[str, Metric] | None
    options: Options

    @classmethod
    def read(
        cls,
        file: str | Path,
        *,
        allow_code: bool = False,
        model: str | Path | None = None,
    ) -> RunFile:
        """Read a run file and make what it names. Nothing in the file is run.

        Args:
            file: TOML if its name ends in .toml, else JSON.
            allow_code: whether a model given as ``module:function`` may be called.
            model: a `transformers` folder to take in place of the one that the file names.

        Raises:
            RunFileError: lists every fault that can be known, each with its place in the file.
        """
        path = Path(file)
        body = read_run(path)
        return make_run(
            path, body, allow_code=allow_code, model=None if model is None else Path(model)
        )

    def require(self, name: str) -> Mapping[str, Any]:
        """What must hold for a hypothesis: the file's requirements, its own before them."""
        own = next(one for one in self.body["hypotheses"] if one["name"] == name)
        return {**self.body.get("require", {}), **own.get("require", {})}


def make_run(
    file: Path, body: Mapping[str, Any], *, allow_code: bool, model: Path | None
) -> RunFile:
    """What a run file names, made.

    Args:
        file: where it was read.
        body: it as plain data, which fits the schema.
        allow_code: whether code may be run.
        model: a folder to take in place of the model's.

    Raises:
        RunFileError: lists every fault.
    """
    folder = file.parent
    faults = [*_names(body), *_metric_names(body)]
    data, found = read_data(body["data"], folder)
    faults += found
    metrics, found = _metrics(body.get("metrics"), data)
    faults += found
    plain, found = _plain_hypotheses(body, folder)
    faults += found
    if data is not None:
        faults += _feature_faults(plain, body, data)
    if body["model"]["kind"] == "code" and not allow_code:
        faults += read_model(body["model"], folder, data or _NO_DATA, allow_code=False)[1]
    if faults or data is None:
        raise RunFileError(faults, file=str(file))
    graph, faults = read_model(
        body["model"], folder, data, allow_code=allow_code, model_folder=model
    )
    if graph is None:
        raise RunFileError(faults, file=str(file))
    hypotheses: dict[str, Hypothesis] = {}
    for number, one in plain:
        try:
            found_one = Hypothesis.from_dict(graph, one)
            found_one.classes(data)
            hypotheses[one["name"]] = found_one
        except HypothesisError as error:
            faults += [
                Fault("hypothesis", _place(number, fault, body), fault) for fault in error.faults
            ]
    options, found = _options(body, graph, hypotheses)
    faults += found
    if faults:
        raise RunFileError(faults, file=str(file))
    return RunFile(file, body, graph, data, hypotheses, metrics, options)


_NO_DATA: Final = Dataset(none=[0])


def _names(body: Mapping[str, Any]) -> list[Fault]:
    names = [one["name"] for one in body["hypotheses"]]
    return [
        Fault("twice", pointer("hypotheses", i, "name"), f"{name!r} is taken.", "Rename it.")
        for i, name in enumerate(names)
        if name in names[:i]
    ]


def _metric_names(body: Mapping[str, Any]) -> list[Fault]:
    """Bounds on metrics that the file does not have."""
    known = body.get("metrics", {})
    required = [((), body.get("require", {}))] + [
        (("hypotheses", i), one.get("require", {})) for i, one in enumerate(body["hypotheses"])
    ]
    faults = []
    for place, require in required:
        for number, bound in enumerate(require.get("bounds", [])):
            name = bound.get("metric")
            where = pointer(*place, "require", "bounds", number, "metric")
            if name is not None and name not in known:
                what = f"there is no metric {name!r}."
                faults.append(Fault("unknown-metric", where, what, nearest(name, known)))
    return faults


def _metrics(
    entries: Mapping[str, Mapping[str, Any]] | None, data: Dataset | None
) -> tuple[dict[str, Metric] | None, list[Fault]]:
    if entries is None:
        return None, []
    found: dict[str, Metric] = {}
    faults: list[Fault] = []
    for name, entry in entries.items():
        arguments = {key: value for key, value in entry.items() if key not in ("kind", "measure")}
        first = [entry["measure"]] if "measure" in entry else []
        try:
            found[name] = getattr(made, entry["kind"])(*first, **arguments)
        except MetricError as error:
            faults.append(Fault("metric", pointer("metrics", name), str(error)))
            continue
        for key, field in arguments.items():
            names_field = key in _FIELDS or (key in _CLASSES and isinstance(field, str))
            if names_field and data is not None and field not in data:
                place = pointer("metrics", name, key)
                what = f"the data has no field {field!r}."
                faults.append(Fault("unknown-field", place, what, nearest(field, data.field_names)))
    return found, faults


def _plain_hypotheses(
    body: Mapping[str, Any], folder: Path
) -> tuple[list[tuple[int, dict[str, Any]]], list[Fault]]:
    """Each hypothesis that can be read, with its number, as `Hypothesis.from_dict` takes it."""
    found: list[tuple[int, dict[str, Any]]] = []
    faults: list[Fault] = []
    for number, entry in enumerate(body["hypotheses"]):
        place = pointer("hypotheses", number)
        plain = {key: value for key, value in entry.items() if key not in _OWN}
        if "root" in entry:
            plain["claims"] = _flat(entry["root"])
        elif "file" in entry:
            file = folder / entry["file"]
            try:
                saved = read_plain(file)
            except RunFileError as error:
                for one in error.faults:
                    faults.append(
                        Fault(one.code, f"{place}/file", f"{file}: {one.message}", one.hint)
                    )
                continue
            wrong = schema_faults(saved, SAVED)
            faults += [
                Fault(one.code, f"{place}/file", f"{file}, {one.place}: {one.message}", one.hint)
                for one in wrong
            ]
            if wrong:
                continue
            plain = {**saved, **plain}
        found.append((number, {**plain, "name": entry["name"]}))
    return found, faults


def _flat(root: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Nested claims as a list, each before those it is computed from."""
    claims: list[dict[str, Any]] = []
    waiting: list[tuple[Mapping[str, Any], list[int] | None]] = [(root, None)]
    while waiting:
        entry, siblings = waiting.pop(0)
        flat = {key: value for key, value in entry.items() if key != "children"}
        if siblings is not None:
            siblings.append(len(claims))
        claims.append(flat)
        if "children" in entry:
            flat["children"] = []
            waiting += [(child, flat["children"]) for child in entry["children"]]
    return claims


def _feature_faults(
    plain: list[tuple[int, dict[str, Any]]], body: Mapping[str, Any], data: Dataset
) -> list[Fault]:
    """Features that cannot be used on the data, each at its place."""
    faults = []
    for number, one in plain:
        place = ("hypotheses", number)
        uses: list[tuple[tuple[object, ...], Any]] = []
        if "within" in one:
            uses.append((("within",), one["within"]))
        for i, claim in enumerate(one["claims"]):
            uses += [
                (("claims", i, key), claim[key]) for key in ("feature", "others") if key in claim
            ]
        for where, given in uses:
            entry = body["hypotheses"][number]
            shown = (*place, *where) if where[0] in entry else (*place, *_shown(entry, where))
            try:
                feature: Feature = feature_from_plain(given)
                data.classes(feature)
            except DataError as error:
                faults.append(Fault("feature", pointer(*shown), str(error)))
    return faults


def _shown(entry: Mapping[str, Any], where: tuple[object, ...]) -> tuple[object, ...]:
    """The place in the file of what is at a place of the flat list of claims."""
    if "root" not in entry:
        return ("file",)
    number, key = where[1], where[2]
    places: list[tuple[object, ...]] = []
    waiting: list[tuple[Mapping[str, Any], tuple[object, ...]]] = [(entry["root"], ("root",))]
    while waiting:
        claim, place = waiting.pop(0)
        places.append(place)
        waiting += [
            (child, (*place, "children", i)) for i, child in enumerate(claim.get("children", []))
        ]
    assert isinstance(number, int)
    return (*places[number], key)


def _place(number: int, fault: str, body: Mapping[str, Any]) -> str:
    """The place of a fault of a hypothesis: of the claim that the fault names first."""
    entry = body["hypotheses"][number]
    numbered = re.match(r"^claim (\d+) \(", fault)
    if numbered and "claims" in entry:
        return pointer("hypotheses", number, "claims", int(numbered[1]))
    named = [
        (len(path), place)
        for path, place in _claim_places(entry)
        if re.match(rf"^claim {re.escape(path)}(?![\w./])", fault)
    ]
    return pointer("hypotheses", number, *max(named, default=(0, ()))[1])


def _claim_places(entry: Mapping[str, Any]) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The path of each claim, as errors call it, and its place in the entry."""
    flat = "claims" in entry
    if not flat and "root" not in entry:
        return
    first = entry["claims"][0] if flat else entry["root"]
    waiting: list[tuple[str, tuple[object, ...], Mapping[str, Any]]] = [
        ("", ("claims", 0) if flat else ("root",), first)
    ]
    seen = 0
    while waiting and seen < _MOST_PLACES:
        above, place, claim = waiting.pop()
        path = f"{above}{claim.get('name', claim['node'])}"
        seen += 1
        yield path, place
        for i, child in enumerate(claim.get("children", [])):
            if not flat:
                waiting.append((f"{path}/", (*place, "children", i), child))
            elif child < len(entry["claims"]):
                waiting.append((f"{path}/", ("claims", child), entry["claims"][child]))


def _options(
    body: Mapping[str, Any], graph: Graph, hypotheses: Mapping[str, Hypothesis]
) -> tuple[Options, list[Fault]]:
    run = body.get("run", {})
    options = Options(**{key: run[key] for key in _KEPT if key in run})  # type: ignore[typeddict-item]
    faults = []
    node = run.get("randomize")
    if node is not None and node not in graph.names:
        what = f"the graph has no node {node!r}."
        faults.append(Fault("graph", pointer("run", "randomize"), what, nearest(node, graph.names)))
    name = run.get("baseline")
    if name is not None and name not in hypotheses:
        what = f"there is no hypothesis {name!r}."
        place = pointer("run", "baseline")
        faults.append(Fault("hypothesis", place, what, nearest(name, hypotheses)))
    elif name is not None:
        options["baseline"] = hypotheses[name]
    return options, faults
