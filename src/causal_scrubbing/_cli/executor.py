"""Where a run is computed, as the command's options say it."""

from __future__ import annotations

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._executors import Executor, executors

_FORMS = "Give processes, processes:2, ray, or ray with --address."


def read_executor(name: str | None, address: str | None) -> Executor:
    """The executor that ``--executor`` and ``--address`` name.

    Args:
        name: ``processes``, ``processes:N`` or ``ray``.
        address: of a Ray cluster.

    Raises:
        ScrubError: there is no such executor, or it cannot be used like that.

    Example:
        >>> read_executor("processes:2", None)
        Processes(count=2, threads=None)
    """
    kind, colon, count = (name or "").partition(":")
    if address is not None and name != "ray":
        raise ScrubError(f"--address {address}: it is for --executor ray only. {_FORMS}")
    if name == "ray":
        return executors.Ray(address or "auto")
    if kind != "processes":
        raise ScrubError(f"--executor {name}: there is no such executor. {_FORMS}")
    if not colon:
        return executors.Processes()
    if not (count.isascii() and count.isdigit() and int(count)):
        raise ScrubError(
            f"--executor {name}: {count!r} is not a number of processes; give at least 1. {_FORMS}"
        )
    return executors.Processes(int(count))
