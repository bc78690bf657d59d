"""`capture`: a model and its sites to a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from causal_scrubbing._capture.build import build_nodes
from causal_scrubbing._capture.check import check
from causal_scrubbing._capture.failures import run_failed
from causal_scrubbing._capture.hooks import Seen, check_seen, marked
from causal_scrubbing._capture.places import Place, check_faults, find_places
from causal_scrubbing._capture.rows import Rows, make_forward, number_fields
from causal_scrubbing._capture.trace import Run, Traced, export, plain_execution
from causal_scrubbing._data import Dataset, check_dataset
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import Graph


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
) -> Graph:
    """A graph that computes what a model computes, with the sites as its nodes.

    The model is exported with `torch.export` under hooks that mark the sites' tensors; what lies
    between two sites becomes the function of the later one. So a node's parents are the sites (and
    inputs) whose values reach it directly: along a residual stream these are all earlier
    components. The model is not changed and its weights are not copied: the graph holds the model's
    own tensors, so capture after moving, casting or loading.

    Example::

        graph = cs.capture(
            model, data[:2], output="logits", dynamic=True,
            sites={"embed": "wte", "a{i}.z": "h.{i}.attn.c_proj:input", "m{i}": "h.{i}.mlp"},
            forward=lambda model, rows: model(rows["tokens"], use_cache=False).logits)

    Args:
        model: any module that `torch.export` accepts, in eval mode.
        example: a few rows that the model runs on.
        sites: node name -> place. A place is a module path (its output), ``path:input`` (what flows
            into it), ``path:input.1`` or ``path:input.mask`` (one of several arguments),
            ``path:output.0`` (one of several outputs); ``#1`` behind it is the second call of a
            module called several times, which otherwise gives ``name#0``, ``name#1``. ``{i}`` is a
            number and ``*`` anything, carried into the name. A list of places names nodes by their
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

    Returns:
        The graph, checked against the model on the example, on one row, on more rows and, where
        dynamic, on shorter ones.

    Raises:
        GraphError: a site matches no module or is never passed, the example does not fit, the model
            cannot be exported or its graph differs from it; each names the place and a way out.
        DataError: the example is no dataset.
    """
    _check_model(model)
    check_dataset(example, "the example")
    places, faults = find_places(sites, dict(model.named_modules(remove_duplicate=False)))
    check_faults(faults)
    device = _device(model)
    run = make_forward(fields, forward, example, output)
    numbers = number_fields(example, device)
    seen, used = _trial(model, run, numbers, example, places)
    free = _free_dimensions(used, dynamic)
    traced = export(model, run, used, places, seen, free)
    if dynamic:
        _check_free(traced, used, free)
    nodes = build_nodes(traced, output)
    names = sum(not node.is_input for node in nodes if not node.name.startswith("~"))
    graph = Graph(
        nodes,
        output,
        history=[f"captured from {type(model).__name__}, {names} sites"],
        device=device,
        example=example,
    )
    check(graph, model, run, used, traced.free, tolerance)
    return graph


def _check_model(model: object) -> None:
    if not isinstance(model, torch.nn.Module):
        raise GraphError(
            f"capture takes a torch.nn.Module, not {type(model).__name__}; write a graph of plain "
            "functions with cs.Graph.build."
        )
    random = [
        path or type(module).__name__
        for path, module in model.named_modules()
        if module.training and _differs_in_training(module)
    ]
    if random:
        raise GraphError(
            f"the model is in training mode, where {', '.join(map(repr, random[:4]))}"
            f"{' and others' if len(random) > 4 else ''} would draw random numbers or mix rows: a "
            "node must be a function of its own row. Call model.eval() first."
        )


def _differs_in_training(module: torch.nn.Module) -> bool:
    if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
        return True
    if isinstance(module, torch.nn.modules.dropout._DropoutNd):
        return module.p > 0
    return getattr(module, "dropout", 0) != 0 and isinstance(
        module, (torch.nn.RNNBase, torch.nn.MultiheadAttention)
    )


def _device(model: torch.nn.Module) -> torch.device | None:
    """Where the model's weights are.

    Raises:
        GraphError: on several devices.
    """
    tensors = [*model.parameters(), *model.buffers()]
    found = {tensor.device for tensor in tensors}
    if len(found) > 1:
        raise GraphError(
            f"the model's weights are on several devices ({', '.join(sorted(map(str, found)))}); "
            "move it to one before capturing."
        )
    return next(iter(found), None)


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
