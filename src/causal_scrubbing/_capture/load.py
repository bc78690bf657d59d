"""Opening a saved graph on its model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from causal_scrubbing._capture.decode import Decoder
from causal_scrubbing._capture.replay import Machine
from causal_scrubbing._capture.shape import PAGE
from causal_scrubbing._capture.source import Model
from causal_scrubbing._capture.store import FORMAT, GRAPH, TENSORS, sealed
from causal_scrubbing._capture.traces import Trace, weights_of
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import CausalScrubbingError, GraphError
from causal_scrubbing._files import (
    fault_of,
    parsed_object,
)
from causal_scrubbing._graph import Graph, Node
from causal_scrubbing._places import Forward, Place, Run, Seen, find_device


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
    with _damage(path / GRAPH):
        return _open(path, body, tensors, model, forward)


@contextmanager
def _damage(file: Path, *, ours: bool = False) -> Iterator[None]:
    """Whatever is raised within is one error that names the file.

    Args:
        file: what was read.
        ours: whether errors of this package, too, are of the file.
    """
    try:
        yield
    except CausalScrubbingError as error:
        if ours and str(file) not in str(error):
            raise _damaged(file, str(error).rstrip(".")) from error
        raise
    except Exception as error:
        raise _damaged(file, f"{type(error).__name__}: {error}") from error


def _damaged(file: Path, why: str) -> GraphError:
    return GraphError(f"{file} is damaged or was not written by Graph.save: {why}.")


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, torch.Tensor]]:
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
        body = parsed_object(text.encode())
    except (ValueError, RecursionError) as error:
        raise _damaged(path / GRAPH, str(error)) from error
    if body.get("format") != FORMAT:
        raise GraphError(
            f"{path / GRAPH} has format {body.get('format')!r}, and this version reads {FORMAT}: "
            "capture again."
        )
    fault = fault_of(body, PAGE)
    if fault is not None:
        raise _damaged(path / GRAPH, fault)
    with _damage(path / TENSORS):
        return body, safetensors.torch.load(packed)


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
    output = body["output"]
    machine = None
    if body["hooks"] is not None:
        machine = _machine(body["hooks"], model, forward, output, path)
    elif forward is not None:
        raise GraphError("forward= is for graphs made by hooks; this one was exported.")
    constants = {name: one if device is None else one.to(device) for name, one in tensors.items()}
    with _damage(path / GRAPH, ours=True):
        decoder = Decoder(weights, constants, device, machine)
        entries = body["nodes"]
        names = [entry["name"] for entry in entries]
        nodes = [_node(entry, names, decoder) for entry in entries]
        fields: dict[str, Any] = {
            name.removeprefix("example."): one
            for name, one in tensors.items()
            if name.startswith("example.")
        }
        fields |= body["strings"]
        used = None if machine is not None else {id(weights[name]) for name in body["weights"]}
        graph = Graph(
            nodes,
            output,
            history=[*body["history"], f"opened from {path}"],
            device=device,
            example=Dataset(**fields) if fields else None,
            source=Model(model, used, runs=machine is not None, before=known),
        )
    if machine is not None and graph.example is not None:
        with _damage(path / GRAPH, ours=forward is None):
            found = machine.output_on(graph.example)
            expected = tensors["output"]
        _check_run(found, expected)
    return graph


def _check_model(
    path: Path, body: Mapping[str, Any], model: torch.nn.Module, known: Mapping[str, Trace]
) -> None:
    """The model has the weights of the one that was captured.

    Raises:
        GraphError: it has not; says which differ.
    """
    weights = weights_of(model)
    wanted = body["weights"]
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
    return Node(
        name=entry["name"],
        parents=tuple(names[i] for i in entry["parents"]),
        fn=decoder.function(entry["fn"], len(entry["parents"])),
        field=entry["field"],
        sizes=None if sizes is None else tuple(sizes),
        shapes=frozenset(entry["shapes"]),
        ignores=frozenset(names[i] for i in entry["ignores"]),
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
    seen.calls = Counter(dict(zip(places, hooks["calls"], strict=True)))
    seen.marks = Counter(hooks["marks"])
    run = Run(fields if forward is None else None, forward, hooks["picked"])
    return Machine(model, run, places, seen, output, whole=hooks["whole"])


def _check_run(found: torch.Tensor, expected: torch.Tensor) -> None:
    if found.shape != expected.shape or not torch.allclose(
        found.double().cpu(), expected.double(), rtol=1e-3, atol=1e-3, equal_nan=True
    ):
        raise GraphError(
            "the model gives another output on the example than when the graph was saved: "
            "forward= is another function, or the model runs in another way."
        )
