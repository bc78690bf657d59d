"""Exporting a model on some rows, its sites marked."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch

from causal_scrubbing._capture.failures import NotExportedError, export_failed
from causal_scrubbing._capture.flat import flatten
from causal_scrubbing._capture.opaque import Called, Whole, learn_calls, name_calls, traced_whole
from causal_scrubbing._errors import GraphError
from causal_scrubbing._places import MARK, Place, Rows, Run, Seen, marked

_COPY: Final = torch.ops.aten.copy.default


@dataclass(frozen=True)
class Traced:
    """An exported forward.

    Attributes:
        graph: operations, functionalised.
        inputs: placeholder -> dataset field.
        constants: placeholder -> the model's own tensor.
        sizes: symbol -> (field, dimension) it is the size of.
        rows: the symbol of the number of rows.
        shapes: field -> sizes of its rows, None where they may differ from the example's.
    """

    graph: torch.fx.Graph
    inputs: Mapping[str, str]
    constants: Mapping[str, torch.Tensor]
    sizes: Mapping[Any, tuple[str, int]]
    rows: Any
    shapes: Mapping[str, tuple[int | None, ...]]

    @property
    def free(self) -> dict[str, tuple[int, ...]]:
        """Field -> its dimensions whose size may differ from the example's."""
        dims = {
            field: tuple(dim for dim, size in enumerate(shape, 1) if size is None)
            for field, shape in self.shapes.items()
        }
        return {field: found for field, found in dims.items() if found}


class _Marks:
    """The sites' tensors of a run, marked; an object of its own, as the exporter watches dicts."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}

    def __call__(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        self.found[name] = MARK(tensor, name)
        return self.found[name]


class _Runner(torch.nn.Module):
    """The forward as a module whose only argument is the fields, in order."""

    def __init__(self, model: torch.nn.Module, run: Run, fields: Sequence[str]) -> None:
        super().__init__()
        self.seen = Seen()
        self.marks = _Marks()
        self.rows: Any = None
        self.model = model
        self.run = run
        self.fields = tuple(fields)
        # Not self.eval(), which would change the user's model.
        self.training = model.training

    def forward(self, tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        self.seen.forget()
        self.marks.found.clear()
        self.rows = tensors[0].shape[0]
        value = self.run(self.model, Rows(dict(zip(self.fields, tensors, strict=True))))
        # Sites are outputs too, so that one that does not reach the output is kept.
        return (value, *self.marks.found.values())


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


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what a failing export prints beside its error, a listing of all operations before it."""
    said = io.StringIO()
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(said):
            yield
    finally:
        log.setLevel(level)
    # Not reached by a failure: what the model itself said is passed on.
    sys.stderr.write(said.getvalue())


def export(
    model: torch.nn.Module,
    run: Run,
    fields: Mapping[str, torch.Tensor],
    places: Sequence[Place],
    seen: Seen,
    dynamic: Mapping[str, Sequence[int]],
    whole: Sequence[Whole] = (),
) -> Traced:
    """Export the forward with a free number of rows, and free lengths where asked.

    Args:
        model: the model.
        run: how rows are run.
        fields: the fields read, as example tensors.
        places: the sites.
        seen: what a trial run met.
        dynamic: field -> dimensions, past the first, whose size may differ from the example's.
        whole: submodules that are called, not traced.

    Raises:
        NotExportedError: it cannot be exported; the message names module and line.
    """
    rows = torch.export.Dim("rows", min=1)
    example = _resize(fields)
    dims = tuple(
        {0: rows, **dict.fromkeys(dynamic.get(name, ()), torch.export.Dim.AUTO)} for name in example
    )
    runner = _Runner(model, run, list(example))
    calls = _learn(whole, runner, example, dynamic)
    try:
        with (
            plain_execution(),
            quiet(),
            marked(model, places, seen, runner.marks) as marking,
            traced_whole(whole, calls),
        ):
            runner.seen = marking
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
        met = tuple(runner.marks.found)
        where = _where_fixed(model, runner, example, dims) if _is_about_rows(error) else None
        raise export_failed(model, error, where, met) from error
    state = _state(program)
    if state:
        names = ", ".join(sorted(name.removeprefix("model.") for name in state))
        raise GraphError(
            f"running the model changes its own buffers ({names}), so a row's value would depend "
            "on the rows run before. Call model.eval() first, or give forward= a run that leaves "
            "them alone."
        )
    name_calls(program.graph, calls)
    return _read(program, runner, list(example))


