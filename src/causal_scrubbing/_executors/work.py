"""Work as bytes: made here, unpacked in a worker, in a process that trusts this one."""

from __future__ import annotations

import io
import pickle
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from causal_scrubbing._errors import CausalScrubbingError, ScrubError
from causal_scrubbing._executors.protocol import Block, Tell, quiet


class Compute(Protocol):
    """The value of the samples low..high - 1; see `Workers.compute`."""

    def __call__(self, low: int, high: int, request: bytes = b"", tell: Tell = quiet) -> Any: ...


def packed(setup: Callable[[], Any]) -> bytes:
    """A function, and all that it refers to, as bytes.

    Functions that were written in a script or a notebook travel by value, those of installed
    modules by name (cloudpickle). Objects of a class with a true ``stays_behind`` arrive as None.

    Args:
        setup: called once in each worker; gives the function that computes a block.

    Raises:
        ScrubError: something in it cannot leave this process, such as an open file.
    """
    return _dumped(setup, {})


def load(work: bytes) -> Compute:
    """The function that `packed` packed, set up in this process."""
    import cloudpickle

    found: Compute = cloudpickle.loads(work)()
    return found


def packed_request(what: object, held: Mapping[str, object]) -> bytes:
    """A request as bytes, without what the workers hold.

    Args:
        what: the request.
        held: what the workers hold, by name.

    Raises:
        ScrubError: something in it cannot leave this process.
    """
    return _dumped(what, held)


def load_request(request: bytes, held: Mapping[str, object]) -> Any:
    """What `packed_request` packed, with what this worker holds in its places."""
    return _Unpickler(io.BytesIO(request), held).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, held: Mapping[str, object]) -> None:
        super().__init__(file)
        self._held = held

    def persistent_load(self, name: Any) -> object:
        return self._held[name]


def _dumped(what: object, held: Mapping[str, object]) -> bytes:
    import cloudpickle

    names = {id(thing): name for name, thing in held.items()}

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # untyped
        def persistent_id(self, thing: object) -> str | None:
            return names.get(id(thing))

        def reducer_override(self, thing: object) -> Any:
            if getattr(type(thing), "stays_behind", False) is True:
                return _nothing, ()
            return super().reducer_override(thing)

    file = io.BytesIO()
    try:
        Pickler(file).dump(what)
    except Exception as error:
        raise ScrubError(
            f"the work cannot be sent to other processes: {error}. Models, metrics and features "
            "must not hold open files, locks or generators; without executor= they may."
        ) from error
    return file.getvalue()


def _nothing() -> None:
    """What arrives in the place of things that stay behind."""


def fault_of(block: Block, error: BaseException) -> tuple[str, BaseException | None]:
    """An error as a worker reports it: in words, and itself where it is of this package."""
    words = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, CausalScrubbingError):
        words = str(error)
    known = error if isinstance(error, CausalScrubbingError) else None
    return f"samples {block[0]} to {block[1] - 1}: {words}", known
