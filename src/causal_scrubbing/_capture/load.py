"""Opening a saved graph on its model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from causal_scrubbing._capture.decode import Decoder, expect, numbers, strings
from causal_scrubbing._capture.replay import Machine
from causal_scrubbing._capture.source import Model
from causal_scrubbing._capture.store import FORMAT, GRAPH, TENSORS, sealed
from causal_scrubbing._capture.traces import Trace, weights_of
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import CausalScrubbingError, GraphError
from causal_scrubbing._graph import Graph, Node
from causal_scrubbing._places import Forward, Place, Run, Seen, find_device


class _DamagedError(Exception):
    """A file that is not as it was written."""


def load_graph(
    folder: str | Path, model: torch.nn.Module, *, forward: Forward | None = None
) -> Graph:
    """A graph that `Graph.save` wrote, on the model it was captured from.

    The files hold names of operators, weights by their names in the model, and the few tensors that
    are not the model's; no code from them is run. The graph's past is kept as text: it can be
    rewritten further, and is not known as a rewrite of the captured one.

    Example::

        graph.save("graph/")
        graph = cs.load_graph("graph/", model)

    Args:
        folder: where the graph was saved.
        model: the model, with the same weights.
        forward: how a row is run, for a graph made by hooks that was given ``forward=``, which is
            code.

    Raises:
        GraphError: there is no such folder, a file is damaged, the model is another, or `forward`
            is missing or does not run the model as it was run.
    """
    path = Path(folder)
    if not isinstance(model, torch.nn.Module):
        raise GraphError(f"load_graph takes the model, not {type(model).__name__}.")
    body, tensors = _read(path)
    try:
        found = _open(path, body, tensors, model, forward)
    except CausalScrubbingError:
        raise
    except Exception as error:
        raise _damaged(path / GRAPH, f"{type(error).__name__}: {error}") from error
    return found


def _damaged(file: Path, why: str) -> GraphError:
    return GraphError(f"{file} is damaged or was not written by Graph.save: {why}.")


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, torch.Tensor]]:
    import safetensors
    import safetensors.torch

    if not (path / GRAPH).is_file():
        raise GraphError(f"{path} holds no saved graph: there is no {GRAPH} in it.")
    try:
        whole = (path / GRAPH).read_bytes().decode()
        packed = (path / TENSORS).read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    text = whole.rstrip("\n")[:-1].partition(',"graph":')[2]
    if whole != sealed(text, packed):
        raise _damaged(path / GRAPH, f"its digest is not that of {GRAPH} and {TENSORS}")
    try:
        body = expect(json.loads(text), dict, "the graph")
        tensors = safetensors.torch.load(packed)
    except (ValueError, RecursionError, safetensors.SafetensorError) as error:
        raise _damaged(path, str(error)) from error
    if body.get("format") != FORMAT:
        raise GraphError(
            f"{path / GRAPH} has format {body.get('format')!r}, and this version reads {FORMAT}: "
            "capture again."
        )
    return body, tensors


def _open(
    path: Path,
    body: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    model: torch.nn.Module,
    forward: Forward | None,
) -> Graph:
    weights = weights_of(model)
    known = {name: Trace.of(tensor) for name, tensor in weights.items()}
    _check_model(path, body, model, known)
    device = find_device(model, several=True)
    output = expect(body["output"], str, "the output")
    machine = None
    if body["hooks"] is not None:
        machine = _machine(body["hooks"], model, forward, output, path)
    elif forward is not None:
        raise GraphError("forward= is for graphs made by hooks; this one was exported.")
    constants = {name: one if device is None else one.to(device) for name, one in tensors.items()}
    decoder = Decoder(weights, constants, device, machine)
    entries = expect(body["nodes"], list, "the nodes")
    names = [expect(entry["name"], str, "a name") for entry in entries]
    nodes = [_node(entry, names, decoder) for entry in entries]
    fields: dict[str, Any] = {
        name.removeprefix("example."): one
        for name, one in tensors.items()
        if name.startswith("example.")
    }
    fields |= {name: strings(one, "texts") for name, one in body["strings"].items()}
    used = None if machine is not None else {id(weights[name]) for name in body["weights"]}
    graph = Graph(
        nodes,
        output,
        history=[*strings(body["history"], "the history"), f"opened from {path}"],
        device=device,
        example=Dataset(**fields) if fields else None,
        source=Model(model, used, runs=machine is not None, before=known),
    )
    if machine is not None and graph.example is not None:
        _check_run(machine, graph.example, tensors["output"])
    return graph


def _check_model(
    path: Path, body: Mapping[str, Any], model: torch.nn.Module, known: Mapping[str, Trace]
) -> None:
    """The model has the weights of the one that was captured.

    Raises:
        GraphError: it has not; says which differ.
    """
    weights = weights_of(model)
    wanted = expect(body["weights"], dict, "the weights")
    what = f"{path} holds a graph of another model (a {body['model']}): "
    for name in wanted:
        if name not in known:
            raise GraphError(f"{what}this one has no weight {name!r}.")
    for name, (shape, entries) in wanted.items():
        own = f"{list(weights[name].shape)} {weights[name].dtype}"
        if own != shape:
            raise GraphError(f"{what}{name!r} was {shape} and is {own}.")
        if entries and known[name].digest and known[name].digest != entries:
            raise GraphError(f"{what}the weights {name!r} have other values. Capture again.")


def _node(entry: Mapping[str, Any], names: list[str], decoder: Decoder) -> Node:
    sizes = entry["sizes"]
    if sizes is not None:
        expect(sizes, list, "sizes")
        if not all(size is None or type(size) is int for size in sizes):
            raise ValueError("sizes are numbers")
    field = entry["field"]
    if field is not None:
        expect(field, str, "a field")
    return Node(
        name=entry["name"],
        parents=tuple(names[i] for i in numbers(entry["parents"], "parents")),
        fn=decoder.function(entry["fn"]),
        field=field,
        sizes=None if sizes is None else tuple(sizes),
        shapes=frozenset(numbers(entry["shapes"], "shapes")),
        ignores=frozenset(names[i] for i in numbers(entry["ignores"], "ignores")),
    )


def _machine(
    hooks: Mapping[str, Any],
    model: torch.nn.Module,
    forward: Forward | None,
    output: str,
    path: Path,
) -> Machine:
    fields = hooks["fields"]
    if fields is None and forward is None:
        raise GraphError(
            f"{path} holds a graph made by hooks with forward=, which is code: give the same "
            "function, cs.load_graph(folder, model, forward=...)."
        )
    places = [
        Place(name, where, side, key, call, tuple(inner))
        for name, where, side, key, call, inner in hooks["places"]
    ]
    seen = Seen()
    seen.calls = Counter(dict(zip(places, numbers(hooks["calls"], "calls"), strict=True)))
    seen.marks = Counter(hooks["marks"])
    run = Run(fields if forward is None else None, forward, hooks["picked"])
    return Machine(model, run, places, seen, output, whole=bool(hooks["whole"]))


def _check_run(machine: Machine, example: Dataset, expected: torch.Tensor) -> None:
    found = machine.output_on(example)
    if found.shape != expected.shape or not torch.allclose(
        found.double().cpu(), expected.double(), rtol=1e-3, atol=1e-3, equal_nan=True
    ):
        raise GraphError(
            "the model gives another output on the example than when the graph was saved: "
            "forward= is another function, or the model runs in another way."
        )
