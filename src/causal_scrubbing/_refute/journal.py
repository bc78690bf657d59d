"""Finished stages of a search on disk, a JSON line each, so that it can be taken up again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import NUMBER, ListOf, Shape, check_shape, parsed_object, writing
from causal_scrubbing._refute.lock import Lock


class Journal:
    """Records by name; kept in memory only where no file is given.

    One process has the file at a time. Use it as a context manager to let go.

    Args:
        path: the file; made where it is missing.
        what: everything the records depend on. A file that was written for something else is
            refused.
        values: numbers that they depend on too, which may differ by rounding.

    Raises:
        ScrubError: the path is no file, no journal, one of another search or one that another
            process has, or it cannot be written.
    """

    def __init__(
        self, path: str | Path | None, what: Mapping[str, Any], values: Sequence[float] = ()
    ) -> None:
        self.path = None if path is None else Path(path)
        self.records: dict[str, Any] = {}
        self._lock: Lock | None = None
        text = json.dumps(what, sort_keys=True, default=str)
        self.key = _digest(text)
        if self.path is None:
            self.finish("values", list(values))
            return
        if self.path.is_dir():
            raise ScrubError(f"out={str(self.path)!r} is a folder; name a file, like search.jsonl.")
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.path)
        try:
            self._open(self.path, values)
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path, values: Sequence[float]) -> None:
        assert self._lock is not None
        if not self._lock.take():
            raise ScrubError(
                f"another search is writing to {path}; wait for it, or choose another out=."
            )
        with writing(path):
            content = path.read_bytes()
        whole, end, cut = content.rpartition(b"\n")  # a line cut short has no newline
        lines = whole.decode(errors="replace").split("\n") if end else []
        for number, line in enumerate(lines, 1):
            self._take(line, number)
        if cut and not lines and not b'{"search":'.startswith(cut[:10]):
            raise self._not_one()
        if cut:
            with writing(path):
                os.truncate(path, len(whole) + len(end))
        known = self.done("values", ListOf(NUMBER))
        if known is None:
            self.finish("values", list(values))
        elif len(known) != len(values) or not np.allclose(known, values, rtol=1e-3, atol=1e-6):
            raise self._another()

    def _take(self, line: str, number: int) -> None:
        try:
            found = parsed_object(line.encode())
        except (ValueError, RecursionError):
            raise self._not_one() from None
        if set(found) != {"search", "name", "record", "digest"}:
            raise self._not_one()
        told = found.pop("digest")
        if told != _digest(json.dumps(found)) or not isinstance(found["name"], str):
            raise ScrubError(
                f"{self.path}, line {number}, is not as it was written. Delete the file, or choose "
                "another out=."
            )
        if found["search"] != self.key:
            raise self._another()
        self.records[found["name"]] = found["record"]

    def _not_one(self) -> ScrubError:
        return ScrubError(f"{self.path} is no journal of a search. Choose another out=.")

    def _another(self) -> ScrubError:
        return ScrubError(
            f"{self.path} belongs to another search: its hypothesis, data, metric, model, "
            "features, rivals, seed or budget differ. Choose another out=, or delete it."
        )

    def done(self, name: str, shape: Shape = object) -> Any:
        """The record of a finished stage; None where it is not finished.

        Args:
            name: of the stage.
            shape: what its record must be.

        Raises:
            ScrubError: the file has another record under this name.
        """
        record = self.records.get(name)
        if record is not None and self.path is not None:
            advice = "Delete the file, or choose another out=."
            check_shape(self.path, record, shape, name, advice)
        return record

    def finish(self, name: str, record: Any) -> None:
        """Keep the record of a finished stage.

        Raises:
            ScrubError: the disk is full or cannot be written; what is finished is kept.
        """
        self.records[name] = record
        if self.path is None:
            return
        line = json.dumps({"search": self.key, "name": name, "record": record})
        line = f'{line[:-1]}, "digest": "{_digest(line)}"}}'
        with writing(self.path), self.path.open("ab") as out:
            out.write(line.encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others have the file."""
        if self._lock is not None:
            self._lock.close()


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
