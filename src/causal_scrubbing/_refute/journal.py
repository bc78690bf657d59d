"""Finished stages of a search on disk, a JSON line each, so that it can be taken up again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from causal_scrubbing._errors import ScrubError


class Journal:
    """Records by name; kept in memory only where no file is given.

    Args:
        path: the file; made where it is missing.
        what: everything the records depend on. A file that was written for something else is
            refused.

    Raises:
        ScrubError: the file belongs to another search.
    """

    def __init__(self, path: str | Path | None, what: Mapping[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        self.records: dict[str, Any] = {}
        text = json.dumps(what, sort_keys=True, default=str)
        self.key = blake2b(text.encode(), digest_size=16).hexdigest()
        if self.path is None:
            return
        if self.path.is_file():
            whole = self.path.read_text().split("\n")[:-1]  # a line cut short has no newline
            for line in whole:
                record = json.loads(line)
                if record["search"] != self.key:
                    raise ScrubError(
                        f"{self.path} belongs to another search: its hypothesis, data, metric, "
                        "features, seed or budget differ. Choose another out=, or delete it."
                    )
                self.records[record["name"]] = record["record"]
            self.path.write_text("".join(line + "\n" for line in whole))

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
