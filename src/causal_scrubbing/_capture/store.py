"""Writing a graph to a folder: plain values and tensors, no code."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from causal_scrubbing._capture.encode import Encoder
from causal_scrubbing._capture.replay import Machine, Replay
from causal_scrubbing._capture.traces import Trace, weights_of
from causal_scrubbing._errors import GraphError
from causal_scrubbing._files import check_folder, write_whole
from causal_scrubbing._format import listed
from causal_scrubbing._graph import Graph

FORMAT: Final = 2
GRAPH: Final = "graph.json"
TENSORS: Final = "tensors.safetensors"


def save(graph: Graph, model: torch.nn.Module, folder: Path) -> None:
    """Write a graph; ``graph.json`` last, so that a folder with it is whole.

    Raises:
        GraphError: some node's function is code of the user's, or a claim of equality was never
            checked.
        ScrubError: there is a file in the place of the folder, or the disk cannot be written.
    """
    check_folder(folder, "")
    if graph.unverified:
        raise GraphError(
            "the graph is said to equal one that it was rewritten from, and was not compared with "
            "it yet: save graph.verify(data) instead."
        )
    weights = weights_of(model)
    encoder = Encoder(weights)
    index = {name: i for i, name in enumerate(graph.nodes)}
    faults: dict[str, str] = {}
    nodes: list[Any] = []
    machine: Machine | None = None
    for node in graph.nodes.values():
        if isinstance(node.fn, Replay):
            machine = node.fn.machine
        try:
            fn = encoder.function(node.fn)
        except ValueError as error:
            faults[node.name] = str(error)
            continue
        nodes.append(
            {
                "name": node.name,
                "parents": [index[parent] for parent in node.parents],
                "fn": fn,
                "field": node.field,
                "sizes": None if node.sizes is None else list(node.sizes),
                "shapes": sorted(node.shapes),
                "ignores": sorted(index[name] for name in node.ignores if name in index),
            }
        )
    if faults:
        name, why = next(iter(faults.items()))
        raise GraphError(
            f"{listed(list(map(repr, faults)), 6)} cannot be saved, as a file holds no code "
            f"({name!r}: {why}). Save the graph from before these nodes were made, and make them "
            "again after cs.load_graph."
        )
    tensors = dict(encoder.constants)
    strings: dict[str, list[str]] = {}
    if graph.example is not None:
        for name in graph.example.field_names:
            value = graph.example[name]
            if isinstance(value, np.ndarray):
                strings[name] = [str(one) for one in value]
            else:
                tensors[f"example.{name}"] = value
    hooks = None
    if machine is not None:
        hooks = machine.description()
        encoder.used.update(weights)
        if graph.example is not None:
            tensors["output"] = machine.output_on(graph.example)
    body = {
        "format": FORMAT,
        "model": type(model).__name__,
        "output": graph.output,
        "history": list(graph.history),
        "weights": {name: _weight(weights[name]) for name in sorted(encoder.used)},
        "strings": strings,
        "hooks": hooks,
        "nodes": nodes,
    }
    _write(folder, body, tensors)


def _weight(tensor: torch.Tensor) -> list[str]:
    trace = Trace.of(tensor)
    return [f"{list(tensor.shape)} {tensor.dtype}", trace.digest]


def _write(folder: Path, body: Any, tensors: dict[str, torch.Tensor]) -> None:
    import safetensors.torch

    plain = {name: one.detach().cpu().clone().contiguous() for name, one in tensors.items()}
    packed = safetensors.torch.save(plain)
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    whole = sealed(text, packed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GraphError(f"cannot write {folder}: {error.strerror or error}.") from error
    write_whole(folder / TENSORS, packed)
    write_whole(folder / GRAPH, whole.encode())


def sealed(text: str, packed: bytes) -> str:
    """What ``graph.json`` holds: the graph, and a hash of it and of the tensors' file."""
    found = blake2b(text.encode(), digest_size=16)
    found.update(packed)
    return f'{{"digest":"{found.hexdigest()}","graph":{text}}}\n'
