"""Telling a failed export with the module and line that it failed on, and the ways out."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Final

import torch

from causal_scrubbing._errors import GraphError

WAYS_OUT: Final = """Ways out:
  - capture by hooks, method="hooks", which runs the model itself and is slower;
  - keep the submodule whole, opaque=["its.path"];
  - if the number of rows is fixed somewhere (a constant batch size, .item(), len(t)), take it from
    the tensor's shape instead, t.shape[0], or drop dynamic=True if it is a length;
  - if a value decides what is run (an `if` on a tensor, boolean indexing), write it with
    torch.where or a mask, or choose another implementation of that module (many libraries have
    an "eager" one);
  - run less of the model: forward=lambda model, rows: ... may call a part of it, with caches off;
  - or write this part by hand with cs.Graph.build, using the model's own modules as functions."""


class NotExportedError(GraphError):
    """A model that cannot be exported.

    Attributes:
        reason: where and why, on one line.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def export_failed(
    model: torch.nn.Module,
    error: Exception,
    where: str | None = None,
    met: Sequence[str] = (),
) -> NotExportedError:
    """The error of a failed export: where in the model, what, and the ways out.

    Args:
        model: the model.
        error: what the exporter raised.
        where: the place in words, where it is known; read off the traceback if None.
        met: the sites met before, in order.
    """
    if where is None:
        where = locate(model, error, met) or _after(met)
    reason = f"{where}{_gist(error)}"
    brief = " ".join((where.rstrip(": ") if where.startswith("It fixes") else reason).split())
    brief = brief if len(brief) <= 200 else f"{brief[:200].rsplit(' ', 1)[0]} ..."
    return NotExportedError(
        f"torch.export cannot export this model. {reason}\n{WAYS_OUT}",
        brief[0].lower() + brief[1:],
    )


def _after(met: Sequence[str]) -> str:
    return f"It fails after the site {met[-1]!r}: " if met else ""


def run_failed(model: torch.nn.Module, error: Exception, shapes: str) -> GraphError:
    """The error of a model that does not run on the example at all."""
    where = locate(model, error)
    return GraphError(
        f"the model does not run on the example ({shapes}). {where}{_gist(error)}\n"
        "Check that fields= or forward= passes what the model takes, in its order and dtype."
    )


def locate(model: torch.nn.Module, error: BaseException, met: Sequence[str] = ()) -> str:
    """The innermost module of the model that the error passed, and its line of code there."""
    paths = {id(module): path for path, module in model.named_modules()}
    best: tuple[str, torch.nn.Module, TracebackType] | None = None
    one: BaseException | None = error
    while one is not None and best is None:
        trace = one.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            # A method's first argument is the module, whatever it is called there.
            owner = trace.tb_frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
            if id(owner) in paths and isinstance(owner, torch.nn.Module):
                outside = code.co_filename.endswith("nn/modules/module.py")
                if not outside:
                    best = (paths[id(owner)], owner, trace)
            trace = trace.tb_next
        one = one.__cause__ or one.__context__
    if best is None:
        return ""
    path, owner, trace = best
    file, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
    text = linecache.getline(file, line).strip()
    shown = f", at `{text}`" if text else ""
    after = f", after the site {met[-1]!r}" if met else ""
    which = f"the module {path!r}" if path else "the model itself"
    return f"It fails in {which} ({type(owner).__name__}){shown}{after}: "


def _gist(error: BaseException) -> str:
    """The first lines of an error that say something."""
    text = traceback.format_exception_only(error)[-1] if not str(error) else str(error)
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if type(error).__name__ == "GuardOnDataDependentSymNode":
        return (
            f"a value computed from the data decides what is run there ({lines[0].split(' (')[0]})"
        )
    shown = " ".join(lines[:4])
    return f"{type(error).__name__}: {shown[:600]}"
