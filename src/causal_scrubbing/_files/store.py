"""A folder of files, on this machine or at an address: written once each, by whoever is first.

Nothing is locked. What several writers may write has a name that says what it holds, and is put
where no other has put it yet; who comes second reads what is there.
"""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files.paths import check_folder
from causal_scrubbing._files.writing import part_of, remove_parts, write_part, write_whole, writing

_FILE: Final = "file"


class AbstractStore(ABC):
    """A folder of files."""

    @property
    @abstractmethod
    def place(self) -> Path | str:
        """Where it is, as a user names it."""

    @abstractmethod
    def child(self, name: str) -> AbstractStore:
        """A folder in it."""

    @abstractmethod
    def names(self) -> list[str]:
        """The files in it, those of its folders left out."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is none.
        """

    @abstractmethod
    def put(self, name: str, content: bytes) -> bool:
        """Write a file that is not there yet, whole or not at all; whether it was not there.

        Raises:
            ScrubError: it cannot be written.
        """

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all, in place of one that is there.

        Raises:
            ScrubError: it cannot be written.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file, where it is there.

        Raises:
            ScrubError: it cannot be deleted.
        """

    def tidy(self) -> None:  # noqa: B027 - an address keeps no file that is half written
        """Remove what processes that were killed while writing left behind."""

    def path(self, name: str) -> str:
        """A file of it, for messages."""
        return f"{self}/{name}"

    def __str__(self) -> str:
        return str(self.place)


class LocalStore(AbstractStore):
    """A folder of this machine, or of a file system that it has mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> Path:
        """The folder."""
        return self._folder

    def child(self, name: str) -> LocalStore:
        """A folder in it."""
        return LocalStore(self._folder / name)

    def names(self) -> list[str]:
        """The files in it."""
        if not self._folder.is_dir():
            return []
        return sorted(one.name for one in self._folder.iterdir() if one.is_file())

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self._folder / name).exists()

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return (self._folder / name).read_bytes()

    def put(self, name: str, content: bytes) -> bool:
        """Write a file that is not there yet, by a link to one written beside it."""
        file = self._folder / name
        with writing(file):
            self._folder.mkdir(parents=True, exist_ok=True)
            part = part_of(file)
            write_part(part, content)
            try:
                os.link(part, file)
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                if file.exists():
                    return False
                part.replace(file)
            finally:
                with suppress(OSError):
                    part.unlink()
        return True

    def write(self, name: str, content: bytes) -> None:
        """Write a file in place of one that is there."""
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / name, content)

    def delete(self, name: str) -> None:
        """Delete a file."""
        with writing(self._folder / name):
            (self._folder / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what processes that were killed while writing left behind."""
        remove_parts(self._folder)


class RemoteStore(AbstractStore):
    """A folder at an address that fsspec opens.

    Where the service has no writing of a file only if it is absent, it is looked for first. Two
    writers may then both write; either one's file is whole, and theirs differ by rounding alone.
    """

    def __init__(self, address: str, files: Any = None, root: str = "") -> None:
        self._address = address.rstrip("/") if files is not None else address
        if files is None:
            files, root = _opened(address)
        self._files, self._root = files, root

    @property
    def place(self) -> str:
        """The address."""
        return self._address

    def child(self, name: str) -> RemoteStore:
        """A folder in it."""
        address = f"{self._address.rstrip('/')}/{name}"
        return RemoteStore(address, self._files, f"{self._root.rstrip('/')}/{name}")

    def names(self) -> list[str]:
        """The files in it."""
        self._files.invalidate_cache()
        try:
            found = self._files.ls(self._root, detail=True)
        except FileNotFoundError:
            return []
        return sorted(one["name"].rpartition("/")[2] for one in found if one["type"] == _FILE)

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        self._files.invalidate_cache()
        return bool(self._files.exists(self._at(name)))

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return bytes(self._files.cat_file(self._at(name)))

    def put(self, name: str, content: bytes) -> bool:
        """Write a file that is not there yet."""
        with writing(self.path(name)):
            try:
                self._files.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
            except (NotImplementedError, TypeError, ValueError):
                if self.has(name):
                    return False
                self.write(name, content)
            except OSError:
                if not self.has(name):
                    raise
                return False  # some services have an error of their own for it
        return True

    def write(self, name: str, content: bytes) -> None:
        """Write a file in place of one that is there."""
        with writing(self.path(name)):
            self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(self._at(name), content)

    def delete(self, name: str) -> None:
        """Delete a file."""
        with writing(self.path(name)), suppress(FileNotFoundError):
            self._files.rm_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _opened(address: str) -> tuple[Any, str]:
    try:
        import fsspec

        return fsspec.core.url_to_fs(address)  # type: ignore[no-any-return]
    except ImportError as error:
        raise ScrubError(f"{address} cannot be opened: {error}.") from error
    except ValueError as error:  # no such protocol
        raise ScrubError(
            f"{address} is not an address that fsspec opens: {error}. Give a folder, or an address "
            "like s3://bucket/run."
        ) from error


def is_address(place: str | Path) -> bool:
    """Whether a place is an address like ``s3://bucket/run``, and not a folder of this machine."""
    return isinstance(place, str) and "://" in place and not place.startswith("file://")


def open_store(place: str | Path, what: str = "") -> AbstractStore:
    """The folder at a place.

    Args:
        place: a folder, or an address.
        what: how the user knows it, such as ``"out="``, for messages.

    Raises:
        ScrubError: it is a file, or its address cannot be opened.
    """
    if is_address(place):
        return RemoteStore(str(place))
    folder = local_path(place)
    check_folder(folder, what)
    return LocalStore(folder)


def local_path(place: str | Path) -> Path:
    """A folder of this machine, also by its address ``file:///...``."""
    if isinstance(place, str) and place.startswith("file://"):
        return Path(unquote(urlsplit(place).path))
    return Path(place)


@contextmanager
def copied(place: str | Path) -> Iterator[Path]:
    """A folder of this machine with the files at a place, those of its folders left out.

    A folder of this machine is itself. What is at an address is copied, and errors name the
    address.
    """
    if not is_address(place):
        yield local_path(place)
        return
    store = RemoteStore(str(place))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        folder.mkdir()
        for one in store.names():
            (folder / one).write_bytes(store.read(one))
        try:
            yield folder
        except ScrubError as error:
            raise ScrubError(str(error).replace(str(folder), str(store))) from error
