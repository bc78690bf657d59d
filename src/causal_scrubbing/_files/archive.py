"""Archives: written whole, and opened as what a stranger may have made to do harm."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files.writing import write_page, write_whole
from causal_scrubbing._format import is_printable

MOST_FILES: Final = 1000
MOST_BYTES: Final = 8 * 2**30
MOST_RATIO: Final = 200
"""How much larger than it was packed a file may be; what packs better is stored as it is."""

_CHUNK: Final = 2**20
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Of all files in an archive, so that equal contents give equal archives."""


def write_archive(file: Path, contents: Mapping[str, bytes]) -> None:
    """Write a zip archive, whole or not at all.

    Args:
        file: where.
        contents: name -> content.

    Raises:
        ScrubError: the path is a folder or in none, or the disk cannot be written.
    """
    if file.is_dir() or not file.parent.is_dir():
        write_page(file, "")  # says what is in the way
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            packs = len(zlib.compress(content, 1)) * MOST_RATIO // 4 > len(content)
            entry.compress_type = zipfile.ZIP_DEFLATED if packs else zipfile.ZIP_STORED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    write_whole(file, packed.getvalue())


def is_archive(path: Path) -> bool:
    """Whether a path is a zip archive."""
    return path.is_file() and zipfile.is_zipfile(path)


def unpack(file: Path, folder: Path, *, most: int = MOST_BYTES) -> list[str]:
    """Write the files of an archive into a folder, each checked before anything is written.

    Args:
        file: the archive.
        folder: an empty folder.
        most: bytes that all files together may have.

    Returns:
        The names of the files.

    Raises:
        ScrubError: it is not an archive, or it holds what no archive of ours does: names that
            lead out of the folder, links, files twice, too many or too large ones.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check(file, entries, most)
            for entry in entries:
                _write(file, archive, entry, folder)
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise ScrubError(f"{file} cannot be opened as an archive: {error}.") from error
    return [entry.filename for entry in entries]


def _check(file: Path, entries: list[zipfile.ZipInfo], most: int) -> None:
    def refuse(what: str) -> ScrubError:
        return ScrubError(f"{file} is not opened: {what}. Ask its author for another one.")

    if len(entries) > MOST_FILES:
        raise refuse(f"it holds {len(entries)} files, and at most {MOST_FILES} are taken")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        path = PurePosixPath(name)
        mode = entry.external_attr >> 16
        bad = not name or not is_printable(name) or "\\" in name or ":" in name
        if bad or path.is_absolute() or ".." in path.parts or str(path) != name:
            raise refuse(f"it holds a file named {name!a}, which is not a plain relative path")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise refuse(f"{name} is a link or a device, not a file")
        if entry.flag_bits & 1:
            raise refuse(f"{name} is encrypted")
        if entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
            raise refuse(f"{name} is said to be {MOST_RATIO} times larger than it is packed")
        if name.casefold() in seen:
            raise refuse(f"it holds {name} twice")
        seen.add(name.casefold())
    for name in seen:
        if any(str(parent) in seen for parent in PurePosixPath(name).parents):
            raise refuse(f"{name} lies in a file")
    total = sum(entry.file_size for entry in entries)
    if total > most:
        raise refuse(f"it unpacks to {total:,} bytes, and {most:,} are allowed")


def _write(file: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """One file, no longer than it is said to be."""
    target = folder / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    left = entry.file_size
    with archive.open(entry) as source, target.open("xb") as out:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise ScrubError(f"{file} is not opened: {entry.filename} is longer than it says.")
            out.write(chunk)
