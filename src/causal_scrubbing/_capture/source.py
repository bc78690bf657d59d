"""The model a graph was captured from: what it was then, and whether it still is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from causal_scrubbing._capture.by_hooks import must_end
from causal_scrubbing._capture.store import save
from causal_scrubbing._capture.traces import Trace, difference, steady, weights_of
from causal_scrubbing._errors import GraphError
from causal_scrubbing._format import listed
from causal_scrubbing._graph import Graph
from causal_scrubbing._places import foreign_hooks, leftover, random_modules


class Model:
    """The model behind a graph, and what it was when the graph was made.

    Args:
        model: the model.
        used: ids of the weights that the graph reads; all if None.
        runs: whether the graph's nodes run the model itself.
        before: traces of the weights from before the capture ran the model.
    """

    stays_behind = True
    """Workers of a run need the weights that nodes hold, not the model and its library."""

    def __init__(
        self,
        model: torch.nn.Module,
        used: Collection[int] | None,
        *,
        runs: bool,
        before: Mapping[str, Trace],
    ) -> None:
        self.model = model
        self.runs = runs
        weights = weights_of(model)
        self.names = frozenset(weights)
        self.traces = {
            name: steady(before[name], Trace.of(tensor))
            for name, tensor in weights.items()
            if used is None or id(tensor) in used
        }
        self.hooks = _marks(model)
        self.modules = _modules(model)

    @property
    def is_sharded(self) -> bool:
        """Whether its weights are shared out over several processes."""
        # FSDP keeps some weights whole between runs; its modules tell all the same.
        weights = (one.data for one in (*self.model.parameters(), *self.model.buffers()))
        return must_end(self.model) or any(type(one).__name__ == "DTensor" for one in weights)

    def save(self, graph: Graph, folder: Path) -> None:
        """Write a graph of this model to a folder; see `Graph.save`."""
        self.check()
        save(graph, self.model, folder)

    def check(self) -> None:
        """The model is still what it was.

        Raises:
            GraphError: its weights, modules or hooks have changed; says which.
        """
        now = weights_of(self.model)
        again = "The graph is of the model as it was: capture it again."
        gone = sorted(self.names - now.keys())
        new = sorted(now.keys() - self.names)
        if gone or new:
            what = " and ".join(
                f"{listed(list(map(repr, names)), 4)} {word}"
                for names, word in ((gone, "went"), (new, "came"))
                if names
            )
            raise GraphError(
                f"the model's weights are not those of the capture any more: {what}, as where "
                f"adapters are added, merged or taken off. {again}"
            )
        changed = {
            name: how
            for name, trace in self.traces.items()
            if (how := difference(trace, Trace.of(now[name])))
        }
        if changed:
            shown = listed([f"{name!r} {how}" for name, how in changed.items()], 4)
            raise GraphError(
                f"the model's weights have changed since the graph was captured: {shown}. {again}"
            )
        modules = _modules(self.model)
        other = [path for path, one in self.modules.items() if not _same(one, modules.get(path))]
        other += [path for path in modules if path not in self.modules]
        if other:
            shown = listed([repr(path or "the model") for path in other], 4)
            raise GraphError(
                f"modules of the model are others than when the graph was captured: {shown}. "
                f"{again}"
            )
        added = [one for one in foreign_hooks(self.model) if (one[0], id(one[1])) not in self.hooks]
        if added:
            raise GraphError(f"since the graph was captured, {leftover(added)}")
        if self.runs and (random := random_modules(self.model)):
            raise GraphError(
                f"the model is in training mode now, where {listed(list(map(repr, random)), 4)} "
                "would draw random numbers or mix rows; the nodes of this graph run the model "
                "itself. Call model.eval()."
            )


def _marks(model: torch.nn.Module) -> frozenset[tuple[str, int]]:
    return frozenset((path, id(hook)) for path, hook in foreign_hooks(model))


def _modules(model: torch.nn.Module) -> dict[str, tuple[object, ...]]:
    """Path -> a module, what it says of itself, and a method put in the place of its own."""
    return {
        path: (module, module.extra_repr(), vars(module).get("forward"))
        for path, module in model.named_modules(remove_duplicate=False)
    }


def _same(one: tuple[object, ...], other: tuple[object, ...] | None) -> bool:
    return other is not None and one[0] is other[0] and one[1] == other[1] and one[2] == other[2]
