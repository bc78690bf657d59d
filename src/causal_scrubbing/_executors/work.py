"""Work as bytes: made here, unpacked in a worker, in a process that trusts this one."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, TypeAlias

from causal_scrubbing._errors import CausalScrubbingError, ScrubError
from causal_scrubbing._executors.protocol import Block

Compute: TypeAlias = Callable[[int, int], Any]
"""First sample and one past the last, to the values of the block."""


def packed(setup: Callable[[], Compute]) -> bytes:
    """A function, and all that it refers to, as bytes.

    Functions that were written in a script or a notebook travel by value, those of installed
    modules by name (cloudpickle).

    Args:
        setup: called once in each worker; gives the function that computes a block.

    Raises:
        ScrubError: something in it cannot leave this process, such as an open file.
    """
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(setup))
    except Exception as error:
        raise ScrubError(
            f"the work cannot be sent to other processes: {error}. Models, metrics and features "
            "must not hold open files, locks or generators; without executor= they may."
        ) from error


def load(work: bytes) -> Compute:
    """The function that `packed` packed, set up in this process."""
    import cloudpickle

    found: Compute = cloudpickle.loads(work)()
    return found


def fault_of(block: Block, error: BaseException) -> tuple[str, BaseException | None]:
    """An error as a worker reports it: in words, and itself where it is of this package."""
    words = "".join(traceback.format_exception_only(error)).strip()
    known = error if isinstance(error, CausalScrubbingError) else None
    return f"samples {block[0]} to {block[1] - 1}: {words}", known
