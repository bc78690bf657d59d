"""Whether a saved run is as it was written, and says what its tables give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._data import Dataset
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._files import copied, is_address, is_archive, local_path, read_json
from causal_scrubbing._format import plural
from causal_scrubbing._result.bundle import RUN_FOLDER, opened
from causal_scrubbing._result.read import read
from causal_scrubbing._result.run_data import RunData
from causal_scrubbing._result.seal import RUN

_RELATIVE: Final = 1e-9
"""Estimates computed on another machine differ by rounding."""


@dataclass(frozen=True)
class Verification(Displayed):
    """What was checked of a saved run, and what differs.

    Attributes:
        path: the folder.
        files: how many files were as they were written.
        estimates: how many numbers the tables gave again.
        differences: what is not as it should be, in words; empty where all is.
        unchecked: estimates that need a function of the user's, which is not saved, and why.
    """

    path: str
    files: int
    estimates: int
    differences: tuple[str, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.ok:
            files = f"{self.files} {plural(self.files, 'file')} as written"
            numbers = f"{self.estimates} {plural(self.estimates, 'number')} of the estimates"
            text = f"{self.path}: verified; {files}, {numbers} as the tables give them"
            return "\n".join(
                [text, *(f"{self.path}: not computed again: {one}" for one in self.unchecked)]
            )
        return "\n".join(f"{self.path}: {one}" for one in self.differences)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**asdict(self), "ok": self.ok}


def verify(path: str | Path, *, data: Dataset | None = None) -> Verification:
    """Check a saved run: every file as written, and every estimate as the tables give it.

    This is what a stranger needs to trust a published number: hashes of all files, checksums of
    the pages of tables, and the estimates computed again from the samples and compared.

    Example::

        print(cs.verify("run/"))
        assert cs.verify("run/")

    Args:
        path: the folder or address that `Result.save` or ``scrub(out=...)`` wrote to, or a bundle.
        data: the dataset; its hash is compared too.

    Returns:
        What was checked. It is true where nothing differs.
    """
    if not is_address(path) and is_archive(local_path(path)):
        return _of_bundle(local_path(path), data)
    try:
        with copied(path) as folder:
            result = read(folder, RunData, data)
    except CausalScrubbingError as error:
        return Verification(str(path), 0, 0, (str(error),))
    count = 0
    differences: list[str] = []
    unchecked: list[str] = []
    for number, difference in _compared(result, unchecked):
        count += number
        differences += [] if difference is None else [difference]
    return Verification(str(path), result.files, count, tuple(differences), tuple(unchecked))


def _of_bundle(file: Path, data: Dataset | None) -> Verification:
    """The same of the run in a bundle, and every other file of the bundle as written."""
    try:
        with opened(file) as (folder, body):
            found = verify(folder / RUN_FOLDER, data=data)
            said = read_json(folder / RUN_FOLDER / RUN)["fingerprints"] if found else None
    except CausalScrubbingError as error:
        return Verification(str(file), 0, 0, (str(error),))
    differences = found.differences
    if found and body["fingerprints"] != said:
        differences = (*differences, "the hashes of data and graph are not those of the run")
    files = len(body["files"]) + 1
    return replace(found, path=str(file), files=files, differences=differences)


def _compared(result: RunData, unchecked: list[str]) -> Iterator[tuple[int, str | None]]:
    """For each thing compared: how many numbers were equal, and what differs."""
    if result.record.samples != len(result):
        yield 0, f"it says {result.record.samples} samples, and its tables have {len(result)}"
    if result.alone is not None and result.stuck is not None:
        yield from _numbers("stuck", result.stuck, float(result.alone.mean()))
    for name in result.metrics:
        try:
            fresh = result.triples(name).estimate(seed=result.record.seed).to_dict()
        except CausalScrubbingError as error:
            unchecked.append(f"{name}: {error}")
            continue
        yield from _numbers(name, result.scores[name].to_dict(), fresh)


def _numbers(place: str, said: Any, given: Any) -> Iterator[tuple[int, str | None]]:
    if isinstance(said, Mapping) and isinstance(given, Mapping):
        for key in dict.fromkeys([*said, *given]):
            yield from _numbers(f"{place}.{key}", said.get(key), given.get(key))
    elif isinstance(said, list | tuple) and isinstance(given, list | tuple):
        if len(said) != len(given):
            yield 0, f"{place} has {len(said)} entries, and the tables give {len(given)}"
            return
        for i, (one, other) in enumerate(zip(said, given, strict=True)):
            yield from _numbers(f"{place}[{i}]", one, other)
    elif isinstance(said, int | float) and isinstance(given, int | float):
        same = math.isclose(said, given, rel_tol=_RELATIVE, abs_tol=1e-12)
        same = same or (math.isnan(said) and math.isnan(given))
        yield (1, None) if same else (0, f"{place} is {said!r}, and the tables give {given!r}")
    elif said != given:
        yield 0, f"{place} is {said!r}, and the tables give {given!r}"
