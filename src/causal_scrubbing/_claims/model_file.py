"""Models that a run file names: a `transformers` folder, a saved graph, or code where allowed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from causal_scrubbing._capture import capture, load_graph
from causal_scrubbing._claims.faults import Fault, pointer
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._graph import Graph

EXAMPLE_ROWS = 2


@dataclass(frozen=True)
class TakePosition:
    """The output at one position of each row.

    Attributes:
        position: which, where all rows have the same; None where a field says.
    """

    position: int | None

    def __call__(self, output: torch.Tensor, at: torch.Tensor | None = None) -> torch.Tensor:
        """[B, T, ...] to [B, ...]."""
        if at is None:
            return output[:, self.position]
        rows = torch.arange(len(output), device=output.device)
        return output[rows, at.to(output.device)]


def read_model(
    entry: Mapping[str, Any],
    folder: Path,
    data: Dataset,
    *,
    allow_code: bool,
    model_folder: Path | None = None,
) -> tuple[Graph | None, list[Fault]]:
    """The graph of the model that a run file names.

    Args:
        entry: its ``model``.
        folder: that paths are relative to.
        data: the dataset, of which the first rows are the example that a capture needs.
        allow_code: whether ``module:function`` may be called.
        model_folder: a `transformers` folder to take in place of the one named.

    Returns:
        The graph, or None with what is wrong.
    """
    kind = entry["kind"]
    if kind == "code":
        graph, faults = _called(entry, folder, allow_code=allow_code)
    else:
        graph, faults = _captured(entry, folder, data, model_folder)
    if graph is None:
        return None, faults
    for number, split in enumerate(entry.get("splits", [])):
        try:
            graph = graph.split(
                split["nodes"],
                axis=int(split["axis"]),
                into={name: _piece(given) for name, given in split["into"].items()},
                rest=split.get("rest"),
                data=data[:EXAMPLE_ROWS],
            )
        except CausalScrubbingError as error:
            return None, [Fault("graph", pointer("model", "splits", number), str(error))]
    return graph, []


def _piece(given: Any) -> Any:
    if isinstance(given, Mapping):
        return slice(given.get("from"), given.get("to"))
    return given


def _called(
    entry: Mapping[str, Any], folder: Path, *, allow_code: bool
) -> tuple[Graph | None, list[Fault]]:
    place = pointer("model", "call")
    if not allow_code:
        what = f"{entry['call']!r} is code, and no code is run unless it is allowed."
        return None, [Fault("code", place, what, "Read it, then pass --allow-code.")]
    name, _, function = entry["call"].partition(":")
    sys.path.insert(0, str(folder.resolve()))
    try:
        found = getattr(importlib.import_module(name), function)(**entry.get("arguments", {}))
    except Exception as error:
        what = f"{entry['call']!r} failed: {type(error).__name__}: {error}."
        return None, [Fault("code", place, what, "It is called with the arguments given.")]
    finally:
        sys.path.remove(str(folder.resolve()))
    if not isinstance(found, Graph):
        what = f"{entry['call']!r} returned {type(found).__name__}, not a cs.Graph."
        return None, [Fault("code", place, what, "Return the graph.")]
    return found, []


def _captured(
    entry: Mapping[str, Any], folder: Path, data: Dataset, model_folder: Path | None
) -> tuple[Graph | None, list[Fault]]:
    model, faults = load_model(entry, folder, model_folder)
    if model is None:
        return None, faults
    if entry["kind"] == "graph":
        try:
            return load_graph(folder / entry["graph"], model), []
        except CausalScrubbingError as error:
            return None, [Fault("graph", pointer("model", "graph"), str(error))]
    output, at = entry.get("output", "logits"), entry.get("at")
    try:
        graph = capture(
            model,
            data[:EXAMPLE_ROWS],
            sites=entry["sites"],
            fields=entry["fields"],
            output=output,
            dynamic=entry.get("dynamic", False),
            method=entry.get("method", "auto"),
            opaque=entry.get("opaque", ()),
        )
        if at is not None:
            take = TakePosition(None if isinstance(at, str) else int(at))
            parents = [output, at] if isinstance(at, str) else [output]
            graph = graph.append(f"{output}.at", take, parents=parents)
    except CausalScrubbingError as error:
        return None, [Fault("graph", pointer("model"), str(error))]
    return graph, []


def load_model(
    entry: Mapping[str, Any], folder: Path, model_folder: Path | None = None
) -> tuple[torch.nn.Module | None, list[Fault]]:
    """The `transformers` model of a folder, from safetensors alone; none of its code is run.

    Args:
        entry: the run file's ``model``.
        folder: that paths are relative to.
        model_folder: taken in place of the one named.
    """
    place = pointer("model", "folder")
    where = folder / entry["folder"] if model_folder is None else model_folder
    if not (where / "config.json").is_file():
        what = f"{where} holds no model: there is no config.json."
        return None, [Fault("missing-file", place, what, "Name a folder of save_pretrained.")]
    if not any(where.glob("*.safetensors")):
        what = f"{where} holds no weights in safetensors; other files of weights can hold code."
        return None, [Fault("model", place, what, "Save the model with safetensors.")]
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        what = "the package transformers is not installed."
        return None, [Fault("model", place, what, "pip install transformers")]
    loader = getattr(transformers, entry.get("class", "AutoModelForCausalLM"))
    try:
        model = loader.from_pretrained(
            str(where), local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except Exception as error:
        first = (str(error).splitlines() or [""])[0][:300]
        what = f"{where} cannot be loaded: {type(error).__name__}: {first}."
        return None, [Fault("model", place, what, "Save the model again.")]
    assert isinstance(model, torch.nn.Module)
    return model.eval(), []
