"""What `scrub` and `explain` are asked for, checked alike before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._engine import MemoryLimit, Settings
from causal_scrubbing._files import check_folder
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._simulate.arguments import (
    check_arguments,
    check_auto,
    check_batch_size,
    check_device,
    check_most,
    check_samples_or_auto,
    check_seed,
    check_shared,
    check_store_dtype,
    check_tolerance,
)


@dataclass(frozen=True, eq=False)
class Asking:
    """Checked arguments of a run.

    Attributes:
        hypotheses: at least one.
        single: whether one was given, not a list of them.
        samples: their number, or "auto".
        most: the most samples that may be run.
        tolerance: see `scrub`.
        seed: of all draws.
        engine: how to use the machine.
        folder: where finished blocks are kept, or None.
    """

    hypotheses: tuple[Hypothesis, ...]
    single: bool
    samples: int | Literal["auto"]
    most: int
    tolerance: float
    seed: int
    engine: Settings
    folder: Path | None

    @classmethod
    def of(
        cls,
        hypothesis: Hypothesis | Sequence[Hypothesis],
        data: Dataset,
        *,
        samples: int | Literal["auto"],
        tolerance: float,
        max_samples: int,
        seed: int,
        randomize: str | None,
        baseline: Hypothesis | None,
        batch_size: int | None,
        device: torch.device | str | None,
        memory: MemoryLimit,
        store: str,
        store_dtype: torch.dtype | str | None,
        out: str | Path | None,
        shared: bool,
    ) -> Asking:
        """Check the arguments of `scrub`, which describes them.

        Raises:
            HypothesisError: a feature or field cannot be used on this data.
            GraphError: there is no node of the name `randomize`.
            ScrubError: an argument is wrong; the message names it.
        """
        single = isinstance(hypothesis, Hypothesis)
        many = check_arguments(hypothesis, data, randomize, baseline)
        number, seed = check_samples_or_auto(samples), check_seed(seed)
        check_device(device)
        engine = Settings(
            check_batch_size(batch_size),
            device,
            memory,
            store,
            check_store_dtype(store_dtype),
        )
        if number == "auto":
            most, tolerance = check_most(max_samples), check_tolerance(tolerance)
            check_auto(many)
        else:
            most = number
        folder = None if out is None else Path(out)
        if folder is not None:
            check_folder(folder, "out=")
        check_shared(shared, folder)
        for one in [*many, *([] if baseline is None else [baseline])]:
            one.classes(data)
        return cls(many, single, number, most, tolerance, seed, engine, folder)
