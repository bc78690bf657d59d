"""What was given where a dataset is expected."""

from __future__ import annotations

from causal_scrubbing._data.dataset import Dataset
from causal_scrubbing._errors import DataError


def check_dataset(given: object, what: str = "data") -> None:
    """Refuse anything but a dataset.

    Raises:
        DataError: it is none.
    """
    if not isinstance(given, Dataset):
        raise DataError(
            f"{what} is {type(given).__name__}; wrap it: cs.Dataset(tokens=tokens, label=labels)."
        )
