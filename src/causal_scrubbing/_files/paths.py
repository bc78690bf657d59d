"""Paths that a user names for writing: refused with what is in the way."""

from __future__ import annotations

from pathlib import Path

from causal_scrubbing._errors import ScrubError


def check_folder(path: Path, what: str) -> None:
    """Refuse what is no folder, and cannot become one.

    Args:
        path: the folder to write into; it need not be there yet.
        what: how the user knows it, such as ``"out="``.

    Raises:
        ScrubError: it is a file, or under one.
    """
    for one in (path, *path.parents):
        if one.exists():
            if not one.is_dir():
                under = "" if one == path else f", of which {path} cannot be a part"
                raise ScrubError(f"{what}{one} is a file{under}; give a folder.")
            return


def write_page(path: Path, text: str) -> None:
    """Write a page as a file.

    Raises:
        ScrubError: the path is a folder or in none, or the disk cannot be written.
    """
    if path.is_dir():
        raise ScrubError(f"{path} is a folder; name the file: {path / 'report.html'}.")
    if not path.parent.is_dir():
        raise ScrubError(f"there is no folder {path.parent} to write {path.name} into; make it.")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ScrubError(f"cannot write {path}: {error.strerror or error}.") from error
