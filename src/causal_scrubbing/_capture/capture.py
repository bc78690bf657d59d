"""`capture`: a model and its sites to a graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from causal_scrubbing._capture.failures import NotExportedError, run_failed
from causal_scrubbing._capture.methods import METHODS, Request, by_export, by_hooks, idle_sites
from causal_scrubbing._capture.opaque import find_opaque
from causal_scrubbing._capture.trace import plain_execution
from causal_scrubbing._capture.traces import Trace, weights_of
from causal_scrubbing._data import Dataset, check_dataset
from causal_scrubbing._errors import GraphError, Notice
from causal_scrubbing._format import listed
from causal_scrubbing._graph import Graph
from causal_scrubbing._places import (
    Place,
    Rows,
    Run,
    Seen,
    check_faults,
    check_seen,
    find_device,
    find_places,
    foreign_hooks,
    leftover,
    make_forward,
    marked,
    number_fields,
    random_modules,
)


def capture(
    model: torch.nn.Module,
    example: Dataset,
    *,
    sites: Mapping[str, str] | Sequence[str] = (),
    fields: Sequence[str] | Mapping[str, str] | None = None,
    forward: Callable[[Any, Any], Any] | None = None,
    output: str = "output",
    dynamic: bool | Mapping[str, Sequence[int]] = False,
    tolerance: float | None = None,
    method: str = "auto",
    opaque: Sequence[str] = (),
) -> Graph:
    """A graph that computes what a model computes, with the sites as its nodes.

    The model is exported with `torch.export` under hooks that mark the sites' tensors; what lies
    between two sites becomes the function of the later one. So a node's parents are the sites (and
    inputs) whose values reach it directly: along a residual stream these are all earlier
    components. The model is not changed and its weights are not copied: the graph holds the model's
    own tensors, so capture after moving, casting or loading.

    A model that cannot be exported is captured by hooks: a node's function then runs the model
    itself, with its parents' values put in place of what flows at those sites, up to the node. That
    works for any module that runs, and costs a run of the model for each node that is evaluated.

    Example::

        graph = cs.capture(
            model, data[:2], output="logits", dynamic=True,
            sites={"embed": "wte", "a{i}.z": "h.{i}.attn.c_proj:input", "m{i}": "h.{i}.mlp"},
            forward=lambda model, rows: model(rows["tokens"], use_cache=False).logits)

    Args:
        model: any module that runs, in eval mode.
        example: a few rows that the model runs on; the graph is checked on all of them.
        sites: node name -> place. A place is a module path (its output), ``path:input`` (what flows
            into it), ``path:input.1`` or ``path:input.mask`` (one of several arguments),
            ``path:output.0`` (one of several outputs), ``path:output.1.0`` (one in a tuple within);
            ``#1`` behind it is the second call of a module called several times, which otherwise
            gives ``name#0``, ``name#1``. ``path:pattern`` is what an attention weighs its values
            by, ``path:q``, ``path:k`` and ``path:v`` are what it is computed from; ``path:h`` and
            ``path:c`` are the states of a recurrent network, one call a step. ``{i}`` is a number
            and ``*`` anything, carried into the name. A list of places names nodes by their
            places. A site is what flows there: consumers that read the same tensor elsewhere (a
            residual stream around the module) do not read the site. `cs.site` marks a tensor
            inside a forward.
        fields: fields of the example that the model takes, in order, or keyword -> field. May be
            left out if the example has one field.
        forward: instead, a function (model, rows) -> output tensor, batch first; ``rows["name"]``
            is a field. Fields it reads become inputs of the graph.
        output: name of the output node; also picks the entry of that name if the model returns
            several tensors.
        dynamic: True if rows may have other lengths than the example's (every dimension of a field
            but the first), or field -> its dimensions of free size. The number of rows is free
            in any case. Otherwise rows of another shape than the example's are refused.
        tolerance: how far the graph may differ from the model, as a share of the largest output;
            by default 1e-8, 1e-4, 1e-2, 4e-2 for float64, float32, float16, bfloat16.
        method: "export"; or "hooks", which runs the model itself for each node and finds edges by
            changing one site at a time on the example; or "auto": export, and where that fails
            hooks, with a notice that says why.
        opaque: paths of submodules that an export keeps whole: they are called, not traced, so
            they may do what cannot be exported. They return tensors whose sizes are fixed, or
            those of their inputs, and hold no site inside.

    Returns:
        The graph, checked against the model on the example, on its rows in another order, on each
        row alone and, where dynamic, on a shorter one.

    Raises:
        GraphError: a site matches no module or is never passed, the example does not fit, the model
            cannot be captured or its graph differs from it; each names the place and a way out.
        DataError: the example is no dataset.
    """
    _check_model(model)
    check_dataset(example, "the example")
    if method not in METHODS:
        raise GraphError(f"method={method!r}: there is {', '.join(map(repr, METHODS))}.")
    before = {name: Trace.of(tensor) for name, tensor in weights_of(model).items()}
    places, faults = find_places(sites, dict(model.named_modules(remove_duplicate=False)))
    check_faults(faults)
    device = find_device(model, several=method != "export")
    run = make_forward(fields, forward, example, output)
    numbers = number_fields(example, device)
    whole = find_opaque(model, opaque, places, method)
    foreign = foreign_hooks(model)
    if foreign:
        warnings.warn(leftover(foreign), Notice, stacklevel=2)
    seen, used = _trial(model, run, numbers, example, places)
    free = _free_dimensions(used, dynamic)
    request = Request(
        model,
        run,
        used,
        places,
        seen,
        free,
        output,
        example,
        device,
        tolerance,
        tuple(whole),
        before,
    )
    if method == "hooks":
        graph = by_hooks(request)
    else:
        try:
            graph = by_export(request, asked=bool(dynamic))
        except NotExportedError as error:
            if method == "export":
                raise
            graph = by_hooks(request)
            warnings.warn(
                f"the model cannot be exported ({error.reason}), so each node of the graph runs "
                "the model itself under hooks, which is slower. method='hooks' says that this is "
                "meant; method='export' shows the whole error, with ways out.",
                Notice,
                stacklevel=2,
            )
    idle = idle_sites(graph)
    if idle:
        warnings.warn(
            f"{listed(idle)} {'does' if len(idle) == 1 else 'do'} not reach the output "
            f"{output!r}, so an ablation or a claim there can show nothing.",
            Notice,
            stacklevel=2,
        )
    return graph


def _check_model(model: object) -> None:
    if not isinstance(model, torch.nn.Module):
        raise GraphError(
            f"capture takes a torch.nn.Module, not {type(model).__name__}; write a graph of plain "
            "functions with cs.Graph.build."
        )
    if isinstance(model, (torch.nn.parallel.DistributedDataParallel, torch.nn.DataParallel)):
        raise GraphError(
            f"{type(model).__name__} is a wrapper that sends rows elsewhere: pass the model in it, "
            "model.module."
        )
    random = random_modules(model)
    if random:
        raise GraphError(
            f"the model is in training mode, where {', '.join(map(repr, random[:4]))}"
            f"{' and others' if len(random) > 4 else ''} would draw random numbers or mix rows: a "
            "node must be a function of its own row. Call model.eval() first."
        )


def _trial(
    model: torch.nn.Module,
    run: Run,
    numbers: Mapping[str, torch.Tensor],
    example: Dataset,
    places: Sequence[Place],
) -> tuple[Seen, dict[str, torch.Tensor]]:
    """Run the example once: what sites are passed, and which fields are read.

    Raises:
        GraphError: the model does not run on it, or a site is never passed.
    """
    rows = Rows(numbers, example.field_names)
    try:
        with torch.no_grad(), plain_execution(), marked(model, places, None) as seen:
            value = run(model, rows)
    except GraphError:
        raise
    except Exception as error:
        shapes = ", ".join(f"{n} {t.dtype} {list(t.shape)}" for n, t in numbers.items())
        raise run_failed(model, error, shapes) from error
    check_seen(places, seen)
    if not rows.read:
        raise GraphError("forward reads no field of the rows, so its output is a constant.")
    if value.ndim == 0 or len(value) != len(example):
        raise GraphError(
            f"the output has shape {list(value.shape)} for {len(example)} rows; it must be batch "
            "first, one entry a row."
        )
    return seen, {name: numbers[name] for name in rows.read}


def _free_dimensions(
    used: Mapping[str, torch.Tensor], dynamic: bool | Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    if dynamic is False:
        return {}
    if dynamic is True:
        return {name: tuple(range(1, t.ndim)) for name, t in used.items() if t.ndim > 1}
    for name, dims in dynamic.items():
        if name not in used or any(not 0 < d < used[name].ndim for d in dims):
            raise GraphError(
                f"dynamic={{{name!r}: {list(dims)}}}: give a field that the forward reads "
                f"({', '.join(used)}) and dimensions of it past the first, which counts rows."
            )
    return {name: tuple(dims) for name, dims in dynamic.items()}
