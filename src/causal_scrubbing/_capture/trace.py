"""Exporting a model on some rows, its sites marked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.export.graph_signature import InputKind

from causal_scrubbing._capture.failures import export_failed
from causal_scrubbing._capture.hooks import Seen, marked
from causal_scrubbing._capture.inline import flatten
from causal_scrubbing._capture.places import Place
from causal_scrubbing._capture.rows import Rows
from causal_scrubbing._errors import GraphError

Run = Callable[[torch.nn.Module, Rows], torch.Tensor]


@dataclass(frozen=True)
class Traced:
    """An exported forward.

    Attributes:
        graph: operations, functionalised.
        inputs: placeholder -> dataset field.
        constants: placeholder -> the model's own tensor.
        sizes: symbol -> (field, dimension) it is the size of.
    """

    graph: torch.fx.Graph
    inputs: Mapping[str, str]
    constants: Mapping[str, torch.Tensor]
    sizes: Mapping[Any, tuple[str, int]]


class _Runner(torch.nn.Module):
    """The forward as a module whose only argument is the fields, in order."""

    def __init__(self, model: torch.nn.Module, run: Run, fields: Sequence[str], seen: Seen) -> None:
        super().__init__()
        self.seen = seen
        self.model = model
        self.run = run
        self.fields = tuple(fields)
        # Not self.eval(), which would change the user's model.
        self.training = model.training

    def forward(self, tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        self.seen.forget()
        value = self.run(self.model, Rows(dict(zip(self.fields, tensors, strict=True))))
        # Sites are outputs too, so that one that does not reach the output is kept.
        return (value, *self.seen.tensors)


@contextmanager
def plain_execution() -> Iterator[None]:
    """No fused fast path, which would skip the modules inside; no warnings of the exporter."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def export(
    model: torch.nn.Module,
    run: Run,
    fields: Mapping[str, torch.Tensor],
    places: Sequence[Place],
    seen: Seen,
    dynamic: Mapping[str, Sequence[int]],
) -> Traced:
    """Export the forward with a free number of rows, and free lengths where asked.

    Args:
        model: the model.
        run: how rows are run.
        fields: the fields read, as example tensors.
        places: the sites.
        seen: what a trial run met.
        dynamic: field -> dimensions, past the first, whose size may differ from the example's.

    Raises:
        GraphError: it cannot be exported; the message names the module, the line and ways out.
    """
    rows = torch.export.Dim("rows", min=1)
    example = _resize(fields)
    dims = tuple(
        {0: rows, **dict.fromkeys(dynamic.get(name, ()), torch.export.Dim.AUTO)} for name in example
    )
    try:
        with plain_execution(), marked(model, places, seen) as marking:
            runner = _Runner(model, run, list(example), marking)
            program = torch.export.export(
                runner,
                (tuple(example.values()),),
                dynamic_shapes=(dims,),
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            program = flatten(program)
    except GraphError:
        raise
    except Exception as error:
        raise export_failed(model, error) from error
    mutated = [*program.graph_signature.buffers_to_mutate.values()]
    if mutated:
        names = ", ".join(sorted(name.removeprefix("model.") for name in mutated))
        raise GraphError(
            f"running the model changes its own buffers ({names}), so a row's value would depend "
            "on the rows run before. Call model.eval() first, or give forward= a run that leaves "
            "them alone."
        )
    return _read(program, runner, list(example))


def _resize(fields: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The example repeated to a number of rows that is no other size in it, and not one.

    The exporter fixes sizes of one, and may take equal sizes for the same.
    """
    taken = {size for tensor in fields.values() for size in tensor.shape[1:]}
    count = next(n for n in (3, 5, 7, 11, 13, 17, 19, 23, 29) if n not in taken)
    out = {}
    for name, tensor in fields.items():
        index = torch.arange(count, device=tensor.device) % len(tensor)
        out[name] = tensor.index_select(0, index)
    return out


def _read(
    program: torch.export.ExportedProgram, runner: torch.nn.Module, fields: Sequence[str]
) -> Traced:
    inputs: dict[str, str] = {}
    constants: dict[str, torch.Tensor] = {}
    sizes: dict[Any, tuple[str, int]] = {}
    placeholders = {n.name: n for n in program.graph.nodes if n.op == "placeholder"}
    own = {**dict(runner.named_parameters()), **dict(runner.named_buffers())}
    remaining = iter(fields)
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        if spec.kind is InputKind.USER_INPUT:
            inputs[name] = next(remaining)
            for dim, size in enumerate(placeholders[name].meta["val"].shape):
                if isinstance(size, torch.SymInt) and size.node.expr.is_Symbol:
                    sizes.setdefault(size.node.expr, (inputs[name], dim))
        elif spec.target in own:
            constants[name] = own[spec.target]
        else:
            held = program.constants.get(str(spec.target), program.state_dict.get(str(spec.target)))
            if not isinstance(held, torch.Tensor):
                raise GraphError(
                    f"the exported model holds {spec.target!r}, a {type(held).__name__}, which a "
                    "node cannot close over; pass it as a tensor or a field."
                )
            constants[name] = held
    return Traced(program.graph, inputs, constants, sizes)
