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
from causal_scrubbing._files import digest, reading
from causal_scrubbing._result.shape import check_page

RUN: Final = "run.json"
_SEAL, _FILES = "seal", "files"


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
    check_page(page, body)
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
