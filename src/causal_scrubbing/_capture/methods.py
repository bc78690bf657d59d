"""The two ways from a model to its nodes: an export, and hooks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from causal_scrubbing._capture.build import build_nodes
from causal_scrubbing._capture.by_hooks import hooked_nodes
from causal_scrubbing._capture.check import check
from causal_scrubbing._capture.opaque import Whole
from causal_scrubbing._capture.source import Model
from causal_scrubbing._capture.trace import Traced, export
from causal_scrubbing._capture.traces import Trace, weights_of
from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._format import plural
from causal_scrubbing._graph import Graph, Node
from causal_scrubbing._places import Place, Run, Seen

METHODS: Final = ("auto", "export", "hooks")


@dataclass(frozen=True, eq=False)
class Request:
    """What is captured.

    Attributes:
        model: the model.
        run: how rows are run.
        fields: the fields read, as example tensors.
        places: the sites.
        seen: what a trial run met.
        free: field -> dimensions, past the first, whose size may differ from the example's.
        output: name of the output.
        example: the example.
        device: where the model's inputs go.
        tolerance: see `capture`.
        whole: submodules that an export calls rather than traces.
        before: what the weights were before the model was run.
    """

    model: torch.nn.Module
    run: Run
    fields: Mapping[str, torch.Tensor]
    places: Sequence[Place]
    seen: Seen
    free: Mapping[str, Sequence[int]]
    output: str
    example: Dataset
    device: torch.device | None
    tolerance: float | None
    whole: Sequence[Whole]
    before: Mapping[str, Trace]


def by_export(request: Request, *, asked: bool) -> Graph:
    """The graph by export.

    Args:
        request: what is captured.
        asked: whether free lengths were asked for.

    Raises:
        NotExportedError: the model cannot be exported.
        GraphError: the graph would not be one of the method.
    """
    traced = export(
        request.model,
        request.run,
        request.fields,
        request.places,
        request.seen,
        request.free,
        request.whole,
    )
    if asked:
        _check_free(traced, request.fields, request.free)
    used = {id(tensor) for tensor in traced.constants.values()}
    for one in request.whole:
        used |= {id(tensor) for tensor in weights_of(one.module).values()}
    nodes = build_nodes(traced, request.output)
    return _checked(request, nodes, traced.free, "captured from", used)


def by_hooks(request: Request) -> Graph:
    """The graph by hooks.

    Raises:
        GraphError: the graph would not be one of the method.
    """
    nodes = hooked_nodes(
        request.model,
        request.run,
        request.fields,
        request.places,
        request.seen,
        request.free,
        request.output,
    )
    return _checked(request, nodes, request.free, "captured by hooks from", None)


def _checked(
    request: Request,
    nodes: list[Node],
    free: Mapping[str, Sequence[int]],
    how: str,
    used: Collection[int] | None,
) -> Graph:
    """The graph of these nodes, once it has been compared with the model."""
    names = sum(not node.is_input for node in nodes if not node.name.startswith("~"))
    kind = type(request.model).__name__

    def made(note: str, source: Model | None = None) -> Graph:
        return Graph(
            nodes,
            request.output,
            history=[note],
            device=request.device,
            example=request.example,
            source=source,
        )

    note = f"{how} {kind}, {names} {plural(names, 'site')}"
    rows = check(made(note), request.model, request.run, request.fields, free, request.tolerance)
    source = Model(request.model, used, runs=used is None, before=request.before)
    return made(f"{note}, checked on {rows} {plural(rows, 'row')}", source)


def _check_free(
    traced: Traced, used: Mapping[str, torch.Tensor], free: Mapping[str, Sequence[int]]
) -> None:
    """Some length came out free, as was asked."""
    if traced.free:
        return
    sizes = ", ".join(f"{name} {list(used[name].shape)}" for name in free)
    raise GraphError(
        f"dynamic=True, but the model fixes every length to the example's ({sizes}): it may build "
        "masks or positions of one size, or the example's length may be 1, which the exporter "
        "fixes. Capture without dynamic=, and pad the data to one length."
    )


def idle_sites(graph: Graph) -> list[str]:
    """Sites whose values do not reach the output."""
    return [
        name for name in graph.names if not graph.reaches(name) and not graph.nodes[name].is_input
    ]
