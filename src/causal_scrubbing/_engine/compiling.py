"""Batches through `torch.compile`: a program compiled for few sizes, batches filled up to one."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import torch

from causal_scrubbing._engine.cost import total
from causal_scrubbing._engine.program import Program
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._graph import Graph

NOTHING = "nothing is compiled: samples only gather clean activations, no function is called"


def check_compile(compile: object) -> str | None:
    """The backend that `compile=` asks for, or None for none.

    Raises:
        ScrubError: it is neither True, False nor the name of a backend that torch knows.
    """
    if compile is None or compile is False:
        return None
    if compile is True:
        return "inductor"
    import torch._dynamo  # takes seconds, and only who compiles needs it

    known = torch._dynamo.list_backends(exclude_tags=())
    if isinstance(compile, str) and compile in known:
        return compile
    usual = ", ".join(map(repr, torch._dynamo.list_backends()))
    raise ScrubError(
        f"compile={compile!r} is no backend of torch.compile; give True, False, or one of {usual}."
    )


class Compiled:
    """A program run through `torch.compile`.

    A size of batch is compiled once, which takes long, so a batch that is smaller than one that was
    compiled is filled up to it: rows do not read each other, and what they give is left out.

    Args:
        graph: the graph.
        program: what to do.
        backend: of `torch.compile`.
    """

    def __init__(self, graph: Graph, program: Program, backend: str) -> None:
        self.backend = backend
        self._sizes: list[int] = []
        self._run = torch.compile(_function(graph, program), dynamic=False, backend=backend)

    @staticmethod
    def is_of_use(program: Program) -> bool:
        """Whether a program does anything that can be compiled."""
        return any(step.kind != "gather" for step in program.steps)

    @staticmethod
    def even(count: int, most: int) -> int:
        """The size of batches, at most `most`, that so many samples make with little to fill up."""
        return -(-count // -(-count // most))

    def filled(self, count: int, most: int) -> int:
        """The size that a batch of so many samples is filled up to, at most `most`."""
        known = [size for size in self._sizes if count <= size <= most]
        if known:
            return min(known)
        # Later sizes are powers of two: blocks that grow bit by bit shall not be compiled each.
        size = min(most, 1 << (count - 1).bit_length()) if self._sizes else count
        self._sizes.append(size)
        return size

    def __call__(self, *gathered: torch.Tensor) -> list[torch.Tensor]:
        """The roots' values of one batch, from the gathers in order."""
        found: list[torch.Tensor] = self._run(*gathered)
        return found

    def failed(self, error: Exception) -> ScrubError:
        """What a failure says that the program itself does not have."""
        said = " ".join(str(error).split("\n")[:2]).strip()
        return ScrubError(
            f"compile={self.backend!r} failed on a program that runs without it "
            f"({type(error).__name__}: {said}). Leave compile= out, or name another backend."
        )


def fill_up(rows: Mapping[str, torch.Tensor], size: int) -> dict[str, torch.Tensor]:
    """Row numbers with the first repeated at the end, up to a number of them."""
    return {
        variable: found
        if len(found) == size
        else torch.cat([found, found[:1].expand(size - len(found))])
        for variable, found in rows.items()
    }


def _function(graph: Graph, program: Program) -> Callable[..., list[torch.Tensor]]:
    def run(*gathered: torch.Tensor) -> list[torch.Tensor]:
        values: list[Any] = [None] * program.places
        read = iter(gathered)
        for step in program.steps:
            if step.kind == "gather":
                values[step.out] = next(read)
            elif step.kind == "compute":
                fn: Any = graph.nodes[step.node].fn
                values[step.out] = fn(*[values[place] for place in step.reads])
            else:
                values[step.out] = total([values[place] for place in step.reads])
        return [values[place] for place in program.roots.values()]

    # torch counts compilations by code object and gives up after a few: each program has its own.
    return types.FunctionType(
        run.__code__.replace(), run.__globals__, run.__name__, None, run.__closure__
    )
