"""The seal of a saved run: a hash of every file, and one of the page that lists them.

``run.json`` holds ``files``, the SHA-256 of each other file of the run by name, and ``seal``, the
SHA-256 of all its other entries as JSON with sorted keys and without spaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import (
    NUMBER,
    DictOf,
    ListOf,
    Optional,
    Shape,
    check_shape,
    digest,
    reading,
)

RUN: Final = "run.json"
_SEAL, _FILES = "seal", "files"

_SHAPE: Final[Shape] = {
    "format": int,
    "metrics": ListOf(str),
    "hypothesis": dict,
    "settings": {
        "samples": int,
        "rows": int,
        "seed": int,
        "start": Optional(int),
        "parts": Optional(ListOf({"seed": int, "start": int, "stop": int})),
        "baseline": Optional(dict),
        "metric_in_graph": bool,
        "reads_logits": bool,
        "randomize": Optional(str),
        "batch_size": Optional(int),
        "store": str,
        "store_dtype": Optional(str),
        "device": str,
        "seconds": NUMBER,
        "actual": dict,
        "versions": DictOf(str),
        "subset": Optional(str),
    },
    "fingerprints": {"data": str, "graph": str},
    "agreement": {"table": ListOf({"draw": str, "classes": int, "rows": int, "important": bool})},
    "stuck": Optional(NUMBER),
    "notes": ListOf(str),
    "estimates": DictOf(dict),
    _FILES: DictOf(str),
    _SEAL: str,
}


def sealed(body: Mapping[str, Any], folder: Path, names: Iterable[str]) -> bytes:
    """A run's page with the hashes of the files beside it.

    Args:
        body: what the page says.
        folder: where the files are.
        names: of the files.
    """
    files = {name: digest((folder / name).read_bytes()) for name in names}
    whole = {**body, _FILES: files}
    return json.dumps({**whole, _SEAL: _digest(whole)}, indent=2).encode()


def _digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return digest(text.encode())


def open_sealed(folder: Path, body: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a run, each as it was written.

    Args:
        folder: of the run.
        body: its page, as read.

    Returns:
        Name -> content.

    Raises:
        ScrubError: the page or a file was changed, or is missing; names it.
    """
    page = folder / RUN
    with reading(page):
        whole = {key: value for key, value in body.items() if key != _SEAL}
        unchanged = body.get(_SEAL) == _digest(whole)
    if not unchanged:
        raise changed(page)
    check_shape(page, body, _SHAPE)
    found = {}
    for name, told in body[_FILES].items():
        file = folder / name
        if Path(name).name != name:
            raise ScrubError(f"{page} cannot be read: it names a file {name!r} of another folder.")
        with reading(file):
            found[name] = file.read_bytes()
        if digest(found[name]) != told:
            raise changed(file)
    return found


def changed(file: Path) -> ScrubError:
    """What is said of a file that is not as it was written."""
    return ScrubError(
        f"{file} is not as it was written: its hash is another one. Copy the folder again, or make "
        "the run once more."
    )
