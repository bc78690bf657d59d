"""`diff`: what two claims say that the other does not, and how their runs differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._algebra import permits
from causal_scrubbing._claims.faults import RunFileError
from causal_scrubbing._claims.reading import read_plain, schema_faults
from causal_scrubbing._claims.run_file import RunFile
from causal_scrubbing._claims.schema import SAVED
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import CausalScrubbingError, ScrubError
from causal_scrubbing._files import is_archive
from causal_scrubbing._format import plain
from causal_scrubbing._hypothesis import Hypothesis, feature_words
from causal_scrubbing._result import RUN_FOLDER, Comparison, Result, compare, load, opened

_WHOLE: Final = {
    "unimportant": "per-claim", "within": [], "self_draws": True, "ablation": "resample",
}  # fmt: skip
_MOST_CLAIMS: Final = 100_000


@dataclass(frozen=True, repr=False)
class Diff(Displayed):
    """What two claims differ in.

    Attributes:
        names: of the two.
        only_first: claims, in words, that the second does not make, by path.
        only_second: claims that the first does not make.
        changed: path -> what each of them says there.
        settings: how each draws what is not claimed, where that differs.
        permits: which of them permits more swaps, in words; None where no run file was given that
            says what graph and data they are about.
        comparison: the paired difference; None where one of them is not a run.
        notes: why something could not be told.
    """

    names: tuple[str, str]
    only_first: Mapping[str, str]
    only_second: Mapping[str, str]
    changed: Mapping[str, tuple[str, str]]
    settings: Mapping[str, tuple[str, str]]
    permits: str | None = None
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether they claim the same."""
        return not (self.only_first or self.only_second or self.changed or self.settings)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        keys = ("names", "same", "only_first", "only_second", "changed", "settings", "permits")
        found: dict[str, Any] = plain({key: getattr(self, key) for key in (*keys, "notes")})
        found["comparison"] = None if self.comparison is None else self.comparison.to_dict()
        return found

    def __repr__(self) -> str:
        one, two = self.names
        return f"Diff({one}, {two}: {'the same' if self.same else 'they differ'}; print it)"

    def __str__(self) -> str:
        one, two = self.names
        lines = [f"{one} and {two} claim the same"] if self.same else []
        for name, only in ((one, self.only_first), (two, self.only_second)):
            lines += [f"only in {name}:"] if only else []
            lines += [f"  {path} {words}" for path, words in only.items()]
        for path, (first, second) in self.changed.items():
            lines += [f"{path}", f"  {one}: {first}", f"  {two}: {second}"]
        for key, (first, second) in self.settings.items():
            lines.append(f"{key}: {first} in {one}, {second} in {two}")
        lines += [] if self.permits is None else [self.permits]
        lines += [] if self.comparison is None else ["", str(self.comparison)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def diff(
    first: str | Path,
    second: str | Path,
    *,
    run: str | Path | None = None,
    allow_code: bool = False,
    model: str | Path | None = None,
) -> Diff:
    """What two claims differ in: hypotheses in files, saved runs, or bundles.

    Claims are told apart by their path, the names of the nodes from the root.

    Example::

        print(cs.diff("mine.json", "yours.json", run="claim.toml"))

    Args:
        first: a file that `Hypothesis.save` wrote, the folder of a saved run, or a bundle.
        second: another.
        run: a run file whose model and data both are about; with it the diff tells which permits
            more swaps (`permits`).
        allow_code: whether the run file's model may be code.
        model: a folder to take in place of the run file's model.

    Raises:
        RunFileError: a hypothesis or the run file has faults.
        ScrubError: a run cannot be read, or a bundle is not as it was written.
    """
    (one, one_run), (two, two_run) = _open(Path(first)), _open(Path(second))
    names = (str(one.get("name") or "the first"), str(two.get("name") or "the second"))
    if names[0] == names[1]:
        names = (f"{names[0]} (1)", f"{names[1]} (2)")
    says, other = _claims(one), _claims(two)
    notes: list[str] = []
    comparison = None
    if one_run is not None and two_run is not None:
        try:
            comparison = compare([one_run, two_run])
        except ScrubError as error:
            notes.append(f"no paired difference: {error}")
    relation = None
    if run is not None:
        made = RunFile.read(run, allow_code=allow_code, model=model)
        try:
            one_made, two_made = (
                Hypothesis.from_dict(made.graph, {**given, "name": name})
                for given, name in zip((one, two), names, strict=True)
            )
            relation = str(permits(one_made, two_made, made.data))
        except CausalScrubbingError as error:
            notes.append(f"swaps were not compared: {error}")
    return Diff(
        names,
        {path: words for path, words in says.items() if path not in other},
        {path: words for path, words in other.items() if path not in says},
        {
            path: (says[path], other[path])
            for path in says
            if path in other and says[path] != other[path]
        },
        {
            key: (_words(key, one), _words(key, two))
            for key in _WHOLE
            if _words(key, one) != _words(key, two)
        },
        relation,
        comparison,
        tuple(notes),
    )


def _open(path: Path) -> tuple[Mapping[str, Any], Result | None]:
    """What is claimed there as plain data, and the run where it is one."""
    if is_archive(path):
        with opened(path) as (folder, _):
            result = load(folder / RUN_FOLDER)
        return result.readable, result
    if path.is_dir():
        result = load(path)
        return result.readable, result
    body = read_plain(path)
    faults = schema_faults(body, SAVED)
    if faults:
        raise RunFileError(faults, file=str(path))
    return body, None


def _words(key: str, given: Mapping[str, Any]) -> str:
    value = given.get(key, _WHOLE[key])
    if key == "within":
        return feature_words(value) if value else "anything"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _claims(given: Mapping[str, Any]) -> dict[str, str]:
    """Each claim in words, by its path; one that is used twice is there twice."""
    entries = given["claims"]
    found: dict[str, str] = {}
    waiting: list[tuple[str, int]] = [("", 0)]
    while waiting:
        above, number = waiting.pop()
        entry = entries[number]
        path = f"{above}{entry.get('name') or entry['node']}"
        if len(found) == _MOST_CLAIMS:
            raise ScrubError(
                f"more than {_MOST_CLAIMS:,} claims, by their paths, are not compared."
            )
        found[path] = _says(entry)
        waiting += [
            (f"{path}/", child)
            for child in reversed(entry.get("children") or [])
            if number < child < len(entries)
        ]
    return found


def _says(entry: Mapping[str, Any]) -> str:
    words = [f"carries {feature_words(entry['feature'])}"]
    words += [f"via {', '.join(entry['via'])}"] if entry.get("via") else []
    words += [f"others {feature_words(entry['others'])}"] if entry.get("others") else []
    words += [f"tied in {entry['tie']}"] if entry.get("tie") else []
    words += [f"ablation {json.dumps(entry['ablation'])}"] if "ablation" in entry else []
    words += [f"cut {json.dumps(entry['cut'])}"] if entry.get("cut") else []
    children = entry.get("children")
    if children is not None:
        words.append("taken apart" if children else "computed from nothing claimed")
    return ", ".join(words)
