"""The run file of a run that was made in Python, where everything in it can be said in a file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._metrics import metric_to_plain
from causal_scrubbing._result.run_data import RunData

FORMAT: Final = 1
_GRAPH: Final = "graph"


def run_file_of(
    result: RunData, data: str, weights: str | None
) -> tuple[dict[str, Any], dict[str, bytes]] | None:
    """The run file, and the files of the graph.

    Args:
        result: the run.
        data: name of the file of the dataset.
        weights: its column of weights, or None.

    Returns:
        The run file and name -> content, or None where the run is not of the first samples of one
        seed, the graph was not captured, or the graph, a feature or a metric is code.
    """
    h, plan = result.hypothesis, result.run_plan
    if result.record.start or result.record.parts:
        return None  # a run file makes the first samples of one seed
    if h is None or plan is None or h.graph.source is None:
        return None
    metrics = {name: metric_to_plain(one) for name, one in plan.request.metrics.items()}
    in_graph = result.record.metric_in_graph
    baseline = plan.request.baseline
    named = [h.with_(name=result.name)]
    if baseline is not None:
        named.append(baseline.with_(name=baseline.name or "baseline"))
    simple = result.distance == "euclidean" and result.record.store_dtype is None
    same_name = len({one.name for one in named}) < len(named)
    if not simple or same_name or (not in_graph and None in metrics.values()):
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            for number, one in enumerate(named):
                one.save(folder / f"{number}.json")
            h.graph.save(folder / _GRAPH)
        except CausalScrubbingError:
            return None  # a feature or a node is code
        hypotheses = [
            json.loads((folder / f"{number}.json").read_text()) for number in range(len(named))
        ]
        files = {
            f"{_GRAPH}/{one.name}": one.read_bytes() for one in sorted((folder / _GRAPH).iterdir())
        }
    body: dict[str, Any] = {
        "format": FORMAT,
        "model": {"kind": "graph", "folder": "model", "graph": _GRAPH, **_class(files)},
        "data": {"file": data} | ({} if weights is None else {"weights": weights}),
        "hypotheses": hypotheses,
        "run": {
            "samples": result.record.samples,
            "seed": result.record.seed,
            "draw": result.record.draw,
        },
    }
    if not in_graph:
        body["metrics"] = metrics
    if result.record.randomize is not None:
        body["run"]["randomize"] = result.record.randomize
    if baseline is not None:
        body["run"]["baseline"] = named[1].name
    return body, files


def _class(files: dict[str, bytes]) -> dict[str, str]:
    """The class of `transformers` that opens the model's folder, by the model's own name."""
    name = str(json.loads(files[f"{_GRAPH}/graph.json"])["graph"]["model"])
    _, found, task = name.rpartition("For")
    if found:
        return {"class": f"AutoModelFor{task}"}
    return {"class": "AutoModelForCausalLM" if name.endswith("LMHeadModel") else "AutoModel"}
