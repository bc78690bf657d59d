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
from causal_scrubbing._files import writing
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
        self.key = blake2b(text.encode(), digest_size=16).hexdigest()
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
        for line in lines:
            self._take(line)
        if cut and not lines and not b'{"search":'.startswith(cut[:10]):
            raise self._not_one()
        if cut:
            with writing(path):
                os.truncate(path, len(whole) + len(end))
        known = self.done("values")
        if known is None:
            self.finish("values", list(values))
        elif len(known) != len(values) or not np.allclose(known, values, rtol=1e-3, atol=1e-6):
            raise self._another()

    def _take(self, line: str) -> None:
        try:
            record = json.loads(line)
            key, name, found = record["search"], record["name"], record["record"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._not_one() from None
        if key != self.key:
            raise self._another()
        self.records[name] = found

    def _not_one(self) -> ScrubError:
        return ScrubError(f"{self.path} is no journal of a search. Choose another out=.")

    def _another(self) -> ScrubError:
        return ScrubError(
            f"{self.path} belongs to another search: its hypothesis, data, metric, model, "
            "features, rivals, seed or budget differ. Choose another out=, or delete it."
        )

    def done(self, name: str) -> Any:
        """The record of a finished stage; None where it is not finished."""
        return self.records.get(name)

    def finish(self, name: str, record: Any) -> None:
        """Keep the record of a finished stage.

        Raises:
            ScrubError: the disk is full or cannot be written; what is finished is kept.
        """
        self.records[name] = record
        if self.path is None:
            return
        line = json.dumps({"search": self.key, "name": name, "record": record})
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
