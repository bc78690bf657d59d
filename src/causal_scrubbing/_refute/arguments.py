"""Arguments that the searches and controls share, checked before any work."""

from __future__ import annotations

import torch

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._scrub.arguments import check_device
from causal_scrubbing._scrub.run import check_arguments


def check_count(name: str, value: object, least: int, what: str) -> None:
    """Refuse what is no whole number of at least `least`.

    Raises:
        ScrubError: naming the argument, with `what` to give.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ScrubError(f"{name}={value!r}: {what}, a whole number of at least {least}.")


def check_run(
    h: Hypothesis,
    data: Dataset,
    samples: int,
    seed: int,
    batch_size: int,
    device: torch.device | str | None,
    randomize: str | None = None,
) -> None:
    """Refuse arguments that no run can use, and features that the data does not have.

    Raises:
        HypothesisError: a feature or field cannot be used on the data.
        GraphError: there is no node of the name `randomize`.
        ScrubError: an argument is wrong; the message names it.
    """
    check_count("samples", samples, 1, "give the number of samples")
    check_count("seed", seed, 0, "give a seed")
    check_count("batch_size", batch_size, 1, "give how many samples are computed at once")
    check_arguments([h], data, samples, randomize, None)
    check_device(device)
    h.classes(data)
