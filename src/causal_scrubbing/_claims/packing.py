"""A run file and what it names, as it goes into a bundle."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from causal_scrubbing._claims.run_file import RunFile


def packed(run: RunFile, name: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The run file of one hypothesis, its paths being names in the bundle, and those files.

    The model is left out: of its folder the name alone is kept.

    Args:
        run: the run file.
        name: of the hypothesis.
    """
    folder = run.file.parent
    body: dict[str, Any] = copy.deepcopy(dict(run.body))
    kept = {name, body.get("run", {}).get("baseline", name)}
    body["hypotheses"] = [one for one in body["hypotheses"] if one["name"] in kept]
    files: dict[str, bytes] = {}
    data = folder / body["data"]["file"]
    body["data"]["file"] = f"data{data.suffix}"
    files[f"data{data.suffix}"] = data.read_bytes()
    for number, one in enumerate(body["hypotheses"]):
        if "file" in one:
            content = (folder / one["file"]).read_bytes()
            one["file"] = f"hypotheses/{number}{Path(one['file']).suffix}"
            files[one["file"]] = content
    model = body["model"]
    if "graph" in model:
        where = folder / model["graph"]
        model["graph"] = "graph"
        files |= {
            f"graph/{part.name}": part.read_bytes()
            for part in sorted(where.iterdir())
            if part.is_file()
        }
    if "folder" in model:
        model["folder"] = Path(model["folder"]).name or "model"
    return body, files
