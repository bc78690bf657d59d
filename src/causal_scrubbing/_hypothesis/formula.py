"""F(u) as a list of calls: the functions of its copies, hidden wires spelled out."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from causal_scrubbing._graph import AnyValue, Graph, program
from causal_scrubbing._hypothesis.routes import CopySource, Routes


@dataclass(frozen=True)
class Call:
    """One call: its node, what it reads, and the slot it fills."""

    node: str
    arguments: tuple[Hashable, ...]
    slot: int

    @property
    def reads(self) -> tuple[Hashable, ...]:
        """The slots read, each once."""
        return tuple(dict.fromkeys(one for one in self.arguments if not isinstance(one, AnyValue)))


def formula(graph: Graph, routes: Routes) -> tuple[Call, ...]:
    """The calls of F(u), the last filling u's value; inputs are named by their source.

    Empty where u has nothing to be computed from.
    """
    position = {name: i for i, name in enumerate(graph.names)}
    calls: list[Call] = []
    filled: dict[Hashable, int] = {}
    for copy in sorted(routes.copies, key=lambda one: position[one[0]]):
        sources = routes.copies[copy]
        offset = len(calls)
        for step in program(graph, copy[0]):
            arguments: list[Hashable] = []
            for argument in step.arguments:
                if isinstance(argument, int):
                    arguments.append(offset + argument)
                elif isinstance(argument, str):
                    source = sources[argument]
                    arguments.append(
                        filled[source.copy] if isinstance(source, CopySource) else source
                    )
                else:
                    arguments.append(argument)
            calls.append(Call(step.node, tuple(arguments), len(calls)))
        filled[copy] = len(calls) - 1
    return tuple(calls)
