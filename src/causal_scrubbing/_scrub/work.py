"""From hypotheses to behaviour values: draw, compile, execute, measure, a block at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._data.classes import Ints
from causal_scrubbing._engine import Compiler, Executor, Settings, Space
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._hypothesis.tree import RANDOMIZED, REFERENCE
from causal_scrubbing._measure import output_measures
from causal_scrubbing._measure._values import FloatArray
from causal_scrubbing._sampling import Sampler
from causal_scrubbing._scrub.behaviour import Metric, evaluate_metric


@dataclass
class Values:
    """What a run gathers for one hypothesis, block after block.

    Attributes:
        scrubbed, model, randomized: metric name -> one array a block, [samples] or [samples, k].
        draws: draw key -> one array of rows a block.
        moved: kind of comparison -> of scrubbed outputs with the model's own, a block.
        moved_randomized: the same for the outputs of random rows.
        outputs: scrubbed and model's own outputs a block, where they are kept.
    """

    scrubbed: dict[str, list[FloatArray]] = field(default_factory=dict)
    model: dict[str, list[FloatArray]] = field(default_factory=dict)
    randomized: dict[str, list[FloatArray]] = field(default_factory=dict)
    draws: dict[str, list[Ints]] = field(default_factory=dict)
    moved: dict[str, list[FloatArray]] = field(default_factory=dict)
    moved_randomized: dict[str, list[FloatArray]] = field(default_factory=dict)
    outputs: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)


class Work:
    """The compiled work of several hypotheses about one graph, on common random numbers.

    Args:
        hypotheses: about one graph object; clean activations and equal subtrees are shared.
        data: the dataset.
        metrics: by name.
        seed: of all draws.
        randomize: node whose value E_randomized takes on another row; None for none.
        baseline: hypothesis whose scrubbed values stand in for the randomized ones, or None.
        engine: how to use the machine.
        samples: how many will be asked for in all.
        keep_outputs: whether outputs are gathered.
    """

    def __init__(
        self,
        hypotheses: Sequence[Hypothesis],
        data: Dataset,
        metrics: Mapping[str, Metric],
        *,
        seed: int,
        randomize: str | None,
        baseline: Hypothesis | None,
        engine: Settings,
        samples: int,
        keep_outputs: bool,
    ) -> None:
        self.data = data
        self.metrics = metrics
        self.keep_outputs = keep_outputs
        graph = hypotheses[0].graph
        space = Space()
        compiler = Compiler(graph, space)
        self.samplers = [Sampler(h, data, seed) for h in hypotheses]
        self.roots = [compiler.tree(s.hypothesis.tree, s.variables) for s in self.samplers]
        self.model = compiler.clean(graph.output, REFERENCE)
        self.extra: list[Sampler] = []
        stand_in: int | None = None
        if baseline is not None:
            self.extra = [Sampler(baseline, data, seed)]
            stand_in = compiler.tree(baseline.tree, self.extra[0].variables)
        self.randomized: list[int | None] = []
        for sampler in self.samplers:
            if randomize is None:
                self.randomized.append(stand_in)
            elif randomize == graph.output:
                self.randomized.append(compiler.clean(graph.output, sampler.variables[RANDOMIZED]))
            else:
                swapped = {randomize: sampler.variables[RANDOMIZED]}
                self.randomized.append(compiler.substitute(graph.output, swapped, REFERENCE))
        wanted = [*self.roots, self.model, *(r for r in self.randomized if r is not None)]
        self.executor = Executor(graph, space, wanted, data, engine, samples=samples)
        self.values = [Values() for _ in hypotheses]

    def block(self, start: int, stop: int) -> None:
        """Draw and compute samples start..stop - 1 and append their values."""
        rows: dict[str, Ints] = {}
        for i, sampler in enumerate([*self.samplers, *self.extra]):
            draw = sampler.draw(start, stop)
            for key, drawn in draw.rows.items():
                rows[sampler.variables[key]] = drawn
                if i < len(self.values):
                    self.values[i].draws.setdefault(key, []).append(drawn)
        for low, high, found in self.executor.run(rows):
            reference = rows[REFERENCE][low:high]
            own = found[self.model]
            batch = self.data.take(reference).with_model_output(own)
            for name, metric in self.metrics.items():
                known: dict[int, FloatArray] = {}
                for values, root, randomized in zip(
                    self.values, self.roots, self.randomized, strict=True
                ):
                    for table, number in (
                        (values.model, self.model),
                        (values.scrubbed, root),
                        (values.randomized, randomized),
                    ):
                        if number is None:
                            continue
                        if number not in known:
                            known[number] = evaluate_metric(name, metric, found[number], batch)
                        table.setdefault(name, []).append(known[number])
            self._compare_outputs(found, own)

    def _compare_outputs(self, found: Mapping[int, torch.Tensor], own: torch.Tensor) -> None:
        """Compare outputs with the model's own while they are at hand; keep them if asked to."""
        logits = own.ndim == 2 and own.shape[1] > 1 and own.is_floating_point()
        known: dict[int, dict[str, FloatArray]] = {}
        for values, root, randomized in zip(self.values, self.roots, self.randomized, strict=True):
            for table, number in ((values.moved, root), (values.moved_randomized, randomized)):
                if number is None:
                    continue
                if number not in known:
                    known[number] = output_measures(found[number], own, logits=logits)
                for kind, measured in known[number].items():
                    table.setdefault(kind, []).append(measured)
            if self.keep_outputs:
                values.outputs.append((found[root].cpu(), own.cpu()))


def joined(parts: Mapping[str, Sequence[FloatArray]]) -> dict[str, FloatArray]:
    """Blocks of values as one array a name."""
    return {name: np.concatenate(list(found)) for name, found in parts.items()}
