"""The hypothesis that permits everything: the unit of joins."""

from __future__ import annotations

from dataclasses import dataclass

from causal_scrubbing._data import Dataset, anything
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._format import plural
from causal_scrubbing._graph import Graph
from causal_scrubbing._hypothesis import Agreement, Claim, Hypothesis


@dataclass(frozen=True, eq=False)
class Free:
    """Anything everywhere, everything drawn apart, down to the inputs; made by `free`.

    Attributes:
        graph: the graph.
    """

    graph: Graph

    def hypothesis(self, *, limit: int = 10_000, name: str | None = None) -> Hypothesis:
        """The claims written out: one for each path from the output to an input.

        Args:
            limit: most claims to write.
            name: name of the hypothesis.

        Raises:
            HypothesisError: there are more paths than `limit`.
        """
        paths: dict[str, int] = {}
        for node in self.graph.names:
            paths[node] = 1 + sum(paths[p] for p in self.graph.parents(node))
        total = paths[self.graph.output]
        if total > limit:
            raise HypothesisError(
                [
                    f"cs.free written out has {total:,} claims, one for each path, more than the "
                    f"limit of {limit:,}. Join it as it is, or raise limit=."
                ]
            )
        claims: dict[str, Claim] = {}
        for node in self.graph.names:
            parents = self.graph.parents(node)
            children = tuple(claims[p] for p in parents) if parents else None
            claims[node] = Claim(node, anything, children)
        return Hypothesis(self.graph, claims[self.graph.output], name=name)

    def agreement(self, data: Dataset) -> Agreement:
        """How far each of its claims can be tested on a dataset; see `Hypothesis.agreement`.

        Raises:
            HypothesisError: the graph has more paths than `hypothesis` writes out.
        """
        return self.hypothesis().agreement(data)

    def __repr__(self) -> str:
        nodes = plural(len(self.graph), "node")
        return f"free(graph of {len(self.graph)} {nodes}, output {self.graph.output!r})"


def free(graph: Graph) -> Free:
    """The hypothesis with `anything` everywhere and everything drawn apart.

    It permits every swap, and adds nothing to a join. It is not written out until
    ``free(graph).hypothesis()``, since it has one claim for each path through the graph. Functions
    about hypotheses (`permits`, `entropy`, `isomorphic`, `restate`) write it out; to scrub it, pass
    ``free(graph).hypothesis()``.

    Raises:
        HypothesisError: what is given is no graph.
    """
    if not isinstance(graph, Graph):
        raise HypothesisError([f"cs.free takes a cs.Graph, not {type(graph).__name__}."])
    return Free(graph)
