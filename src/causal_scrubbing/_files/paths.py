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
