"""How a search is made: its arguments, in one place, and what they must be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import torch

from causal_scrubbing._data import Dataset, Feature, check_dataset
from causal_scrubbing._engine import MemoryLimit, read_budget
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import Executor
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._simulate import (
    check_batch_size,
    check_device,
    check_executor,
    check_seed,
    check_size,
    whole,
)
from causal_scrubbing._trials import LONGER


class SearchOptions(TypedDict, total=False):
    """The keyword arguments of `refute` and `improve`, described at `refute`."""

    features: Sequence[Feature] | Mapping[str, Feature]
    fields: bool
    activations: str | Sequence[str]
    rivals: Sequence[Hypothesis]
    budget: int | None
    samples: int
    keep: int
    alpha: float
    tolerance: float | None
    randomize: str | None
    seed: int
    out: str | Path | None
    batch_size: int | None
    device: torch.device | str | None
    memory: MemoryLimit
    executor: Executor | None
    progress: bool | Callable[[int, int], None] | None


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """The same with their defaults; see `refute`."""

    features: Sequence[Feature] | Mapping[str, Feature] = ()
    fields: bool = True
    activations: str | Sequence[str] = "auto"
    rivals: Sequence[Hypothesis] = ()
    budget: int | None = None
    samples: int = 4000
    keep: int = 8
    alpha: float = 0.05
    tolerance: float | None = None
    randomize: str | None = None
    seed: int = 0
    out: str | Path | None = None
    batch_size: int | None = None
    device: torch.device | str | None = None
    memory: MemoryLimit = None
    executor: Executor | None = None
    progress: bool | Callable[[int, int], None] | None = None


def checked(h: Hypothesis, data: Dataset, settings: SearchSettings) -> SearchSettings:
    """The settings with plain numbers; what no search can be made with is refused before it runs.

    Raises:
        ScrubError: naming the argument, and what to give.
        GraphError: randomize or activations name no node.
    """
    if not isinstance(h, Hypothesis):
        raise ScrubError(f"{h!r} is no hypothesis; make one with cs.Hypothesis(graph, claim).")
    check_dataset(data, error=ScrubError)
    budget = settings.budget
    if budget is not None:
        budget = whole("budget", budget, "how many samples the search may spend")
    settings = replace(
        settings,
        samples=whole("samples", settings.samples, "the number of held-out samples", least=2),
        keep=whole("keep", settings.keep, "how many additions are confirmed"),
        seed=check_seed(settings.seed),
        budget=budget,
        batch_size=check_batch_size(settings.batch_size),
    )
    blocks = len(h.tree.blocks)
    check_size(settings.samples * LONGER, 1, 1, blocks)
    check_size(settings.samples * settings.keep, 1, 1, 0)
    if budget is not None:
        check_size(budget, 1, 1, blocks)
    if not (_is_number(settings.alpha) and 0 < settings.alpha < 1):
        raise ScrubError(f"alpha={settings.alpha!r}: give a level between 0 and 1, like 0.05.")
    tolerance = settings.tolerance
    if tolerance is not None and not (_is_number(tolerance) and 0 <= tolerance < math.inf):
        raise ScrubError(f"tolerance={tolerance!r}: give a number of at least 0.")
    if settings.randomize is not None and not isinstance(settings.randomize, str):
        raise ScrubError(f"randomize={settings.randomize!r}: give the name of one node.")
    if settings.randomize is not None and settings.randomize not in h.graph.names:
        h.graph.find(settings.randomize)  # raises with the nearest names
        raise ScrubError(f"randomize={settings.randomize!r} is a pattern; name one node.")
    rivals = settings.rivals
    if not isinstance(rivals, list | tuple) or not all(isinstance(r, Hypothesis) for r in rivals):
        raise ScrubError(f"rivals={rivals!r}: give a list of hypotheses.")
    wanted = settings.activations
    if not (isinstance(wanted, str) or (_is_list(wanted) and all(map(_is_text, wanted)))):
        raise ScrubError(
            f"activations={wanted!r}: give node names or patterns, 'auto', or () for none."
        )
    if wanted and wanted != "auto":
        h.graph.find(wanted)
    if settings.out is not None and Path(settings.out).is_dir():
        raise ScrubError(f"out={str(settings.out)!r} is a folder; name a file, like search.jsonl.")
    check_device(settings.device)
    check_executor(settings.executor)
    where = h.graph.device if settings.device is None else torch.device(settings.device)
    read_budget(settings.memory, where or torch.device("cpu"))
    return settings


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
