"""The price of a run before it is paid, and beside what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._data.classes import Ints
from causal_scrubbing._engine import Explanation, MemoryLimit, Settings, explain_run
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._hypothesis.means import with_means
from causal_scrubbing._sampling import Pools
from causal_scrubbing._scrub.work import Work

_PIECE = 1 << 16


def explain(
    hypothesis: Hypothesis | Sequence[Hypothesis],
    data: Dataset,
    *,
    samples: int = 1000,
    seed: int = 0,
    randomize: str | None = None,
    baseline: Hypothesis | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    memory: MemoryLimit = None,
    store: str = "auto",
    store_dtype: torch.dtype | None = None,
    pool: int | None = None,
    pools: int = 8,
    timed: bool = True,
) -> Explanation:
    """What `scrub` would do and what it would cost, before it is run.

    Example::

        print(cs.explain(h, data, samples=4000))

    Args:
        hypothesis: one hypothesis, or several about one graph, which share work.
        data: the dataset.
        samples: how many samples.
        seed: of the draws; the rows needed are those that this seed draws.
        randomize: see `scrub`; the output if None, as with a metric outside the graph.
        baseline: see `scrub`.
        batch_size: see `scrub`.
        device: see `scrub`.
        memory: see `scrub`.
        store: see `scrub`.
        store_dtype: see `scrub`.
        pool: see `scrub`; beside the plan without it, this says what a pool saves.
        pools: see `scrub`.
        timed: run up to 256 samples to say how long all will take.

    Raises:
        ScrubError: an argument is wrong, or hypotheses are about different graphs.
    """
    many = [hypothesis] if isinstance(hypothesis, Hypothesis) else list(hypothesis)
    if not many or any(one.graph is not many[0].graph for one in many):
        raise ScrubError(
            "explain takes hypotheses about one graph object, at least one; explain others apart."
        )
    if not isinstance(samples, int) or samples < 1:
        raise ScrubError(f"samples={samples!r}: give the number of samples, at least 1.")
    engine = Settings(batch_size, device, memory, store, store_dtype)
    settings = {
        "samples": samples,
        "seed": seed,
        "randomize": (randomize or many[0].graph.output) if baseline is None else None,
    }
    chosen = None if pool is None else Pools.choose(data, pool, pools, samples, seed)
    grounded = with_means([*many, *([] if baseline is None else [baseline])], data, device=device)
    stand_in = None if baseline is None else grounded.pop()
    asked = Asked(tuple(grounded), engine, stand_in, chosen)
    return asked.explain(data, settings, timed=timed)


@dataclass(frozen=True, eq=False)
class Asked:
    """How a run was asked for.

    Attributes:
        hypotheses: all that shared its work.
        engine: how to use the machine.
        baseline: see `scrub`.
        pools: see `scrub`.
    """

    hypotheses: tuple[Hypothesis, ...]
    engine: Settings
    baseline: Hypothesis | None = None
    pools: Pools | None = None

    def explain(
        self, data: Dataset, settings: Mapping[str, Any], *, timed: bool = False
    ) -> Explanation:
        """The plan of the run with these settings, and what it took if they say so."""
        samples = int(settings["samples"])
        work = self._work(data, settings, samples, self.pools)
        plan = explain_run(
            work.executor,
            _pieces(work, samples),
            [sampler.hypothesis.tree for sampler in (*work.samplers, *work.extra)],
            forwards=1 + (settings["randomize"] is not None),
            timed=timed,
        )
        if self.pools is not None:
            whole = self._work(data, settings, samples, None)
            without = explain_run(whole.executor, _pieces(whole, samples), [])
            plan = replace(
                plan,
                notes=(
                    *plan.notes,
                    f"the pools save {1 - plan.flops.total / without.flops.total:.0%} of the work"
                    if without.flops.total > plan.flops.total
                    else "the pools save nothing",
                ),
            )
        return replace(plan, actual=settings.get("actual"))

    def _work(
        self, data: Dataset, settings: Mapping[str, Any], samples: int, pools: Pools | None
    ) -> Work:
        return Work(
            self.hypotheses,
            data,
            {},
            seed=int(settings["seed"]),
            randomize=settings["randomize"],
            baseline=self.baseline,
            engine=self.engine,
            samples=samples,
            keep_outputs=False,
            pools=pools,
        )


def _pieces(work: Work, samples: int) -> Iterator[Mapping[str, Ints]]:
    for start in range(0, samples, _PIECE):
        yield work.draw(start, min(start + _PIECE, samples))[0]
