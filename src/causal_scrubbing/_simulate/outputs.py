"""The outputs wanted of one graph: compiled together, then run batch by batch.

Everything that runs a graph on rows drawn for it goes through here: runs, searches, interchange
interventions, and the self-check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._engine import Executor, Settings
from causal_scrubbing._expressions import Compiler, Space
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import REFERENCE, Tree


class Outputs:
    """Outputs of one graph on rows that differ by node, with common work done once.

    Ask for outputs first, then run them. Draw variables say which rows: two places with equal
    variables are on the same row in every sample.

    Args:
        graph: the graph.
        data: the dataset.
        engine: how to use the machine; memory is not watched where it is None.
        batch_size: samples computed at once, where there is no `engine`.
        device: where to compute, where there is no `engine`.
        samples: how many samples will be run in all, if known.
        reading: bytes a sample that reading the outputs takes.
        simplify: whether a claim that is on one row throughout is read from the clean table.
    """

    def __init__(
        self,
        graph: Graph,
        data: Dataset,
        engine: Settings | None = None,
        *,
        batch_size: int | None = None,
        device: torch.device | str | None = None,
        samples: int | None = None,
        reading: Callable[[], float] | None = None,
        simplify: bool = True,
    ) -> None:
        self.graph = graph
        self._space = Space()
        self._compiler = Compiler(graph, self._space, simplify=simplify)
        self._numbers: list[int] = []
        self._data = data
        self._engine = engine
        self._batch_size = batch_size
        self._device = device
        self._samples = samples
        self._reading = reading
        self._executor: Executor | None = None

    def scrubbed(self, tree: Tree, variables: Mapping[str, str]) -> int:
        """The output of a treeified hypothesis; its number.

        Args:
            tree: the treeified hypothesis.
            variables: block key -> draw variable.
        """
        return self._add(self._compiler.tree(tree, variables))

    def clean(self, variable: str = REFERENCE) -> int:
        """The model's own output on the rows of a variable; its number."""
        return self._add(self._compiler.clean(self.graph.output, variable))

    def swapped(self, nodes: Mapping[str, str], variable: str = REFERENCE) -> int:
        """The output with some nodes' clean values taken on other rows; its number.

        Args:
            nodes: node -> variable of the rows its value is taken on.
            variable: of the rows that everything else is on.
        """
        return self._add(self._compiler.substitute(self.graph.output, nodes, variable))

    def _add(self, number: int) -> int:
        self._numbers.append(number)
        return number

    @property
    def executor(self) -> Executor:
        """What runs them; after this no output can be added."""
        if self._executor is None:
            self._executor = Executor(
                self.graph,
                self._space,
                self._numbers,
                self._data,
                self._engine,
                samples=self._samples,
                batch_size=self._batch_size,
                device=self._device,
                reading=self._reading,
            )
        return self._executor

    def run(self, rows: Mapping[str, Ints]) -> Iterator[tuple[int, int, dict[int, torch.Tensor]]]:
        """Outputs of samples, a batch at a time.

        Args:
            rows: draw variable -> row of each sample, int64 [N].

        Yields:
            First sample of a batch, one past its last, and its outputs [B, ...] by number.
        """
        return self.executor.run(rows)
