"""The seal of a saved run, written as the format says, for runs that a test has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def reseal(
    folder: Path, change: Callable[[dict[str, Any]], object] = lambda body: None
) -> Mapping[str, Any]:
    """Change a run's page, and seal the folder as it is now."""
    page = folder / "run.json"
    body: dict[str, Any] = json.loads(page.read_text())
    change(body)
    body.pop("seal", None)
    if isinstance(body.get("files"), dict):
        body["files"] = {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in body["files"]
            if (folder / name).is_file()
        }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["seal"] = hashlib.sha256(text.encode()).hexdigest()
    page.write_text(json.dumps(body))
    return body
