"""An entry's hypotheses as files: a run file, its hypotheses and its data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import causal_scrubbing as cs
from causal_scrubbing._gallery._entry import Options


def write_claims(
    folder: Path,
    name: str,
    hypotheses: Mapping[str, cs.Hypothesis],
    data: cs.Dataset,
    options: Options,
    *,
    samples: int,
    model: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, Any]],
    at_least: float,
) -> Path:
    """Write hypotheses on one graph as files that `cs.check` takes.

    Args:
        folder: made if missing.
        name: of the run file; further files' names begin with it.
        hypotheses: what the run file calls it -> hypothesis, on one graph.
        data: the dataset, written as Parquet.
        options: how the entry is run.
        samples: where the options name no number.
        model: how the run file names the graph.
        metrics: as a run file has them.
        at_least: what is to be recovered of the first metric, in percent.

    Returns:
        The run file, in JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data.to_pandas().to_parquet(folder / f"{name}.parquet")
    entries = []
    for number, (title, hypothesis) in enumerate(hypotheses.items()):
        file = f"{name}-{number}.json"
        hypothesis.save(folder / file)
        entries.append({"name": title, "file": file})
    body = {
        "format": 1,
        "model": model,
        "data": {"file": f"{name}.parquet"},
        "hypotheses": entries,
        "metrics": metrics,
        "run": {"samples": options.samples or samples, "seed": options.seed},
        "require": {"bounds": [{"metric": next(iter(metrics)), "at_least": at_least}]},
    }
    written = folder / f"{name}.json"
    written.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    return written
