"""What was given where a dataset is expected."""

from __future__ import annotations

from causal_scrubbing._data.dataset import Dataset
from causal_scrubbing._errors import CausalScrubbingError, DataError


def check_dataset(
    given: object, what: str = "data", error: type[CausalScrubbingError] = DataError
) -> None:
    """Refuse anything but a dataset.

    Args:
        given: what was given.
        what: what it was given as.
        error: what to raise.

    Raises:
        CausalScrubbingError: it is none, of the kind asked for.
    """
    if not isinstance(given, Dataset):
        raise error(
            f"{what} is {type(given).__name__}; wrap it: cs.Dataset(tokens=tokens, label=labels)."
        )
