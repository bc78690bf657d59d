"""Finished stages of a search on disk, a JSON line each, so that it can be taken up again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from causal_scrubbing._errors import ScrubError


class Journal:
    """Records by name; kept in memory only where no file is given.

    Args:
        path: the file; made where it is missing.
        what: everything the records depend on. A file that was written for something else is
            refused.
        values: numbers that they depend on too, which may differ by rounding.

    Raises:
        ScrubError: the path is no file, no journal, or one of another search.
    """

    def __init__(
        self, path: str | Path | None, what: Mapping[str, Any], values: Sequence[float] = ()
    ) -> None:
        self.path = None if path is None else Path(path)
        self.records: dict[str, Any] = {}
        text = json.dumps(what, sort_keys=True, default=str)
        self.key = blake2b(text.encode(), digest_size=16).hexdigest()
        if self.path is None:
            return
        if self.path.is_dir():
            raise ScrubError(f"out={str(self.path)!r} is a folder; name a file, like search.jsonl.")
        if self.path.is_file():
            lines = self.path.read_text(errors="replace").split("\n")
            whole = lines[:-1]  # a line cut short has no newline
            for line in whole:
                self._take(line)
            if not whole and lines[-1] and not '{"search":'.startswith(lines[-1][:10]):
                raise self._not_one()
            self.path.write_text("".join(line + "\n" for line in whole))
        known = self.done("values")
        if known is None:
            self.finish("values", list(values))
        elif len(known) != len(values) or not np.allclose(known, values, rtol=1e-3, atol=1e-6):
            raise self._another()

    def _take(self, line: str) -> None:
        try:
            record = json.loads(line)
            key, name, found = record["search"], record["name"], record["record"]
        except (ValueError, KeyError, TypeError):
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
        """Keep the record of a finished stage."""
        self.records[name] = record
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"search": self.key, "name": name, "record": record})
        with self.path.open("a") as out:
            out.write(line + "\n")
            out.flush()
            os.fsync(out.fileno())