def _state(program: torch.export.ExportedProgram) -> list[str]:
    """Buffers that a run changes and reads; one that is written before it is read is no state.

    What is only written is taken from the graph's outputs.
    """
    from torch.export.graph_signature import InputKind

    changed = program.graph_signature.buffers_to_mutate
    if not changed:
        return []
    holders = {
        str(spec.target): spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.BUFFER
    }
    ops = {op.name: op for op in program.graph.nodes}
    read = []
    for name in changed.values():
        holder = ops[holders[name]]
        overwritten = all(
            user.op == "output" or (user.target is _COPY and user.args[0] is holder)
            for user in holder.users
        )
        if not overwritten:
            read.append(name)
    end = next(op for op in program.graph.nodes if op.op == "output")
    results: Any = end.args[0]
    end.args = (tuple(results[len(changed) :]),)
    return read


def _learn(
    whole: Sequence[Whole],
    runner: _Runner,
    example: Mapping[str, torch.Tensor],
    dynamic: Mapping[str, Sequence[int]],
) -> dict[str, Called]:
    """What the calls of submodules kept whole return, from runs on other sizes of the example."""
    if not whole:
        return {}
    more = {name: torch.cat([tensor, tensor[:2]]) for name, tensor in example.items()}
    for name, dims in dynamic.items():
        for dim in dims:
            more[name] = more[name].narrow(dim, 0, max(1, more[name].shape[dim] - 1))

    def on(fields: Mapping[str, torch.Tensor]) -> Callable[[], object]:
        return lambda: runner.run(runner.model, Rows(fields))

    with torch.no_grad(), plain_execution():
        return learn_calls(whole, [on(example), on(more)])


def _is_about_rows(error: Exception) -> bool:
    text = str(error)
    return "Constraints violated" in text and "rows" in text


def _where_fixed(
    model: torch.nn.Module,
    runner: _Runner,
    example: Mapping[str, torch.Tensor],
    dims: Sequence[Mapping[int, Any]],
) -> str:
    """The first module, innermost first, after which the number of rows is a fixed number."""
    found: list[str] = []

    def watch(path: str, kind: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            size = getattr(runner.rows, "node", None)
            if not found and size is not None and size.shape_env.replace(size.expr).is_Integer:
                found.append(f"in the module {path!r} ({kind})")

        return hook

    handles = [
        module.register_forward_hook(watch(path, type(module).__name__))
        for path, module in model.named_modules()
        if path
    ]
    try:
        with plain_execution(), contextlib.suppress(Exception), quiet():
            torch.export.export(
                runner, (tuple(example.values()),), dynamic_shapes=(dims,), strict=False
            )
    finally:
        for handle in handles:
            handle.remove()
    return f"It fixes the number of rows {found[0] if found else 'outside its submodules'}: "


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
    from torch.export.graph_signature import InputKind

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
                reason = (
                    f"it holds {spec.target!r}, a {type(held).__name__}, which no node of an "
                    "exported graph can close over"
                )
                raise NotExportedError(
                    f"torch.export cannot export this model: {reason}. Pass it as a tensor or a "
                    "field, or capture with method='hooks'.",
                    reason,
                )
            constants[name] = held
    constants = {name: tensor for name, tensor in constants.items() if placeholders[name].users}
    rows = next(symbol for symbol, (_, dim) in sizes.items() if dim == 0)
    ranges = program.range_constraints
    shapes = {
        field: tuple(_fixed(size, ranges) for size in placeholders[name].meta["val"].shape[1:])
        for name, field in inputs.items()
    }
    return Traced(program.graph, inputs, constants, sizes, rows, shapes)


def _fixed(size: int | torch.SymInt, ranges: Mapping[Any, Any]) -> int | None:
    """A size that the export fixed; None if it may be another."""
    if isinstance(size, int):
        return size
    symbol = size.node.expr
    if symbol.is_Integer:
        return int(symbol)
    # A size whose range is one number is as good as fixed.
    known = ranges.get(symbol)
    return int(known.lower) if known is not None and known.lower == known.upper else None
