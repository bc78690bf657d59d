"""Arguments that the searches and controls share, checked before any work."""

from __future__ import annotations

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._scrub.arguments import (
    check_batch_size,
    check_device,
    check_samples,
    check_seed,
)
from causal_scrubbing._scrub.run import check_arguments


def check_run(
    h: Hypothesis,
    data: Dataset,
    samples: int,
    seed: int,
    batch_size: int | None,
    device: torch.device | str | None,
    randomize: str | None = None,
) -> None:
    """Refuse arguments that no run can use, and features that the data does not have.

    Raises:
        HypothesisError: a feature or field cannot be used on the data.
        GraphError: there is no node of the name `randomize`.
        ScrubError: an argument is wrong; the message names it.
    """
    check_samples(samples)
    check_seed(seed)
    check_batch_size(batch_size)
    check_arguments([h], data, samples, randomize, None)
    check_device(device)
    h.classes(data)
